"""Search relevance: a query and a product to a grade, judged per query and over all pairs.

Shapes: ``N`` pairs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from shopstill.core.config import config
from shopstill.core.errors import DataError
from shopstill.core.hardware import cores
from shopstill.data.lexical import LexicalIndex
from shopstill.data.shop import Shop
from shopstill.data.split import SplitConfig, split_queries
from shopstill.evaluate.calibrate import fit_curve
from shopstill.evaluate.compare import Judging
from shopstill.evaluate.costs import Costs
from shopstill.evaluate.judged import Truth
from shopstill.evaluate.latency import Timing
from shopstill.export.bundle import About, write_bundle
from shopstill.models import build
from shopstill.models.build import TextModel
from shopstill.serve.bundle.load import load_texts
from shopstill.tasks import _contest
from shopstill.tasks._catalogue import Catalogue, Pairs
from shopstill.tasks._course import Course, Form, Labels, Part
from shopstill.teach import teacher as teachers
from shopstill.teach.features import StoredFeature
from shopstill.teach.keys import Keys
from shopstill.teach.label import keys_of, label
from shopstill.teach.mine import Mine
from shopstill.teach.mine import mine as mine_pairs
from shopstill.teach.scores_file import match, scores_file, unmatched
from shopstill.teach.store import LabelStore
from shopstill.train.batches import Rows, TrainingSet
from shopstill.train.fit import Judge
from shopstill.train.objective import Objective

log = logging.getLogger(__name__)

Column = Literal["title", "brand", "description"]

_PAIRS, _QUERIES = "pairs.parquet", "queries.parquet"
_PARITY_ROWS = 256


class PairTask:
    """What tasks that learn from pairs share."""

    @property
    def prepared(self) -> Mapping[str, Any]:
        """Nothing: queries are parted whatever is read of them."""
        return {}

    @property
    def models(self) -> tuple[str, ...]:
        """Kinds of model that it can train."""
        return ("cross", "towers", "joint")

    @property
    def takes(self) -> Literal["scores", "logits"]:
        """What its losses compare."""
        return "scores"

    def split(self, shop: Shop, settings: SplitConfig) -> pa.Table:
        """The part of each query."""
        return split_queries(shop, settings)


@config
class Relevance(PairTask):
    """Which product text is read. Values of ``text`` are joined with spaces, empty ones left out."""

    kind: Literal["relevance"] = "relevance"
    text: tuple[Column, ...] = Field(default=("title",), min_length=1)

    def open(self, shop: Shop, split: pa.Table, settings: SplitConfig, seed: int) -> RelevanceCourse:
        """The course over a shop's judged pairs."""
        return RelevanceCourse(Catalogue(shop, split, self.text), self.text, seed)


class RelevanceCourse(Course[TextModel]):
    """Pairs of a query and a product, judged by people, and labelled by a cross-encoder.

    Args:
        catalogue: the prepared shop.
        text: the columns of a product that are read.
        seed: of what is drawn by chance.
    """

    def __init__(self, catalogue: Catalogue, text: tuple[Column, ...], seed: int) -> None:
        self.catalogue, self._text, self._seed = catalogue, text, seed

    # Learning

    def create(self, wanted: Any, members: Sequence[Path], seed: int, *, taught: bool = True) -> TextModel:
        """A model of pairs; where it takes lexical features, with the catalogue's rarity of words."""
        model = build.create(wanted, next(iter(members), None), seed)
        return replace(model, lexical=self.lexical()) if model.network.lexical else model

    def direct(self, model: TextModel, objective: Objective) -> TrainingSet:
        """The judged training pairs."""
        judged = self.catalogue.judged("train")
        return self.catalogue.examples(judged, model, None, grouped=objective.grouped, across=objective.across)

    def taught(self, model: TextModel, objective: Objective, labels: Labels, rows: int | None = None) -> TrainingSet:
        """The labelled pairs, with the features that the objective compares with."""
        lesson = self._lesson(labels, objective).sample(rows, self._seed)
        return self.catalogue.examples(
            lesson.pairs,
            model,
            lesson.logit_N,
            grouped=objective.grouped,
            across=objective.across,
            features=lesson.features,
        )

    def validation(self, model: TextModel, judging: Judging) -> Judge:
        """The metrics that are asked for, on the validation queries."""
        return self.catalogue.validation(model, judging)

    def texts(self) -> Iterable[str]:
        """Every product's text, and the queries that may be learnt from."""
        return [*self.catalogue.products, *self.catalogue.learnable]

    def lexical(self) -> LexicalIndex:
        """The catalogue's rarity of words, without its products."""
        return self.catalogue.lexical.others([])

    # The teacher

    def label(self, labels: Labels, mine: Mine, taps: Sequence[str], seed: int) -> Mapping[str, int]:
        """Label the judged training pairs, and pairs mined from the catalogue.

        Raises:
            DataError: scores made elsewhere have none of these pairs.
        """
        catalogue = self.catalogue
        training = catalogue.split.filter(pc.equal(catalogue.split.column("split"), "train")).column("query_id")
        mined = mine_pairs(catalogue.shop, training.to_pylist(), mine, seed)
        catalogue.know(mined.queries)
        judged = catalogue.judged("train")
        pairs = judged.joined(catalogue.pairs(mined.pairs))
        scores = self._said(pairs, labels, tuple(taps))
        known = np.isfinite(scores)
        if not known.any():
            raise DataError(self._unmatched(len(pairs), labels))
        pq.write_table(catalogue.table(pairs.take(known), scores[known]), labels.folder / _PAIRS)
        pq.write_table(mined.queries, labels.folder / _QUERIES)
        return {"judged": len(judged), "mined": len(pairs) - len(judged), "labelled": int(known.sum())}

    def teachers(self, part: Part, labels: Labels) -> np.ndarray:
        """The teacher's logits of a part's judged pairs; NaN where scores made elsewhere lack a pair."""
        return self._said(self._judged[part], labels)

    def _said(self, pairs: Pairs, labels: Labels, taps: tuple[str, ...] = ()) -> np.ndarray:
        elsewhere = next(labels.teacher.glob("scores.*"), None)
        if elsewhere is None:
            store, keys = self._labelled(pairs, labels, taps)
            return store.lookup(keys).logits
        found, coverage = match(scores_file(elsewhere), self.catalogue.table(pairs, pairs.gain_N))
        level = logging.WARNING if coverage.share < 0.5 else logging.INFO
        share = f"{coverage.found:,} of {coverage.wanted:,}"
        log.log(level, "scores: %s pairs have one, by the ids of %s", share, self._place())
        return found

    def _place(self) -> str:
        """Where the ids lie that scores made elsewhere must name."""
        return f"{self.catalogue.shop.path / 'queries.parquet'} and products.parquet beside it"

    def _unmatched(self, wanted: int, labels: Labels) -> str:
        """Scores made elsewhere that have none of the wanted pairs, in words."""
        query, product = self.catalogue.query_ids[0].as_py(), self.catalogue.product_ids[0].as_py()
        ours = {"query_id": query, "query": self.catalogue.queries[0], "product_id": product}
        told = unmatched(next(labels.teacher.glob("scores.*")), ours)
        return f"scores: none of {wanted:,} pairs has one; {told} {self._place()}"

    def _labelled(self, pairs: Pairs, labels: Labels, taps: tuple[str, ...]) -> tuple[LabelStore, Keys]:
        """The label store with the teacher's outputs of all pairs, and their keys; what is there is not asked again."""
        held = teachers.load(labels.teacher)
        widths = held.widths(taps) if taps else {}
        store = LabelStore(labels.store, teacher=held.fingerprint, preparation=held.preparation, features=widths)
        texts = self.catalogue.texts(pairs, held.members[0])
        done = label(texts, partial(held.answer, taps=taps), store)
        log.info("labels: %s new, %s reused, %.0f a second", f"{done.labelled:,}", f"{done.reused:,}", done.rate)
        return store, keys_of(texts, store)

    def _lesson(self, labels: Labels, objective: Objective) -> _Lesson:
        """All labelled pairs, with the features that an objective compares with."""
        table = pq.read_table(labels.folder / _PAIRS)
        self.catalogue.know(pq.read_table(labels.folder / _QUERIES))
        pairs = self.catalogue.pairs(table)
        features = None
        if objective.taps:
            store, keys = self._labelled(pairs, labels, objective.taps)
            features = {tap: StoredFeature(store, store.locate(keys), tap) for tap in objective.taps}
        return _Lesson(pairs=pairs, logit_N=table.column("logit").to_numpy(), features=features)

    # Judging

    @cached_property
    def _judged(self) -> Mapping[Part, Pairs]:
        parts: tuple[Part, ...] = ("train", "valid", "test")
        return {part: self.catalogue.judged(part) for part in parts}

    def outputs(self, part: Part, model: TextModel, what: str = "") -> np.ndarray:
        """A model's scores [N] of a part's judged pairs."""
        return self.catalogue.scores(self._judged[part], model, what)

    def baselines(self) -> Mapping[str, Mapping[Part, np.ndarray]]:
        """BM25 over the whole catalogue."""
        catalogue, judged = self.catalogue, self._judged
        parts: tuple[Part, ...] = ("valid", "test")
        return {
            _contest.BM25: {
                p: catalogue.bm25.pairs(catalogue.queries, judged[p].query_N, judged[p].product_N) for p in parts
            }
        }

    def judged(self, outputs: Mapping[Part, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Scores [N], and grades [N] read off them by a curve fitted on validation pairs."""
        scores = outputs["test"]
        return scores, fit_curve(outputs["valid"], self._judged["valid"].grade_N)(scores)

    def truth(self, part: Part) -> Truth:
        """The grades of a part's judged pairs."""
        return self.catalogue.truth(self._judged[part])

    def served(self, part: Part, bundle: Path) -> np.ndarray:
        """A bundle's scores [N] of a part's pairs, a request a query; all at once where company changes nothing."""
        catalogue, pairs, loaded = self.catalogue, self._judged[part], load_texts(bundle, threads=cores())
        if loaded.manifest.batch_invariant:
            sides = zip(pairs.query_N, pairs.product_N, strict=True)
            return loaded.score([(catalogue.queries[q], catalogue.products[p]) for q, p in sides])
        used, place_N = np.unique(pairs.product_N, return_inverse=True)
        ahead = loaded.ahead([catalogue.products[p] for p in used])
        out = np.empty(len(pairs), np.float32)
        order = np.argsort(pairs.query_N, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(pairs.query_N[order])) + 1):
            out[rows] = ahead.score(catalogue.queries[pairs.query_N[rows[0]]], place_N[rows])
        return out

    # Costs and shipping

    def costs(self, folders: Mapping[str, Sequence[Path]], timing: Timing) -> Costs:
        """What a query against so many candidates costs."""
        return _contest.costs(self.catalogue, folders, timing)

    def served_costs(self, bundles: Mapping[str, Path], models: Mapping[str, Path], timing: Timing) -> Costs:
        """The same of bundles."""
        return _contest.served_costs(self.catalogue, bundles, models, timing)

    def ship(self, model: TextModel, folder: Path, about: About, form: Form = "onnx") -> Path:
        """Write a bundle, or another form; parity is held on validation pairs."""
        held = self._judged["valid"]
        if form == "hf":
            from shopstill.export.hf import write_hf

            return write_hf(model, folder)
        rows = self.catalogue.texts(held.take(np.arange(min(_PARITY_ROWS, len(held)))), model)
        if form == "executorch":
            from shopstill.export.executorch import write_executorch

            return write_executorch(model, folder, rows=rows)
        return write_bundle(model, folder, about=replace(about, text=self._text), rows=rows)


@dataclass(frozen=True, kw_only=True)
class _Lesson:
    """Pairs to learn from, with what the teacher said of them: logits [N], and features by name."""

    pairs: Pairs
    logit_N: np.ndarray
    features: Mapping[str, Rows] | None = None

    def sample(self, rows: int | None, seed: int) -> _Lesson:
        """Some of the pairs, drawn by the seed; all of them where ``rows`` is None."""
        if rows is None or rows >= len(self.pairs):
            return self
        at = np.sort(np.random.default_rng(seed).permutation(len(self.pairs))[:rows])
        features = {tap: values[at] for tap, values in self.features.items()} if self.features else None
        return _Lesson(pairs=self.pairs.take(at), logit_N=self.logit_N[at], features=features)


relevance = Relevance
