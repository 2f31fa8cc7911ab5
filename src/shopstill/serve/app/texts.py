"""What is asked and answered where the caller brings texts, in the form of the common rerank and embedding APIs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from shopstill.core.config import config
from shopstill.serve.app.forms import Loaded
from shopstill.serve.forms import Id, Text

T = TypeVar("T")


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
def _lenient(cls: type[T]) -> type[T]:
    """A form that lets pass what other services know and this one does not: their clients send it unasked."""
    made: Any = dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))(cls)
    return cast("type[T]", made)


@_lenient
class Document:
    """A text to be ranked, with the caller's own id."""

    text: str
    id: str | None = Field(default=None, max_length=256)


@_lenient
class Rerank:
    """A query, and what is to be put in order for it.

    Attributes:
        query: what was typed.
        documents: texts of the caller's own.
        ids: in their place, products of the catalogue.
        top_n: results wanted; all unless given.
        top_k: another name of ``top_n``.
        return_documents: whether each result brings its text along.
        model: name of a loaded model; None for the active one.
    """

    query: Text
    documents: Annotated[tuple[str | Document, ...], Field(min_length=1)] | None = None
    ids: Annotated[tuple[Id, ...], Field(min_length=1)] | None = None
    top_n: int | None = Field(default=None, ge=1)
    top_k: int | None = Field(default=None, ge=1)
    return_documents: bool = False
    model: Loaded | None = None


@config
class RankedText:
    """A text that was ranked."""

    text: str | None = None
    id: str | None = None


@config
class RankedDocument:
    """A place of the ranking: which of the documents, from 0, and its score."""

    index: int
    relevance_score: float
    document: RankedText | None = None


@config
class Usage:
    """How many texts were scored or encoded."""

    total_documents: int


@config
class Reranked:
    """Documents in the order of the model, best first."""

    id: str
    model: str
    results: list[RankedDocument]
    usage: Usage


@_lenient
class Embed:
    """Texts to be encoded.

    Attributes:
        input: a text or several.
        input_type: ``query`` for what is typed, ``document`` for products.
        model: name of a loaded model that has towers; None for the active one.
        dimensions: numbers of a vector, which must be as many as the model's have; None for those.
        encoding_format: how a vector is written: ``float``, a list of numbers; or ``base64``, its numbers as
            little-endian float32, which takes about a third of the bytes.
    """

    input: str | Annotated[tuple[str, ...], Field(min_length=1)]
    input_type: Literal["query", "document"] = "document"
    model: Loaded | None = None
    dimensions: int | None = Field(default=None, ge=1)
    encoding_format: Literal["float", "base64"] = "float"


@config
class Embedding:
    """A vector, and which of the texts it is of, from 0.

    Attributes:
        index: the text.
        embedding: its numbers; or, where ``encoding_format`` is ``base64``, these as little-endian float32 in base64.
    """

    index: int
    embedding: list[float] | str
    object: Literal["embedding"] = "embedding"


@config
class Embedded:
    """The vectors of texts, in their order."""

    data: list[Embedding]
    model: str
    usage: Usage
    object: Literal["list"] = "list"
