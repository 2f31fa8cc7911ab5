"""The truth of a test set: as the caller says it, and as checked arrays.

Shape legend: ``N`` judged rows (a query with a product), ``U`` units (queries).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shopstill.core.errors import DataError
from shopstill.evaluate.wording import Wording

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def sums(bin_N: Ints, value_N: ArrayLike, bins: int) -> Floats:
    """[bins] the sum of the values in each bin.

    >>> sums(np.array([0, 2, 2]), [1.0, 2.0, 3.0], 3)
    array([1., 0., 5.])
    """
    out: Floats = np.bincount(bin_N, weights=np.asarray(value_N, dtype=np.float64), minlength=bins).astype(np.float64)
    return out


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """A test set.

    Attributes:
        unit_ids: [U] ids of the queries.
        queries: [U] their texts.
        unit_N: [N] number of the query each row belongs to; rows may lie in any order.
        product_ids: [N] ids of the products.
        titles: [N] their titles.
        grade_N: [N] grades, on the source's scale.
        gain_N: [N] what each row is worth in NDCG, ≥ 0.
        slices: name of a division → [U] label of each query, such as ``{"length": by_length(queries)}``.
        row_slices: name of a division → [N] label of each row, such as ``{"product": seen(product_ids, trained)}``.
        among: titles of a whole catalogue, of which each unit's one row was ranked; empty where the rows of a unit are
            ranked among themselves. A model's scores are then places: see ``check_scores``.
        chance: [N] scores that stand for a ranking by chance, where rows are not all that was ranked; None: equal ones.
        classes: names of classes, where grades are their numbers.
        paths: the steps of each class from the root, where classes are paths of a tree of categories.
        picture: row → a picture of it as an address for a page, or None.
        words: what the report calls units and rows.
    """

    unit_ids: Sequence[str]
    queries: Sequence[str]
    unit_N: ArrayLike
    product_ids: Sequence[str]
    titles: Sequence[str]
    grade_N: ArrayLike
    gain_N: ArrayLike
    slices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    row_slices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    among: Sequence[str] = ()
    chance: ArrayLike | None = None
    classes: Sequence[str] = ()
    paths: Sequence[Sequence[str]] = ()
    picture: Callable[[int], str | None] = lambda row: None
    words: Wording = field(default_factory=Wording)


def joined(truths: Sequence[Truth]) -> Truth:
    """Several test sets as one: their units one after the other, with the divisions that all of them have.

    >>> one = Truth(
    ...     unit_ids=["q"], queries=["mug"], unit_N=[0], product_ids=["a"], titles=["mug"], grade_N=[1], gain_N=[1]
    ... )
    >>> joined([one, one]).unit_N.tolist()
    [0, 1]
    """
    before = np.cumsum([0, *(len(truth.unit_ids) for truth in truths)])

    def each(name: str) -> list[str]:
        return [value for truth in truths for value in getattr(truth, name)]

    def divisions(name: str) -> dict[str, list[str]]:
        given: list[Mapping[str, Sequence[str]]] = [getattr(truth, name) for truth in truths]
        common = [key for key in given[0] if all(key in one for one in given)]
        return {key: [label for one in given for label in one[key]] for key in common}

    return Truth(
        unit_ids=each("unit_ids"),
        queries=each("queries"),
        unit_N=np.concatenate([np.asarray(t.unit_N) + start for t, start in zip(truths, before[:-1], strict=True)]),
        product_ids=each("product_ids"),
        titles=each("titles"),
        grade_N=np.concatenate([np.asarray(truth.grade_N) for truth in truths]),
        gain_N=np.concatenate([np.asarray(truth.gain_N) for truth in truths]),
        slices=divisions("slices"),
        row_slices=divisions("row_slices"),
        among=truths[0].among,
        chance=None if truths[0].chance is None else np.concatenate([np.asarray(t.chance) for t in truths]),
        classes=truths[0].classes,
        paths=truths[0].paths,
        words=truths[0].words,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """Rows with their truth; made by ``judged``.

    Attributes:
        unit_N: number of the unit each row belongs to, from 0; rows of a unit need not be adjacent.
        gain_N: what finding the row is worth in NDCG, ≥ 0.
        grade_N: the truth on the source's own scale, or a class number.
        relevant_N: whether the row counts as relevant for MRR, MAP, recall and precision.
        units: how many units there are; some may have no row.
        among: of how many the one row of each unit was ranked; 0 where rows are ranked among themselves.
        chance_N: scores that stand for a ranking by chance; None: equal ones.
        paths: the steps of each class, where grades are classes; where it is empty each class is a step of its own.
    """

    unit_N: Ints
    gain_N: Floats
    grade_N: Floats
    relevant_N: Bools
    units: int
    among: int = 0
    chance_N: Floats | None = None
    paths: Sequence[Sequence[str]] = ()

    @cached_property
    def size_U(self) -> Ints:
        """Rows of each unit."""
        return np.bincount(self.unit_N, minlength=self.units)

    def sums(self, value_N: ArrayLike) -> Floats:
        """[U] the sum of a value over each unit's rows."""
        return sums(self.unit_N, value_N, self.units)

    def rows(self, keep_N: Bools) -> Judged:
        """The same units with some of the rows."""
        return Judged(
            unit_N=self.unit_N[keep_N],
            gain_N=self.gain_N[keep_N],
            grade_N=self.grade_N[keep_N],
            relevant_N=self.relevant_N[keep_N],
            units=self.units,
            among=self.among,
            chance_N=None if self.chance_N is None else self.chance_N[keep_N],
            paths=self.paths,
        )


def judged(
    unit_N: ArrayLike,
    gain_N: ArrayLike,
    grade_N: ArrayLike,
    units: int,
    relevant_grade: float | None = None,
    among: int = 0,
    paths: Sequence[Sequence[str]] = (),
) -> Judged:
    """Check the truth's arrays and put them together.

    Args:
        unit_N: [N] unit numbers from 0 to ``units`` − 1.
        gain_N: [N] gains, finite and ≥ 0.
        grade_N: [N] grades, finite.
        units: how many units.
        relevant_grade: rows of at least this grade are relevant; None: rows with a gain above 0.
        among: of how many each row was ranked, where a unit has one row; else 0.
        paths: the steps of each class, where grades are classes of a tree.

    Raises:
        DataError: lengths differ, there is no row, or a value is out of bounds; the message names the row.
    """
    unit, gain = np.asarray(unit_N, dtype=np.int64), np.asarray(gain_N, dtype=np.float64)
    grade = np.asarray(grade_N, dtype=np.float64)
    if not (unit.ndim == 1 and unit.shape == gain.shape == grade.shape and unit.size):
        raise DataError(
            f"truth: unit {unit.shape}, gain {gain.shape} and grade {grade.shape} must be equal and not empty"
        )
    _refuse("unit", unit, (unit < 0) | (unit >= units), f"a number from 0 to {units - 1}")
    _refuse("gain", gain, ~(np.isfinite(gain) & (gain >= 0)), "finite and at least 0")
    _refuse("grade", grade, ~np.isfinite(grade), "finite")
    relevant = gain > 0 if relevant_grade is None else grade >= relevant_grade
    if among and len(np.unique(unit)) < len(unit):
        raise DataError(f"truth: {len(unit)} rows of {len(np.unique(unit))} units; ranked among all, each unit has one")
    return Judged(unit_N=unit, gain_N=gain, grade_N=grade, relevant_N=relevant, units=units, among=among, paths=paths)


def _refuse(field: str, value_N: NDArray[np.generic], bad_N: Bools, allowed: str) -> None:
    if bad_N.any():
        row = int(np.argmax(bad_N))
        raise DataError(f"truth: row {row}: {field} is {value_N[row]}; it must be {allowed}")


def check_scores(model: str, score_N: ArrayLike, rows: int, *, finite: bool = False, among: int = 0) -> Floats:
    """A model's scores as float64 [N]; or, where rows are ranked ``among`` a whole catalogue, their places [N, 2 + S].

    A place says how many of the catalogue score higher than the row, and how many others score the same; then may come
    S items that the model ranks first, by number from 1, to be shown.

    Raises:
        DataError: not one score per row, or a score is NaN (or, with ``finite``, infinite); names model and row.

    >>> check_scores("fast", [0.5, float("nan")], 2)
    Traceback (most recent call last):
      ...
    shopstill.core.errors.DataError: model 'fast': row 1: score is nan; every row needs a number
    """
    score = np.asarray(score_N, dtype=np.float64)
    right = score.ndim == 2 and len(score) == rows and score.shape[1] >= 2 if among else score.shape == (rows,)
    if not right:
        wanted = f"[{rows}, 2 or more] places" if among else "one each"
        raise DataError(
            f"model {model!r}: scores have shape {score.shape}, but the truth has {rows} rows: give {wanted}"
        )
    bad = ~np.isfinite(score) if finite else np.isnan(score)
    if bad.any():
        row = int(np.argmax(bad if bad.ndim == 1 else bad.any(1)))
        raise DataError(f"model {model!r}: row {row}: score is {score[row]}; every row needs a number")
    return score
