"""What a recipe's task can learn, and what it says of what it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopstill.core.errors import ConfigError
from shopstill.recipe import read
from shopstill.recipe.check import check

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (["students.small.model={kind: towers, query: {kind: static}, product: {kind: static}}"], "trains no 'towers'"),
        (["teacher={kind: cross}"], "teacher.model: sequential trains no 'cross'"),
        (
            ["students.small.twin=[{loss: bce}]"],
            r"students\.small\.twin: bce compares scores, but sequential has logits",
        ),
        (["teacher={kind: scores, path: scores.csv}"], "scores made elsewhere are of pairs"),
    ],
)
def test_a_task_names_what_it_cannot_learn(changes: list[str], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        check(read(ROOT / "recipes" / "sequential.yaml", changes))


def test_an_unknown_task_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"task 'sequental': did you mean 'sequential'"):
        read(ROOT / "recipes" / "sequential.yaml", ["task.kind=sequental"])
