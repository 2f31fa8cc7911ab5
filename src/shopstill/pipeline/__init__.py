"""The whole flow: shop → teacher → labels → students and twins → evaluation → report.

Each stage is a function of the run so far (``stages.py``). Its artifact carries the fingerprint of everything it was
made from; a stage whose inputs did not change is not run again, and one that was killed goes on where it was. Before
the teacher is trained, all models are created once (``rehearse.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from shopstill.core.artifact import Artifact, check_place
from shopstill.core.errors import ConfigError, nearest
from shopstill.models import families
from shopstill.pipeline.bundles import BUNDLE, about, bundle_of, ship, stated
from shopstill.pipeline.chains import Ground, chains, origins, sources
from shopstill.pipeline.compressed import Compressed, judge, named
from shopstill.pipeline.compressed import report as compressed_report
from shopstill.pipeline.flow import Run
from shopstill.pipeline.folds import folds_of, together
from shopstill.pipeline.rehearse import rehearse, rehearse_chains
from shopstill.pipeline.stages import distil, evaluate, findings, label, prepare, report, teach
from shopstill.recipe import Recipe
from shopstill.recipe.check import check
from shopstill.tasks import TEACHER
from shopstill.tasks._course import Form

__all__ = [
    "STAGES",
    "Compressed",
    "bundles",
    "compress",
    "cross_validate",
    "export",
    "export_browser",
    "findings",
    "run",
]

STAGES = ("prepare", "teach", "label", "distil", "evaluate", "report")


def run(recipe: Recipe, until: str = "report") -> list[Artifact]:
    """All stages of a recipe, in order, up to one of them.

    Returns:
        the artifacts, in the order they were made.

    Raises:
        ConfigError: the stage is unknown, ``check`` finds a fault in the recipe, or a model cannot be created.
    """
    if until not in STAGES:
        raise ConfigError(f"unknown stage {until!r}: {nearest(until, STAGES)}")
    check(recipe)
    flow = Run(recipe)
    wanted = STAGES[: STAGES.index(until) + 1]
    shop = prepare(flow)
    made = [shop]
    if "teach" in wanted:
        rehearse(flow, shop, wanted)
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


def bundles(recipe: Recipe, made: Sequence[Artifact]) -> dict[str, Path]:
    """Folders of the bundles of a run's students, in the recipe's order, and of its teacher where that is one model.

    Args:
        recipe: the run.
        made: what ``run`` made of it.
    """
    flow = Run(recipe)
    students = {artifact.path.name: artifact for artifact in made if artifact.kind == "student"}
    found = sources(next(artifact for artifact in made if artifact.kind == "teach"), students)
    order = sorted(found, key=lambda name: name == TEACHER)
    return {name: bundle_of(flow, name, *found[name]).path / BUNDLE for name in order}


def compress(recipe: Recipe) -> Compressed:
    """Every chain of a recipe, each step shipped as a bundle; all of them, the teacher and the students are judged.

    Raises:
        ConfigError: the recipe has no chain, ``check`` finds a fault in it, or a model cannot be created.
        QualityLoss: a guard refuses a step.
    """
    if not recipe.compress:
        raise ConfigError(
            "compress: the recipe has no chain; add one, such as compress: {small: {of: fast, passes: [tables]}}"
        )
    made = run(recipe, "distil")
    students = {artifact.path.name: artifact for artifact in made if artifact.kind == "student"}
    ground = Ground(flow=Run(recipe), shop=made[0], teacher=made[1], labels=made[2])
    rehearse_chains(ground.flow, {name: folder for name, (_, folder) in sources(made[1], students).items()})
    models = chains(ground, origins(ground, students))
    judged = judge(ground, models)
    return Compressed(
        models=models, judged=judged, report=compressed_report(ground, models, judged, made), ground=ground
    )


def export(recipe: Recipe, name: str, folder: Path, form: Form = "onnx") -> Path:
    """A model of a run as a folder to ship; its card and manifest say how it was judged.

    Args:
        recipe: the run; what it lacks is made.
        name: ``teacher``, a student, a chain (its last step) or a step, such as ``small/2-tables``.
        folder: where the model will be; an older one there is replaced.
        form: ``onnx``, a bundle; or ``hf``, a folder that transformers or sentence-transformers load.

    Returns:
        The folder.

    Raises:
        ConfigError: there is no model of this name, or it cannot be written in this form.
        ArtifactError: something else lies in the folder, or the bundle's scores are not the model's.
    """
    check_place(folder)
    if name.partition("/")[0] in recipe.compress:
        done = compress(recipe)
        step = named(done.models, name)
        told = stated(step)
        return ship(done.ground.flow, families.load(step.model), told, done.judged, folder, form, name=name)
    if name != TEACHER and name not in recipe.students:
        known = [TEACHER, *recipe.students, *recipe.compress]
        raise ConfigError(f"model {name!r}: {nearest(name, known)}")
    made = run(recipe, "evaluate")
    flow = Run(recipe)
    found = sources(made[1], {artifact.path.name: artifact for artifact in made if artifact.kind == "student"})
    if name not in found:
        raise ConfigError(f"model {name!r}: this teacher is not one model; {nearest(name, found)}")
    source, place = found[name]
    model = families.load(place)
    return ship(flow, model, about(flow, name, source, model), made[-1], folder, form)


def export_browser(recipe: Recipe, name: str, folder: Path, products: Path | None = None) -> Path:
    """A student as a folder that searches a catalogue in a tab, with no server.

    Args:
        recipe: the run; what it lacks is made.
        name: a student, a chain, or a step.
        folder: where it will be.
        products: the catalogue, as ``shopstill serve`` takes it; the run's own shop where None.

    Returns:
        The folder.

    Raises:
        ConfigError: there is no model of this name.
        DataError: the model cannot find products by itself, or the catalogue is faulty.
        ArtifactError: something else lies in the folder, or what browsers need of others cannot be had.
    """
    from shopstill.export.browser import write_browser
    from shopstill.serve.products import read_products

    check_place(folder)
    with TemporaryDirectory() as aside:
        bundle = export(recipe, name, Path(aside) / "bundle")
        found, _ = read_products(products or run(recipe, "prepare")[0].path)
        return write_browser(bundle, found, folder)


def cross_validate(recipe: Recipe, folds: int) -> list[Artifact]:
    """Run a recipe on each of several folds, and judge every query by the models that did not learn from it.

    Folds share the label store; times and sizes are the first fold's.

    Args:
        recipe: the run; of its split, ``valid`` and ``seed`` count.
        folds: how many parts the queries are dealt into; each is the test part once.

    Returns:
        The first fold's artifacts, with the evaluation and report of all folds in place of its own.

    Raises:
        ConfigError: there are fewer than two folds, or ``check`` finds a fault in the recipe.
    """
    parts = folds_of(recipe, folds)
    return together(recipe, parts, [run(part, "evaluate") for part in parts])
