"""Courses whose questions are answered one by one: a picture, a title, a session.

Shapes: ``N`` questions, ``K`` outputs, ``D`` feature width.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from torch import nn

from shopstill.core.fingerprint import fingerprint
from shopstill.evaluate.compare import Judging
from shopstill.evaluate.judged import judged
from shopstill.evaluate.quality import parse_metric
from shopstill.evaluate.statistic import statistic
from shopstill.models import families
from shopstill.models.families import Model
from shopstill.tasks._course import Course, Labels, Part
from shopstill.teach import teacher as teachers
from shopstill.teach.features import StoredFeature
from shopstill.teach.keys import Keys, digests
from shopstill.teach.label import ask
from shopstill.teach.mine import Mine
from shopstill.teach.store import LabelStore
from shopstill.train.batches import Examples, Feed, Told, TrainingSet
from shopstill.train.fit import Judge
from shopstill.train.objective import Objective
from shopstill.train.predict import Outputs, predict

log = logging.getLogger(__name__)


class Questions(Protocol):
    """N questions with their truth.

    Attributes:
        target_N: grades, or numbers of classes; NaN or −1 where nobody knows.
        weight_N: how much each counts in training, or None.
    """

    @property
    def target_N(self) -> np.ndarray: ...

    @property
    def weight_N(self) -> np.ndarray | None: ...

    def __len__(self) -> int: ...

    def take(self, rows: np.ndarray) -> Self:
        """Some of them."""
        ...

    def contents(self) -> Iterable[bytes]:
        """What tells each from every other: equal where, and only where, a teacher would be asked the same."""
        ...


M = TypeVar("M", bound=Model)
Q = TypeVar("Q", bound=Questions)


class RowCourse(Course[M], Generic[M, Q]):
    """Learning, labels and outputs of a task whose questions are answered one by one.

    Attributes:
        width: K, how many numbers an answer has.
        preparation: what turns a question's content into what the teacher reads, in a string: another string, other
            labels.
    """

    width: int
    preparation: str

    @abstractmethod
    def questions(self, part: Part) -> Q:
        """The questions of a part, with their truth."""

    @abstractmethod
    def feed(self, questions: Q, model: M, *, training: bool = False) -> Feed:
        """Questions as a model reads them; in training, with what is changed by chance."""

    def further(self) -> Q | None:
        """Questions without truth that the teacher may be asked as well."""
        return None

    # Learning

    def direct(self, model: M, objective: Objective) -> TrainingSet:
        """The training questions with their truth."""
        return self._examples(self.questions("train"), model)

    def taught(self, model: M, objective: Objective, labels: Labels, rows: int | None = None) -> TrainingSet:
        """All that the teacher was asked, with its answers."""
        asked = self._asked()
        if rows is not None and rows < len(asked):
            asked = asked.take(np.sort(np.random.default_rng(0).permutation(len(asked))[:rows]))
        store, keys = self._labelled(asked, labels, objective.taps)
        place_N = store.locate(keys)
        features = {tap: StoredFeature(store, place_N, tap) for tap in objective.taps}
        return self._examples(asked, model, store.read(place_N).logits, features)

    def _examples(
        self, questions: Q, model: M, logit_N: np.ndarray | None = None, features: Mapping[str, Any] | None = None
    ) -> Told:
        return Examples(
            feed=self.feed(questions, model, training=True),
            target_N=questions.target_N,
            group_N=np.arange(len(questions)),
            teacher_N=logit_N,
            features=features,
            weight_N=questions.weight_N,
        )

    def validation(self, model: M, judging: Judging) -> Judge:
        """The metrics that are asked for, on the validation part: first the mean of those of which more is better."""
        feed, truth = self.feed(self.questions("valid"), model), self.truth("valid")
        metrics = [parse_metric(name) for name in judging.metrics]
        rows = judged(
            truth.unit_N,
            truth.gain_N,
            truth.grade_N,
            len(truth.unit_ids),
            judging.relevant_grade,
            paths=truth.paths,
        )

        def figures(network: nn.Module) -> Mapping[str, float]:
            logits = predict(network, feed).logits
            scores, classes = self.judged({"valid": logits, "test": logits})
            said = {"scores": scores, "predictions": classes, "both": np.stack([scores, classes], 1)}
            values = {
                m.name: statistic(m, rows, said[m.on], min_candidates=judging.min_candidates).value for m in metrics
            }
            gains = [values[m.name] for m in metrics if m.higher]
            watched = np.mean(gains) if gains else -np.mean(list(values.values()))
            return {"watched": float(watched), **values}

        return figures

    # The teacher

    def label(self, labels: Labels, mine: Mine, taps: Sequence[str], seed: int) -> Mapping[str, int]:
        """Ask the teacher every training question, and those without truth."""
        asked = self._asked()
        self._labelled(asked, labels, tuple(taps))
        return {"questions": len(asked), "without truth": len(asked) - len(self.questions("train"))}

    def teachers(self, part: Part, labels: Labels) -> np.ndarray:
        """The teacher's logits of a part."""
        store, keys = self._labelled(self.questions(part), labels, ())
        return store.lookup(keys).logits

    def _asked(self) -> Q:
        train, further = self.questions("train"), self.further()
        return train if further is None else self.joined(train, further)

    def joined(self, one: Q, other: Q) -> Q:
        """Two sets of questions as one; needed where there are ``further`` ones."""
        raise NotImplementedError

    def _labelled(self, questions: Q, labels: Labels, taps: tuple[str, ...]) -> tuple[LabelStore, Keys]:
        """The store with the teacher's answers, and their keys; what is there is not asked again."""
        members: list[M] = [families.load(folder) for folder in teachers.held(labels.teacher)]
        widths = {tap: values.shape[-1] for tap, values in self._said(members, questions.take(_FIRST), taps)[1].items()}
        store = LabelStore(
            labels.store,
            teacher=teachers.fingerprint_of(labels.teacher),
            preparation=fingerprint([self.preparation]),
            outputs=self.width,
            features=widths,
        )
        keys = digests(questions.contents())
        done = ask(keys, lambda rows: self._said(members, questions.take(rows), taps), store)
        log.info("labels: %s new, %s reused, %.0f a second", f"{done.labelled:,}", f"{done.reused:,}", done.rate)
        return store, keys

    def _said(
        self, members: Sequence[M], questions: Q, taps: tuple[str, ...]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Logits [N, K], the mean over members, and the first member's features [N, D]."""
        outputs: list[Outputs] = [predict(m.network, self.feed(questions, m), taps=taps) for m in members]
        logits = np.asarray(np.mean([o.logits for o in outputs], axis=0), np.float32)
        return logits, {tap: np.asarray(outputs[0].features[tap], np.float16) for tap in taps}

    # Judging

    def outputs(self, part: Part, model: M, what: str = "") -> np.ndarray:
        """A model's logits of a part."""
        questions = self.questions(part)
        return predict(model.network, self.feed(questions, model), what=what).logits


_FIRST = np.zeros(1, np.int64)
