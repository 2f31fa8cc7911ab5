"""A test set with what every model gave it: judged alone, kept on disk, or pooled over folds.

Shapes: ``N`` test pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.stats import rankdata

from shopstill.core.errors import DataError
from shopstill.evaluate.compare import Judging, compare
from shopstill.evaluate.judged import Truth, joined
from shopstill.evaluate.results import Evaluation

SCORES_FILE = "scores.parquet"


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A test set with the scores that models gave it, and the grades they predict.

    Attributes:
        truth: of the N test pairs.
        roles: model → its role.
        scores: model → [N] scores.
        predictions: model → [N] grades.
    """

    truth: Truth
    roles: Mapping[str, str]
    scores: Mapping[str, np.ndarray]
    predictions: Mapping[str, np.ndarray]

    def judge(self, judging: Judging) -> Evaluation:
        """All models side by side."""
        return compare(self.truth, self.scores, self.roles, judging, self.predictions)

    def save(self, folder: Path) -> None:
        """Write the pairs with all scores into a folder, as Parquet."""
        pq.write_table(self.table(), folder / SCORES_FILE, compression="zstd")

    def table(self) -> pa.Table:
        """``unit_id, product_id, grade, gain``, then ``score`` and ``prediction`` of each model, as structs."""
        truth = self.truth
        return pa.table(
            {
                "unit_id": pa.array([truth.unit_ids[unit] for unit in np.asarray(truth.unit_N)], pa.string()),
                "product_id": pa.array(truth.product_ids, pa.string()),
                "grade": pa.array(truth.grade_N, pa.float32()),
                "gain": pa.array(truth.gain_N, pa.float32()),
                "score": _struct(self.scores),
                "prediction": _struct(self.predictions),
            }
        )


def pooled(folds: Sequence[Scored]) -> Scored:
    """Folds as one test set.

    Each fold has models of its own, whose scores lie on scales of their own; a score becomes its share of the fold's
    scores that are lower, ties halved, which keeps every order within a fold.
    """
    shared = [name for name in folds[0].scores if all(name in fold.scores for fold in folds)]
    return Scored(
        truth=joined([fold.truth for fold in folds]),
        roles={name: folds[0].roles[name] for name in shared},
        scores={name: np.concatenate([_share(fold.scores[name]) for fold in folds]) for name in shared},
        predictions={name: np.concatenate([fold.predictions[name] for fold in folds]) for name in shared},
    )


def load(folder: Path, truth: Truth, roles: Mapping[str, str]) -> Scored:
    """What ``Scored.save`` wrote, with the truth it was of and the models' roles.

    Raises:
        DataError: the pairs are not the truth's.
    """
    path = folder / SCORES_FILE
    table = pq.read_table(path)
    if table.column("product_id").to_pylist() != list(truth.product_ids):
        raise DataError(f"{path}: its pairs are not those of the test part; run evaluate again")
    parts = {
        name: {
            field.name: _values(pc.struct_field(table.column(name), field.name))
            for field in table.schema.field(name).type
        }
        for name in ("score", "prediction")
    }
    return Scored(truth=truth, roles=roles, scores=parts["score"], predictions=parts["prediction"])


def _struct(values: Mapping[str, np.ndarray]) -> pa.StructArray:
    return pa.StructArray.from_arrays([_column(v) for v in values.values()], list(values))


def _column(values: np.ndarray) -> pa.Array:
    flat = pa.array(np.asarray(values, np.float64).reshape(-1))
    return flat if np.ndim(values) == 1 else pa.FixedSizeListArray.from_arrays(flat, np.shape(values)[1])


def _values(column: pa.ChunkedArray) -> np.ndarray:
    whole = column.combine_chunks()
    if not pa.types.is_fixed_size_list(column.type):
        return np.asarray(whole)
    return np.asarray(whole.flatten()).reshape(len(column), -1)


def _share(score_N: np.ndarray) -> np.ndarray:
    return np.asarray((rankdata(score_N) - 0.5) / len(score_N))
