"""Two routes to every logit agree; what stands after a place, or in another row, changes nothing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.sequence.conftest import FAMILIES, ITEMS, TABLES, Make

from shopstill.core.config import build, plain
from shopstill.core.errors import ConfigError
from shopstill.data.histories import ItemAttributes
from shopstill.models.compact import put_back, stand_ins
from shopstill.models.compact.packed_table import PackedTable
from shopstill.models.sequence import SASRec, SequenceNetwork, Sizes, create, empty, start_items
from shopstill.models.sequence.items import ABSENT

HISTORIES = torch.tensor([[3, 9, 1, 23, 4], [7, 2, 0, 0, 0], [5, 5, 8, 0, 0]])
LENGTHS = torch.tensor([5, 2, 3])
CAUSAL = sorted(set(FAMILIES) - {"bert4rec"})


def of(family: str, table: str) -> Any:
    return type(FAMILIES[family])(**{**vars(FAMILIES[family]), "table": TABLES[table]})


def all_logits(network: SequenceNetwork) -> torch.Tensor:
    return network.scores(network.last(HISTORIES, LENGTHS)).detach()


@pytest.mark.parametrize("described", [False, True])
@pytest.mark.parametrize("table", sorted(TABLES))
def test_logits_of_candidates_are_those_of_all_items(make: Make, table: str, described: bool) -> None:
    network = make(of("sasrec", table), described=described)
    row, place = torch.tensor([0, 0, 2]), torch.tensor([1, 4, 2])
    whole = network(HISTORIES, row, place).logits
    own = torch.tensor([[3, 1, 23], [9, 0, 9], [1, 2, 3]])
    found = network(HISTORIES, row, place, own).logits
    expected = torch.where(own > 0, whole.gather(1, (own - 1).clamp(min=0)), ABSENT)
    assert torch.allclose(found, expected, atol=1e-5)
    shared = torch.tensor([4, 17])
    assert torch.allclose(network(HISTORIES, row, place, shared).logits, whole[:, shared - 1], atol=1e-5)
    assert torch.allclose(
        network.items.whole() @ network.last(HISTORIES, LENGTHS)[0], all_logits(network)[0], atol=1e-4
    )


@pytest.mark.parametrize("table", ["product", "residual"])
def test_few_states_and_many_are_compared_alike(make: Make, table: str) -> None:
    items = make(of("item_mean", table)).items
    states = torch.randn(9, 8)
    one = torch.cat([items.against(state[None]) for state in states])
    assert torch.allclose(one, items.against(states), atol=1e-4)


def test_the_true_item_comes_first_and_is_taken_out_from_among_the_others(make: Make) -> None:
    network = make(of("sasrec", "full"))
    row, place = torch.tensor([0, 1]), torch.tensor([1, 1])
    whole = network(HISTORIES, row, place).logits.detach()
    truth, candidates, shift = torch.tensor([4, 9]), torch.tensor([9, 1]), torch.tensor([0.5, 2.0])
    found = network(HISTORIES, row, place, candidates, shift, truth[:, None]).logits
    expected = [[whole[0, 3], whole[0, 8] + 0.5, whole[0, 0] + 2], [whole[1, 8], ABSENT, whole[1, 0] + 2]]
    assert torch.allclose(found, torch.tensor(expected), atol=1e-5)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_padding_and_other_rows_change_nothing(make: Make, family: str) -> None:
    network = make(FAMILIES[family])
    together = network.last(HISTORIES, LENGTHS)
    alone = [network.last(row[None, :length], length[None]) for row, length in zip(HISTORIES, LENGTHS, strict=True)]
    wider = network.last(torch.nn.functional.pad(HISTORIES, (0, 3)), LENGTHS)
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)
    assert torch.allclose(together, wider, atol=1e-5)


@pytest.mark.parametrize("family", CAUSAL)
def test_the_last_state_is_that_of_the_last_place(make: Make, family: str) -> None:
    network = make(FAMILIES[family])
    states = network.states(HISTORIES)
    assert torch.allclose(network.last(HISTORIES, LENGTHS), states[torch.arange(3), LENGTHS - 1], atol=1e-5)


@pytest.mark.parametrize("family", CAUSAL)
def test_a_prefix_alone_gives_what_the_whole_history_gives_at_its_end(make: Make, family: str) -> None:
    network = make(FAMILIES[family])
    states = network.states(HISTORIES)
    for place in range(HISTORIES.shape[1]):
        prefix = network.last(HISTORIES[:1, : place + 1], torch.tensor([place + 1]))
        assert torch.allclose(states[0, place], prefix[0], atol=1e-5)


def test_a_mask_sees_both_ways_and_itself_says_nothing_of_the_item(make: Make) -> None:
    network = make(FAMILIES["bert4rec"])
    mask = ITEMS + 1
    place = torch.tensor([0]), torch.tensor([1])
    before = network(torch.tensor([[3, mask, 1]]), *place).logits
    after = network(torch.tensor([[3, mask, 2]]), *place).logits
    assert not torch.allclose(before, after)
    behind = network(torch.tensor([[3, 9, mask]]), torch.tensor([0]), torch.tensor([2])).logits
    asked = network.scores(network.last(torch.tensor([[3, 9]]), torch.tensor([2])))
    assert torch.allclose(behind, asked, atol=1e-5)


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_network_is_rebuilt_from_plain_values(make: Make, family: str, table: str) -> None:
    network = make(of(family, table), described=True)
    stated = json.loads(json.dumps({"config": plain(network.config), "sizes": plain(network.sizes)}))
    again = empty(build(type(network.config), stated["config"]), build(Sizes, stated["sizes"]))
    again.load_state_dict(network.state_dict())
    assert torch.equal(all_logits(again.eval()), all_logits(network))


def test_a_pass_may_put_another_table_in(make: Make) -> None:
    network = make(FAMILIES["sasrec"])
    before = all_logits(network)
    network.items.table = PackedTable.of(network.items.table.weight, bits=8, group=0)
    near = all_logits(network)
    again = empty(network.config, network.sizes)
    put_back(again, json.loads(json.dumps(stand_ins(network))))
    again.load_state_dict(network.state_dict())
    assert torch.equal(all_logits(again.eval()), near)
    assert torch.allclose(near, before, atol=0.05 * float(before.abs().max()))


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_weight_gets_a_gradient(make: Make, family: str, table: str) -> None:
    network = make(of(family, table), described=True)
    network(HISTORIES, torch.tensor([0, 1]), torch.tensor([4, 1])).logits.logsumexp(-1).sum().backward()
    without = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    # A family whose places hold no mask here has no use for its vector.
    assert without <= {"mask_D"}


def test_an_item_that_nobody_took_up_has_the_vector_of_its_attributes(make: Make, attributes: ItemAttributes) -> None:
    network = make(FAMILIES["sasrec"], described=True)
    items = network.items
    item = 1 + int(np.diff(attributes.start_I)[1:].argmax())
    with torch.no_grad():
        items.table.weight[item - 1] = 0
    codes = torch.from_numpy(attributes.codes(item)).long()
    assert items.attributes is not None
    assert torch.allclose(items(torch.tensor([item]))[0], items.attributes.weight[codes - 1].mean(0), atol=1e-6)


def test_attributes_of_another_shop_are_refused(attributes: ItemAttributes) -> None:
    network = empty(FAMILIES["sasrec"], Sizes(items=ITEMS, attributes=6, links=1))
    with pytest.raises(ConfigError, match="links=1"):
        network.items.describe(attributes)


@pytest.mark.parametrize("table", ["full", "low_rank", "product", "residual"])
def test_a_table_starts_near_the_vectors_of_another(table: str) -> None:
    draw = torch.Generator().manual_seed(0)
    vectors = torch.randn(ITEMS, 4, generator=draw) @ torch.randn(4, 12, generator=draw) + 3
    items = create(of("item_mean", table), ITEMS, 0).items
    start_items(items, vectors, seed=0)
    centred = vectors - vectors.mean(0)
    # Products, not vectors, are what survives a turn of the axes.
    wanted, found = centred @ centred.T, items.whole().detach() @ items.whole().detach().T
    error = float((found - wanted).norm() / wanted.norm())
    assert error < (1e-4 if table in ("full", "low_rank") else 0.6)


def test_what_cannot_start_near_vectors_says_so() -> None:
    items = create(of("sasrec", "hashed"), ITEMS, 0).items
    with pytest.raises(ConfigError, match="starts at random"):
        start_items(items, torch.randn(ITEMS, 8), seed=0)
    with pytest.raises(ConfigError, match="2 for 23 items"):
        start_items(items, torch.randn(2, 8), seed=0)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ConfigError, match="heads: 3 does not divide width 8"):
        build(SASRec, {"width": 8, "heads": 3})
