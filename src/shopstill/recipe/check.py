"""What reading a recipe cannot find: faults between its parts."""

from __future__ import annotations

from collections.abc import Iterator

from shopstill.compress._chain import check_chain, misfit
from shopstill.core.errors import ConfigError, nearest
from shopstill.data.simulate import Simulate
from shopstill.evaluate.quality import parse_metric
from shopstill.evaluate.results import RANDOM
from shopstill.losses import LOSSES, check_options
from shopstill.models.cross import Cross
from shopstill.models.families import AnyModel, starts
from shopstill.models.pretrained import missing
from shopstill.models.towers import Towers
from shopstill.recipe import Recipe
from shopstill.recipe._chains import again, ancestors, given
from shopstill.recipe._taps import tap_faults
from shopstill.recipe.parts import ScoresTeacher, Trained, guard_of, members, twin_of
from shopstill.tasks import BASELINES, TEACHER, Task, faults_of, measures_of
from shopstill.types import Term


def check(recipe: Recipe) -> None:
    """Find what reading the recipe cannot: faults between its parts, unknown losses, files that are not there.

    Raises:
        ConfigError: a loss or an option of it is unknown or out of bounds; a name is taken; a model needs what the
            teacher does not have; the file of scores is not there. All faults of the recipe itself are named.
        DataError: a source of the shop is not there.
    """
    faults = [
        *_name_faults(recipe),
        *_task_faults(recipe),
        *_judging_faults(recipe),
        *_model_faults(recipe),
        *_chain_faults(recipe),
    ]
    for place, terms, taught in _objectives(recipe):
        faults += [f"{place}: {fault}" for fault in _term_faults(terms, taught, recipe.task)]
    faults += tap_faults(recipe)
    if faults:
        raise ConfigError("\n".join(faults))
    if isinstance(recipe.teacher, ScoresTeacher) and not recipe.teacher.path.is_file():
        raise ConfigError(f"teacher.path: {recipe.teacher.path} is no file; give the path of a file of scores")
    if not isinstance(recipe.shop.options, Simulate):
        recipe.shop.options.sources()


def _untaught(recipe: Recipe) -> dict[str, Trained]:
    """The models that no teacher teaches, by their place in the recipe."""
    return members(recipe.teacher) | {f"baselines.{name}": wanted for name, wanted in recipe.baselines.items()}


def _objectives(recipe: Recipe) -> Iterator[tuple[str, tuple[Term, ...], bool]]:
    """Every objective: its place, its terms, and whether a teacher's labels are there."""
    for place, member in _untaught(recipe).items():
        yield f"{place}.objective", member.objective, False
    for name, student in recipe.students.items():
        yield f"students.{name}.objective", student.objective, True
        yield f"students.{name}.twin", twin_of(student, recipe.task), False
    for name, chain in recipe.compress.items():
        yield f"compress.{name}.objective", chain.objective or (), True


def _term_faults(terms: tuple[Term, ...], taught: bool, task: Task) -> Iterator[str]:
    for term in terms:
        try:
            check_options(term.loss, term.options)
        except ConfigError as cause:
            yield str(cause)
            continue
        spec = LOSSES.module(term.loss).SPEC
        if spec.against == "teacher" and not taught:
            yield f"{term.loss} compares with a teacher, but there is none here; use a loss of the target"
        elif spec.takes in ("scores", "logits") and spec.takes != task.takes:
            fitting = [name for name in LOSSES.names() if LOSSES.module(name).SPEC.takes == task.takes]
            yield f"{term.loss} compares {spec.takes}, but {task.kind} has {task.takes}; use {' or '.join(fitting)}"
        elif spec.takes == "attention":
            yield f"{term.loss} compares attention, which the label store lacks; use a loss of features or scores"
        elif spec.takes != "features" and term.tap is not None:
            yield f"{term.loss} compares {spec.takes}, which have no tap; leave tap {term.tap!r} out"
        elif term.across and not spec.grouped:
            yield f"{term.loss} compares each row alone, so that it cannot look across; leave across out"
        elif spec.takes == "features" and term.tap is None:
            yield f"{term.loss} compares features; name which with tap, such as tap: pooled"


def _name_faults(recipe: Recipe) -> Iterator[str]:
    taken = {TEACHER, *BASELINES, RANDOM}
    for name in sorted(taken & recipe.students.keys()):
        yield f"students.{name}: the name {name!r} stands for another model in the report; give the student another"
    for name in sorted((taken | recipe.students.keys()) & recipe.baselines.keys()):
        yield f"baselines.{name}: the name {name!r} stands for another model in the report; give the baseline another"


def _task_faults(recipe: Recipe) -> Iterator[str]:
    """What does not go with the task: models that it cannot train, and scores made elsewhere where it has none."""
    task = recipe.task
    models = {f"{place}.model": member.model for place, member in _untaught(recipe).items()}
    models |= {f"students.{name}.model": student.model for name, student in recipe.students.items()} | again(recipe)
    for place, model in models.items():
        if model.kind not in task.models:
            yield f"{place}: {task.kind} trains no {model.kind!r}; {nearest(model.kind, task.models)}"
    fitting = {place: model for place, model in models.items() if model.kind in task.models}
    yield from faults_of(task, fitting, recipe.split)
    if isinstance(recipe.teacher, ScoresTeacher) and task.takes != "scores":
        yield f"teacher: scores made elsewhere are of pairs, but {task.kind} has {task.takes}; train a teacher"


def _judging_faults(recipe: Recipe) -> Iterator[str]:
    """Metrics that the task cannot measure, and folds that it does not have."""
    kind, measures = recipe.task.kind, measures_of(recipe.task)
    for metric in map(parse_metric, recipe.judging.metrics):
        if metric.base not in measures.known:
            fitting = " or ".join(measures.known)
            yield f"judging.metrics: {kind} cannot measure {metric.name}; use {fitting}, such as {measures.usual[0]}"
        elif measures.depth and not 0 < (metric.cutoff or 0) <= measures.depth:
            named = f"{metric.base}@{measures.depth}"
            yield f"judging.metrics: {metric.name}: {kind} ranks {measures.depth} at most; use {named} or less"
    if recipe.split.folds and not measures.folds:
        yield f"split.folds: {kind} has no folds, which part queries; leave them out, or run with several seeds"


def _model_faults(recipe: Recipe) -> Iterator[str]:
    untaught = {f"{place}.model": member.model for place, member in _untaught(recipe).items()}
    models = {f"students.{name}.model": student.model for name, student in recipe.students.items()}
    renewed = again(recipe)
    for place, model in [*untaught.items(), *models.items(), *renewed.items()]:
        if "teacher" in starts(model) and place not in renewed and (place in untaught or not members(recipe.teacher)):
            yield f"{place}: start 'teacher', but there is no teacher with weights here; name a pretrained start"
        yield from (f"{place}: start {fault}" for start in starts(model) if start and (fault := missing(start)))
        if isinstance(model, Cross) and model.outputs > 1:
            yield f"{place}.outputs: {model.outputs}, but relevance is one number; leave it out"
    learning: list[tuple[str, AnyModel, tuple[Term, ...]]] = [
        *((place, member.model, member.objective) for place, member in _untaught(recipe).items()),
        *((f"students.{name}", s.model, s.objective + (s.twin or ())) for name, s in recipe.students.items()),
    ]
    for place, model, terms in learning:
        if any(term.across for term in terms) and not (isinstance(model, Towers) and model.head == "dot"):
            yield f"{place}.objective: only cosines are cheap enough to look across; use kind: towers with head: dot"


def _chain_faults(recipe: Recipe) -> Iterator[str]:
    """Chains that start nowhere, or from themselves, or whose passes cannot follow each other."""
    for name, chain in recipe.compress.items():
        known = [TEACHER, *recipe.students, *(n for n in recipe.compress if n != name)]
        if name in recipe.students:
            yield f"compress.{name}: a student has this name; give the chain another"
        if chain.of not in known:
            yield f"compress.{name}.of: unknown model {chain.of!r}; {nearest(chain.of, known)}"
        elif chain.of == TEACHER and not isinstance(recipe.teacher, Trained):
            yield f"compress.{name}.of: this teacher is not one model; start from a student"
        elif name in ancestors(recipe, name):
            yield f"compress.{name}.of: goes on from itself by way of {chain.of!r}; start from a student or the teacher"
        else:
            yield from (f"compress.{name}.passes: {fault}" for fault in _order_faults(recipe, name))
            told = ((at, misfit(step, model)) for at, step, model in given(recipe, name))
            yield from (f"compress.{name}.passes.{at}: {fault}" for at, fault in told if fault)
        guard, judged = guard_of(chain, recipe.judging.metrics), recipe.judging.metrics
        if chain.keep and guard not in judged:
            yield f"compress.{name}.by: the recipe does not judge by {guard!r}; {nearest(guard, judged)}"


def _order_faults(recipe: Recipe, name: str) -> Iterator[str]:
    """What is wrong with the order of all passes from the origin on."""
    line = [*reversed(ancestors(recipe, name)), name]
    try:
        check_chain([step for link in line for step in recipe.compress[link].passes])
    except ConfigError as cause:
        yield str(cause)
