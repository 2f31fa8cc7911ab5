"""Pruned channels are really gone: from the weights, from the folder, from the graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.label.conftest import CLASS_N, CLASSES, IMAGES, SIZE, TITLES, inputs, make, rows
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from shopstill.compress import PASSES
from shopstill.compress._calibration import Calibration
from shopstill.compress.channels import Channels
from shopstill.core.errors import ConfigError
from shopstill.models import families
from shopstill.models.label import Augment, Augmented, LabelModel, LabelRows, create
from shopstill.models.vision import counts
from shopstill.train.batches import Examples
from shopstill.train.predict import predict
from shopstill.train.training import Training
from shopstill.types import Term

__all__ = ["make", "rows"]

PICTURES = [*IMAGES, "both, cross", "both, late, bag"]
GRAPHS = ["resnet 50", "mobilenet, squeezed", "efficientnet_lite", "both, cross"]
"""Whose graphs are looked at here; to trace one takes seconds, and bundles of every kind have tests of their own."""
WAYS: list[dict[str, Any]] = [
    {"importance": "taylor"},
    {"importance": "activation", "scope": "layer"},
    {"importance": "magnitude", "multiple": 4},
]


def logits(model: LabelModel, rows: LabelRows) -> np.ndarray:
    return predict(model.network, model.network.feed(model.tokenizer, rows)).logits


def calibration(rows: LabelRows, folder: Path) -> Calibration:
    every = np.arange(len(TITLES))

    def examples(model: LabelModel, most: int | None = None) -> Examples:
        feed = model.network.feed(model.tokenizer, rows)
        teacher = 3 * np.eye(3, dtype=np.float32)[CLASS_N]
        return Examples(feed=feed, target_N=CLASS_N, group_N=every, teacher_N=teacher)

    def judge(model: LabelModel) -> Any:
        feed = model.network.feed(model.tokenizer, rows)
        return lambda network: {"accuracy": float((predict(network, feed).logits.argmax(-1) == CLASS_N).mean())}

    return Calibration(
        examples=examples,
        objective=(Term(loss="soft"), Term(loss="cross_entropy")),
        judge=judge,
        create=lambda wanted, assistant: create(wanted, CLASSES, assistant, 0, SIZE),
        texts=lambda: iter(TITLES),
        training=Training(epochs=20, batch_rows=4, learning_rate=5e-3),
        folder=folder,
    )


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way["importance"])
@pytest.mark.parametrize("kind", PICTURES)
def test_channels_go_and_what_is_left_is_a_model(
    kind: str, way: dict[str, Any], make: Any, rows: LabelRows, tmp_path: Path
) -> None:
    model, untouched = make(kind), make(kind)
    given = calibration(rows, tmp_path / "fit")
    made = Channels(share=0.5, **{"multiple": 2, **way}).apply(model, given)
    before, after = counts(model.network), counts(made.network)
    assert before.keys() == after.keys()
    assert sum(after.values()) < 0.6 * sum(before.values())
    assert given.notes["channels"] == after
    assert made.parameters < model.parameters
    assert all(torch.equal(v, untouched.network.state_dict()[n]) for n, v in model.network.state_dict().items())
    families.save(made, tmp_path / "made")
    found = logits(made, rows)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(logits(families.load(tmp_path / "made"), rows), found)
    again = Channels(share=0.5, **{"multiple": 2, **way}).apply(make(kind), calibration(rows, tmp_path / "fit"))
    np.testing.assert_array_equal(logits(again, rows), found)


def test_what_augmentation_draws_follows_from_the_seed(make: Any, rows: LabelRows, tmp_path: Path) -> None:
    """Whatever drew numbers before: a chain that goes on after a kill, or beside others, finds the same channels."""
    plain, model = calibration(rows, tmp_path / "fit"), make("resnet 18")

    def examples(given: LabelModel, most: int | None) -> Augmented:
        return Augmented(examples=plain.examples(given, most), augment=Augment(shift=2), classes=3)

    given, found = replace(plain, examples=examples), []
    for draws in (0, 3):
        torch.rand(draws)
        made = Channels(share=0.5, multiple=1).apply(model, given)
        found.append({name: value.clone() for name, value in made.network.state_dict().items()})
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())
    batch, still = next(iter(given.batches(model, 8))), next(iter(plain.batches(model, 8)))
    assert not torch.equal(batch.inputs["image_BHWC"], still.inputs["image_BHWC"])


def _flops(model: LabelModel, rows: LabelRows) -> int:
    """What torch counts for the convolutions of one row."""
    with FlopCounterMode(display=False) as counter:
        model.network(**inputs(model, rows))
    found = counter.get_flop_counts()["Global"]
    return sum(count for op, count in found.items() if "conv" in str(op))


@pytest.mark.parametrize("kind", ["resnet 18", "both, late, bag"])
def test_a_share_of_the_multiplications_stays(kind: str, make: Any, rows: LabelRows, tmp_path: Path) -> None:
    """By torch's own count of what the convolutions do, which knows nothing of names and channels."""
    model = make(kind)
    given = calibration(rows, tmp_path / "fit")
    made = Channels(share=0.5, scope="multiplications", multiple=1).apply(model, given)
    assert 0.4 < _flops(made, rows) / _flops(model, rows) <= 0.51  # linear layers count as well
    by_count = Channels(share=0.5, multiple=1).apply(model, given)
    assert counts(made.network) != counts(by_count.network)


def _silenced(model: LabelModel, gone: int) -> dict[str, Tensor]:
    """Channels of every name made silent, so that their going changes nothing; returns those that speak."""
    from shopstill.compress.channels import _affine, _places, _writers

    every = _places(model.network)
    draw = torch.Generator().manual_seed(0)
    speak = {}
    for name, count in counts(model.network).items():
        silent = torch.randperm(count, generator=draw)[: min(gone, count - 1)]
        speak[name] = torch.tensor([n for n in range(count) if n not in silent.tolist()])
        for value in (value for place in _writers(name, every) for value in _affine(place)):
            value.data[silent] = 0
    return speak


@pytest.mark.parametrize("kind", PICTURES)
def test_channels_that_say_nothing_go_first_and_nothing_changes(
    kind: str, make: Any, rows: LabelRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of rows and columns, and who reads whom, is right for every kind: else scores would change."""
    model = make(kind)
    speak = _silenced(model, 2)
    monkeypatch.setattr("shopstill.compress.channels.kept", lambda scores, *_: {n: speak[n] for n in scores})
    monkeypatch.setattr("shopstill.compress.channels._renorm", lambda *_: None)
    made = Channels().apply(model, calibration(rows, tmp_path / "fit"))
    assert counts(made.network) == {name: len(found) for name, found in speak.items()}
    # A silent squeezing unit or a hard swish of 0 is 0 as well.
    np.testing.assert_allclose(logits(made, rows), logits(model, rows), rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("importance", ["taylor", "activation", "magnitude"])
@pytest.mark.parametrize("kind", ["resnet 18", "mobilenet"])
def test_silent_channels_matter_least(kind: str, importance: Any, make: Any, rows: LabelRows, tmp_path: Path) -> None:
    from shopstill.compress.channels import _places

    model = make(kind)
    speak = _silenced(model, 3)
    one = Channels(importance=importance)
    scores = one._scores(model, calibration(rows, tmp_path / "fit"), _places(model.network))
    for name, found in scores.items():
        silent = [n for n in range(len(found)) if n not in speak[name].tolist()]
        assert float(found[silent].max()) == 0, name
        assert float(found[speak[name]].max()) > 0, name


def test_taylor_is_the_slope_of_the_objective_as_a_channel_fades(
    make: Any, rows: LabelRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked by differences: all that writes a channel is faded by a little."""
    from shopstill.compress.channels import _places, _writers
    from shopstill.models.vision import reader

    model, given = make("resnet 18"), calibration(rows, tmp_path / "fit")
    model.network.double()
    monkeypatch.setattr(reader, "normalised", lambda x: ((x.double() - 127) / 128).permute(0, 3, 1, 2))
    given_rows = list(given.batches(model, 8, batch_rows=16))
    assert len(given_rows) == 1
    every, name, channel, small = _places(model.network), "stage1", 3, 1e-6
    found = Channels()._scores(model, given, every)[name][channel]

    def loss(by: float) -> float:
        for place in _writers(name, every):
            norm = getattr(place.owner, place.norm or "")
            with torch.no_grad():
                norm.weight[channel] *= by
                norm.bias[channel] *= by
        return float(given.loss(model, given_rows[0]).detach())

    high = loss(1 + small)
    low = loss((1 - small) / (1 + small))
    assert float(found) == pytest.approx(((high - low) / (2 * small)) ** 2, rel=1e-3)


def test_norms_know_their_new_inputs(make: Any, rows: LabelRows, tmp_path: Path) -> None:
    made = Channels(multiple=2).apply(make("resnet 18"), calibration(rows, tmp_path / "fit"))
    norms = [m for m in made.network.modules() if isinstance(m, nn.BatchNorm2d)]
    seen: dict[nn.Module, Tensor] = {}
    hooks = [norm.register_forward_pre_hook(lambda own, given: seen.update({own: given[0]})) for norm in norms]
    known = {norm: norm.running_mean.clone() for norm in norms}
    with torch.inference_mode():
        made.network.train()(**inputs(made, rows))
    for hook in hooks:
        hook.remove()
    for norm in norms:
        torch.testing.assert_close(seen[norm].mean((0, 2, 3)), known[norm], rtol=1e-3, atol=1e-3)


def test_a_pruned_model_recovers(make: Any, rows: LabelRows, tmp_path: Path) -> None:
    given = calibration(rows, tmp_path / "fit")
    made = Channels(share=0.5, multiple=2).apply(make("small_cnn"), given)
    recovered = PASSES.get("recover")().apply(made, given)
    assert counts(recovered.network) == counts(made.network)
    assert given.quality(recovered) >= 7 / 8


def test_milder_forms_end() -> None:
    one, found = Channels(share=0.5), []
    while one is not None:
        found.append(one.share)
        one = one.milder()
    assert found == [0.5, 0.75, 0.875, 0.9375]


def test_models_that_it_does_not_fit_are_refused(make: Any, rows: LabelRows, tmp_path: Path) -> None:
    given = calibration(rows, tmp_path / "fit")
    with pytest.raises(ConfigError, match="no convolutions; leave the pass out"):
        Channels().apply(make("bag"), given)
    quantized = PASSES.get("weight_only")(group=0).apply(make("mobilenet, squeezed"), given)
    with pytest.raises(ConfigError, match="compact already; put channels before"):
        Channels().apply(quantized, given)


class Seeing(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image_BHWC: Tensor) -> Tensor:
        return self.network.padded(image_BHWC)


class Reading(Seeing):
    def forward(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        return self.network.padded(ids_BT, mask_BT)


class SeeingAndReading(Seeing):
    def forward(self, image_BHWC: Tensor, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        return self.network.padded(image_BHWC, ids_BT, mask_BT)


def _traced(model: LabelModel, folder: Path, rows: LabelRows) -> np.ndarray:
    """The logits of a model's graph, pictures of uint8 going in."""
    onnxruntime = pytest.importorskip("onnxruntime")
    onnx_ir = pytest.importorskip("onnx_ir")
    from shopstill.export.graphs import Graph, trace

    given, wrapper = inputs(model, rows), Seeing
    if "ids_S" in given:
        ids, length = given.pop("ids_S"), given.pop("length_B")
        mask = torch.arange(int(length.max())) < length[:, None]
        rectangle = torch.zeros(mask.shape, dtype=torch.int64)
        rectangle[mask] = ids
        wrapper = SeeingAndReading if given else Reading
        given |= {"ids_BT": rectangle, "mask_BT": mask}
    axes = {name: {0: "batch", **({} if name == "image_BHWC" else {1: "tokens"})} for name in given}
    traced = trace(Graph(module=wrapper(model.network), inputs=given, outputs=("logits",), axes=axes))
    folder.mkdir()
    onnx_ir.save(traced, folder / "model.onnx")
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    found = {name: value.numpy()[:5] for name, value in given.items()}
    return session.run(None, found)[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*GRAPHS, "bag", "text, mean"])
def test_the_graph_says_what_the_model_says(kind: str, make: Any, rows: LabelRows, tmp_path: Path) -> None:
    """Normalisation is in the graph; whole and, where there are channels, pruned."""
    model = make(kind)
    if kind in GRAPHS:
        model = Channels(multiple=2).apply(model, calibration(rows, tmp_path / "fit"))
    np.testing.assert_allclose(_traced(model, tmp_path / "graph", rows), logits(model, rows)[:5], rtol=1e-3, atol=1e-3)
    assert model.size in (SIZE, None)
