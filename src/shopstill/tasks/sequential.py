"""Sequential recommendation: a shopper's history to the product that comes next, ranked among the whole catalogue.

Shapes: ``N`` questions of a part (a shopper up to an event), ``L`` labelled places, ``C`` items of a place that the
teacher's logits are kept of, ``V`` items.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
from pydantic import Field

from shopstill.core.config import config, plain
from shopstill.core.errors import ConfigError
from shopstill.data.histories import (
    AttributeConfig,
    Histories,
    HistoryConfig,
    Part,
    Parts,
    by_time,
    item_attributes,
    leave_one_out,
    read_histories,
)
from shopstill.data.shop import Shop
from shopstill.data.split import SplitConfig
from shopstill.evaluate.compare import Judging
from shopstill.evaluate.costs import Costs
from shopstill.evaluate.judged import Truth
from shopstill.evaluate.latency import Timing
from shopstill.evaluate.quality import parse_metric
from shopstill.evaluate.ranking import placed
from shopstill.export.bundle import About
from shopstill.export.history import write_history_bundle
from shopstill.models import families, sequence
from shopstill.models.sequence import Labelling, Negatives, SequenceModel, SequenceNetwork, Steps
from shopstill.tasks import _places, _requests, _starts
from shopstill.tasks._bins import binned
from shopstill.tasks._course import PLACED, Course, Form, Labels, Measures
from shopstill.tasks._course import Part as PartName
from shopstill.tasks._histories import WORDS, asked, check_parts, cold, titles, unit_ids
from shopstill.teach import teacher as teachers
from shopstill.teach.mine import Mine
from shopstill.train.fit import Judge
from shopstill.train.objective import Objective

log = logging.getLogger(__name__)

_SHOWN, _LATEST, _PARITY_ROWS = 3, 5, 256
_RANKED, _LEAST_ASKED = 1 << 34, 10_000
"""Scores that ranking a part may take, and questions that are asked however many items there are."""


@config
class Sequential:
    """Which events make a history, how histories are parted, and what a teacher's answers keep.

    Attributes:
        histories: which events count.
        parted: ``last``: of each shopper the last event is tested on and the one before chooses the epoch; ``time``:
            two moments part all events, by the shares of ``split``.
        attributes: what of the products is read beside their ids; null for nothing.
        seen: whether items of a shopper's history may be recommended again. Where not, they are out of the ranking, for
            every model alike.
        labels: of how many items the teacher's logits are kept.
        negatives: items drawn to compare the true one with; null for the whole catalogue.
    """

    kind: Literal["sequential"] = "sequential"
    histories: HistoryConfig = HistoryConfig(repeats="first")
    parted: Literal["last", "time"] = "last"
    attributes: AttributeConfig | None = None
    seen: bool = False
    labels: Labelling = Field(default_factory=Labelling)
    negatives: Negatives | None = None

    @property
    def prepared(self) -> Mapping[str, Any]:
        """Which events count, and how histories are parted."""
        return {"histories": plain(self.histories), "parted": self.parted}

    @property
    def models(self) -> tuple[str, ...]:
        """Kinds of model that it can train."""
        return ("sasrec", "bert4rec", "gru4rec", "item_mean")

    @property
    def takes(self) -> Literal["scores", "logits"]:
        """What its losses compare."""
        return "logits"

    @property
    def measures(self) -> Measures:
        """What it can be judged by."""
        return Measures(usual=("ndcg@10", "hr@10", "mrr"), known=PLACED, folds=False)

    def faults(self, models: Mapping[str, Any], split: SplitConfig) -> Iterator[str]:
        """A publisher's sides, which no event names."""
        if split.publisher:
            yield "split.publisher: true, but task.parted parts histories, and no event names a side; set it to false"

    def split(self, shop: Shop, settings: SplitConfig) -> pa.Table:
        """The questions of the validation and the test part: ``shopper_id, upto, product_id, split``."""
        histories = read_histories(shop, self.histories)
        parts = self.parts(histories, settings)
        check_parts(parts, self.parted, self.histories.core)
        return pa.concat_tables([asked(histories, parts.valid, "valid"), asked(histories, parts.test, "test")])

    def parts(self, histories: Histories, settings: SplitConfig) -> Parts:
        """Histories, parted; of more questions than can be ranked among all items in minutes, some are drawn."""
        alone = self.parted == "last"
        parts = leave_one_out(histories) if alone else by_time(histories, settings.valid, settings.test)
        most = max(_LEAST_ASKED, _RANKED // histories.items)
        return parts.drawn(most, settings.seed)

    def open(self, shop: Shop, split: pa.Table, settings: SplitConfig, seed: int) -> SequentialCourse:
        """The course over a shop's histories."""
        return SequentialCourse(shop, self, settings, seed)


class SequentialCourse(Course[SequenceModel]):
    """Histories of shoppers, and which item came next in each.

    Args:
        shop: the prepared shop.
        task: the task's configuration.
        settings: the shares of a split by time.
        seed: of what is drawn by chance.
    """

    def __init__(self, shop: Shop, task: Sequential, settings: SplitConfig, seed: int) -> None:
        self._shop, self._task, self._seed = shop, task, seed
        self.histories = read_histories(shop, task.histories)
        self.parts = task.parts(self.histories, settings)

    def questions(self, part: PartName) -> Part:
        """The questions of a part."""
        found: Part = getattr(self.parts, part)
        return found

    @cached_property
    def titles(self) -> list[str]:
        """Of every item, its product's title; its id where the shop does not have it."""
        return titles(self._shop, self.histories.item_ids)

    # Learning

    def create(self, wanted: Any, members: Sequence[Path], seed: int, *, taught: bool = True) -> SequenceModel:
        """A network with random weights; a table of codes starts near vectors of items.

        These are those of all members of the teacher, as far as its states tell them apart; or, for a twin, those of
        items that the same shoppers took up.
        """
        told = self._task.attributes
        described = item_attributes(self._shop, self.histories, told) if told else None
        dropout = told.id_dropout if told else 0.0
        network = sequence.create(wanted, self.histories.items, seed, described, dropout)
        if wanted.table.kind == "codes":
            sequence.start_items(network.items, self._start(wanted.width, members if taught else ()), seed)
        return SequenceModel(network=network, item_ids=self.histories.item_ids)

    def _start(self, width: int, members: Sequence[Path]) -> torch.Tensor:
        if not members:
            return _starts.of_shoppers(self.histories, self.parts, width)
        return _starts.of_teacher([families.load(folder).network for folder in members], self.histories, self.parts)

    def direct(self, model: SequenceModel, objective: Objective) -> Steps:
        """Every event that may be learnt from, but for first ones, as what came next."""
        return Steps(model.network, self.histories, self.parts.trained_U, negatives=self._task.negatives)

    def taught(self, model: SequenceModel, objective: Objective, labels: Labels, rows: int | None = None) -> Steps:
        """The same, with what the teacher said of each place; ``rows`` shoppers."""
        said = _places.stored(self._asked(labels, objective.taps), self.histories, self.parts.train)
        trained_U = self.parts.trained_U
        if rows is not None and rows < len(trained_U):
            drawn = np.random.default_rng(self._seed).permutation(np.flatnonzero(trained_U >= 2))[:rows]
            trained_U = np.where(np.isin(np.arange(len(trained_U)), drawn), trained_U, 0)
        return Steps(model.network, self.histories, trained_U, labels=said)

    def validation(self, model: SequenceModel, judging: Judging) -> Judge:
        """The metrics that are asked for, over all validation questions, each ranked among all items."""
        metrics = [parse_metric(name) for name in judging.metrics]
        part, among = self.parts.valid, self.histories.items

        def figures(network: Any) -> Mapping[str, float]:
            score = _places.by_networks([network], self.histories)
            place_N2 = _places.ranked(score, self.histories, part, seen=self._task.seen)
            made = {m.name: placed(m.base, place_N2[:, 0], place_N2[:, 1], m.cutoff, among).mean() for m in metrics}
            return {name: float(value) for name, value in made.items()}

        return figures

    # The teacher

    def label(self, labels: Labels, mine: Mine, taps: Sequence[str], seed: int) -> Mapping[str, int]:
        """Label every place that may be learnt from; nothing is mined: every place is of the shop's own histories."""
        asked = self._asked(labels, tuple(taps))
        done = _places.label(asked, self.histories, self.parts.train)
        log.info("labels: %s new, %s reused, %.0f a second", f"{done.labelled:,}", f"{done.reused:,}", done.rate)
        return {"places": done.labelled + done.reused, "shoppers": int((self.parts.trained_U >= 2).sum())}

    def teachers(self, part: PartName, labels: Labels) -> np.ndarray:
        """The teacher's places of a part."""
        return self._ranked(part, _places.by_networks(self._members(labels), self.histories))

    def _members(self, labels: Labels) -> list[SequenceNetwork]:
        return [families.load(folder).network for folder in teachers.held(labels.teacher)]

    def _asked(self, labels: Labels, taps: tuple[str, ...]) -> _places.Asked:
        return _places.Asked(
            networks=self._members(labels),
            teacher=teachers.fingerprint_of(labels.teacher),
            store=labels.store,
            wanted=self._task.labels,
            seen=self._task.seen,
            taps=taps,
        )

    # Judging

    def outputs(self, part: PartName, model: SequenceModel, what: str = "") -> np.ndarray:
        """Places [N, 2 + 3] of a part's true items, and the three items that the model ranks first."""
        return self._ranked(part, _places.by_networks([model.network], self.histories), what)

    def _ranked(self, part: PartName, score: _places.Score, what: str = "") -> np.ndarray:
        questions = self.questions(part)
        return _places.ranked(score, self.histories, questions, seen=self._task.seen, shown=_SHOWN, what=what)

    def baselines(self) -> Mapping[str, Mapping[PartName, np.ndarray]]:
        """The most popular items; those taken up by the same shoppers; those that came next."""
        parts: tuple[PartName, ...] = ("valid", "test")
        made = _places.baselines(self.histories, self.parts)
        return {
            name: {part: self._ranked(part, score, f"ranking {part} by {name}") for part in parts}
            for name, score in made.items()
        }

    def truth(self, part: PartName) -> Truth:
        """The items that came next, with how much is known of the shopper and of the item."""
        histories, questions = self.histories, self.questions(part)
        target_N = questions.target_N
        known_V = np.bincount(histories.item_E[_places.trained(histories, self.parts)], minlength=histories.items + 1)
        return Truth(
            unit_ids=unit_ids(histories, questions),
            queries=[self._told(*row) for row in zip(questions.shopper_N, questions.upto_N, strict=True)],
            unit_N=np.arange(len(questions)),
            product_ids=histories.item_ids.take(pa.array(target_N - 1)).to_pylist(),
            titles=[self.titles[item - 1] for item in target_N],
            grade_N=np.ones(len(questions)),
            gain_N=np.ones(len(questions)),
            slices={
                "history": binned(questions.upto_N, (5, 10, 20), "item"),
                "next item": binned(known_V[target_N], (0, 5, 20, 100), "event"),
            },
            among=self.titles,
            words=WORDS,
        )

    def _told(self, shopper: int, upto: int) -> str:
        latest = self.histories.history(shopper)[max(0, upto - _LATEST) : upto]
        return " → ".join([*(["…"] if upto > _LATEST else []), *(self.titles[item - 1] for item in latest)])

    # Costs and shipping

    def costs(self, folders: Mapping[str, Sequence[Path]], timing: Timing) -> Costs:
        """What so many histories at once cost, each ranked among the whole catalogue."""
        return _requests.costs(self.histories, self.parts.test, folders, timing)

    def served_costs(self, bundles: Mapping[str, Path], models: Mapping[str, Path], timing: Timing) -> Costs:
        """The same of bundles."""
        return _requests.served_costs(self.histories, self.parts.test, bundles, models, timing)

    def ship(self, model: SequenceModel, folder: Path, about: About, form: Form = "onnx") -> Path:
        """Write a bundle, with cold products where attributes tell of them; parity is held on validation questions."""
        if form != "onnx":
            raise ConfigError(f"form {form!r}: models of histories ship as bundles alone; use onnx")
        part = self.parts.valid.take(np.arange(min(_PARITY_ROWS, len(self.parts.valid))))
        rows = zip(part.shopper_N.tolist(), part.upto_N.tolist(), strict=True)
        held = [self.histories.history(shopper)[:upto] for shopper, upto in rows]
        # A model that was trained without attributes says nothing of products that it never saw.
        found = cold(self._shop, self.histories, self._task.attributes) if model.network.sizes.attributes else None
        named = self.titles + (titles(self._shop, found.ids) if found else [])
        return write_history_bundle(model, folder, about=about, histories=held, titles=named, cold=found)

    def served(self, part: PartName, bundle: Path) -> np.ndarray:
        """A bundle's places of a part's true items."""
        questions, seen = self.questions(part), self._task.seen
        return _requests.served(self.histories, questions, bundle, seen=seen, shown=_SHOWN)


sequential = Sequential
