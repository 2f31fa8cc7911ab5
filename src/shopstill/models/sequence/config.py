"""What a network of histories may be: its family and size, and how its items are kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shopstill.core.config import config
from shopstill.models.encoder import check_heads


@config
class FullTable:
    """A row of numbers for each item."""

    kind: Literal["full"] = "full"


@config
class LowRankItems:
    """``rank`` numbers an item and a map that all share: ``rank · (items + width)`` weights."""

    kind: Literal["low_rank"] = "low_rank"
    rank: int = Field(default=16, ge=1)


@config
class HashedItems:
    """Sums of rows of ``books`` small tables by the digits of an item's number; nothing is kept for an item alone."""

    kind: Literal["hashed"] = "hashed"
    books: int = Field(default=2, ge=1)


@config
class CodedItems:
    """``books`` codes of a byte for each item, fixed before training, and books of ``rows`` vectors that learn.

    ``residual`` adds the vectors of all books up; ``product`` puts them side by side, each a ``books``-th of the width.
    """

    kind: Literal["codes"] = "codes"
    books: int = Field(default=8, ge=1, le=64)
    rows: int = Field(default=256, ge=2, le=256)
    form: Literal["residual", "product"] = "product"


ItemTable = Annotated[FullTable | LowRankItems | HashedItems | CodedItems, Field(discriminator="kind")]


@config
class Sizes:
    """What a network must know of the shop it is for.

    Attributes:
        items: V, numbered from 1.
        attributes: different attributes that items may have; 0 for none.
        links: pairs of an item and an attribute of it.
        id_dropout: in training, the chance that an item's own vector is left out, and its attributes speak for it.
    """

    items: int = Field(ge=1)
    attributes: int = Field(default=0, ge=0)
    links: int = Field(default=0, ge=0)
    id_dropout: float = Field(default=0.0, ge=0, lt=1)


@config
class SASRec:
    """A transformer that reads a history forwards (Kang and McAuley 2018, arXiv:1808.09781).

    Its layers are those of ``models.encoder``: the norm stands after each sum. ``feed_forward`` is four times the
    width where it is null. ``max_items`` of the latest items are read.
    """

    kind: Literal["sasrec"] = "sasrec"
    width: int = Field(default=64, ge=2)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    feed_forward: int | None = Field(default=None, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    max_items: int = Field(default=50, ge=1)
    table: ItemTable = Field(default_factory=FullTable)

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads)


@config
class BERT4Rec:
    """A transformer that reads a history both ways, of which items are masked (Sun et al. 2019, arXiv:1904.06690).

    In training each item is masked with probability ``mask_share``; a share ``last_share`` of the histories has its
    last item masked alone, as it is when the next one is asked for. The mask takes one of ``max_items`` places.
    """

    kind: Literal["bert4rec"] = "bert4rec"
    width: int = Field(default=64, ge=2)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    feed_forward: int | None = Field(default=None, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    max_items: int = Field(default=50, ge=2)
    mask_share: float = Field(default=0.3, gt=0, le=1)
    last_share: float = Field(default=0.2, ge=0, le=1)
    table: ItemTable = Field(default_factory=FullTable)

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads)


@config
class GRU4Rec:
    """Gated recurrent units over a history (Hidasi et al. 2016, arXiv:1511.06939).

    ``hidden`` units a layer, mapped back to the width of the items; as many as the width where it is null.
    """

    kind: Literal["gru4rec"] = "gru4rec"
    width: int = Field(default=64, ge=2)
    layers: int = Field(default=1, ge=1)
    hidden: int | None = Field(default=None, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    max_items: int = Field(default=50, ge=1)
    table: ItemTable = Field(default_factory=FullTable)


@config
class ItemMean:
    """Nothing but items: the mean of a history's vectors, each weighted by how long ago it was, and a linear map.

    ``map`` false leaves the map out.
    """

    kind: Literal["item_mean"] = "item_mean"
    width: int = Field(default=64, ge=2)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    max_items: int = Field(default=50, ge=1)
    map: bool = True
    table: ItemTable = Field(default_factory=FullTable)


Sequence = Annotated[SASRec | BERT4Rec | GRU4Rec | ItemMean, Field(discriminator="kind")]
"""Configuration of a network that reads histories."""
