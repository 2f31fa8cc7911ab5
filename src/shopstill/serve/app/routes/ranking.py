"""Scores and vectors for a shop that keeps its own engine, in the form of the common rerank and embedding APIs."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
from fastapi import Request
from fastapi.responses import Response

from shopstill.core.errors import DataError
from shopstill.serve.app.answering import answered
from shopstill.serve.app.errors import several
from shopstill.serve.app.forms import Faulty
from shopstill.serve.app.openapi import router, said
from shopstill.serve.app.reading import body
from shopstill.serve.app.routes.search import hold_to_length
from shopstill.serve.app.served import Engine
from shopstill.serve.app.state import State, of
from shopstill.serve.app.texts import (
    Document,
    Embed,
    Embedded,
    Embedding,
    RankedDocument,
    RankedText,
    Rerank,
    Reranked,
    Usage,
)

routes = router("ranking")

_RERANK = {"query": "red mug", "documents": ["a steel pan", {"id": "42", "text": "a red mug"}], "top_n": 2}
_EMBED = {"input": ["red mug"], "input_type": "query"}
_RERANKED = {
    "id": "9f1c",
    "model": "student",
    "results": [{"index": 1, "relevance_score": 3.1}, {"index": 0, "relevance_score": -2.0}],
    "usage": {"total_documents": 2},
}
_EMBEDDED = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -0.2]}],
    "model": "student",
    "usage": {"total_documents": 1},
}
_MISSING = {404: "There is no such product, or no model of this name is loaded."}
_MODEL = {404: "No model of this name is loaded."}


@routes.post(
    "/rerank", summary="Rank documents", **said(Reranked, body=(Rerank, _RERANK), example=_RERANKED, also=_MISSING)
)
async def rerank(request: Request) -> Response:
    """Score the caller's texts, or products of the catalogue, for a query; best first, ties as they came."""
    state, asked = of(request), await body(request, Rerank)
    hold_to_length(state, asked.query)
    texts, ids = _texts(state, asked), asked.ids
    work = partial(_scored, state.engine, asked, texts)
    scores, model = await state.run(request, state.heavy, work)
    score_N = np.asarray(scores, np.float64)
    if not np.isfinite(score_N).all():
        raise DataError("documents: the model has no finite score for one of them; shorten it, or leave it out")
    best = np.argsort(-score_N, kind="stable")[: asked.top_n or asked.top_k or len(scores)]
    shown = asked.documents if asked.return_documents or _identified(asked.documents) else None
    results = [
        RankedDocument(index=int(at), relevance_score=float(score_N[at]), document=_shown(asked, shown, ids, int(at)))
        for at in best
    ]
    usage = Usage(total_documents=len(scores))
    return answered(Reranked(id=secrets.token_hex(8), model=model, results=results, usage=usage), lean=True)


def _texts(state: State, asked: Rerank) -> list[str] | None:
    """The texts to be scored; None where it is products."""
    if (asked.documents is None) == (asked.ids is None):
        raise several([Faulty(message="documents: give either documents or ids", field="documents")])
    given = asked.documents if asked.documents is not None else asked.ids
    assert given is not None
    hold_to_number(state, len(given), "documents" if asked.ids is None else "ids")
    if asked.documents is None:
        return None
    texts = [document.text if isinstance(document, Document) else document for document in asked.documents]
    hold_to_lengths(state, texts, "documents")
    return texts


def _scored(engine: Engine, asked: Rerank, texts: list[str] | None) -> tuple[list[float], str]:
    model = asked.model or active(engine)
    if texts is not None:
        return engine.score(asked.query, texts, asked.model), model
    return engine.score_products(asked.query, asked.ids or (), asked.model), model


def _identified(documents: tuple[str | Document, ...] | None) -> bool:
    return any(isinstance(document, Document) and document.id is not None for document in documents or ())


def _shown(
    asked: Rerank, documents: tuple[str | Document, ...] | None, ids: tuple[str, ...] | None, at: int
) -> RankedText | None:
    """What a result brings along: its id where it has one, its text where that was asked for."""
    if ids is not None:
        return RankedText(id=ids[at])
    if documents is None:
        return None
    document = documents[at]
    if isinstance(document, str):
        return RankedText(text=document) if asked.return_documents else None
    return RankedText(id=document.id, text=document.text if asked.return_documents else None)


@routes.post("/embed", summary="Encode texts", **said(Embedded, body=(Embed, _EMBED), example=_EMBEDDED, also=_MODEL))
async def embed(request: Request) -> Response:
    """The vectors of texts by a tower of the model; a model without towers is refused."""
    state, asked = of(request), await body(request, Embed)
    texts = [asked.input] if isinstance(asked.input, str) else list(asked.input)
    hold_to_number(state, len(texts), "input")
    hold_to_lengths(state, texts, "input")
    vectors, model = await state.run(request, state.heavy, partial(_encoded, state.engine, asked, texts))
    data = [Embedding(index=at, embedding=vector) for at, vector in enumerate(vectors)]
    return answered(Embedded(data=data, model=model, usage=Usage(total_documents=len(texts))))


def _encoded(engine: Engine, asked: Embed, texts: list[str]) -> tuple[Sequence[list[float] | str], str]:
    side: Literal["query", "product"] = "query" if asked.input_type == "query" else "product"
    model = asked.model or active(engine)
    if asked.dimensions is not None:
        # Refused before the work is done.
        hold_to_width(asked.dimensions, engine.embed(texts[:1], side, asked.model).shape[1], model)
    vector_ND = engine.embed(texts, side, asked.model)
    if asked.encoding_format == "base64":
        return [b64encode(row).decode() for row in np.ascontiguousarray(vector_ND, "<f4")], model
    return vector_ND.tolist(), model


def active(engine: Engine) -> str:
    """The name of the model that answers."""
    return next((model.name for model in engine.models() if model.active), "")


def hold_to_width(asked: int, width: int, model: str) -> None:
    """Hold a request to the width of a model's vectors, which are not cut.

    Raises:
        Refusal: it asks for another.
    """
    if asked != width:
        message = f"dimensions: {asked} are asked for, and {model!r} has {width}; ask for these, or leave it out"
        raise several([Faulty(message=message, field="dimensions")])


def hold_to_number(state: State, given: int, field: str) -> None:
    """Hold a request to a number of texts.

    Raises:
        Refusal: there are none, or more.
    """
    most = state.settings.documents
    if not 1 <= given <= most:
        raise several([Faulty(message=f"{field}: has {given} items; 1 to {most} are allowed", field=field)])


def hold_to_lengths(state: State, texts: Sequence[str], field: str, part: str = "") -> None:
    """Hold each text to the longest that the server takes; ``part`` is where in an item it stands.

    Raises:
        Refusal: one is longer.
    """
    most = state.settings.document_chars
    for at, text in enumerate(texts):
        if len(text) > most:
            place = f"{field}.{at}.{part}".rstrip(".")
            raise several([Faulty(message=f"{place}: has {len(text)} characters; {most} at most", field=place)])
