"""Retrieval: a query to its products, found among the whole catalogue by words and by a student's vectors.

The teacher reads pairs, too many to read a catalogue with: it orders the best that words find. A student has a vector
for each query and product. What words and vectors find is put together by one weight, which validation queries choose,
and the bundle tells a server. Shapes: ``J`` judged pairs, ``Q`` queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.data.shop import Shop
from shopstill.data.split import SplitConfig
from shopstill.evaluate.compare import Judging
from shopstill.evaluate.judged import Truth, judged
from shopstill.evaluate.quality import parse_metric
from shopstill.evaluate.statistic import statistic
from shopstill.evaluate.wording import Wording
from shopstill.export.bundle import About
from shopstill.models.build import TextModel
from shopstill.models.towers import TwoTowers
from shopstill.serve.bundle.load import load_texts
from shopstill.tasks import _contest, _found
from shopstill.tasks._catalogue import Catalogue, Pairs
from shopstill.tasks._course import PLACED, Course, Form, Labels, Measures, Part
from shopstill.tasks._found import DEPTH, ByWords, Pool, Words
from shopstill.tasks.relevance import Column, PairTask, RelevanceCourse
from shopstill.train.fit import Judge

_CHOSEN_BY = "ndcg@10"
_NOBODY = "a product that nobody judged"
_WORDS = Wording(
    rows="judged products and places for others, in rankings of the whole catalogue",
    ranked="products",
    shown="The top of each one’s ranking of the whole catalogue, with the human grades; what nobody judged stands "
    "below the lowest.",
)

Ranking = list[np.ndarray]


@config
class Retrieval(PairTask):
    """Which product text is read, and how many of the products that words find the teacher puts in order.

    Metrics have a cutoff of 100 at most, such as ``recall@100`` and ``ndcg@10``; what nobody judged counts as
    irrelevant.
    """

    kind: Literal["retrieval"] = "retrieval"
    text: tuple[Column, ...] = Field(default=("title",), min_length=1)
    reordered: int = Field(default=20, ge=1, le=DEPTH)

    @property
    def measures(self) -> Measures:
        """What it can be judged by."""
        return Measures(usual=("ndcg@10", "recall@100", "mrr@10"), known=PLACED, depth=DEPTH)

    def open(self, shop: Shop, split: pa.Table, settings: SplitConfig, seed: int) -> RetrievalCourse:
        """The course over a shop's catalogue and its judged pairs."""
        return RetrievalCourse(Catalogue(shop, split, self.text), self, seed)


class RetrievalCourse(RelevanceCourse):
    """Learns from pairs as relevance does; judged by what is found in the whole catalogue.

    Args:
        catalogue: the prepared shop.
        task: the task's configuration.
        seed: of what is drawn by chance.
    """

    def __init__(self, catalogue: Catalogue, task: Retrieval, seed: int) -> None:
        super().__init__(catalogue, task.text, seed)
        self._reordered = task.reordered
        self._words = cache(self._by_words)

    def validation(self, model: TextModel, judging: Judging) -> Judge:
        """The metrics that are asked for, on the validation queries; their mean first, which is watched."""
        metrics = [parse_metric(name) for name in judging.metrics]
        deep = [m.name for m in metrics if m.level != "unit" or not m.cutoff or m.cutoff > DEPTH]
        if deep:
            raise ConfigError(
                f"judging.metrics: {deep[0]}: use rankings down to place {DEPTH} at most, such as recall@{DEPTH}"
            )
        pairs = self._judged["valid"]
        truth = _truth(pairs, judging.relevant_grade)

        def figures(network: Any) -> Mapping[str, float]:
            scores = _found.placed(pairs, self._ranked("valid", replace(model, network=network)))
            values = {m.name: statistic(m, truth, scores, min_candidates=1).value for m in metrics}
            return {"mean": float(np.mean(list(values.values()))), **values}

        return figures

    # Judging

    def teachers(self, part: Part, labels: Labels) -> np.ndarray:
        """The ranking by words, its first products in the teacher's order; NaN where it has not scored all of these."""
        pairs, rows = self._first(part)
        said = self._said(pairs, labels)
        found = _found.placed(self._judged[part], self._reorder(part, rows, said))
        return found if np.isfinite(said).all() else np.full_like(found, np.nan)

    def outputs(self, part: Part, model: TextModel, what: str = "") -> np.ndarray:
        """A model's rankings of a part's queries, as scores of ``truth``."""
        return _found.placed(self._judged[part], self._ranked(part, model, what))

    def baselines(self) -> Mapping[str, Mapping[Part, np.ndarray]]:
        """A server's search by words: BM25 over all that it knows of a product, spelling corrected."""
        parts: tuple[Part, ...] = ("valid", "test")
        return {
            _contest.BM25: {part: _found.placed(self._judged[part], list(self._words(part).row_QK)) for part in parts}
        }

    def judged(self, outputs: Mapping[Part, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The places of the test part; they stand for no grades."""
        return Course.judged(self, outputs)

    def truth(self, part: Part) -> Truth:
        """The grades of a part's judged pairs, and as many rows for what nobody judged as there are places."""
        pairs = self._judged[part]
        own = self.catalogue.truth(pairs)
        units = len(own.unit_ids)
        return replace(
            own,
            unit_N=np.concatenate([np.asarray(own.unit_N), np.repeat(np.arange(units), DEPTH)]),
            product_ids=[*own.product_ids, *[""] * (units * DEPTH)],
            titles=[*own.titles, *[_NOBODY] * (units * DEPTH)],
            grade_N=_filled(pairs.grade_N, units, _unjudged(pairs)),
            gain_N=_filled(pairs.gain_N, units, 0.0),
            slices={name: labels for name, labels in own.slices.items() if name != "candidates"},
            row_slices={},
            # Of a whole catalogue chance finds next to nothing; here it finds nothing.
            chance=np.repeat([-1.0, 0.0], [len(pairs), units * DEPTH]),
            words=_WORDS,
        )

    # Shipping

    def ship(self, model: TextModel, folder: Path, about: About, form: Form = "onnx") -> Path:
        """Write a bundle that says how its vectors count beside words; or another form."""
        if form == "onnx" and isinstance(model.network, TwoTowers):
            about = replace(about, fusion=self._weight(self._pools("valid", *self._vectors("valid", model))))
        return super().ship(model, folder, about, form)

    def served(self, part: Part, bundle: Path) -> np.ndarray:
        """The rankings of a part from a bundle's vectors; or from its scores, where it has none."""
        loaded = load_texts(bundle)
        pairs = self._judged[part]
        if loaded.towers is None or loaded.manifest.fusion is None:
            few, rows = self._first(part)
            scores = loaded.score(list(zip(*self._texts(few), strict=True)))
            return _found.placed(pairs, self._reorder(part, rows, scores))
        ahead = loaded.ahead(self.catalogue.products)
        query_QD = np.stack([loaded.towers.ask(text).pooled for text in self._words(part).text_Q])
        found = self._pools(part, query_QD, ahead.pooled(np.arange(len(self.catalogue.products))))
        return _found.placed(pairs, [pool.ranked(loaded.manifest.fusion) for pool in found])

    # Finding

    def _by_words(self, part: Part) -> Words:
        asked = np.unique(self._judged[part].query_N)
        return self._index.found([self.catalogue.queries[q] for q in asked])

    @cached_property
    def _index(self) -> ByWords:
        return ByWords(self.catalogue.shop)

    def _ranked(self, part: Part, model: TextModel, what: str = "") -> Ranking:
        if not isinstance(model.network, TwoTowers):
            few, rows = self._first(part)
            return self._reorder(part, rows, self.catalogue.scores(few, model, what))
        weight = self._weight(self._pools("valid", *self._vectors("valid", model)))
        return [pool.ranked(weight) for pool in self._pools(part, *self._vectors(part, model), what)]

    def _vectors(self, part: Part, model: TextModel) -> tuple[np.ndarray, np.ndarray]:
        network = model.network
        assert isinstance(network, TwoTowers)
        limits = (network.config.query.max_tokens, network.config.product.max_tokens)
        queries = _found.vectors(model, network.query, self._words(part).text_Q, limits[0])
        return queries, _found.vectors(model, network.product, self.catalogue.products, limits[1])

    def _pools(self, part: Part, query_QD: np.ndarray, product_PD: np.ndarray, what: str = "") -> list[Pool]:
        return _found.pools(self._words(part), query_QD, product_PD, what)

    def _weight(self, found: Sequence[Pool]) -> float:
        pairs = self._judged["valid"]
        truth, metric = _truth(pairs, None), parse_metric(_CHOSEN_BY)

        def value(ranking: Ranking) -> float:
            return statistic(metric, truth, _found.placed(pairs, ranking), min_candidates=1).value

        return _found.best_weight(found, value)

    def _first(self, part: Part) -> tuple[Pairs, np.ndarray]:
        """The pairs of each query with the first products that words find, and which of the rows they are."""
        row_QK = self._words(part).row_QK[:, : self._reordered]
        asked = np.unique(self._judged[part].query_N)
        there_QK = row_QK >= 0
        nothing = np.full(int(there_QK.sum()), np.nan, np.float32)
        query_N = np.repeat(asked, there_QK.sum(1))
        return Pairs(query_N=query_N, product_N=row_QK[there_QK], grade_N=nothing, gain_N=nothing), there_QK

    def _reorder(self, part: Part, there_QK: np.ndarray, score_N: np.ndarray) -> Ranking:
        """The rankings by words, their first products in the order of scores."""
        score_QK = np.full(there_QK.shape, -np.inf)
        score_QK[there_QK] = score_N
        row_QK = self._words(part).row_QK.copy()
        order_QK = np.argsort(-score_QK, axis=1, kind="stable")
        row_QK[:, : there_QK.shape[1]] = np.take_along_axis(row_QK[:, : there_QK.shape[1]], order_QK, axis=1)
        return list(row_QK)

    def _texts(self, pairs: Pairs) -> tuple[list[str], list[str]]:
        catalogue = self.catalogue
        return [catalogue.queries[q] for q in pairs.query_N], [catalogue.products[p] for p in pairs.product_N]


def _filled(value_J: np.ndarray, units: int, value: float) -> np.ndarray:
    return np.concatenate([value_J, np.full(units * DEPTH, value, value_J.dtype)])


def _unjudged(pairs: Pairs) -> float:
    """Below every grade, so that it is relevant nowhere, even where people judged nothing but what is."""
    return float(pairs.grade_N.min()) - 1


def _truth(pairs: Pairs, relevant_grade: float | None) -> Any:
    units, unit_J = np.unique(pairs.query_N, return_inverse=True)
    unit_N = np.concatenate([unit_J, np.repeat(np.arange(len(units)), DEPTH)])
    gain_N, grade_N = _filled(pairs.gain_N, len(units), 0.0), _filled(pairs.grade_N, len(units), _unjudged(pairs))
    return judged(unit_N, gain_N, grade_N, len(units), relevant_grade)


retrieval = Retrieval
