"""Chains of passes on real grades: quality with its interval, size, and time as served, beside onnxruntime's own int8.

Every bundle that ``shopstill compress`` makes of a recipe (the teacher, the students, each step of each chain), and of
the teacher and the students that read pairs also what ``onnxruntime.quantization.quantize_dynamic`` makes of the same
graph (per channel, its other defaults), are judged on the same test queries and timed in turn in one process: 100
candidates from a query's text, products ahead, one thread. A size is that of all files that a server needs.

Run: ``python -m benchmarks.compression``, or with ``--runs`` naming the folder of a run that is there.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks._bench import publish

from shopstill import pipeline, recipe
from shopstill.evaluate.compare import Judging
from shopstill.evaluate.findings import Findings
from shopstill.evaluate.latency import Timing
from shopstill.evaluate.size import size_of
from shopstill.evaluate.steps import Step
from shopstill.evaluate.words import interval, milliseconds, number, share, size, times
from shopstill.pipeline.bundles import BUNDLE, PARTS, scores_of
from shopstill.pipeline.compressed import Compressed
from shopstill.pipeline.lineup import Lineup
from shopstill.serve.bundle import manifest as form
from shopstill.tasks import TEACHER

THEIRS = "{} (onnxruntime's int8)"


def main() -> None:
    """Make what is missing, judge and time all of it, print and publish."""
    arguments = _arguments()
    wanted = recipe.read(arguments.recipe, [f"runs={arguments.runs}", *arguments.set])
    done = pipeline.compress(wanted)
    timing = Timing(candidates=(100,), threads=(1,), seconds=arguments.seconds)
    with TemporaryDirectory() as folder:
        theirs = _theirs(done, Path(folder))
        findings = _judged(done, theirs, wanted.judging, timing)
    rows = [_row(findings, model) for model in findings.sizes]
    figures = {
        "steps": [asdict(step) for step in findings.steps],
        "front": findings.front,
        "evaluation": findings.evaluation.plain() | {"slices": [], "disagreements": []},
        "sizes": {model: asdict(own) for model, own in findings.sizes.items()},
        "latency": asdict(findings.latency) if findings.latency else None,
    }
    columns = ("model", "made by", "NDCG@10", "kept", "Spearman", "kept", "size", "p50", "times as fast", "front")
    publish(f"{wanted.name}: every step, as served", columns, rows, figures)


def _theirs(done: Compressed, folder: Path) -> dict[str, Path]:
    """Of every origin with a graph of pairs, a bundle whose graph onnxruntime's own tool has quantized."""
    made = {}
    for model in done.models:
        source = model.bundle.path / BUNDLE
        if model.step is None and (source / "pair.onnx").exists():
            made[THEIRS.format(model.name)] = _quantized(source, folder / model.name)
    return made


def _quantized(source: Path, folder: Path) -> Path:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    shutil.copytree(source, folder)
    quantize_dynamic(
        onnx.load(source / "pair.onnx"), folder / "pair.onnx", per_channel=True, weight_type=QuantType.QInt8
    )
    others = [path for path in folder.glob("*.onnx") if path.name != "pair.onnx"]
    if not others:
        (folder / form.WEIGHTS).unlink()
    stated = json.loads((folder / form.MANIFEST).read_text(encoding="utf-8"))
    stated = {key: value for key, value in stated.items() if key not in ("files", "digest")}
    form.write(folder, {**stated, "scheme": "int8, by onnxruntime", "batch_invariant": False})
    return folder


def _judged(done: Compressed, theirs: Mapping[str, Path], judging: Judging, timing: Timing) -> Findings:
    ground, course = done.ground, done.ground.flow.course
    lineup = Lineup(course, ground.flow.labels(ground.teacher, ground.labels))
    for model in done.models:
        lineup.take(model.name, scores_of(model), "teacher" if model.name == TEACHER else "student")
    for name, folder in theirs.items():
        lineup.take(name, {part: course.served(part, folder) for part in PARTS}, "student")
    bundles = {model.name: model.bundle.path / BUNDLE for model in done.models} | theirs
    costs = course.served_costs(bundles, {}, timing)
    return Findings(
        title="",
        evaluation=lineup.scored().judge(replace(judging, slice_resamples=100, disagreements=0)),
        latency=costs.latency,
        sizes={name: size_of(folder, alone=costs.alone.get(name)) for name, folder in bundles.items()},
        steps=[model.step for model in done.models if model.step is not None]
        + [Step(name=name, parent=name.partition(" (")[0], told="onnxruntime's quantize_dynamic") for name in theirs],
    )


def _row(findings: Findings, model: str) -> list[str]:
    told = {step.name: step.told for step in findings.steps}
    cell, ratio = findings.cell(model), findings.ratio(model)
    row = [model, told.get(model, "")]
    for metric in ("ndcg@10", "spearman"):
        score, part = findings.evaluation.score(model, metric), findings.evaluation.kept_by(model, metric)
        row.append(f"{number(score.estimate.value)} {interval(score.estimate)}" if score else "")
        row.append(share(part.headroom) if part and part.headroom else "")
    row += [size(findings.sizes[model].bytes), milliseconds(cell.p50) if cell else ""]
    return [*row, times(ratio.times.value) if ratio else "", "★" if model in findings.front else ""]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/homedepot.yaml"))
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="folder of runs; what is there is not made again"
    )
    parser.add_argument("--seconds", type=float, default=120, help="of timing, all contenders together")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
