"""What is found in a whole catalogue, as a server finds it: by words, by vectors, and by both put together.

Shapes: ``Q`` queries, ``P`` products, ``D`` width of a vector, ``K`` products that words bring, ``J`` judged pairs.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from shopstill.core.progress import progress
from shopstill.data.shop import Shop
from shopstill.data.text import normalise
from shopstill.models.build import TextModel
from shopstill.models.towers import TokenTower
from shopstill.serve.engine import legs
from shopstill.serve.engine.legs import DENSE, LEXICAL
from shopstill.serve.engine.spelling import corrected
from shopstill.serve.forms import Filters
from shopstill.serve.index.facets import Wanted
from shopstill.serve.index.live import Live, create
from shopstill.serve.products import read_products
from shopstill.tasks._catalogue import Pairs

DEPTH = 100
"""Places of a ranking that count."""

SHARES = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Weights of a cosine beside a share of the best BM25 score, of which validation queries choose."""

_AT_ONCE, _TEXTS = 64, 4096


@dataclass(frozen=True, kw_only=True)
class Words:
    """What words find: each query as it was looked for, rows of products [Q, K], -1 where no more are found, and scores
    [Q, K], best first."""

    text_Q: list[str]
    row_QK: np.ndarray
    score_QK: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What both ways found for one query: rows of products, their share of the best BM25 score, and their cosines."""

    rows: np.ndarray
    share: np.ndarray
    cosine: np.ndarray

    def ranked(self, weight: float) -> np.ndarray:
        """The first rows by ``share + weight · cosine``; ties in the order of words."""
        return self.rows[np.argsort(-(self.share + weight * self.cosine), kind="stable")[:DEPTH]]


class ByWords:
    """A server's search by words over a shop; its index lies in a folder of its own, and goes with it.

    Args:
        shop: whose products are looked for; rows are theirs.
    """

    def __init__(self, shop: Shop) -> None:
        folder = TemporaryDirectory(prefix="shopstill-")
        products, total = read_products(shop.path)
        create(Path(folder.name) / "index", products, (), total)
        self._live = Live(Path(folder.name) / "index")
        weakref.finalize(self, _gone, self._live, folder)
        # An index has an order of its own.
        places = {product.id: place for place, product in enumerate(read_products(shop.path)[0])}
        self._place_P = np.array([places[one.id] for one in self._live.now.catalogue.products()], np.int64)

    def found(self, queries: Sequence[str]) -> Words:
        """What is found for each query, spelling corrected."""
        catalogue, text_Q = self._live.now.catalogue, []
        nothing = Wanted.of(Filters(), catalogue.values)
        row_QK, score_QK = np.full((len(queries), LEXICAL), -1), np.zeros((len(queries), LEXICAL), np.float32)
        with progress("by words", len(queries), "queries") as bar:
            for place, typed in enumerate(map(normalise, queries)):
                text_Q.append(corrected(catalogue, typed) or typed)
                found, _ = legs.by_words(catalogue.words, text_Q[-1], nothing, LEXICAL)
                row_QK[place, : len(found.rows)] = self._place_P[found.rows]
                score_QK[place, : len(found.rows)] = found.scores
                bar.advance(1)
        return Words(text_Q=text_Q, row_QK=row_QK, score_QK=score_QK)


def _gone(live: Live, folder: TemporaryDirectory[str]) -> None:
    live.close()
    folder.cleanup()


def pools(words: Words, query_QD: np.ndarray, product_PD: np.ndarray, what: str = "") -> list[Pool]:
    """What words and vectors find.

    Args:
        words: what words find.
        query_QD: unit vectors of the queries as they were looked for.
        product_PD: unit vectors of the catalogue.
        what: shown as progress.
    """
    found: list[Pool] = []
    with progress(what or "finding", len(query_QD), "queries") as bar:
        for at in range(0, len(query_QD), _AT_ONCE):
            cosine_QP = query_QD[at : at + _AT_ONCE] @ product_PD.T
            for place, cosine_P in enumerate(cosine_QP, at):
                found.append(_pool(words.row_QK[place], words.score_QK[place], cosine_P))
            bar.advance(len(cosine_QP))
    return found


def _pool(row_K: np.ndarray, score_K: np.ndarray, cosine_P: np.ndarray) -> Pool:
    by_words, score_K = row_K[row_K >= 0], score_K[row_K >= 0]
    most = min(DENSE, len(cosine_P))
    nearest = np.sort(np.argpartition(-cosine_P, most - 1)[:most])
    rows = np.concatenate([by_words, np.setdiff1d(nearest, by_words)])
    share = np.zeros(len(rows))
    share[: len(by_words)] = score_K / max(float(score_K.max(initial=0)), 1e-12)
    return Pool(rows=rows, share=share, cosine=cosine_P[rows])


def vectors(model: TextModel, tower: TokenTower, texts: Sequence[str], limit: int) -> np.ndarray:
    """Pooled unit vectors [·, D] of texts."""
    tower.eval()
    parts = []
    with torch.inference_mode():
        for at in range(0, len(texts), _TEXTS):
            some = model.tokenizer.encode(texts[at : at + _TEXTS])
            rows = model.tokenizer.singles(some, np.arange(len(some)), limit)
            ids, length = torch.from_numpy(rows.ids_S).long(), torch.from_numpy(rows.length_N).long()
            parts.append(tower.pool(ids, length).numpy())
    return np.concatenate(parts)


def placed(judged: Pairs, ranking: Sequence[np.ndarray]) -> np.ndarray:
    """Rankings as scores [J + Q · DEPTH] of judged pairs, and of what nobody judged.

    Behind the judged pairs each query has ``DEPTH`` rows for the products of its ranking that nobody judged: what of
    the judged ones is not found stands behind them. Metrics up to ``DEPTH`` are then those of the whole catalogue.

    Args:
        judged: the pairs, by query.
        ranking: rows of each query that has pairs, in the order of the queries' numbers, best first; -1 is nothing.
    """
    unit_J = np.unique(judged.query_N, return_inverse=True)[1]
    order_J = np.argsort(unit_J, kind="stable")
    own_Q = np.split(order_J, np.flatnonzero(np.diff(unit_J[order_J])) + 1)
    score_J, score_QR = np.full(len(judged), -3.0 * DEPTH), np.full((len(ranking), DEPTH), -2.0 * DEPTH)
    for unit, (rows, own) in enumerate(zip(ranking, own_Q, strict=True)):
        place = {row: -float(at) for at, row in enumerate(rows[rows >= 0][:DEPTH].tolist())}
        for pair, product in zip(own, judged.product_N[own].tolist(), strict=True):
            score_J[pair] = place.pop(product, -3.0 * DEPTH)
        score_QR[unit, : len(place)] = list(place.values())
    return np.concatenate([score_J, score_QR.ravel()])


def best_weight(found: Sequence[Pool], value: Callable[[list[np.ndarray]], float]) -> float:
    """The weight of cosines whose rankings are worth most, the least of equal ones."""
    worth = {weight: value([pool.ranked(weight) for pool in found]) for weight in SHARES}
    return max(worth, key=lambda weight: worth[weight])
