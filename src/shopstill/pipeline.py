"""The whole flow, readable in one go: shop → teacher → labels → students and twins → evaluation → report.

Each stage is a function of the run so far. Its artifact carries the fingerprint of everything it was made from; a stage whose inputs
did not change is not run again, and one that was killed goes on where it was.
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
from shopstill.core import artifact
from shopstill.core.artifact import Artifact, Draft
from shopstill.core.config import plain
from shopstill.core.errors import ConfigError, nearest
from shopstill.core.fingerprint import fingerprint, source_fingerprint
from shopstill.data.ingest import ingest
from shopstill.data.shop import Shop
from shopstill.data.simulate import Simulate, simulate
from shopstill.data.split import split_queries
from shopstill.evaluate.latency import Latency
from shopstill.evaluate.report import write_report
from shopstill.evaluate.results import Evaluation
from shopstill.evaluate.results import load as load_evaluation
from shopstill.evaluate.size import Size, size_of
from shopstill.losses import check_options
from shopstill.models import build
from shopstill.models.build import TextModel
from shopstill.models.towers import TwoTowers
from shopstill.recipe import CrossTeacher, EnsembleTeacher, Recipe, ScoresTeacher, Student
from shopstill.tasks.contest import TEACHER, Lineup, time_models
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


Parents = Mapping[str, Artifact | str]


class Run:
    """One recipe at work in its folder; what several stages share is opened once, when first needed."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder = recipe.runs / recipe.name

    @cached_property
    def catalogue(self) -> Catalogue:
        """The prepared shop's texts and judged pairs."""
        folder = self.folder / "prepare"
        return Catalogue(Shop(folder / "shop"), pq.read_table(folder / "split.parquet"), self.recipe.task)

    def stage(self, name: str, config: Mapping[str, Any], parents: Parents, make: Callable[[Draft], None]) -> Artifact:
        """The artifact of a stage: the one at hand where its inputs are the same, else made now."""
        path = self.folder / name
        about = _about(name, config, parents)
        found = artifact.fresh(path, **about)
        if found is not None:
            log.info("%s: unchanged", name)
            return found
        log.info("%s: making it", name)
        with artifact.create(path, **about) as draft:
            make(draft)
        shutil.rmtree(self.work(name, config, parents), ignore_errors=True)
        return artifact.load(path)

    def work(self, name: str, config: Mapping[str, Any], parents: Parents) -> Path:
        """Where a stage keeps what it needs to go on after a kill; another configuration has another place."""
        about = _about(name, config, parents)
        return self.folder / ".work" / f"{name.replace('/', '-')}-{artifact.identity(**about)[:12]}"


def _about(name: str, config: Mapping[str, Any], parents: Parents) -> dict[str, Any]:
    made_from = {k: v if isinstance(v, str) else v.content for k, v in parents.items()}
    return {"kind": name.partition("/")[0], "config": config, "parents": made_from}


def run(recipe: Recipe, until: str = "report") -> list[Artifact]:
    """All stages of a recipe, in order, up to one of them.

    Returns:
        the artifacts, in the order they were made.
    """
    if until not in STAGES:
        raise ConfigError(f"unknown stage {until!r}: {nearest(until, STAGES)}")
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

    return flow.stage("prepare", config, sources, make)


def teach(flow: Run, shop: Artifact) -> Artifact:
    """Train the teacher, or take in what was made elsewhere."""
    recipe = flow.recipe
    config = {"teacher": plain(recipe)["teacher"], "task": plain(recipe.task), "seed": recipe.seed}
    parents = {"prepare": shop}

    def make(draft: Draft) -> None:
        wanted = recipe.teacher
        if isinstance(wanted, ScoresTeacher):
            shutil.copyfile(wanted.path, draft.folder / f"scores{wanted.path.suffix}")
            return
        members = wanted.members if isinstance(wanted, EnsembleTeacher) else (wanted,)
        for number, member in enumerate(members):
            work = flow.work("teach", config, parents) / f"member-{number}"
            model, history = train_teacher(flow, member, work, recipe.seed + number)
            build.save(model, draft.folder / teachers.MEMBERS / f"{number}")
            draft.measurements[f"member {number}"] = history

        draft.measurements["content"] = teachers.load(draft.folder).fingerprint

    return flow.stage("teach", config, parents, make)


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
        draft.measurements.update({"judged": len(judged), "mined": len(pairs) - len(judged), "labelled": int(known.sum())})
        pq.write_table(catalogue.table(pairs.take(known), scores[known]), draft.folder / PAIRS)
        pq.write_table(mined.queries, draft.folder / QUERIES)

    return flow.stage("label", config, {"prepare": shop, "teach": teacher}, make)


def distil(flow: Run, name: str, shop: Artifact, teacher: Artifact, labels: Artifact) -> tuple[Artifact, Artifact]:
    """A student taught by the labels, and its twin: the same network and as many rows, from the grades alone."""
    recipe = flow.recipe
    wanted = recipe.students[name]
    config = {"student": plain(wanted), "seed": recipe.seed, "task": plain(recipe.task)}
    parents = {"prepare": shop, "teach": teacher, "label": labels}

    def make(part: Part) -> Callable[[Draft], None]:
        def train(draft: Draft) -> None:
            work = flow.work(f"{part}/{name}", config, parents)
            model, history = train_student(flow, wanted, part, teacher, labels, work)
            build.save(model, draft.folder / MODEL)
            draft.measurements.update(history)

        return train

    student = flow.stage(f"student/{name}", config, parents, make("student"))
    return student, flow.stage(f"twin/{name}", config, parents, make("twin"))


def train_student(
    flow: Run, wanted: Student, part: Part, teacher: Artifact, labels: Artifact, work: Path
) -> tuple[TextModel, dict[str, Any]]:
    """One student, or its twin."""
    catalogue, recipe = flow.catalogue, flow.recipe
    own = teacher.path / teachers.MEMBERS / "0"
    model = build.create(wanted.model, own if own.exists() else None, recipe.seed)
    if isinstance(model.network, TwoTowers) and model.network.lexical:
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

    return flow.stage("evaluate", config, parents, make)


def report(flow: Run, made: Sequence[Artifact]) -> Artifact:
    """The page, the same as JSON, and the values of every query."""
    evaluated = made[-1]

    def make(draft: Draft) -> None:
        write_report(*findings(made), folder=draft.folder, title=f"{flow.recipe.name}: what the students kept")

    return flow.stage("report", {"title": flow.recipe.name, "version": __version__}, {"evaluate": evaluated}, make)


def findings(made: Sequence[Artifact]) -> tuple[Evaluation, Latency, dict[str, Size], Sequence[Artifact]]:
    """What the report tells, read back from the artifacts."""
    evaluated = next(a for a in made if a.kind == "evaluate")
    latency = TypeAdapter(Latency).validate_json((evaluated.path / LATENCY).read_text(encoding="utf-8"))
    sizes = {a.path.name: size_of(a.path / MODEL) for a in made if a.kind == "student"}
    members = teachers.folders(next(a for a in made if a.kind == "teach").path)
    if members:
        sizes = {TEACHER: size_of(members), **sizes}
    return load_evaluation(evaluated.path), latency, sizes, list(made)


def check(recipe: Recipe) -> None:
    """Find what reading the recipe cannot: unknown losses, and options that they do not have.

    Raises:
        ConfigError: a loss or an option of it is unknown or out of bounds, or a twin's loss needs a teacher.
    """
    members = getattr(recipe.teacher, "members", (recipe.teacher,))
    objectives = {f"teacher.{n}": m.objective for n, m in enumerate(members) if isinstance(m, CrossTeacher)}
    for name, student in recipe.students.items():
        objectives |= {f"students.{name}.objective": student.objective, f"students.{name}.twin": student.twin}
    for place, terms in objectives.items():
        objective = Objective(terms)
        if objective.needs_teacher and not place.endswith("objective"):
            raise ConfigError(f"{place}: compares with a teacher, but there is none here; use losses of the target")
        for term in terms:
            check_options(term.loss, term.options)
