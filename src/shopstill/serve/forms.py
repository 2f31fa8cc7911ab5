"""What is asked of the engine and what it answers: the same forms in Python and, as JSON, over HTTP.

What comes from outside is checked as it is made; answers are plain, since a page holds a hundred of their parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from shopstill.core.config import config

Leg = Literal["lexical", "dense"]
Sort = Literal["relevance", "price_asc", "price_desc"]
Kind = Literal["completion", "category", "brand", "product"]

DEPTH = 1000
"""How far down a ranking may be paged."""

LONGEST = 512
"""Characters of a query."""

LONGEST_TITLE, LONGEST_DESCRIPTION, LONGEST_BRAND = 2_000, 20_000, 200
"""Characters of a product's texts."""

Limit = Annotated[int, Field(ge=1, le=100)]
Text = Annotated[str, Field(max_length=LONGEST)]
Texts = tuple[str, ...]
Id = Annotated[str, Field(min_length=1, max_length=256)]


@config
class Product:
    """A product as it is put in and given out; all but id and title may be missing.

    Attributes:
        id: the shop's own.
        title: the name shown.
        description: longer text.
        brand: who makes it.
        category: path from the root to the leaf.
        price: in whole units of the currency.
        attributes: name → value, such as ``colour`` → ``red``.
        image: path or address of a picture.
        language: of the title; words are read by their script, whatever it says.
    """

    id: str = Field(min_length=1, max_length=256)
    title: str = Field(min_length=1, max_length=LONGEST_TITLE)
    description: str | None = Field(default=None, max_length=LONGEST_DESCRIPTION)
    brand: str | None = Field(default=None, max_length=LONGEST_BRAND)
    category: Texts = Field(default=(), max_length=12)
    price: float | None = Field(default=None, ge=0, le=1e12, allow_inf_nan=False)
    attributes: dict[str, str] = Field(default_factory=dict, max_length=200)
    image: str | None = Field(default=None, max_length=2_000)
    language: str | None = Field(default=None, max_length=16)


@config
class Filters:
    """What a result must be; values of one field are alternatives, fields add up.

    Attributes:
        brand: any of these.
        category: any of these paths or what lies below them, parts joined by `` > ``.
        price_min: at least.
        price_max: at most.
        attributes: name → any of these values.
    """

    brand: Texts = Field(default=(), max_length=50)
    category: Texts = Field(default=(), max_length=50)
    price_min: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    price_max: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    attributes: dict[str, Texts] = Field(default_factory=dict, max_length=50)


@config
class Search:
    """A search.

    Attributes:
        query: what was typed; empty for all products.
        limit: results of this page.
        offset: results before it; the two together reach ``DEPTH`` at most.
        filters: what a result must be.
        sort: relevance, or price among all that match.
        facets: fields to count: ``brand``, ``category``, ``price``, the name of an attribute; ``*`` for the commonest.
        legs: how products are found.
        rerank: whether the model puts the best of what was found in order.
        budget_ms: when this is nearly used up, the answer is what there is.
        model: name of a loaded model; None for the active one.
        prefix: whether the last word may be unfinished; a blank at the end finishes it.
    """

    query: Text = ""
    limit: Limit = 24
    offset: int = Field(default=0, ge=0, lt=DEPTH)
    filters: Filters = Field(default_factory=Filters)
    sort: Sort = "relevance"
    facets: Texts = Field(default=(), max_length=20)
    legs: tuple[Leg, ...] = ("lexical", "dense")
    rerank: bool = True
    budget_ms: float = Field(default=50, gt=0, le=10_000)
    model: str | None = None
    prefix: bool = False


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a leg or the model put a product: its rank from 1, and its score there."""

    rank: int
    score: float


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A result: its place from 1, the product, what of the title matched [from, to), and where each stage put it."""

    position: int
    product: Product
    score: float
    marks: list[tuple[int, int]] = field(default_factory=list)
    found_by: dict[str, Place] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FacetValue:
    """A value of a field with the number of matching products.

    A range of prices has bounds, as ``price_min`` and ``price_max`` of a filter: both are included, so that ``high`` is
    the greatest number below the price that ``value`` names, where the next range begins.
    """

    value: str
    count: int
    selected: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Facet:
    """A field and its values, commonest first."""

    field: str
    values: list[FacetValue]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to a search.

    Attributes:
        query: what was asked.
        total: products that match.
        hits: this page.
        facets: as asked for.
        spelling: a better spelling, where there is one; ``corrected`` says whether it is what was searched for.
        corrected: the typed words matched nothing, so that ``spelling`` was searched for.
        complete: False where the budget ran out before all was done.
        reranked: results that the model put in order.
        took_ms: in all.
        stages_ms: of each stage.
        model: that answered; empty where words alone did.
        generation: of the index; it changes when the index is built anew.
    """

    query: str
    total: int
    hits: list[Hit]
    facets: list[Facet] = field(default_factory=list)
    spelling: str | None = None
    corrected: bool = False
    complete: bool = True
    reranked: int = 0
    took_ms: float = 0
    stages_ms: dict[str, float] = field(default_factory=dict)
    model: str = ""
    generation: str = ""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A way to go on typing, or a place to go to; ``count`` products lie behind it."""

    text: str
    kind: Kind
    count: int
    id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A word or an attribute, where it stands [from, to) in its text, and by how much the score falls without it."""

    text: str
    start: int
    stop: int
    effect: float


@dataclass(frozen=True, kw_only=True)
class Why:
    """What moved a score: each word left out in turn, on the model as it is served."""

    model: str
    score: float
    query: list[Moved]
    title: list[Moved]
    attributes: list[Moved] = field(default_factory=list)
    spelling: str | None = None


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """What one model made of a query."""

    model: str
    hits: list[Hit]
    took_ms: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The same candidates in the order of two models, and how far they agree.

    Attributes:
        sides: both orders.
        tau: Kendall's tau over all candidates that both scored.
        shared: part of the first ten that both have.
    """

    query: str
    sides: tuple[Ranked, Ranked]
    tau: float | None
    shared: float
    spelling: str | None = None


@dataclass(frozen=True, kw_only=True)
class Changed:
    """What a change did: how many products were put and deleted, and its number in the journal."""

    put: int
    deleted: int
    number: int


@dataclass(frozen=True, kw_only=True)
class ModelState:
    """A loaded model; ``retrieves`` where it has towers, so that it finds products too, not only orders them."""

    name: str
    kind: str
    active: bool
    previous: bool
    retrieves: bool
    digest: str
    scheme: str
    bytes: int
