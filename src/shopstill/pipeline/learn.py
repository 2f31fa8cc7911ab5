"""What the stages of teacher and students do: train them, and ask the teacher."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from shopstill.core.artifact import Artifact
from shopstill.models import build
from shopstill.models.build import TextModel
from shopstill.pipeline.flow import PAIRS, QUERIES, STORE, Part, Run
from shopstill.recipe import CrossTeacher, ScoresTeacher, Student
from shopstill.tasks.relevance import Catalogue, Pairs
from shopstill.teach import teacher as teachers
from shopstill.teach.features import StoredFeature
from shopstill.teach.label import keys_of, label
from shopstill.teach.scores_file import match, scores_file
from shopstill.teach.store import Keys, LabelStore
from shopstill.train.batches import Examples, Rows
from shopstill.train.fit import fit
from shopstill.train.objective import Objective

log = logging.getLogger(__name__)


def train_teacher(flow: Run, wanted: CrossTeacher, work: Path, seed: int) -> tuple[TextModel, dict[str, Any]]:
    """A cross-encoder fine-tuned on the training grades, or as it is; with its history."""
    model = build.create(wanted.model, None, seed)
    if wanted.training is None:
        return model, {}
    objective = Objective(wanted.objective)
    pairs = flow.catalogue.judged("train")
    examples = flow.catalogue.examples(pairs, model, None, grouped=objective.grouped)
    judge = flow.catalogue.validation(model, flow.recipe.judging)
    history = fit(model.network, examples, objective, wanted.training, judge=judge, folder=work, seed=seed)
    return model, asdict(history)


def train_student(
    flow: Run, wanted: Student, part: Part, teacher: Artifact, labels: Artifact, work: Path
) -> tuple[TextModel, dict[str, Any]]:
    """One student, or its twin."""
    catalogue, recipe = flow.catalogue, flow.recipe
    own = teacher.path / teachers.MEMBERS / "0"
    model = build.create(wanted.model, own if own.exists() else None, recipe.seed)
    if model.network.lexical:
        model = replace(model, lexical=catalogue.lexical.others([]))
    objective, training = Objective(wanted.objective if part == "student" else wanted.twin), wanted.training
    taught = lesson(flow, teacher, labels, objective)
    if part == "twin":
        judged = catalogue.judged("train")
        training = replace(training, epochs=max(1, round(training.epochs * len(taught.pairs) / len(judged))))
        taught = Lesson(pairs=judged)
    examples = taught.examples(catalogue, model, objective)
    judge = catalogue.validation(model, recipe.judging)
    history = fit(model.network, examples, objective, training, judge=judge, folder=work, seed=recipe.seed)
    return model, asdict(history)


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Pairs to learn from, with what the teacher said of them: logits [N], and features by name."""

    pairs: Pairs
    logit_N: np.ndarray | None = None
    features: Mapping[str, Rows] | None = None

    def sample(self, rows: int | None, seed: int) -> Lesson:
        """Some of the pairs, drawn by the seed; all of them where ``rows`` is None."""
        if rows is None or rows >= len(self.pairs):
            return self
        at = np.sort(np.random.default_rng(seed).permutation(len(self.pairs))[:rows])
        features = {tap: values[at] for tap, values in (self.features or {}).items()}
        logit_N = None if self.logit_N is None else self.logit_N[at]
        return Lesson(pairs=self.pairs.take(at), logit_N=logit_N, features=features)

    def examples(self, catalogue: Catalogue, model: TextModel, objective: Objective) -> Examples:
        """The pairs as a model wants them."""
        grouped = objective.grouped
        return catalogue.examples(self.pairs, model, self.logit_N, grouped=grouped, features=self.features)


def lesson(flow: Run, teacher: Artifact, labels: Artifact, objective: Objective) -> Lesson:
    """All labelled pairs, with the features that an objective compares with."""
    table = pq.read_table(labels.path / PAIRS)
    flow.catalogue.know(pq.read_table(labels.path / QUERIES))
    pairs = flow.catalogue.pairs(table)
    features = None
    if objective.taps:
        store, keys = labelled(flow, teacher, pairs, objective.taps)
        features = {tap: StoredFeature(store, store.locate(keys), tap) for tap in objective.taps}
    return Lesson(pairs=pairs, logit_N=table.column("logit").to_numpy(), features=features)


def teacher_scores(flow: Run, teacher: Artifact, pairs: Pairs, taps: tuple[str, ...] = ()) -> np.ndarray:
    """The teacher's logits of pairs; NaN where scores made elsewhere lack a pair."""
    recipe, catalogue = flow.recipe, flow.catalogue
    if isinstance(recipe.teacher, ScoresTeacher):
        given = scores_file(next(teacher.path.glob("scores.*")))
        found, coverage = match(given, catalogue.table(pairs, pairs.gain_N))
        log.info("scores: %s of %s pairs have one", f"{coverage.found:,}", f"{coverage.wanted:,}")
        return found
    store, keys = labelled(flow, teacher, pairs, taps)
    return store.lookup(keys).logits


def labelled(flow: Run, teacher: Artifact, pairs: Pairs, taps: tuple[str, ...] = ()) -> tuple[LabelStore, Keys]:
    """The label store with the teacher's outputs of all pairs, and their keys; what is there is not asked again."""
    held = teachers.load(teacher.path)
    widths = held.widths(taps) if taps else {}
    root = flow.recipe.runs / STORE
    store = LabelStore(root, teacher=held.fingerprint, preparation=held.preparation, features=widths)
    texts = flow.catalogue.texts(pairs, held.members[0])
    done = label(texts, partial(held.answer, taps=taps), store)
    log.info("labels: %s new, %s reused, %.0f a second", f"{done.labelled:,}", f"{done.reused:,}", done.rate)
    return store, keys_of(texts, store)
