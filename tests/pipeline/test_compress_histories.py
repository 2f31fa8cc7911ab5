"""Chains over models of histories: a teacher teaches an assistant, and that another, each judged as it is served."""

from __future__ import annotations

from pathlib import Path

from shopstill import pipeline
from shopstill.recipe import read

ROOT = Path(__file__).resolve().parents[2]
_LEARNS = "{epochs: 2, batch_rows: 32, learning_rate: 0.005}"
_NARROW = "{kind: distil, model: {kind: gru4rec, width: 16, table: {kind: codes, books: 4, rows: 16}}, rows: 100}"
_QUICK = [
    "shop={reader: simulate, products: 200, queries: 20, shoppers: 150, events: 3000, impressions: false}",
    f"teacher.training={_LEARNS}",
    "teacher.model={kind: sasrec, width: 16, layers: 1, heads: 2}",
    f"students.small.training={_LEARNS}",
    f"compress={{bridged: {{of: teacher, passes: [{_NARROW}], training: {_LEARNS}, by: ndcg@10}}}}",
    "judging.resamples=100",
    "judging.permutations=100",
    "timing=null",
]


def test_a_teacher_of_histories_teaches_an_assistant(tmp_path: Path) -> None:
    found = pipeline.compress(read(ROOT / "recipes" / "sequential.yaml", [*_QUICK, f"runs={tmp_path}"]))
    evaluation = found.found[0]
    names = [made.name for made in found.models]
    assert names == ["teacher", "small", "bridged/1-distil"]
    assert all(evaluation.score(name, "ndcg@10") is not None for name in names)
