"""Items that nobody took up: read by their attributes, and what training does that they can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.models.sequence.conftest import FAMILIES, ITEMS, TABLES, Make

from shopstill.core.errors import ConfigError
from shopstill.data.histories import ItemAttributes
from shopstill.models.sequence import SASRec, create, with_cold

COLD = [[1, 4], [2], [1, 2, 3, 4, 5, 6]]


@pytest.fixture
def cold(attributes: ItemAttributes) -> ItemAttributes:
    codes = np.array([code for row in COLD for code in row], np.int32)
    return replace(attributes, start_I=np.array([0, 0, 2, 3, 9]), code_A=codes)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("family", FAMILIES)
def test_cold_items_are_scored_by_attributes_and_others_as_before(
    family: str, table: str, make: Make, cold: ItemAttributes
) -> None:
    network = make(replace(FAMILIES[family], table=TABLES[table]), described=True)
    more = with_cold(network, cold)
    item_BT, length_B = torch.tensor([[3, 1, 5], [7, 0, 0]]), torch.tensor([3, 1])
    with torch.inference_mode():
        state, same = network.last(item_BT, length_B), more.last(item_BT, length_B)
        found, before = more.scores(same), network.scores(state)
        assert network.items.attributes is not None
        told = torch.stack([network.items.attributes.weight[torch.tensor(row) - 1].mean(0) for row in COLD])
        in_history = more.last(torch.tensor([[3, ITEMS + 2]]), torch.tensor([2]))
    torch.testing.assert_close(same, state)
    torch.testing.assert_close(found[:, :ITEMS], before)
    torch.testing.assert_close(found[:, ITEMS:], state @ told.T)
    torch.testing.assert_close(more.items(torch.arange(ITEMS + 1, ITEMS + 4)), told)
    assert found.shape == (2, ITEMS + 3)
    assert in_history.isfinite().all()
    assert network.sizes.items == ITEMS, "the network itself is as it was"


def test_a_network_without_these_attributes_knows_nothing_of_cold_items(make: Make, cold: ItemAttributes) -> None:
    with pytest.raises(ConfigError, match="reads no attributes"):
        with_cold(make(FAMILIES["sasrec"]), cold)
    with pytest.raises(ConfigError, match="5 values, but the network reads 6"):
        with_cold(make(FAMILIES["sasrec"], described=True), replace(cold, names=cold.names.slice(1)))


def test_training_leaves_own_vectors_out_now_and_then_and_nothing_else_does(attributes: ItemAttributes) -> None:
    torch.manual_seed(0)
    network = create(SASRec(width=8), ITEMS, 0, attributes, 0.25)
    items, every, state = network.items, torch.arange(1, ITEMS + 1), torch.randn(4, 8)
    own, whole = items.table.weight, items.eval()(every)
    assert torch.equal(items(every), whole)
    assert torch.equal(items.against(state), items.against(state))
    items.train()
    left = torch.stack([((items(every) - whole).abs().sum(1) > 1e-6) for _ in range(200)]).float().mean(0)
    assert float(left.mean()) == pytest.approx(0.25, abs=0.02)
    assert float(left.min()) > 0.1
    assert float(left.max()) < 0.4
    apart = (items.eval().against(state) - items.train().against(state)).detach()
    columns = apart.abs().amax(0) > 1e-6
    torch.testing.assert_close(apart[:, columns], (state @ own.T)[:, columns].detach(), msg="only what is their own")
    assert 0 < int(columns.sum()) < ITEMS


def test_without_attributes_nothing_is_left_out() -> None:
    network = create(SASRec(width=8), ITEMS, 0, None, 0.5).train()
    assert network.sizes.id_dropout == 0
    assert torch.equal(network.items(torch.tensor([1, 2])), network.items(torch.tensor([1, 2])))
