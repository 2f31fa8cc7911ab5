"""The whole flow, readable in one go: shop → teacher → labels → students and twins → evaluation → report.

Each stage is a function of the run so far. Its artifact carries the fingerprint of everything it was made from; a stage
whose inputs did not change is not run again, and one that was killed goes on where it was.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from shopstill import __version__
from shopstill.core.artifact import Artifact, Draft
from shopstill.core.config import plain
from shopstill.core.errors import ConfigError, nearest
from shopstill.core.fingerprint import fingerprint, source_fingerprint
from shopstill.core.stages import Stages
from shopstill.data.ingest import ingest
from shopstill.data.shop import Shop
from shopstill.data.simulate import Simulate, simulate
from shopstill.data.split import split_queries
from shopstill.evaluate.latency import Latency
from shopstill.evaluate.report import write_report
from shopstill.evaluate.results import Evaluation
from shopstill.evaluate.results import load as load_evaluation
from shopstill.evaluate.size import Size, size_of
from shopstill.models import build
from shopstill.models.build import TextModel
from shopstill.recipe import CrossTeacher, EnsembleTeacher, Recipe, ScoresTeacher, Student, check
from shopstill.tasks._contest import TEACHER, Lineup, time_models
from shopstill.tasks.relevance import Catalogue, Pairs
from shopstill.teach import teacher as teachers
from shopstill.teach.label import Pairs as Labelled
from shopstill.teach.label import label as label_pairs
from shopstill.teach.mine import mine
from shopstill.teach.scores_file import match, scores_file
from shopstill.teach.store import LabelStore
from shopstill.train.fit import fit
from shopstill.train.objective import Objective

log = logging.getLogger(__name__)

Part = Literal["student", "twin"]
MODEL, PAIRS, QUERIES, LATENCY, STORE = "model", "pairs.parquet", "queries.parquet", "latency.json", "labels"
STAGES = ("prepare", "teach", "label", "distil", "evaluate", "report")


class Run:
    """One recipe at work in its folder; what several stages share is opened once, when first needed."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder = recipe.runs / recipe.name
        self.stages = Stages(self.folder)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The prepared shop's texts and judged pairs."""
        folder = self.folder / "prepare"
        return Catalogue(Shop(folder / "shop"), pq.read_table(folder / "split.parquet"), self.recipe.task)


def run(recipe: Recipe, until: str = "report") -> list[Artifact]:
    """All stages of a recipe, in order, up to one of them.

    Returns:
        the artifacts, in the order they were made.

    Raises:
        ConfigError: the stage is unknown, or ``check`` finds a fault in the recipe.
    """
    if until not in STAGES:
        raise ConfigError(f"unknown stage {until!r}: {nearest(until, STAGES)}")
    check(recipe)
    flow = Run(recipe)
    wanted = STAGES[: STAGES.index(until) + 1]
    shop = prepare(flow)
    made = [shop]
    if "teach" in wanted:
        teacher = teach(flow, shop)
        made.append(teacher)
    if "label" in wanted:
        labels = label(flow, shop, teacher)
        made.append(labels)
    if "distil" in wanted:
        students = {name: distil(flow, name, shop, teacher, labels) for name in recipe.students}
        made += [a for pair in students.values() for a in pair]
    if "evaluate" in wanted:
        made.append(evaluate(flow, shop, teacher, students))
    if "report" in wanted:
        made.append(report(flow, made))
    return made


def prepare(flow: Run) -> Artifact:
    """Read, clean and split the shop."""
    recipe = flow.recipe
    options = recipe.shop.options
    config = {"shop": plain(recipe)["shop"], "split": plain(recipe.split), "strict": recipe.strict}
    sources = {} if isinstance(options, Simulate) else {str(p): source_fingerprint(p) for p in options.sources()}

    def make(draft: Draft) -> None:
        if isinstance(options, Simulate):
            simulate(options, draft.folder / "shop")
        else:
            draft.measurements.update(ingest(options.read(), draft.folder, strict=recipe.strict).plain())
        shop = Shop(draft.folder / "shop")
        draft.measurements["counts"] = shop.counts
        split = split_queries(shop, recipe.split)
        pq.write_table(split, draft.folder / "split.parquet")
        draft.measurements["content"] = fingerprint([shop.fingerprint, split.to_pydict()])

    return flow.stages.make("prepare", config, sources, make)


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
            build.save(model, draft.folder / teachers.MEMBERS / f"{number}")
            draft.measurements[f"member {number}"] = history
        draft.measurements["content"] = teachers.load(draft.folder).fingerprint

    return flow.stages.make("teach", config, parents, make)


def train_teacher(flow: Run, wanted: CrossTeacher, work: Path, seed: int) -> tuple[TextModel, dict[str, Any]]:
    """A cross-encoder fine-tuned on the training grades, or as it is; with its history."""
    model = build.create(wanted.model, None, seed)
    if wanted.training is None:
        return model, {}
    objective = Objective(wanted.objective)
    pairs = flow.catalogue.judged("train")
    examples = flow.catalogue.examples(pairs, model, None, grouped=objective.grouped)
    judge = flow.catalogue.validation(model, flow.recipe.judging)
    history = fit(model.network, examples, objective, wanted.training, judge=judge, folder=work, seed=seed)
    return model, asdict(history)


def label(flow: Run, shop: Artifact, teacher: Artifact) -> Artifact:
    """The teacher's logits of the judged training pairs, and of pairs mined from the catalogue."""
    recipe = flow.recipe
    config = {"mine": plain(recipe.mine), "seed": recipe.seed, "task": plain(recipe.task)}

    def make(draft: Draft) -> None:
        catalogue = flow.catalogue
        training = catalogue.split.filter(pc.equal(catalogue.split.column("split"), "train")).column("query_id")
        mined = mine(catalogue.shop, training.to_pylist(), recipe.mine, recipe.seed)
        catalogue.know(mined.queries)
        judged = catalogue.judged("train")
        pairs = judged.joined(catalogue.pairs(mined.pairs))
        scores = teacher_scores(flow, teacher, pairs)
        known = np.isfinite(scores)
        counts = {"judged": len(judged), "mined": len(pairs) - len(judged), "labelled": int(known.sum())}
        draft.measurements.update(counts)
        pq.write_table(catalogue.table(pairs.take(known), scores[known]), draft.folder / PAIRS)
        pq.write_table(mined.queries, draft.folder / QUERIES)

    return flow.stages.make("label", config, {"prepare": shop, "teach": teacher}, make)


def distil(flow: Run, name: str, shop: Artifact, teacher: Artifact, labels: Artifact) -> tuple[Artifact, Artifact]:
    """A student taught by the labels, and its twin: the same network and as many rows, from the grades alone."""
    recipe = flow.recipe
    wanted = recipe.students[name]
    config = {"student": plain(wanted), "seed": recipe.seed, "task": plain(recipe.task)}
    parents = {"prepare": shop, "teach": teacher, "label": labels}

    def make(part: Part) -> Callable[[Draft], None]:
        def train(draft: Draft) -> None:
            work = flow.stages.work(f"{part}/{name}", config, parents)
            model, history = train_student(flow, wanted, part, teacher, labels, work)
            build.save(model, draft.folder / MODEL)
            draft.measurements.update(history)

        return train

    student = flow.stages.make(f"student/{name}", config, parents, make("student"))
    return student, flow.stages.make(f"twin/{name}", config, parents, make("twin"))


def train_student(
    flow: Run, wanted: Student, part: Part, teacher: Artifact, labels: Artifact, work: Path
) -> tuple[TextModel, dict[str, Any]]:
    """One student, or its twin."""
    catalogue, recipe = flow.catalogue, flow.recipe
    own = teacher.path / teachers.MEMBERS / "0"
    model = build.create(wanted.model, own if own.exists() else None, recipe.seed)
    if model.network.lexical:
        model = replace(model, lexical=catalogue.lexical.others([]))
    table = pq.read_table(labels.path / PAIRS)
    catalogue.know(pq.read_table(labels.path / QUERIES))
    objective = Objective(wanted.objective if part == "student" else wanted.twin)
    pairs, logit_N, training = catalogue.pairs(table), table.column("logit").to_numpy(), wanted.training
    if part == "twin":
        judged = catalogue.judged("train")
        training = replace(training, epochs=max(1, round(training.epochs * len(pairs) / len(judged))))
        pairs, logit_N = judged, None
    examples = catalogue.examples(pairs, model, logit_N, grouped=objective.grouped)
    judge = catalogue.validation(model, recipe.judging)
    history = fit(model.network, examples, objective, training, judge=judge, folder=work, seed=recipe.seed)
    return model, asdict(history)


def teacher_scores(flow: Run, teacher: Artifact, pairs: Pairs) -> np.ndarray:
    """The teacher's logits of pairs, through the label store; NaN where scores made elsewhere lack a pair."""
    recipe, catalogue = flow.recipe, flow.catalogue
    if isinstance(recipe.teacher, ScoresTeacher):
        given = scores_file(next(teacher.path.glob("scores.*")))
        found, coverage = match(given, catalogue.table(pairs, pairs.gain_N))
        log.info("scores: %s of %s pairs have one", f"{coverage.found:,}", f"{coverage.wanted:,}")
        return found
    held = teachers.load(teacher.path)
    store = LabelStore(recipe.runs / STORE, teacher=held.fingerprint, preparation=held.preparation)
    texts = catalogue.texts(pairs, held.members[0])
    wanted = Labelled(queries=texts.queries, products=texts.products, query_N=texts.query_N, product_N=texts.product_N)
    done = label_pairs(wanted, held.answer, store)
    log.info("labels: %s new, %s reused, %.0f a second", f"{done.labelled:,}", f"{done.reused:,}", done.rate)
    return store.lookup(wanted.keys(store)).logits


def evaluate(
    flow: Run, shop: Artifact, teacher: Artifact, students: Mapping[str, tuple[Artifact, Artifact]]
) -> Artifact:
    """Teacher, students, twins and BM25 side by side on the test queries; and what each costs."""
    recipe = flow.recipe
    config = {"judging": plain(recipe.judging), "timing": plain(recipe.timing), "task": plain(recipe.task)}
    parents: dict[str, Artifact | str] = {"prepare": shop, "teach": teacher}
    for name, (student, twin) in students.items():
        parents |= {f"student/{name}": student, f"twin/{name}": twin}

    def make(draft: Draft) -> None:
        lineup = Lineup(flow.catalogue, partial(teacher_scores, flow, teacher))
        for name, (student, twin) in students.items():
            lineup.add(name, build.load(student.path / MODEL), "student")
            lineup.add(f"{name} (direct)", build.load(twin.path / MODEL), f"twin of {name}")
        lineup.judge(recipe.judging).save(draft.folder)
        contenders = {name: build.load(student.path / MODEL) for name, (student, _) in students.items()}
        if not isinstance(recipe.teacher, ScoresTeacher):
            contenders = {TEACHER: teachers.load(teacher.path).members[0], **contenders}
        latency = time_models(flow.catalogue, contenders, recipe.timing)
        (draft.folder / LATENCY).write_text(json.dumps(asdict(latency), indent=2) + "\n", encoding="utf-8")

    return flow.stages.make("evaluate", config, parents, make)


def report(flow: Run, made: Sequence[Artifact]) -> Artifact:
    """The page, the same as JSON, and the values of every query."""
    evaluated = made[-1]

    def make(draft: Draft) -> None:
        write_report(*findings(made), folder=draft.folder, title=f"{flow.recipe.name}: what the students kept")

    config = {"title": flow.recipe.name, "version": __version__}
    return flow.stages.make("report", config, {"evaluate": evaluated}, make)


def findings(made: Sequence[Artifact]) -> tuple[Evaluation, Latency, dict[str, Size], Sequence[Artifact]]:
    """What the report tells, read back from the artifacts."""
    evaluated = next(a for a in made if a.kind == "evaluate")
    latency = TypeAdapter(Latency).validate_json((evaluated.path / LATENCY).read_text(encoding="utf-8"))
    sizes = {a.path.name: size_of(a.path / MODEL) for a in made if a.kind == "student"}
    members = teachers.folders(next(a for a in made if a.kind == "teach").path)
    if members:
        sizes = {TEACHER: size_of(members), **sizes}
    return load_evaluation(evaluated.path), latency, sizes, list(made)
