"""Single weights: as many go as were asked for, which ones, when, and that they stay away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from shopstill.compress._thinning import Plan, Sparsity, Thinning, masks
from shopstill.compress.recover import Recover
from shopstill.compress.weights import Weights
from shopstill.core.errors import ConfigError
from shopstill.models.compact.masked import Masked
from shopstill.testing import _pass_models as models
from shopstill.train.training import Training


@pytest.fixture
def model(tmp_path: Path) -> Any:
    return models.model(models.configurations(models.start(tmp_path / "start"))["cross"])


def _parts(model: Any) -> dict[str, Masked]:
    return {name: m for name, m in model.network.named_modules() if isinstance(m, Masked)}


def _dense(model: Any) -> dict[str, nn.Linear]:
    return {name: m for name, m in model.network.named_modules() if isinstance(m, nn.Linear)}


def test_the_smallest_of_all_go(model: Any, tmp_path: Path) -> None:
    dense = _dense(model)
    found = _parts(Weights(sparsity=0.7).apply(model, models.calibration(tmp_path / "fit")))
    before = torch.cat([dense[name].weight.detach().flatten() for name in found])
    after = torch.cat([part.weight.detach().flatten() for part in found.values()])
    assert found.keys() == dense.keys()
    assert int((after == 0).sum()) == round(0.7 * len(before))
    assert torch.equal(after[after != 0], before[after != 0])
    assert before[after != 0].abs().min() >= before[after == 0].abs().max()


def test_each_layer_loses_its_share(model: Any, tmp_path: Path) -> None:
    found = _parts(Weights(sparsity=0.5, scope="layer").apply(model, models.calibration(tmp_path / "fit")))
    for part in found.values():
        assert len(part.values) == part.weight.numel() - round(0.5 * part.weight.numel())


@given(rows=st.integers(1, 5), columns=st.integers(1, 19), least=st.integers(1, 3), more=st.integers(1, 4))
def test_a_pattern_keeps_n_of_every_m_inputs(rows: int, columns: int, least: int, more: int) -> None:
    group = least + more
    score = torch.rand(rows, columns, generator=torch.Generator().manual_seed(columns))
    (mask,) = masks([score], Sparsity(share=0.5, pattern=(least, group), scope="layer"))
    for at in range(0, columns, group):
        kept, held = mask[:, at : at + group], score[:, at : at + group]
        assert (kept.sum(1) == min(least, kept.shape[1])).all()
        assert (held.masked_fill(~kept, 9).amin(1) >= held.masked_fill(kept, -9).amax(1)).all()


@given(share=st.floats(0.01, 0.99), done=st.floats(0, 1), scope=st.sampled_from(["global", "layer"]))
def test_ties_do_not_take_more_than_was_asked_for(share: float, done: float, scope: Any) -> None:
    scores = [torch.zeros(6, 7), torch.zeros(3, 5)]
    found = masks(scores, Sparsity(share=share, pattern=None, scope=scope), done)
    sizes = [42, 15] if scope == "layer" else [57]
    gone = sum(int((~mask).sum()) for mask in found)
    assert gone == sum(round(done * round(share * size)) for size in sizes)


@pytest.mark.parametrize("method", ["magnitude", "movement"])
def test_masks_close_step_by_step_and_then_stay(method: str) -> None:
    torch.manual_seed(0)
    part = Thinning(nn.Linear(40, 40), method == "movement").train()
    plan = Plan([part], Sparsity(share=0.8, pattern=None, scope="global"), until=0.5)
    share = []
    for step in range(20):
        part.before_step(step / 20)
        share.append(float((~part.mask).float().mean()))
        part(torch.randn(8, 40)).square().sum().backward()
        assert part.settled == (step >= 10)
    assert share[0] == 0
    assert share == sorted(share)
    assert share[5] == pytest.approx(0.8 * 0.875, abs=0.01)
    assert share[10:] == [pytest.approx(0.8, abs=1e-3)] * 10
    held = part.mask.clone()
    part.moved.normal_() if method == "movement" else part.dense.data.normal_()
    plan.take(1.0)
    assert torch.equal(part.mask, held), "a mask that is final must not change with the weights"


def test_movement_keeps_what_training_moves_away_from_zero() -> None:
    part = Thinning(nn.Linear(2, 1, bias=False), movement=True).train()
    Plan([part], Sparsity(share=0.5, pattern=None, scope="global"), until=0.5)
    part.dense.data.copy_(torch.tensor([[0.1, 2.0]]))
    optimiser = torch.optim.SGD([part.dense], lr=0.1)
    for step in range(10):
        part.before_step(step / 10)
        optimiser.zero_grad()
        x = torch.randn(64, 2, generator=torch.Generator().manual_seed(step))
        (part(x) - x[:, :1]).square().mean().backward()
        optimiser.step()
    assert part.mask.tolist() == [[True, False]], "by size the second weight would have stayed"


@pytest.mark.parametrize("method", ["magnitude", "movement"])
def test_gradual_ends_at_its_share_and_recovery_keeps_the_masks(method: Any, model: Any, tmp_path: Path) -> None:
    given = models.calibration(tmp_path / "fit")
    given = replace(given, training=Training(epochs=4, batch_rows=6, learning_rate=1e-3))
    one = Weights(sparsity=0.75, method=method, schedule="gradual", until=0.5)
    found = _parts(made := one.apply(model, given))
    total = sum(part.weight.numel() for part in found.values())
    assert sum(len(part.values) for part in found.values()) == total - round(0.75 * total)
    recovered = _parts(Recover().apply(made, given))
    for name, part in found.items():
        assert torch.equal(recovered[name].mask, part.mask)
    assert any(not torch.equal(recovered[name].values, part.values) for name, part in found.items())


def test_few_weights_take_few_bytes() -> None:
    torch.manual_seed(0)
    part = Masked.of(torch.randn(64, 96), None, torch.rand(64, 96) < 0.1)
    held = sum(value.numel() * value.element_size() for value in part.state_dict().values())
    assert held < 0.14 * 64 * 96 * 4


def test_plain_networks_are_pruned_too(tmp_path: Path) -> None:
    made = Weights(sparsity=0.9).apply(models.linears(), models.calibration(tmp_path))
    x = torch.randn(3, 8)
    assert made.network(x).shape == (3, 2)
    assert not np.allclose(made.network(x).detach(), models.linears().network(x).detach())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "movement"}, "set schedule: gradual"),
        ({"pattern": "4:2"}, "N must be less than M"),
        ({"pattern": "0:4"}, "pattern"),
        ({"sparsity": 1.0}, "less than 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Weights(**options)


def test_nothing_dense_is_refused(model: Any, tmp_path: Path) -> None:
    given = models.calibration(tmp_path / "fit")
    with pytest.raises(ConfigError, match="no linear layer is dense any more"):
        Weights().apply(Weights().apply(model, given), given)
