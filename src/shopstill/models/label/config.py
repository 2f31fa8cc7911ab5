"""What a network that puts products into classes may be: what it reads, and with what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.models.encoder import check_heads
from shopstill.models.vision.config import EfficientNetLite, MobileNet, ResNet, SmallCNN, Vision

Dropout = Annotated[float, Field(ge=0, lt=1)]


@config
class Bag:
    """The mean of the vectors of a text's tokens and of its runs of letters (Joulin et al. 2017, arXiv:1607.01759).

    ``start`` is whose tokens these are, and whose vectors they start from: a pretrained folder, packaged name or hub
    id, ``"teacher"``, or null for random vectors of the usual tokens. Without ``tokens`` there are only the runs of
    ``shortest`` to ``longest`` letters, hashed into ``buckets`` (0 leaves them out): these tell words that no tokenizer
    knows, such as Chinese ones under an English vocabulary.
    """

    kind: Literal["bag"] = "bag"
    start: str | None = "all-minilm-l6-v2"
    tokens: bool = True
    buckets: int = Field(default=20_000, ge=0, le=10_000_000)
    shortest: int = Field(default=2, ge=1, le=8)
    longest: int = Field(default=4, ge=1, le=8)
    width: int = Field(default=64, ge=2)
    max_tokens: int = Field(default=48, ge=4, le=4096)
    max_letters: int = Field(default=160, ge=4, le=16384)
    dropout: Dropout = 0.1

    def __post_init__(self) -> None:
        if not (self.tokens or self.buckets):
            raise ConfigError("bag: it reads neither tokens nor runs of letters; set tokens: true, or some buckets")
        if self.shortest > self.longest:
            raise ConfigError(
                f"bag: shortest {self.shortest} is more than longest {self.longest}; give it at most that"
            )


@config
class TextEncoder:
    """A transformer with a linear head on its first token, or on the mean of all.

    ``start`` is a pretrained folder, packaged name or hub id; ``"teacher"`` for the text network of the recipe's
    teacher; or null for random weights, in which case ``depth``, ``width`` and ``heads`` say its size. ``layers`` picks
    some of the start's layers, such as ``[0, 2, 5]``.
    """

    kind: Literal["text_encoder"] = "text_encoder"
    start: str | None = "all-minilm-l6-v2"
    layers: tuple[int, ...] | None = None
    width: int = Field(default=128, ge=8)
    depth: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    pooling: Literal["mean", "first"] = "mean"
    max_tokens: int = Field(default=48, ge=4, le=8192)
    dropout: Dropout = 0.1

    def __post_init__(self) -> None:
        if self.start is None:
            check_heads(self.width, self.heads)


Text = Annotated[Bag | TextEncoder, Field(discriminator="kind")]
"""Configuration of a network that reads titles."""


@config
class Both:
    """A network of pictures and one of texts, and what joins them, ``width`` numbers each.

    ``late`` weighs the features of both by a gate. ``cross`` lets every token attend to the places of the picture
    first, with ``heads`` heads.
    """

    kind: Literal["both"] = "both"
    image: Vision = Field(default_factory=EfficientNetLite)
    text: Text = Field(default_factory=TextEncoder)
    fusion: Literal["late", "cross"] = "late"
    width: int = Field(default=128, ge=4)
    heads: int = Field(default=4, ge=1)
    dropout: Dropout = 0.1

    def __post_init__(self) -> None:
        if self.fusion == "cross" and self.width % self.heads:
            raise ConfigError(f"both: heads: {self.heads} does not divide width {self.width}; use a divisor of it")


Label = Annotated[
    ResNet | MobileNet | EfficientNetLite | SmallCNN | Bag | TextEncoder | Both, Field(discriminator="kind")
]
"""Configuration of a network that puts products into classes."""

Config = ResNet | MobileNet | EfficientNetLite | SmallCNN | Bag | TextEncoder | Both
