"""Compact parts: built from their sizes, put where dense ones were, told again, and small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from shopstill.core.errors import ArtifactError
from shopstill.models import build
from shopstill.models.compact import put_back, replace_module, stand_ins, ties
from shopstill.models.compact._bits import WIDTHS, pack, unpack
from shopstill.models.compact._part import LinearPart, Part, TablePart
from shopstill.models.compact.clustered import Clustered
from shopstill.models.compact.clustered_table import ClusteredTable
from shopstill.models.compact.hashed import Hashed
from shopstill.models.compact.low_rank import LowRank
from shopstill.models.compact.low_rank_table import LowRankTable
from shopstill.models.compact.masked import Masked


def _filled(part: Part) -> Part:
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in part.state_dict().values():
            if value.is_floating_point():
                value.normal_(generator=draw)
            else:
                value.random_(0, 5, generator=draw)
    return part


def _parts() -> list[Part]:
    linear, table = {"in_features": 11, "out_features": 7}, {"num_embeddings": 13, "embedding_dim": 5}
    weight = torch.arange(77.0).view(7, 11) * (torch.arange(77).view(7, 11) % 3 == 0)
    return [
        _filled(Clustered(**linear, bits=4, bias=True)),
        _filled(Clustered(**linear, bits=1, bias=False)),
        _filled(LowRank(**linear, rank=3, bias=True)),
        _filled(LowRank(**linear, rank=3, bias=False)),
        Masked.of(weight, torch.ones(7)),
        Masked.of(weight * 0, None),
        _filled(ClusteredTable(**table, bits=2)),
        _filled(LowRankTable(**table, rank=2)),
        _filled(Hashed(**table, books=2, rows=4, stored=False)),
        _filled(Hashed(**table, books=3, rows=6, stored=True)),
    ]


@given(
    values=st.lists(st.lists(st.integers(0, 255), min_size=5, max_size=5), min_size=1, max_size=4),
    bits=st.sampled_from(WIDTHS),
)
def test_packed_numbers_come_back(values: list[list[int]], bits: int) -> None:
    numbers = torch.tensor(values) % (1 << bits)
    packed = pack(numbers, bits)
    assert packed.shape == (len(values), -(-5 * bits // 8))
    assert torch.equal(unpack(packed, bits, 5).long(), numbers)


@pytest.mark.parametrize("part", _parts(), ids=lambda part: part.kind)
def test_a_part_computes_what_its_dense_weight_would(part: Part) -> None:
    if isinstance(part, LinearPart):
        x = torch.randn(2, 3, part.in_features)
        expected = nn.functional.linear(x, part.weight, part.bias)
    else:
        assert isinstance(part, TablePart)
        x = torch.randint(0, part.num_embeddings, (2, 3))
        expected = part.weight[x]
    assert torch.allclose(part(x), expected, atol=1e-4)


@pytest.mark.parametrize("part", _parts(), ids=lambda part: part.kind)
def test_a_part_is_put_back_from_plain_values(part: Part) -> None:
    network = nn.ModuleDict({"inside": nn.ModuleList([part, nn.Linear(2, 2)])})
    stated = stand_ins(network)
    assert stated == {"inside.0": {"kind": part.kind, **part.sizes}}
    other = nn.ModuleDict({"inside": nn.ModuleList([nn.Linear(1, 1), nn.Linear(2, 2)])})
    put_back(other, stated)
    other.load_state_dict(network.state_dict())
    assert torch.equal(other["inside"][0].weight, part.weight)


def test_parts_stand_inside_parts() -> None:
    network = nn.Sequential(LowRank(in_features=6, out_features=6, rank=2, bias=True))
    replace_module(network, "0.narrow", _filled(Clustered(6, 2, bits=4, bias=False)))
    stated = stand_ins(network)
    assert list(stated) == ["0", "0.narrow"]
    other = nn.Sequential(nn.Linear(6, 6))
    put_back(other, stated)
    other.load_state_dict(network.state_dict())
    x = torch.randn(4, 6)
    assert torch.equal(other(x), network(x))


def test_ties_name_the_outermost_places_alone() -> None:
    inner = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    assert ties(nn.ModuleList([inner, nn.Linear(2, 2), inner])) == {"2": "0"}
    assert ties(nn.ModuleList([inner, nn.Sequential(inner[0])])) == {"1.0": "0.0"}
    assert ties(nn.Linear(2, 2)) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stand_ins": {"query.body": {"kind": "clustred_table"}}}, "did you mean 'clustered_table'"),
        ({"stand_ins": {"query.body": {"kind": "clustered_table", "bits": 4}}}, r"model\.json: .*num_embeddings"),
        ({"stand_ins": {"query.bode": {}}}, r"model\.json"),
        ({"ties": {"query": "nobody"}}, r"model\.json: .*nobody"),
    ],
)
def test_a_model_folder_that_states_nonsense_is_refused(
    changes: dict[str, Any], message: str, make: Any, tmp_path: Path
) -> None:
    build.save(make("static towers"), tmp_path)
    stated = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    (tmp_path / "model.json").write_text(json.dumps({**stated, **changes}), encoding="utf-8")
    with pytest.raises(ArtifactError, match=message):
        build.load(tmp_path)
