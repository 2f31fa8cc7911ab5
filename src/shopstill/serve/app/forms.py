"""What is asked and answered over HTTP alone; what the engine also knows is in ``serve/forms.py``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from shopstill.core.config import config
from shopstill.serve.forms import DEPTH, Hit, Id, Leg, Limit, ModelState, Sort, Suggestion, Text, Texts

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What a model that is loaded over HTTP may be called."""
NAME_CHARS = 128
"""The longest name of any model, however it was loaded."""

Name = Annotated[str, Field(pattern=NAME)]
Loaded = Annotated[str, Field(min_length=1, max_length=NAME_CHARS)]
LEGS: tuple[Leg, ...] = ("lexical", "dense")


@config
class Faulty:
    """A thing that is wrong: the field it is in, the line of a body of lines, and what is allowed."""

    message: str
    field: str | None = None
    line: int | None = None


@config
class Fault:
    """Why there is no answer.

    Attributes:
        kind: of the fault, for programs.
        message: what is wrong and what is allowed, for people.
        field: where it is wrong.
        line: the line of the body.
        id: of the request; the log has it too.
        faults: all that is wrong, where it is several things; twenty at most.
    """

    kind: str
    message: str
    field: str | None = None
    line: int | None = None
    id: str | None = None
    faults: list[Faulty] | None = None


@config
class Failed:
    """Every answer that is not a success."""

    error: Fault


@config
class SearchQuery:
    """A search in the address: the fields of ``Search``, its filters spelled out.

    Attributes:
        q: what was typed; empty for all products.
        limit: results of this page.
        offset: results before it.
        sort: relevance, or price among all that match.
        brand: any of these; may be repeated.
        category: any of these paths, parts joined by `` > ``; may be repeated.
        price_min: at least.
        price_max: at most.
        attr: ``name:value``; may be repeated, and values of one name are alternatives.
        facets: fields to count, with commas between.
        legs: how products are found, with commas between.
        rerank: whether the model puts the best of what was found in order.
        budget_ms: when this is nearly used up, the answer is what there is.
        model: name of a loaded model.
        prefix: whether the last word may be unfinished; a blank at the end finishes it.
    """

    q: Text = ""
    limit: Limit = 24
    offset: int = Field(default=0, ge=0, lt=DEPTH)
    sort: Sort = "relevance"
    brand: Texts = Field(default=(), max_length=50)
    category: Texts = Field(default=(), max_length=50)
    price_min: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    price_max: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    attr: tuple[Annotated[str, Field(pattern="^[^:]+:")], ...] = Field(default=(), max_length=50)
    facets: Texts = Field(default=(), max_length=20, json_schema_extra={"commas": True})
    legs: tuple[Leg, ...] = Field(default=LEGS, json_schema_extra={"commas": True})
    rerank: bool = True
    budget_ms: float = Field(default=50, gt=0, le=10_000)
    model: Loaded | None = None
    prefix: bool = False

    def search(self) -> dict[str, Any]:
        """The same as values of a ``Search``."""
        attributes: dict[str, list[str]] = {}
        for name, _, value in (pair.partition(":") for pair in self.attr):
            attributes.setdefault(name, []).append(value)
        filters: dict[str, Any] = {"brand": self.brand, "category": self.category, "attributes": attributes}
        filters |= {"price_min": self.price_min, "price_max": self.price_max}
        alike = ("limit", "offset", "sort", "facets", "legs", "rerank", "budget_ms", "model", "prefix")
        return {"query": self.q, "filters": filters, **{name: getattr(self, name) for name in alike}}


@config
class SuggestQuery:
    """What was typed so far, and how many ways to go on are wanted."""

    q: Text = ""
    limit: int = Field(default=8, ge=1, le=20)


@config
class SimilarQuery:
    """How many similar products are wanted."""

    limit: Limit = 12


@config
class WhyQuery:
    """A query and a product whose score is to be explained."""

    q: Text
    id: Id
    model: Loaded | None = None


@config
class CompareQuery:
    """A query, and two models with a comma between."""

    q: Text
    models: tuple[Loaded, ...] = Field(min_length=2, max_length=2, json_schema_extra={"commas": True})
    limit: int = Field(default=10, ge=1, le=100)


@config
class Nothing:
    """No parameter at all."""


@config
class Suggested:
    """Ways to go on typing."""

    suggestions: list[Suggestion]
    took_ms: float


@config
class Similar:
    """Products near a product."""

    hits: list[Hit]
    took_ms: float


@config
class Put:
    """A product without its id, which is in the address."""

    title: str = Field(min_length=1, max_length=2_000)
    description: str | None = Field(default=None, max_length=20_000)
    brand: str | None = Field(default=None, max_length=200)
    category: Texts = Field(default=(), max_length=12)
    price: float | None = Field(default=None, ge=0, le=1e12, allow_inf_nan=False)
    attributes: dict[str, str] = Field(default_factory=dict, max_length=200)
    image: str | None = Field(default=None, max_length=2_000)
    language: str | None = Field(default=None, max_length=16)


@config
class LoadModel:
    """A bundle to load: what it is called from now on, and its path within the models folder."""

    name: Name
    path: str = Field(min_length=1, max_length=512)


@config
class Models:
    """The loaded models."""

    models: list[ModelState]


@config
class Health:
    """Whether the process lives, and whether it answers."""

    status: Literal["ok", "ready"]
    products: int | None = None
    generation: str | None = None
