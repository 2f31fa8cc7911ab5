"""Passes that quantize: what they leave of a model's scores, what they leave out, and what they refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from shopstill.compress import PASSES
from shopstill.compress._calibration import Calibration
from shopstill.compress._linears import Seen, linears, observe
from shopstill.core.errors import ConfigError
from shopstill.data.vectors import Codec
from shopstill.models import build
from shopstill.models.compact import put, stand_ins
from shopstill.testing import _pass_models as models
from shopstill.train.batches import Examples
from shopstill.train.training import Training
from shopstill.types import Signals, Term

FIELDS, ROWS = 12, 600
INT8 = ("int8_static", "int8_dynamic", "int8_aware")
LINEAR = (*INT8, "weight_only", "float16")


class Net(nn.Module):
    """A network of numbers whose middle layer is given a few huge values, which no grid holds well."""

    def __init__(self, huge: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.middle, self.last = nn.Linear(FIELDS, 24), nn.Linear(24, 24), nn.Linear(24, 1)
        with torch.no_grad():
            self.first.weight[0] *= huge
            self.middle.weight[:, 0] /= huge

    def forward(self, x_BF: Tensor) -> Signals:
        return Signals(logits=self.last(self.middle(self.first(x_BF).relu()).relu()).squeeze(-1))


@dataclass(frozen=True, kw_only=True)
class Model:
    network: Net


class Feed:
    """Rows of numbers."""

    def __init__(self, x_NF: np.ndarray) -> None:
        self._x = torch.from_numpy(x_NF)
        self.cost_N = np.ones(len(x_NF))

    def __len__(self) -> int:
        return len(self._x)

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        return {"x_BF": self._x[rows]}


X = np.random.default_rng(0).normal(size=(ROWS, FIELDS)).astype(np.float32)


def _scores(model: Any) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(model.network(torch.from_numpy(X)).logits.numpy())


def _calibration(folder: Path, teacher: Model) -> Calibration:
    truth = _scores(teacher)

    def examples(_: object, rows: int | None) -> Examples:
        cut = slice(rows)
        return Examples(feed=Feed(X[cut]), target_N=truth[cut], group_N=np.arange(len(X[cut])), teacher_N=truth[cut])

    def judge(_: object) -> Any:
        return lambda network: {"closeness": -float(np.square(_scores(_Of(network)) - truth).mean())}

    return Calibration(
        examples=examples,
        objective=(Term(loss="score_mse"),),
        judge=judge,
        texts=list,
        training=Training(epochs=3, batch_rows=50, learning_rate=1e-3, checkpoint_minutes=10),
        folder=folder,
    )


@dataclass(frozen=True)
class _Of:
    network: nn.Module


def _shift(model: Any, dense: Any) -> float:
    return float(np.sqrt(np.square(_scores(model) - _scores(dense)).mean()) / _scores(dense).std())


def _apply(kind: str, model: Any, folder: Path, options: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
    calibration = _calibration(folder, model)
    return PASSES.get(kind)(**(options or {})).apply(model, calibration), calibration.notes.get(kind)


@pytest.mark.parametrize("kind", LINEAR)
def test_scores_hardly_move_and_every_layer_is_stood_in_for(kind: str, tmp_path: Path) -> None:
    dense = Model(network=Net())
    made, note = _apply(kind, dense, tmp_path)
    assert set(stand_ins(made.network)) == {"first", "middle", "last"}
    assert not stand_ins(dense.network)
    assert 0 < _shift(made, dense) < 0.05
    assert note["layers"] == 3


def test_bits_are_what_they_cost(tmp_path: Path) -> None:
    dense = Model(network=Net())
    options = {"8": {"bits": 8}, "4": {"bits": 4}, "4, one scale": {"bits": 4, "group": 0}}
    shift = {name: _shift(_apply("weight_only", dense, tmp_path, own)[0], dense) for name, own in options.items()}
    assert shift["8"] < 0.2 * shift["4"]
    finer = _shift(_apply("weight_only", dense, tmp_path, {"bits": 4, "group": 4})[0], dense)
    assert finer < shift["4, one scale"]
    assert _shift(_apply("float16", dense, tmp_path)[0], dense) < shift["8"]


def test_a_bound_leaves_out_the_layer_that_costs_most(tmp_path: Path) -> None:
    hard = Model(network=Net(huge=200.0))
    free, _ = _apply("int8_static", hard, tmp_path, {"bound": None})
    bound, note = _apply("int8_static", hard, tmp_path, {"bound": 0.03})
    assert _shift(free, hard) > 0.03 >= note["shift"]
    assert note["left"] == ["middle"] == sorted(note["alone"], key=note["alone"].__getitem__)[-1:]
    assert set(stand_ins(bound.network)) == {"first", "last"}
    assert _shift(bound, hard) < 0.04


@pytest.mark.parametrize("kind", ["int8_static", "weight_only"])
def test_a_bound_that_nothing_holds_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{kind}: no layer .* bound 1e-09"):
        _apply(kind, Model(network=Net()), tmp_path, {"bound": 1e-9})


def test_a_grid_for_each_row_copes_with_rows_of_other_sizes(tmp_path: Path) -> None:
    class Scaled(Net):
        def forward(self, x_BF: Tensor) -> Signals:
            return super().forward(x_BF * (1 + 50 * (x_BF[:, :1] > 1.5)))

    dense = Model(network=Scaled())
    small = X[:, 0] <= 1.5
    off = {}
    for rows in (True, False):
        made, _ = _apply("int8_dynamic", dense, tmp_path, {"per_row": rows, "bound": None})
        off[rows] = np.abs(_scores(made) - _scores(dense))[small].mean()
    assert off[True] < 0.1 * off[False]


def test_training_with_the_rounding_brings_scores_nearer(tmp_path: Path) -> None:
    dense = Model(network=Net())
    plain, _ = _apply("int8_static", dense, tmp_path, {"bound": None})
    training = Training(epochs=20, batch_rows=50, learning_rate=1e-3, checkpoint_minutes=10)
    aware, _ = _apply("int8_aware", dense, tmp_path, {"training": training})
    assert {part["kind"] for part in stand_ins(aware.network).values()} == {"int8_static"}
    assert _shift(aware, dense) < 0.7 * _shift(plain, dense)


def test_training_that_spoils_is_not_taken(tmp_path: Path) -> None:
    dense = Model(network=Net())
    plain, _ = _apply("int8_static", dense, tmp_path, {"bound": None})
    wild = Training(epochs=1, batch_rows=50, learning_rate=0.3, checkpoint_minutes=10)
    aware, _ = _apply("int8_aware", dense, tmp_path, {"training": wild})
    assert _shift(aware, dense) == pytest.approx(_shift(plain, dense), rel=1e-3)


def test_layers_that_do_hardly_any_work_stay_as_they_are(tmp_path: Path) -> None:
    made, _ = _apply("int8_static", Model(network=Net()), tmp_path, {"least": 0.1})
    assert set(stand_ins(made.network)) == {"first", "middle"}


def test_a_layer_that_no_row_reaches_stays_as_it_is(tmp_path: Path) -> None:
    class Idle(Net):
        def __init__(self) -> None:
            super().__init__()
            self.idle = nn.Linear(500, 500)

    for kind in INT8:
        made, _ = _apply(kind, Model(network=Idle()), tmp_path / kind)
        assert set(stand_ins(made.network)) == {"first", "middle", "last"}, kind


def test_shared_layers_stay_shared() -> None:
    one = nn.Linear(3, 3)
    network = nn.Sequential(one, nn.Sequential(one), nn.Linear(3, 3))
    put(network, one, nn.Identity())
    assert network[0] is network[1][0]
    assert isinstance(network[0], nn.Identity)
    assert list(linears(network)) == ["2"]


def _seen(values: Tensor) -> Seen:
    one = Seen(low=float(values.min()), high=float(values.max()))
    one.add(values)
    return one


def test_percentiles_cut_off_what_is_rare() -> None:
    seen = _seen(torch.cat([torch.linspace(-1, 1, 100_001), torch.tensor([50.0])]))
    assert seen.range("minmax", 99.9) == (-1.0, 50.0)
    low, high = seen.range("percentile", 99.0)
    assert (low, high) == (pytest.approx(-0.98, abs=0.01), pytest.approx(0.98, abs=0.01))
    assert seen.range("percentile", 100.0) == (pytest.approx(-1.0, abs=0.01), pytest.approx(50.0, abs=0.01))


def test_entropy_cuts_off_long_tails_and_keeps_what_is_even() -> None:
    torch.manual_seed(0)
    long = torch.randn(200_000)
    long[:4] = torch.tensor([40.0, -40.0, 35.0, -35.0])
    assert _seen(long).range("entropy", 0)[1] < 20
    assert _seen(torch.linspace(-1, 1, 200_000)).range("entropy", 0)[1] > 0.95


def test_inputs_that_never_change_have_a_range() -> None:
    for values in (torch.zeros(9), torch.full((9,), 3.0)):
        for how in ("minmax", "percentile", "entropy"):
            low, high = _seen(values).range(how, 99.0)  # type: ignore[arg-type]
            assert (low, high) == (float(values[0]), float(values[0]))


def test_calibration_sees_the_range_of_every_layer(tmp_path: Path) -> None:
    model = Model(network=Net())
    seen = observe(model, _calibration(tmp_path, model), linears(model.network), ROWS, spread=True)
    assert (seen["first"].low, seen["first"].high) == (pytest.approx(X.min()), pytest.approx(X.max()))
    assert seen["middle"].low == 0.0
    assert seen["first"].work == ROWS * FIELDS * 24
    assert seen["last"].count_H is not None
    assert seen["last"].count_H.sum() == ROWS * 24


@pytest.mark.parametrize("options", [{"bits": 3}, {"group": -1}, {"bound": 0}, {"rows": 4}])
def test_options_out_of_bounds_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PASSES.get("weight_only")(**options)


@pytest.fixture(scope="module")
def text_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, build.TextModel]:
    stated = models.configurations(models.start(tmp_path_factory.mktemp("start") / "start"))
    return {kind: models.model(own) for kind, own in stated.items()}


def test_what_numpy_serves_is_left_alone(text_models: dict[str, build.TextModel], tmp_path: Path) -> None:
    calibration = models.calibration(tmp_path)
    made = PASSES.get("int8_dynamic")(bound=None, least=0.0).apply(text_models["joint"], calibration)
    places = set(stand_ins(made.network))
    assert any(place.startswith("cross.encoder.layers.0.") for place in places)
    assert not any(place.startswith("towers.") for place in places)
    with pytest.raises(ConfigError, match="nothing that it could quantize"):
        PASSES.get("int8_static")().apply(text_models["static towers"], calibration)


def test_chains_of_storage_take_turns(text_models: dict[str, build.TextModel], tmp_path: Path) -> None:
    calibration, at = models.calibration(tmp_path), text_models["joint"]
    for kind, options in (("low_rank", {"rank": 4}), ("tables", {"bits": 4, "group": 8}), ("int8_static", {})):
        at = PASSES.get(kind)(**options).apply(at, calibration)
    kinds = {part["kind"] for part in stand_ins(at.network).values()}
    assert {"low_rank", "packed_table", "int8_static"} <= kinds
    build.save(at, tmp_path / "model")
    again = build.load(tmp_path / "model")
    assert np.array_equal(models.scores(again), models.scores(at))


def test_a_codec_of_product_vectors_is_kept_with_the_model(
    text_models: dict[str, build.TextModel], tmp_path: Path
) -> None:
    calibration, codec = models.calibration(tmp_path), Codec(kind="binary", rescore=5)
    made = PASSES.get("product_vectors")(codec=codec).apply(text_models["static towers"], calibration)
    build.save(made, tmp_path / "model")
    assert build.load(tmp_path / "model").vectors == codec
    assert calibration.notes["product_vectors"] == {"bytes_per_vector": codec.bytes(12)}
    for without in (text_models["cross"], Model(network=Net())):
        with pytest.raises(ConfigError, match="encodes no products"):
            PASSES.get("product_vectors")().apply(without, calibration)


def test_nothing_is_left_to_store_twice(tmp_path: Path) -> None:
    once, _ = _apply("weight_only", Model(network=Net()), tmp_path)
    for kind in LINEAR:
        with pytest.raises(ConfigError, match=f"{kind}: this model has nothing"):
            PASSES.get(kind)().apply(once, _calibration(tmp_path / kind, once))
