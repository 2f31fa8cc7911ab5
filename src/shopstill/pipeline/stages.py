"""The stages, in the order of the flow: artifacts in, an artifact out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence

import pyarrow.parquet as pq

from shopstill import __version__
from shopstill.core.artifact import Artifact, Draft
from shopstill.core.config import plain
from shopstill.core.fingerprint import fingerprint, source_fingerprint
from shopstill.data.ingest import ingest, tell
from shopstill.data.shop import Shop
from shopstill.data.simulate import Simulate, simulate
from shopstill.evaluate.costs import load as load_costs
from shopstill.evaluate.latency import Latency
from shopstill.evaluate.report import write_report
from shopstill.evaluate.results import Evaluation
from shopstill.evaluate.results import load as load_evaluation
from shopstill.evaluate.size import Size, size_of
from shopstill.models import families
from shopstill.pipeline.flow import MODEL, STORE, Part, Run
from shopstill.pipeline.learn import train_student, train_teacher
from shopstill.pipeline.lineup import Lineup
from shopstill.recipe import EnsembleTeacher, ScoresTeacher
from shopstill.tasks import TEACHER, Labels, left_out_of
from shopstill.teach import teacher as teachers
from shopstill.teach.scores_file import scores_file
from shopstill.train.objective import Objective

_COUNTED = "weights, tokenizer, settings; operations, memory and start: of a process that answers once"


def prepare(flow: Run) -> Artifact:
    """Read, clean and split the shop."""
    recipe = flow.recipe
    options = recipe.shop.options
    config = {"shop": plain(recipe)["shop"], "split": plain(recipe.split), "strict": recipe.strict}
    if recipe.task.prepared:
        config["task"] = dict(recipe.task.prepared)
    sources = {} if isinstance(options, Simulate) else {str(p): source_fingerprint(p) for p in options.sources()}

    def make(draft: Draft) -> None:
        if isinstance(options, Simulate):
            simulate(options, draft.folder / "shop")
        else:
            draft.measurements.update(ingest(options.read(), draft.folder, strict=recipe.strict).plain())
        shop = Shop(draft.folder / "shop")
        draft.measurements["counts"] = shop.counts
        split = recipe.task.split(shop, recipe.split)
        pq.write_table(split, draft.folder / "split.parquet")
        draft.measurements["left_out"] = left_out_of(split)
        draft.measurements["content"] = fingerprint([shop.fingerprint, split.to_pydict()])

    made = flow.stages.make("prepare", config, sources, make)
    tell(made.measurements, made.path)
    return made


def teach(flow: Run, shop: Artifact) -> Artifact:
    """Train the teacher, or take in what was made elsewhere."""
    recipe = flow.recipe
    config = {"teacher": plain(recipe)["teacher"], "task": plain(recipe.task), "seed": recipe.seed}
    parents: dict[str, Artifact | str] = {"prepare": shop}
    if isinstance(recipe.teacher, ScoresTeacher):
        parents["scores"] = source_fingerprint(recipe.teacher.path)

    def make(draft: Draft) -> None:
        wanted = recipe.teacher
        if isinstance(wanted, ScoresTeacher):
            scores_file(wanted.path)
            shutil.copyfile(wanted.path, draft.folder / f"scores{wanted.path.suffix}")
            return
        members = wanted.members if isinstance(wanted, EnsembleTeacher) else (wanted,)
        for number, member in enumerate(members):
            work = flow.stages.work("teach", config, parents) / f"member-{number}"
            model, history = train_teacher(flow, member, work, recipe.seed + number)
            families.save(model, draft.folder / teachers.MEMBERS / f"{number}")
            draft.measurements[f"member {number}"] = history
        draft.measurements["content"] = teachers.fingerprint_of(draft.folder)

    return flow.stages.make("teach", config, parents, make)


def label(flow: Run, shop: Artifact, teacher: Artifact) -> Artifact:
    """What the teacher says of the training questions, and of others that nobody judged."""
    recipe = flow.recipe
    config = {"mine": plain(recipe.mine), "seed": recipe.seed, "task": plain(recipe.task)}
    taps = sorted({tap for student in recipe.students.values() for tap in Objective(student.objective).taps})
    if taps:
        config["taps"] = taps

    def make(draft: Draft) -> None:
        where = Labels(teacher=teacher.path, store=recipe.runs / STORE, folder=draft.folder)
        draft.measurements.update(flow.course.label(where, recipe.mine, taps, recipe.seed))

    return flow.stages.make("label", config, {"prepare": shop, "teach": teacher}, make)


def distil(flow: Run, name: str, shop: Artifact, teacher: Artifact, labels: Artifact) -> tuple[Artifact, Artifact]:
    """A student taught by the labels, and its twin: the same network and as many rows, from the truth alone."""
    recipe = flow.recipe
    wanted = recipe.students[name]
    config = {"student": plain(wanted), "seed": recipe.seed, "task": plain(recipe.task)}
    parents = {"prepare": shop, "teach": teacher, "label": labels}

    def make(part: Part) -> Callable[[Draft], None]:
        def train(draft: Draft) -> None:
            work = flow.stages.work(f"{part}/{name}", config, parents)
            model, history = train_student(flow, wanted, part, teacher, labels, work)
            families.save(model, draft.folder / MODEL)
            draft.measurements.update(history)

        return train

    student = flow.stages.make(f"student/{name}", config, parents, make("student"))
    return student, flow.stages.make(f"twin/{name}", config, parents, make("twin"))


def baseline(flow: Run, name: str, shop: Artifact) -> Artifact:
    """A model trained on the truth alone, to be judged beside the others."""
    recipe = flow.recipe
    wanted = recipe.baselines[name]
    config = {"baseline": plain(wanted), "seed": recipe.seed, "task": plain(recipe.task)}

    def make(draft: Draft) -> None:
        work = flow.stages.work(f"baseline/{name}", config, {"prepare": shop})
        model, history = train_teacher(flow, wanted, work, recipe.seed)
        families.save(model, draft.folder / MODEL)
        draft.measurements.update(history)

    return flow.stages.make(f"baseline/{name}", config, {"prepare": shop}, make)


def evaluate(
    flow: Run, shop: Artifact, teacher: Artifact, students: Mapping[str, tuple[Artifact, Artifact]]
) -> Artifact:
    """Teacher, students, twins and baselines side by side on the test part; and what each costs."""
    recipe = flow.recipe
    config = {"judging": plain(recipe.judging), "timing": plain(recipe)["timing"], "task": plain(recipe.task)}
    parents: dict[str, Artifact | str] = {"prepare": shop, "teach": teacher}
    for name, (student, twin) in students.items():
        parents |= {f"student/{name}": student, f"twin/{name}": twin}
    baselines = {name: baseline(flow, name, shop) for name in recipe.baselines}
    parents |= {f"baseline/{name}": made for name, made in baselines.items()}

    def make(draft: Draft) -> None:
        lineup = Lineup(flow.course, flow.labels(teacher, teacher))
        for name, made in baselines.items():
            lineup.add(name, families.load(made.path / MODEL), "baseline")
        for name, (student, twin) in students.items():
            lineup.add(name, families.load(student.path / MODEL), "student")
            lineup.add(f"{name} (direct)", families.load(twin.path / MODEL), f"twin of {name}")
        scored = lineup.scored()
        scored.save(draft.folder)
        scored.judge(recipe.judging).save(draft.folder)
        if recipe.timing is not None:
            folders = {name: [student.path / MODEL] for name, (student, _) in students.items()}
            contenders = {TEACHER: teachers.folders(teacher.path), **folders}
            flow.course.costs(contenders, recipe.timing).save(draft.folder)

    return flow.stages.make("evaluate", config, parents, make)


def report(flow: Run, made: Sequence[Artifact]) -> Artifact:
    """The page, the same as JSON, and the values of every query."""
    evaluated = made[-1]

    def make(draft: Draft) -> None:
        write_report(*findings(made), folder=draft.folder, title=f"{flow.recipe.name}: what the students kept")

    config = {"title": flow.recipe.name, "version": __version__}
    return flow.stages.make("report", config, {"evaluate": evaluated}, make)


def findings(made: Sequence[Artifact]) -> tuple[Evaluation, Latency | None, dict[str, Size], Sequence[Artifact]]:
    """What the report tells, read back from the artifacts."""
    evaluated = next(a for a in made if a.kind == "evaluate")
    cost = load_costs(evaluated.path)
    folders = {a.path.name: [a.path / MODEL] for a in made if a.kind == "student"}
    folders = {TEACHER: teachers.folders(next(a for a in made if a.kind == "teach").path), **folders}
    sizes = {
        name: size_of(those, flops=cost.flops.get(name), alone=cost.alone.get(name), note=_COUNTED)
        for name, those in folders.items()
        if those
    }
    return load_evaluation(evaluated.path), cost.latency, sizes, list(made)
