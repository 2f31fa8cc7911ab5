"""Convolutions in int8: near the ones they stand for, rebuilt from their sizes, and one operator each where served."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.compress.test_channels import calibration, logits
from tests.export.label_kit import FORM
from tests.models.label.conftest import inputs, make, rows
from torch import nn

from shopstill.compress import PASSES
from shopstill.export.bundle import About
from shopstill.export.label import write_label_bundle
from shopstill.export.parity import INT8, TOLERANCE, allowed
from shopstill.models import families
from shopstill.models.compact.int8_conv import Int8Conv, folded
from shopstill.models.label import LabelModel, LabelRows
from shopstill.models.vision import counts
from shopstill.serve.bundle.manifest import read

__all__ = ["make", "rows"]

INT8_STATIC = PASSES.get("int8_static")


def _parts(model: LabelModel) -> dict[str, Int8Conv]:
    return {name: part for name, part in model.network.named_modules() if isinstance(part, Int8Conv)}


@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (1, 2), (6, 1)])
def test_a_part_is_near_its_convolution_and_norm(groups: int, stride: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 6, 3, stride, 1, groups=groups, bias=False)
    norm = nn.BatchNorm2d(6).eval()
    with torch.no_grad():
        for value in (norm.weight, norm.running_var):
            value.uniform_(0.5, 2)
        for value in (norm.bias, norm.running_mean):
            value.normal_()
    conv.requires_grad_(False), norm.requires_grad_(False)
    x = torch.rand(5, 6, 9, 7) * 4 - 1
    exact = norm(conv(x))
    weight, bias = folded(conv, norm)
    close = torch.nn.functional.conv2d(x, weight, bias, stride, 1, groups=groups)
    torch.testing.assert_close(close, exact, atol=1e-4, rtol=1e-4)
    top = float(exact.max())
    part = Int8Conv.of(conv, norm, (4 / 255, 64), (top / 255, 0))
    found, expected = part(x), exact.relu()
    assert found.min() >= 0, "the grid begins at 0, which is ReLU"
    assert float((found - expected).square().mean().sqrt()) < 0.03 * float(expected.std())
    again = Int8Conv(**part.sizes)
    again.load_state_dict(part.state_dict())
    assert torch.equal(again(x), found)
    assert torch.equal(part(x[2:3]), found[2:3]), "a picture depends on no other"


def test_a_channel_that_is_constant_keeps_its_bias() -> None:
    """Its weights are 0, and have no scale of their own."""
    conv, norm = nn.Conv2d(2, 2, 1, bias=False), nn.BatchNorm2d(2).eval()
    with torch.no_grad():
        conv.weight[0] = 0
        norm.bias[:] = torch.tensor([3.0, 0.0])
    found = Int8Conv.of(conv, norm, (0.01, 0), (4 / 255, 0))(torch.rand(1, 2, 3, 3))
    assert float(found[0, 0].mean()) == pytest.approx(3, abs=0.02)


@pytest.mark.parametrize("kind", ["small_cnn", "resnet 18", "efficientnet_lite"])
def test_a_network_is_near_is_saved_and_says_what_it_left(
    kind: str, make: Any, rows: LabelRows, tmp_path: Path
) -> None:
    model, given = make(kind), calibration(rows, tmp_path / "fit")
    made = INT8_STATIC(bound=None).apply(model, given)
    parts = _parts(made)
    convolutions = [m for m in model.network.modules() if isinstance(m, nn.Conv2d)]
    assert len(parts) == len(convolutions) - 1, "all but what reads pixels"
    assert not _parts(model)
    assert counts(made.network) == counts(model.network)
    one, other = logits(model, rows), logits(made, rows)
    assert 0 < np.abs(one - other).max() < 0.5 * np.ptp(one)
    families.save(made, tmp_path / "made")
    np.testing.assert_array_equal(logits(families.load(tmp_path / "made"), rows), other)
    assert (allowed(model.network), allowed(made.network)) == (TOLERANCE, INT8)
    assert given.notes["int8_static"]["layers"] == len(parts)


def test_a_bound_leaves_convolutions_out(make: Any, rows: LabelRows, tmp_path: Path) -> None:
    given = calibration(rows, tmp_path / "fit")
    every = INT8_STATIC(bound=None).apply(make("resnet 18"), given)
    shifts = []
    for bound in (0.2, 0.02):
        try:
            shifts.append(len(_parts(INT8_STATIC(bound=bound).apply(make("resnet 18"), given))))
        except ValueError:
            shifts.append(0)
    assert len(_parts(every)) >= shifts[0] >= shifts[1]
    assert shifts[1] < len(_parts(every))


def test_pruned_channels_then_int8(make: Any, rows: LabelRows, tmp_path: Path) -> None:
    """Networks that lost channels are rebuilt with the channels that they have, whatever their layers became."""
    given = calibration(rows, tmp_path / "fit")
    thin = PASSES.get("channels")(share=0.5, multiple=2).apply(make("small_cnn"), given)
    made = INT8_STATIC(bound=None).apply(thin, given)
    families.save(made, tmp_path / "made")
    loaded = families.load(tmp_path / "made")
    assert counts(loaded.network) == counts(thin.network)
    with torch.inference_mode():
        assert torch.equal(loaded.network(**inputs(loaded, rows)).logits, made.network(**inputs(made, rows)).logits)


def test_a_bundle_runs_one_operator_for_each(make: Any, rows: LabelRows, tmp_path: Path) -> None:
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    pytest.importorskip("PIL", reason="Pillow reads the pictures")
    made = INT8_STATIC(bound=None).apply(make("small_cnn"), calibration(rows, tmp_path / "fit"))
    dense = make("small_cnn")
    folder = write_label_bundle(made, tmp_path / "int8", about=About(name="int8"), rows=rows, pictures=FORM)
    manifest = read(folder)
    assert manifest.scheme == "int8 (folded, int8_conv)"
    assert manifest.batch_invariant
    assert manifest.parity["difference"] < 0.05
    stored = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    weights = sum(m.weight.numel() for m in dense.network.modules() if isinstance(m, nn.Conv2d))
    assert stored < 4 * weights
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "run.onnx")
    onnxruntime.InferenceSession(folder / "classes.onnx", options, providers=["CPUExecutionProvider"])
    run = Counter(node.op_type for node in onnx.load(tmp_path / "run.onnx", load_external_data=False).graph.node)
    assert run["QLinearConv"] == len(_parts(made)) == 2
