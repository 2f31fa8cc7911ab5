"""The texts of a shop with its judged pairs, split by query: what relevance is learnt from and judged on.

Shapes: ``N`` pairs, ``Q`` queries, ``P`` products of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from torch import nn

from shopstill.core.errors import ConfigError, DataError
from shopstill.data.bm25 import BM25
from shopstill.data.lexical import LexicalIndex
from shopstill.data.pairs import PairTexts, places
from shopstill.data.shop import Shop
from shopstill.data.text import language
from shopstill.evaluate.compare import Judging
from shopstill.evaluate.judged import Truth, judged
from shopstill.evaluate.quality import parse_metric
from shopstill.evaluate.slices import by_candidates, by_frequency, by_length, largest, seen
from shopstill.evaluate.statistic import statistic
from shopstill.models.build import TextModel
from shopstill.tasks._across import Across, cheap
from shopstill.tasks._course import Part
from shopstill.train.batches import Examples, Rows
from shopstill.train.predict import predict


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Pairs by number in the catalogue, with their truth.

    Attributes:
        query_N: place in ``Catalogue.queries``.
        product_N: place in ``Catalogue.products``.
        grade_N: the truth, NaN where nobody judged.
        gain_N: its gain.
    """

    query_N: np.ndarray
    product_N: np.ndarray
    grade_N: np.ndarray
    gain_N: np.ndarray

    def __len__(self) -> int:
        return len(self.query_N)

    def take(self, rows: np.ndarray) -> Pairs:
        """Some of the pairs."""
        return Pairs(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def joined(self, other: Pairs) -> Pairs:
        """These pairs and then the others."""
        return Pairs(**{f.name: np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)})


class Catalogue:
    """The texts of a shop with its judged pairs, split by query.

    Args:
        shop: the shop.
        split: table ``query_id, split``.
        text: columns of a product that are read, joined with spaces, empty ones left out.

    Raises:
        DataError: a split has no judged pair.
    """

    def __init__(self, shop: Shop, split: pa.Table, text: Sequence[str]) -> None:
        self.shop = shop
        products = shop.read("products", ["product_id", *text])
        queries = shop.read("queries", ["query_id", "text", "frequency"])
        self.product_ids = products.column("product_id").combine_chunks()
        self.products: list[str] = _join(products, text)
        self.query_ids = queries.column("query_id").combine_chunks()
        self.queries: list[str] = queries.column("text").to_pylist()
        self.frequencies: list[int | None] = queries.column("frequency").to_pylist()
        self.split = split
        self._judgments = shop.read("judgments", ["query_id", "product_id", "grade", "gain"])

    @cached_property
    def departments(self) -> list[str | None]:
        """The root of each product's category path; None where it has none."""
        paths = self.shop.read("products", ["category"]).column("category").to_pylist()
        return [path[0] if path else None for path in paths]

    @cached_property
    def lexical(self) -> LexicalIndex:
        """Exact lexical features of every product."""
        return LexicalIndex.build(self.products)

    @cached_property
    def bm25(self) -> BM25:
        """The lexical baseline over every product."""
        return BM25.build(self.products)

    @cached_property
    def grades(self) -> tuple[float, float]:
        """Lowest and highest grade of the training pairs."""
        grades = self.judged("train").grade_N
        return float(grades.min()), float(grades.max())

    def judged(self, part: Part) -> Pairs:
        """The pairs that people judged, of one part of the split."""
        wanted = self.split.filter(pc.equal(self.split.column("split"), part)).column("query_id")
        rows = self._judgments.filter(pc.is_in(self._judgments.column("query_id"), wanted.combine_chunks()))
        if not rows.num_rows:
            raise DataError(f"split {part}: no judged pair; give it a larger share under split")
        return self.pairs(rows)

    @property
    def learnable(self) -> list[str]:
        """The queries that may be learned from: none of the validation and test parts."""
        judging = self.split.filter(pc.not_equal(self.split.column("split"), "train")).column("query_id")
        held = pc.is_in(self.query_ids, value_set=judging.combine_chunks()).to_pylist()
        return [text for text, away in zip(self.queries, held, strict=True) if not away]

    def know(self, queries: pa.Table) -> None:
        """Take in queries that the shop does not have, such as those made from titles: ``query_id, text``."""
        queries = queries.filter(pc.invert(pc.is_in(queries.column("query_id"), self.query_ids)))
        self.query_ids = pa.concat_arrays([self.query_ids, queries.column("query_id").combine_chunks()])
        self.queries = [*self.queries, *queries.column("text").to_pylist()]
        self.frequencies = [*self.frequencies, *([None] * queries.num_rows)]

    def pairs(self, table: pa.Table) -> Pairs:
        """Pairs of a table ``query_id, product_id`` that may also have ``grade`` and ``gain``.

        Raises:
            DataError: an id is unknown.
        """
        nothing = pa.chunked_array([pa.nulls(table.num_rows, pa.float32())])
        grade, gain = (table.column(c) if c in table.column_names else nothing for c in ("grade", "gain"))
        return Pairs(
            query_N=places(table.column("query_id"), self.query_ids, "query_id"),
            product_N=places(table.column("product_id"), self.product_ids, "product_id"),
            grade_N=grade.to_numpy().astype(np.float32),
            gain_N=gain.to_numpy().astype(np.float32),
        )

    def table(self, pairs: Pairs, logit_N: np.ndarray) -> pa.Table:
        """Labelled pairs as ``query_id, product_id, grade, gain, logit``; grade and gain null where nobody judged."""
        unjudged = np.isnan(pairs.grade_N)
        return pa.table(
            {
                "query_id": self.query_ids.take(pa.array(pairs.query_N)),
                "product_id": self.product_ids.take(pa.array(pairs.product_N)),
                "grade": pa.array(pairs.grade_N, pa.float32(), mask=unjudged),
                "gain": pa.array(pairs.gain_N, pa.float32(), mask=unjudged),
                "logit": pa.array(logit_N, pa.float32()),
            }
        )

    def texts(self, pairs: Pairs, model: TextModel) -> PairTexts:
        """The pairs' texts, with lexical features where the model takes them."""
        wants = model.network.lexical > 0
        lexical = self.lexical.pairs(self.queries, pairs.query_N, pairs.product_N) if wants else None
        return PairTexts(
            queries=self.queries,
            products=self.products,
            query_N=pairs.query_N,
            product_N=pairs.product_N,
            lexical_NF=lexical,
        )

    def examples(
        self,
        pairs: Pairs,
        model: TextModel,
        teacher_N: np.ndarray | None,
        *,
        grouped: bool,
        across: bool = False,
        features: Mapping[str, Rows] | None = None,
    ) -> Examples | Across:
        """A training set for a model, targets from 0 to 1.

        Whole queries to a batch where ``grouped``, else pairs; or relevant pairs, whose queries are compared ``across``
        with all products of a batch.

        Raises:
            ConfigError: a model cannot be compared across, or has features to be compared as well.
        """
        low, high = self.grades
        target_N = ((pairs.grade_N - low) / max(high - low, 1e-9)).astype(np.float32)
        feed = model.network.feed(model.tokenizer, self.texts(pairs, model))
        if across:
            if features:
                raise ConfigError("across: looks at scores alone; leave terms with a tap, or across, out")
            return Across(feed=cheap(model, feed), target_N=target_N, teacher_N=teacher_N)
        return Examples(
            feed=feed,
            target_N=target_N,
            group_N=pairs.query_N if grouped else np.arange(len(pairs)),
            teacher_N=teacher_N,
            features=features,
        )

    def scores(self, pairs: Pairs, model: TextModel, what: str = "") -> np.ndarray:
        """A model's scores of pairs."""
        return predict(model.network, model.network.feed(model.tokenizer, self.texts(pairs, model)), what=what).logits

    def validation(self, model: TextModel, judging: Judging) -> Callable[[nn.Module], Mapping[str, float]]:
        """Figures on the validation part: first their mean, which is watched, then each metric that needs no curve.

        Where every metric asked for needs a curve, ``spearman`` is watched.
        """
        pairs = self.judged("valid")
        feed = model.network.feed(model.tokenizer, self.texts(pairs, model))
        units = _units(pairs)
        truth = judged(units, pairs.gain_N, pairs.grade_N, int(units.max()) + 1, judging.relevant_grade)
        asked = [m for m in map(parse_metric, judging.metrics) if m.on == "scores"]
        metrics = asked or [parse_metric("spearman")]

        def figures(network: nn.Module) -> Mapping[str, float]:
            scores = predict(network, feed).logits
            values = {m.name: statistic(m, truth, scores, min_candidates=judging.min_candidates).value for m in metrics}
            return {"mean": float(np.mean(list(values.values()))), **values}

        return figures

    def truth(self, pairs: Pairs) -> Truth:
        """The truth of pairs, with the slices that they fall into."""
        asked = np.unique(pairs.query_N)
        queries = [self.queries[q] for q in asked]
        trained = set(self.product_ids.take(pa.array(np.unique(self.judged("train").product_N))).to_pylist())
        product_ids = self.product_ids.take(pa.array(pairs.product_N)).to_pylist()
        divisions = {
            "query length": by_length(queries),
            "language": [language(q) for q in queries],
            "frequency": by_frequency([self.frequencies[q] for q in asked]),
            "candidates": by_candidates(_units(pairs), len(asked)),
        }
        return Truth(
            unit_ids=self.query_ids.take(pa.array(asked)).to_pylist(),
            queries=queries,
            unit_N=_units(pairs),
            product_ids=product_ids,
            titles=[self.products[p] for p in pairs.product_N],
            grade_N=pairs.grade_N,
            gain_N=pairs.gain_N,
            slices=_dividing(divisions),
            row_slices=_dividing(
                {
                    "product": seen(product_ids, trained),
                    "category": largest([self.departments[p] for p in pairs.product_N]),
                }
            ),
        )


def _dividing(divisions: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {name: labels for name, labels in divisions.items() if len(set(labels) - {""}) > 1}


def _units(pairs: Pairs) -> np.ndarray:
    return np.unique(pairs.query_N, return_inverse=True)[1]


def _join(products: pa.Table, columns: Sequence[str]) -> list[str]:
    parts = [products.column(c).fill_null("").to_pylist() for c in columns]
    return [" ".join(filter(None, row)) for row in zip(*parts, strict=True)]
