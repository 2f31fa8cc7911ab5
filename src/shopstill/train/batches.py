"""Batches: whole groups together, in an order that depends on the seed and the epoch alone.

Shapes: ``N`` rows of a data set, ``B`` rows of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from shopstill.types import Batch, Signals


class Feed(Protocol):
    """Rows made ready for one model; ``cost_N`` is what each costs, such as its tokens."""

    cost_N: np.ndarray

    def __len__(self) -> int: ...

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        """The model's inputs for some rows."""
        ...


class Rows(Protocol):
    """Values of N rows, of which some can be read: an array, or something that lies on disk."""

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray: ...


class TrainingSet(Protocol):
    """What a model is trained on: rows that are put into batches, group by group.

    A row is what is drawn: a pair, a picture, or a whole history; a batch may hold several predictions of a row.
    """

    @property
    def group_N(self) -> np.ndarray:
        """Group of each row; rows of equal groups come together."""
        ...

    def batch(self, rows: np.ndarray) -> Batch:
        """Some rows, as the model and the losses want them."""
        ...


@runtime_checkable
class Retold(Protocol):
    """A training set that asks another teacher itself, batch by batch, instead of what is stored of the first."""

    def told_by(self, teacher: nn.Module) -> TrainingSet:
        """The same rows with another teacher's logits, and no features of it."""
        ...


@runtime_checkable
class Told(TrainingSet, Protocol):
    """A training set that holds what a teacher said of each row of a feed."""

    @property
    def feed(self) -> Feed:
        """The rows, as they are asked about."""
        ...

    def saying(self, logit_N: np.ndarray) -> Told:
        """The same rows with other logits of a teacher, and no features of it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Examples:
    """A training set of rows that are predicted one by one: a feed with the truth and the teacher's outputs beside it.

    Attributes:
        feed: the inputs.
        target_N: truth: real numbers, NaN where nobody judged; or whole ones, classes, -1 where nobody judged.
        group_N: group (query) of each row.
        teacher_N: the teacher's logits, or None.
        features: name → the teacher's features, with N rows.
        weight_N: weight of each row, or None.
    """

    feed: Feed
    target_N: np.ndarray
    group_N: np.ndarray
    teacher_N: np.ndarray | None = None
    features: Mapping[str, Rows] | None = None
    weight_N: np.ndarray | None = None

    def __post_init__(self) -> None:
        sizes = {"feed": len(self.feed), "target_N": len(self.target_N), "group_N": len(self.group_N)}
        assert len(set(sizes.values())) == 1, sizes

    def saying(self, logit_N: np.ndarray) -> Examples:
        """The same rows with other logits of a teacher, and no features of it."""
        return replace(self, teacher_N=logit_N, features=None)

    def batch(self, rows: np.ndarray) -> Batch:
        """Some rows, as the model and the losses want them."""
        teacher = None
        if self.teacher_N is not None:
            features = {k: _float(v[rows]) for k, v in (self.features or {}).items()}
            teacher = Signals(logits=_float(self.teacher_N[rows]), features=features)
        return Batch(
            inputs=self.feed.inputs(rows),
            target=_target(self.target_N[rows]),
            group=torch.from_numpy(self.group_N[rows].astype(np.int64)),
            weight=None if self.weight_N is None else _float(self.weight_N[rows]),
            teacher=teacher,
        )


def schedule(group_N: np.ndarray, rows: int, seed: int, epoch: int, most: int | None = None) -> list[np.ndarray]:
    """The batches of an epoch, each a list of row numbers in which equal groups are adjacent.

    Groups are shuffled and filled into batches of about ``rows`` rows; a group longer than ``most`` is cut to as
    many rows, drawn anew each epoch. No batch has a single row, unless ``rows`` is 1: statistics over a batch need two.

    >>> [b.tolist() for b in schedule(np.array([7, 7, 3, 3]), rows=2, seed=0, epoch=0)]
    [[2, 3], [0, 1]]
    """
    least = min(rows, 2)
    draw = np.random.default_rng([seed, epoch])
    order = np.argsort(group_N, kind="stable")
    cuts = np.flatnonzero(np.diff(group_N[order])) + 1
    if len(cuts) == len(order) - 1:
        return _singles(order[draw.permutation(len(order))], rows, least)
    groups = np.split(order, cuts) if len(order) else []
    batches: list[np.ndarray] = []
    open_rows: list[np.ndarray] = []
    held = 0
    for index in draw.permutation(len(groups)):
        members = groups[index]
        if most is not None and len(members) > most:
            members = np.sort(draw.choice(members, most, replace=False))
        if held >= least and held + len(members) > rows:
            batches.append(np.concatenate(open_rows))
            open_rows, held = [], 0
        open_rows.append(members)
        held += len(members)
    if open_rows and held < least and batches:
        open_rows.insert(0, batches.pop())
    return [*batches, np.concatenate(open_rows)] if open_rows else batches


def _singles(order: np.ndarray, rows: int, least: int) -> list[np.ndarray]:
    """Batches of groups of one row, without a look at each."""
    cuts = list(range(rows, len(order), rows))
    if cuts and len(order) - cuts[-1] < least:
        cuts.pop()
    return np.split(order, cuts)


def sorted_chunks(cost_N: np.ndarray, rows: int) -> Iterator[np.ndarray]:
    """All rows in pieces of like cost, dearest first so that memory peaks at once: for scoring, where order is free."""
    order = np.argsort(-cost_N, kind="stable")
    for at in range(0, len(order), rows):
        yield order[at : at + rows]


def _target(values: np.ndarray) -> Tensor:
    """Whole numbers stay whole: they are classes."""
    return torch.from_numpy(values.astype(np.int64)) if np.issubdtype(values.dtype, np.integer) else _float(values)


def _float(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
