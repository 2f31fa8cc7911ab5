"""The models of all chains judged side by side, as they are served, and the report of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shopstill import __version__
from shopstill.core.artifact import Artifact, Draft
from shopstill.core.config import plain
from shopstill.core.errors import ConfigError, nearest
from shopstill.evaluate.costs import load as load_costs
from shopstill.evaluate.latency import Latency
from shopstill.evaluate.report import write_report
from shopstill.evaluate.results import Evaluation
from shopstill.evaluate.results import load as load_evaluation
from shopstill.evaluate.size import Size, size_of
from shopstill.pipeline.bundles import BUNDLE, Made, scores_of
from shopstill.pipeline.chains import Ground
from shopstill.pipeline.lineup import Lineup
from shopstill.tasks import TEACHER

_COUNTED = "the whole bundle; operations with nothing done ahead; memory and start of a process that answers once"


@dataclass(frozen=True, kw_only=True)
class Compressed:
    """What the chains of a recipe made: every model with its bundle, how they were judged, and the report."""

    ground: Ground
    models: Sequence[Made]
    judged: Artifact
    report: Artifact

    @property
    def found(self) -> tuple[Evaluation, Latency | None, Mapping[str, Size]]:
        """What judging found: quality, times, sizes."""
        return found(self.models, self.judged)


def judge(ground: Ground, models: Sequence[Made]) -> Artifact:
    """Every model on the test queries by the scores of its bundle, beside BM25, and what each costs to serve."""
    recipe, course = ground.flow.recipe, ground.flow.course
    config = {"judging": plain(recipe.judging), "timing": plain(recipe)["timing"], "task": plain(recipe.task)}
    parents = {"prepare": ground.shop, "teach": ground.teacher, **{made.name: made.scores for made in models}}

    def make(draft: Draft) -> None:
        lineup = Lineup(course, ground.flow.labels(ground.teacher, ground.labels))
        for made in models:
            lineup.take(made.name, scores_of(made), "teacher" if made.name == TEACHER else "student")
        scored = lineup.scored()
        # So many models side by side: what each does on each slice would say nothing for certain.
        scored = replace(scored, truth=replace(scored.truth, slices={}, row_slices={}))
        scored.save(draft.folder)
        scored.judge(replace(recipe.judging, disagreements=0)).save(draft.folder)
        if recipe.timing is not None:
            bundles = {made.name: made.bundle.path / BUNDLE for made in models}
            course.served_costs(bundles, {made.name: made.model for made in models}, recipe.timing).save(draft.folder)

    return ground.flow.stages.make("compressed", config, parents, make)


def report(ground: Ground, models: Sequence[Made], judged: Artifact, made: Sequence[Artifact]) -> Artifact:
    """The page of every step, the same as JSON."""
    steps = [m.step for m in models if m.step is not None]

    def make(draft: Draft) -> None:
        title = f"{ground.flow.recipe.name}: what compression kept"
        evaluation, latency, sizes = found(models, judged)
        write_report(evaluation, latency, sizes, [*made, judged], draft.folder, title, steps)

    config = {"title": ground.flow.recipe.name, "version": __version__}
    return ground.flow.stages.make("compressed-report", config, {"compressed": judged}, make)


def found(models: Sequence[Made], judged: Artifact) -> tuple[Evaluation, Latency | None, Mapping[str, Size]]:
    """What judging found, read back, with the size of every bundle."""
    cost = load_costs(judged.path)
    sizes = {
        made.name: size_of(
            made.bundle.path / BUNDLE, flops=cost.flops.get(made.name), alone=cost.alone.get(made.name), note=_COUNTED
        )
        for made in models
    }
    return load_evaluation(judged.path), cost.latency, sizes


def named(models: Sequence[Made], name: str) -> Made:
    """A model by its name; a chain's name is that of its last step.

    Raises:
        ConfigError: there is none of this name.
    """
    last = {made.name.partition("/")[0]: made for made in models} | {made.name: made for made in models}
    if name not in last:
        raise ConfigError(f"model {name!r}: {nearest(name, last)}")
    return last[name]
