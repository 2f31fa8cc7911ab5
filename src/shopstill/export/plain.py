"""Scores by a bundle's graphs and onnxruntime alone: what anyone reaches who reads the manifest.

Shapes: ``N`` pairs, ``T`` tokens of a padded text.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shopstill.data.lexical import LexicalIndex
from shopstill.data.pairs import PairTexts
from shopstill.data.tokens import Pairs, Ragged, TextTokenizer, padded
from shopstill.serve.bundle.load import Bundle
from shopstill.serve.bundle.manifest import LEXICAL, TOKENIZER
from shopstill.serve.bundle.sessions import Sessions

_NEEDLESS = 5
"""Columns of padding beyond what the longest row needs."""

_ROWS = 256


def plain_scores(bundle: Bundle, rows: PairTexts) -> np.ndarray:
    """Scores of pairs, in the order given, each batch one rectangle with more padding than it needs."""
    sessions = Sessions(bundle.folder, bundle.manifest.graphs)
    tokenizer = TextTokenizer(bundle.folder / TOKENIZER)
    found: list[np.ndarray] = []
    if "pair" in sessions:
        found.append(_pairs(sessions, tokenizer, bundle.manifest.limits["pair"], rows))
    if "query" in sessions:
        found.append(_towers(sessions, tokenizer, bundle, rows))
    return found[0] if len(found) == 1 else np.add(*found)


def _pairs(sessions: Sessions, tokenizer: TextTokenizer, limit: int, rows: PairTexts) -> np.ndarray:
    queries, products = tokenizer.encode(rows.queries), tokenizer.encode(rows.products)
    pairs = tokenizer.pairs(queries, products, rows.query_N, rows.product_N, limit)
    return np.concatenate([_rectangle(sessions, tokenizer, pairs, at) for at in range(0, len(rows), _ROWS)])


def _rectangle(sessions: Sessions, tokenizer: TextTokenizer, pairs: Pairs, at: int) -> np.ndarray:
    chosen = np.arange(at, min(at + _ROWS, len(pairs.second_N)))
    inputs = _inputs(pairs.rows.take(chosen), tokenizer)
    second = np.arange(inputs["input_ids"].shape[1]) >= pairs.second_N[chosen, None]
    types = (second & (inputs["attention_mask"] > 0)).astype(np.int64)
    return sessions.run("pair", {**inputs, "token_type_ids": types})[0]


def _towers(sessions: Sessions, tokenizer: TextTokenizer, bundle: Bundle, rows: PairTexts) -> np.ndarray:
    limits = bundle.manifest.limits
    lexical = LexicalIndex.load(bundle.folder / LEXICAL).others(rows.products) if bundle.manifest.features else None
    queries = tokenizer.singles(tokenizer.encode(rows.queries), np.arange(len(rows.queries)), limits["query"])
    products = tokenizer.singles(tokenizer.encode(rows.products), np.arange(len(rows.products)), limits["product"])
    out = np.empty(len(rows), np.float32)
    for query in np.unique(rows.query_N).tolist():
        chosen = np.flatnonzero(rows.query_N == query)
        asked = sessions.run("query", _inputs(queries.take(np.array([query])), tokenizer))
        product = "product" if "product" in sessions else "query"
        held = sessions.run(product, _inputs(products.take(rows.product_N[chosen]), tokenizer))
        given = _sides(asked, held)
        if lexical is not None:
            given["lexical"] = lexical.features(rows.queries[query], rows.product_N[chosen])
        wanted = bundle.manifest.graphs["head"].inputs
        out[chosen] = sessions.run("head", {name: given[name] for name in wanted})[0]
    return out


def _sides(asked: list[np.ndarray], held: list[np.ndarray]) -> dict[str, np.ndarray]:
    parts = ("tokens", "weight", "pooled")
    sides = {"query": asked, "product": held}
    return {f"{side}_{part}": value for side, own in sides.items() for part, value in zip(parts, own, strict=True)}


def _inputs(rows: Ragged, tokenizer: TextTokenizer) -> dict[str, Any]:
    ids, mask = padded(rows, tokenizer.pad)
    wider = ((0, 0), (0, _NEEDLESS))
    return {
        "input_ids": np.pad(ids, wider, constant_values=tokenizer.pad),
        "attention_mask": np.pad(mask, wider).astype(np.int64),
    }
