"""A teacher that is wrong: what it does to students that believe it, and to those that weigh what it says.

Products are put into categories by their titles, without the words of their own category. The teacher is a fine-tuned
transformer; of a share of the training products its answer is replaced by what it says of another product, so that it
is sure, and mostly wrong. The truth is left as it is. A bag of tokens learns from both, once by ``soft`` and once by
each way of ``adaptive_soft``, every time beside the truth at a weight of 0.3; its twin learns from the truth alone.
Nothing was chosen: losses have their default options, and the epoch is the best by validation, as always.

The shop is Fashion Product Images where it is at hand, else a simulated one. Run:
``python -m benchmarks.noisy_teacher``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from benchmarks._bench import DATA, publish, say

from shopstill import pipeline
from shopstill.core.config import build
from shopstill.evaluate.judged import judged
from shopstill.evaluate.quality import parse_metric
from shopstill.evaluate.significance import bootstrap, permutation_test
from shopstill.evaluate.statistic import Statistic, statistic
from shopstill.models import families
from shopstill.pipeline.flow import Run
from shopstill.recipe import Recipe
from shopstill.teach import teacher as teachers
from shopstill.train.fit import fit
from shopstill.train.objective import Objective
from shopstill.types import Term

TRUTH = Term(loss="cross_entropy", weight=0.3)
LEARNERS: Mapping[str, tuple[Term, ...]] = {
    "twin": (Term(loss="cross_entropy"),),
    "soft": (Term(loss="soft"), TRUTH),
    **{by: (Term(loss="adaptive_soft", options={"by": by}), TRUTH) for by in ("disagreement", "confidence", "entropy")},
}
BELIEVER = "soft"


def main() -> None:
    """Read the command line, train all students, print the table and write the result."""
    options = _options()
    with TemporaryDirectory() as work:
        recipe = build(Recipe, _recipe(Path(work)))
        course, teacher = _taught(recipe)
        rows: list[tuple[str, float, Statistic]] = []
        for share in options.shares:
            noisy_NK = _replaced(course.outputs("train", teacher), share, options.seed)
            rows += [(name, share, _accuracy(recipe, course, noisy_NK, name, work)) for name in LEARNERS]
    table, figures = _told(rows)
    publish(
        f"Accuracy by title alone, of a teacher that answers for another product ({recipe.shop.reader})",
        ("learns by", "wrong answers", "accuracy", "beside soft", "p"),
        table,
        {"seed": options.seed, "rows": figures},
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.noisy_teacher", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.2, 0.4], help="of the training products")
    parser.add_argument("--seed", type=int, default=0, help="of which answers are replaced")
    return parser.parse_args()


def _recipe(runs: Path) -> dict[str, Any]:
    fashion = DATA / "fashion-images"
    simulated = {
        "reader": "simulate",
        "products": 4000,
        "queries": 40,
        "judged_per_query": 2,
        "events": 0,
        "vague": 0.5,
    }
    return {
        "name": "noisy",
        "runs": str(runs),
        "shop": {"reader": "fashion", "path": str(fashion), "pictures": False} if fashion.exists() else simulated,
        "split": {"valid": 0.1, "test": 0.3},
        "task": {"kind": "categorise", "pictures": None, "classes": {"level": -1, "class_words": "drop_own"}},
        "teacher": {
            "kind": "model",
            "model": {"kind": "text_encoder", "start": "splade-tiny", "max_tokens": 24},
            "training": {"epochs": 6, "batch_rows": 32, "learning_rate": 1e-3},
        },
        "students": {
            "small": {
                "model": {"kind": "bag", "start": "splade-tiny", "width": 32},
                "objective": [{"loss": "soft"}],
                "training": {"epochs": 15, "batch_rows": 32, "learning_rate": 2e-2, "patience": 5},
            }
        },
        "judging": {"metrics": ["accuracy"], "min_candidates": 1},
        "timing": None,
    }


def _taught(recipe: Recipe) -> tuple[Any, Any]:
    """The course, and its trained teacher."""
    made = pipeline.run(recipe, "teach")[-1]
    (member,) = teachers.held(made.path)
    return Run(recipe).course, families.load(member)


def _replaced(logit_NK: np.ndarray, share: float, seed: int) -> np.ndarray:
    """A share of the rows, each with what was said of another."""
    draws = np.random.default_rng(seed)
    rows = draws.permutation(len(logit_NK))[: round(share * len(logit_NK))]
    found = logit_NK.copy()
    found[rows] = logit_NK[draws.integers(0, len(logit_NK), len(rows))]
    return found


def _accuracy(recipe: Recipe, course: Any, noisy_NK: np.ndarray, name: str, work: str) -> Statistic:
    """Of a student that learns in one way, on the test products."""
    student = recipe.students["small"]
    model, objective = course.create(student.model, (), recipe.seed), Objective(LEARNERS[name])
    examples = replace(course.direct(model, objective), teacher_N=noisy_NK)
    judge = course.validation(model, recipe.judging)
    with TemporaryDirectory(dir=work) as folder:
        fit(model.network, examples, objective, student.training, judge=judge, folder=Path(folder), seed=recipe.seed)
    truth = course.truth("test")
    rows = judged(truth.unit_N, truth.gain_N, truth.grade_N, len(truth.unit_ids))
    found = statistic(parse_metric("accuracy"), rows, course.outputs("test", model).argmax(1), min_candidates=1)
    say(f"  {name}: accuracy {found.value:.4f}")
    return found


def _told(rows: Sequence[tuple[str, float, Statistic]]) -> tuple[list[list[str]], list[dict[str, Any]]]:
    """The table, and the same as figures: each beside the student that believes all, under the same noise."""
    table, figures = [], []
    for name, share, found in rows:
        other = next(s for n, at, s in rows if n == BELIEVER and at == share)
        drawn = bootstrap({"one": found, "other": other})
        value, gain = drawn["one"].estimate(), (drawn["one"] - drawn["other"]).estimate()
        p = permutation_test(found, other) if name != BELIEVER else None
        beside = "" if p is None else f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
        table.append([name, f"{share:.0%}", f"{value.value:.3f}", beside, "" if p is None else f"{p:.4f}"])
        stated = {"accuracy": [value.value, value.low, value.high], "beside soft": [gain.value, gain.low, gain.high]}
        figures.append({"learns by": name, "wrong": share, **stated, "p": p})
    return table, figures


if __name__ == "__main__":
    main()
