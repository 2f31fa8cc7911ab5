"""What is asked and answered of what comes next in a history: the same forms in Python and, as JSON, over HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from shopstill.core.config import config
from shopstill.serve.forms import DEPTH, Filters, Id, Limit, Product

MOST_TAKEN_UP = 10_000
"""Products of a history that may be sent; a model reads the latest of them."""


@config
class Recommend:
    """What a shopper may want next.

    Attributes:
        history: ids of products that the shopper took up, from the oldest; what the model does not know is passed over,
            and it reads the latest.
        limit: how many products.
        filters: what a product must be.
        exclude: ids of products that are left out.
        seen: whether products of the history may be among them.
        model: name of a loaded model of histories; None for the first one.
    """

    history: tuple[Id, ...] = Field(max_length=MOST_TAKEN_UP)
    limit: Limit = 10
    filters: Filters = Field(default_factory=Filters)
    exclude: tuple[Id, ...] = Field(default=(), max_length=DEPTH)
    seen: bool = False
    model: str | None = Field(default=None, max_length=128)


@dataclass(frozen=True, kw_only=True)
class Next:
    """A product that may come next, and the model's score of it."""

    id: str
    score: float
    product: Product


@dataclass(frozen=True, kw_only=True)
class Recommended:
    """What may come next, best first; ``unknown`` of the history's ids are none that the model knows."""

    items: list[Next]
    unknown: int
    took_ms: float
    model: str
