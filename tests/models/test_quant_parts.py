"""Parts that compute or store in few bits: how near they are, how small, and that their graphs compute the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from shopstill.models.compact import put_back, stand_ins
from shopstill.models.compact._grid import Grouped, grid_of, on_grid
from shopstill.models.compact._part import LinearPart, TablePart
from shopstill.models.compact.half import Half
from shopstill.models.compact.half_table import HalfTable
from shopstill.models.compact.int8_dynamic import Int8Dynamic
from shopstill.models.compact.int8_static import Int8Static
from shopstill.models.compact.packed import Packed
from shopstill.models.compact.packed_table import PackedTable

INPUTS, OUTPUTS, VOCABULARY = 160, 128, 200
LINEARS: dict[str, tuple[Callable[[Tensor, Tensor | None], LinearPart], float]] = {
    "int8, static": (lambda w, b: Int8Static.of(w, b, *grid_of(-4.5, 4.5)), 0.02),
    "int8, dynamic": (Int8Dynamic.of, 0.02),
    "int8, a grid a row": (lambda w, b: Int8Dynamic.of(w, b, rows=True), 0.02),
    "8 bits": (lambda w, b: Packed.of(w, b, bits=8, group=0), 0.01),
    "4 bits in groups": (lambda w, b: Packed.of(w, b, bits=4, group=20), 0.12),
    "float16": (Half.of, 0.001),
}
TABLES: dict[str, tuple[Callable[[Tensor], TablePart], float]] = {
    "8 bits": (lambda w: PackedTable.of(w, bits=8, group=0), 0.01),
    "4 bits in groups": (lambda w: PackedTable.of(w, bits=4, group=20), 0.12),
    "float16": (HalfTable.of, 0.001),
}


def _dense(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(INPUTS, OUTPUTS)


def _far(one: Tensor, other: Tensor) -> float:
    return float(((one - other).square().mean() / other.square().mean()).sqrt().detach())


@pytest.mark.parametrize("name", LINEARS)
def test_linear_parts_stay_near_the_dense_layer(name: str) -> None:
    make, limit = LINEARS[name]
    dense, x = _dense(), torch.randn(7, 5, INPUTS).clamp(-4, 4)
    part = make(dense.weight, dense.bias)
    assert _far(part(x), dense(x)) < limit
    assert _far(part.weight, dense.weight) < limit
    assert make(dense.weight, None).bias is None


@pytest.mark.parametrize("name", TABLES)
def test_tables_stay_near_and_unpack_the_rows_that_are_asked_for(name: str) -> None:
    make, limit = TABLES[name]
    dense, ids = torch.randn(VOCABULARY, INPUTS), torch.tensor([[3, 0], [199, 3]])
    part = make(dense)
    assert _far(part.weight, dense) < limit
    assert torch.equal(part(ids), part.weight[ids])


@pytest.mark.parametrize("name", LINEARS)
def test_parts_are_built_again_from_what_they_state(name: str) -> None:
    dense, x = _dense(), torch.randn(3, INPUTS)
    made = nn.ModuleDict({"layer": LINEARS[name][0](dense.weight, dense.bias)})
    again = nn.ModuleDict({"layer": nn.Linear(INPUTS, OUTPUTS)})
    put_back(again, stand_ins(made))
    again.load_state_dict(made.state_dict())
    assert torch.equal(again["layer"](x), made["layer"](x))


def test_a_row_depends_on_no_other_but_where_the_grid_spans_all_rows() -> None:
    dense, x = _dense(), torch.randn(6, INPUTS)
    company = torch.cat([x, 30 * x])
    for name, (make, _) in LINEARS.items():
        part = make(dense.weight, dense.bias)
        same = torch.allclose(part(company)[:6], part(x), atol=1e-5)
        assert same == part.batch_invariant == (name != "int8, dynamic"), name


def test_int8_weights_leave_room_for_16_bit_sums() -> None:
    """With codes beyond 64, chips that add pairs of products in 16 bits would cut sums off."""
    codes = Int8Static.of(torch.tensor([[1.0, -1.0, 0.3]]), None, 1.0, 0).codes_IO
    assert codes.abs().max() * 255 * 2 < 2**15


def test_gradients_go_straight_through_the_rounding_and_stop_where_values_are_cut_off() -> None:
    x = torch.tensor([0.34, 5.0], requires_grad=True)
    (on_grid(x, torch.tensor(0.01), torch.tensor(0.0)) * 0.01).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx([1.0, 0.0])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 40), st.sampled_from([4, 8]), st.integers(0, 9), st.integers(-12, 12))
def test_grouped_codes_are_within_half_a_step_or_better_than_that(
    rows: int, columns: int, bits: int, group: int, power: int
) -> None:
    torch.manual_seed(columns)
    weight = torch.randn(rows, columns) * 2.0 ** (power / 2)
    stored = Grouped(rows, columns, bits, group)
    stored.fill(weight)
    top = 2 ** (bits - 1) - 1
    step = weight.abs().amax() / top
    assert stored.whole().shape == weight.shape
    # The steps themselves are rounded to float16, and no smaller than it can tell apart.
    assert (stored.whole() - weight).square().mean().sqrt() <= 0.51 * step + 2**-14
    assert torch.equal(stored.some(torch.arange(rows)), stored.whole())


class _Everything(nn.Module):
    """Each part beside the others, on the same inputs."""

    def __init__(self) -> None:
        super().__init__()
        dense, table = _dense(), torch.randn(VOCABULARY, INPUTS).clamp(-4, 4)
        self.linears = nn.ModuleList(make(dense.weight, dense.bias) for make, _ in LINEARS.values())
        self.tables = nn.ModuleList(make(table) for make, _ in TABLES.values())
        full = torch.full((OUTPUTS, INPUTS), 0.5)
        self.hardest = Int8Static.of(full, None, *grid_of(0.0, 4.0))

    def forward(self, x_BTI: Tensor, ids_BT: Tensor) -> tuple[Tensor, ...]:
        rows = [part(ids_BT) for part in self.tables]
        return (*(part(x_BTI) for part in self.linears), *rows, self.hardest(x_BTI))


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> tuple[_Everything, Path]:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path_factory.mktemp("graph") / "parts.onnx"
    module = _Everything().eval()
    example = (torch.randn(2, 3, INPUTS), torch.zeros(2, 3, dtype=torch.long))
    axes = {0: torch.export.Dim("B"), 1: torch.export.Dim("T")}
    program = torch.onnx.export(
        module, example, dynamo=True, opset_version=20, dynamic_shapes=(axes, axes), verbose=False
    )
    assert program is not None
    program.save(str(path))
    return module, path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_graphs_compute_what_was_judged_keep_weights_small_and_multiply_integers(
    graph: tuple[_Everything, Path], tmp_path: Path
) -> None:
    import onnx
    import onnxruntime as ort

    module, path = graph
    options = ort.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "optimised.onnx"), 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    x, ids = torch.randn(4, 9, INPUTS).clamp(-4, 4), torch.randint(0, VOCABULARY, (4, 9))
    x[0, 0] = 4.0
    with torch.inference_mode():
        wanted = module(x, ids)
    found: list[Any] = session.run(
        None, dict(zip([i.name for i in session.get_inputs()], (x.numpy(), ids.numpy()), strict=True))
    )
    for number, (one, other) in enumerate(zip(found, wanted, strict=True)):
        assert np.allclose(one, other.numpy(), rtol=1e-5, atol=1e-4), number
    stored = sum(value.numel() * value.element_size() for value in module.state_dict().values())
    held = sum(len(constant.raw_data) for constant in onnx.load(path).graph.initializer)
    assert held < 1.1 * stored
    ran = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert ran["MatMulIntegerToFloat"] + ran["DynamicQuantizeMatMul"] == 4, ran
