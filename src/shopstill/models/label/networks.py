"""Networks that put products into classes: by picture, by text, or by both.

Shapes: ``B`` products, ``H`` × ``W`` pixels, ``S`` ids of all texts end to end, ``T`` ids of the longest text, ``D``
width of the features, ``K`` classes.
"""

from __future__ import annotations

from torch import Tensor, nn

from shopstill.data.tokens import TextTokenizer
from shopstill.models.label.config import Bag, Both, TextEncoder
from shopstill.models.label.feed import LabelFeed, LabelRows
from shopstill.models.label.fusion import CrossFusion, Fusion, LateFusion
from shopstill.models.label.texts import TextBody
from shopstill.models.vision import Picture, PictureReader, Place
from shopstill.types import Signals


class ImageNetwork(nn.Module):
    """A linear head on the features of a picture.

    Args:
        reader: reads pictures.
        config: the configuration, kept for saving.
        classes: K.
    """

    def __init__(self, reader: PictureReader, config: Picture, classes: int) -> None:
        super().__init__()
        self.config, self.reader = config, reader
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(reader.width, classes)

    def forward(self, image_BHWC: Tensor) -> Signals:
        """Pictures [B, H, W, 3] of uint8.

        Returns:
            logits [B, K]; features ``pooled`` [B, D] and the attention maps of ``PictureReader``.
        """
        seen = self.reader(image_BHWC)
        return Signals(logits=self.head(self.dropout(seen.pooled_BD)), features=seen.features)

    def padded(self, image_BHWC: Tensor) -> Tensor:
        """Logits [B, K]: what an exported graph holds."""
        return self.head(self.reader(image_BHWC).pooled_BD)

    def feed(self, tokenizer: TextTokenizer | None, rows: LabelRows) -> LabelFeed:
        """Rows made ready for ``forward``."""
        return LabelFeed(rows.sight())

    def places(self) -> tuple[Place, ...]:
        """What reads the picture's channels."""
        return (Place(owner=self, part="head", reads=self.reader.body.out.name),)


class TextNetwork(nn.Module):
    """A linear head on the features of a text.

    Args:
        body: reads texts.
        config: the configuration, kept for saving.
        classes: K.
    """

    def __init__(self, body: TextBody, config: Bag | TextEncoder, classes: int) -> None:
        super().__init__()
        self.config, self.body = config, body
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(body.width, classes)

    def forward(self, ids_S: Tensor, length_B: Tensor) -> Signals:
        """Texts given end to end.

        Returns:
            logits [B, K], and the feature ``pooled`` [B, D].
        """
        pooled = self.body.pool(ids_S, length_B)
        return Signals(logits=self.head(self.dropout(pooled)), features={"pooled": pooled})

    @property
    def text_reader(self) -> tuple[nn.Module, str]:
        """The linear layer that reads the text's features: who holds it, and under which name."""
        return self, "head"

    def padded(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits [B, K] of texts given as a rectangle: what an exported graph holds."""
        return self.head(self.body.mean(self.body.padded(ids_BT, mask_BT), mask_BT))

    def feed(self, tokenizer: TextTokenizer | None, rows: LabelRows) -> LabelFeed:
        """Rows made ready for ``forward``."""
        return LabelFeed(None, rows.reading(tokenizer, self.body.config))


class BothNetwork(nn.Module):
    """A linear head on what joins the features of a picture and of a text.

    Args:
        reader: reads pictures.
        body: reads texts.
        config: the configuration, kept for saving.
        classes: K.
    """

    def __init__(self, reader: PictureReader, body: TextBody, config: Both, classes: int) -> None:
        super().__init__()
        self.config, self.reader, self.body = config, reader, body
        self.fusion = _fusion(reader, body, config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(2 * config.width, classes)

    def forward(self, image_BHWC: Tensor, ids_S: Tensor, length_B: Tensor) -> Signals:
        """Pictures [B, H, W, 3] of uint8, and texts given end to end.

        Returns:
            logits [B, K]; features ``pooled`` of both together, ``image`` and ``text`` [B, ·] of each alone, and the
            attention maps of ``PictureReader``.
        """
        seen = self.reader(image_BHWC)
        states_BTD, mask_BT = self.body.states(ids_S, length_B)
        text = self.body.mean(states_BTD, mask_BT)
        joined = self.fusion(seen, states_BTD, mask_BT, text)
        features = {**seen.features, "pooled": joined, "image": seen.pooled_BD, "text": text}
        return Signals(logits=self.head(self.dropout(joined)), features=features)

    @property
    def text_reader(self) -> tuple[nn.Module, str]:
        """The linear layer that reads the text's features: who holds it, and under which name."""
        return self.fusion, "text"

    def padded(self, image_BHWC: Tensor, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits [B, K], with the texts given as a rectangle: what an exported graph holds."""
        states_BTD = self.body.padded(ids_BT, mask_BT)
        text = self.body.mean(states_BTD, mask_BT)
        return self.head(self.fusion(self.reader(image_BHWC), states_BTD, mask_BT, text))

    def feed(self, tokenizer: TextTokenizer | None, rows: LabelRows) -> LabelFeed:
        """Rows made ready for ``forward``."""
        return LabelFeed(rows.sight(), rows.reading(tokenizer, self.body.config))


LabelNetwork = ImageNetwork | TextNetwork | BothNetwork


def _fusion(reader: PictureReader, body: TextBody, config: Both) -> Fusion:
    if config.fusion == "late":
        return LateFusion(reader.body.out, body.width, config.width)
    return CrossFusion(reader.body.out, body.width, config.width, config.heads)
