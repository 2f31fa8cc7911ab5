"""Low rank, clusters and hashing: exact where they can be, nearest where they cannot, and smaller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from shopstill.compress import _means
from shopstill.compress._tables import token_tables
from shopstill.compress.clusters import Clusters
from shopstill.compress.hashed import Hash
from shopstill.compress.low_rank import Factorise, factors
from shopstill.compress.recover import Recover
from shopstill.core.errors import ConfigError
from shopstill.models.compact.clustered import Clustered
from shopstill.models.compact.low_rank import LowRank
from shopstill.testing import _pass_models as models


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.start(tmp_path_factory.mktemp("share") / "start")


@pytest.fixture(params=["cross", "static towers, interaction"])
def model(start: Path, request: pytest.FixtureRequest) -> Any:
    return models.model(models.configurations(start)[request.param])


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), seen=st.sampled_from([0, 1, 3, 30]))
def test_at_full_rank_factors_are_the_weight(rows: int, columns: int, seen: int) -> None:
    draw = torch.Generator().manual_seed(rows * 10 + columns)
    weight, x = torch.randn(rows, columns, generator=draw), torch.randn(seen, columns, generator=draw)
    widen, narrow, values = factors(weight, x.T @ x if seen else None)
    assert len(values) == min(rows, columns)
    assert torch.allclose(widen @ narrow, weight.double(), atol=1e-5)


def test_ranks_go_where_the_inputs_are() -> None:
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(24, 24, generator=draw)
    x = torch.randn(500, 24, generator=draw) * torch.logspace(0, -3, 24)
    wrong = []
    for gram in (x.T @ x, None):
        widen, narrow, _ = factors(weight, gram)
        wrong.append(float((x.double() @ (weight.double() - widen[:, :6] @ narrow[:6]).T).square().sum()))
    assert wrong[0] < 0.2 * wrong[1]


def test_of_what_has_low_rank_nothing_is_lost(model: Any, tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for linear in (m for m in model.network.modules() if isinstance(m, nn.Linear)):
            rows, columns = linear.weight.shape
            linear.weight.copy_(torch.randn(rows, 2, generator=draw) @ torch.randn(2, columns, generator=draw) * 0.3)
        for table in token_tables(model.network).values():
            rows, columns = table.weight.shape
            table.weight.copy_(torch.randn(rows, 2, generator=draw) @ torch.randn(2, columns, generator=draw))
    for importance in ("none", "activation"):
        one = Factorise(rank=2, tables=True, importance=importance)
        made = one.apply(model, models.calibration(tmp_path / importance))
        assert any(isinstance(m, LowRank) for m in made.network.modules())
        np.testing.assert_allclose(models.scores(made), models.scores(model), atol=2e-3)


def test_more_energy_is_nearer(start: Path, tmp_path: Path) -> None:
    model = models.model(models.configurations(start)["static towers, interaction"])
    away = []
    for energy in (0.5, 0.9, 0.999):
        made = Factorise(energy=energy, tables=True).apply(model, models.calibration(tmp_path / str(energy)))
        away.append(float(np.abs(models.scores(made) - models.scores(model)).mean()))
    assert away[2] < away[1] < away[0]


def test_factors_of_all_energy_save_nothing_and_are_refused(model: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing would get smaller"):
        Factorise(energy=1.0, importance="none").apply(model, models.calibration(tmp_path / "fit"))
    for options in ({}, {"rank": 2, "share": 0.5}):
        with pytest.raises(ValueError, match="exactly one of rank"):
            Factorise(**options)


def test_few_values_are_kept_exactly(model: Any, tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(3)
    palette = torch.randn(16, generator=draw)
    with torch.no_grad():
        for part in (m for m in model.network.modules() if isinstance(m, nn.Linear | nn.Embedding)):
            part.weight.copy_(palette[torch.randint(0, 16, part.weight.shape, generator=draw)])
    made = Clusters(bits=4).apply(model, models.calibration(tmp_path / "fit"))
    assert any(isinstance(m, Clustered) for m in made.network.modules())
    np.testing.assert_array_equal(models.scores(made), models.scores(model))


@given(values=st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=60), bits=st.sampled_from([1, 2, 4]))
def test_every_value_has_its_nearest_centre(values: list[float], bits: int) -> None:
    flat = torch.tensor(values)
    centres, nearest = _means.values(flat, 1 << bits)
    assert len(centres) <= 1 << bits
    assert bool((centres.diff() > 0).all())
    least = (flat[:, None] - centres).abs().amin(1)
    assert torch.allclose((flat - centres[nearest]).abs(), least, rtol=1e-4, atol=1e-4)
    if len(set(values)) <= 1 << bits:
        assert torch.equal(centres[nearest], flat)


def test_clusters_are_better_than_even_steps() -> None:
    flat = torch.randn(20000, generator=torch.Generator().manual_seed(0)) ** 3
    centres, nearest = _means.values(flat, 16)
    even = torch.linspace(float(flat.min()), float(flat.max()), 16)
    plain = (flat[:, None] - even).abs().amin(1).square().mean()
    assert float((flat - centres[nearest]).square().mean()) < 0.25 * float(plain)


def test_codebooks_learn(model: Any, tmp_path: Path) -> None:
    given = models.calibration(tmp_path / "fit")
    made = Clusters(bits=2).apply(model, given)
    recovered = Recover().apply(made, given)
    pairs = zip(made.network.state_dict().items(), recovered.network.state_dict().values(), strict=True)
    changed = {name.rpartition(".")[2] for (name, one), other in pairs if not torch.equal(one, other)}
    assert "codebook" in changed
    assert "index" not in changed


def test_a_sum_of_books_is_found_again(start: Path, tmp_path: Path) -> None:
    model = models.model(models.configurations(start)["static towers"])
    draw = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for table in token_tables(model.network).values():
            count = table.num_embeddings
            rows = int(np.ceil(count**0.5))
            books = torch.randn(2, rows, table.embedding_dim, generator=draw)
            ids = torch.arange(count)
            table.weight.copy_(books[0][ids % rows] + books[1][ids // rows])
    made = Hash(codes="digits").apply(model, models.calibration(tmp_path / "fit"))
    np.testing.assert_allclose(models.scores(made), models.scores(model), atol=1e-3)


def test_more_books_are_nearer_and_digits_are_smallest(start: Path, tmp_path: Path) -> None:
    model = models.model(models.configurations(start)["static towers"])
    (name, table), *_ = token_tables(model.network).items()
    away = {}
    for one in (Hash(books=1, rows=16), Hash(books=2, rows=16), Hash(books=3, rows=16), Hash(codes="digits")):
        made = one.apply(model, models.calibration(tmp_path / "fit")).network.get_submodule(name)
        away[one.codes, one.books] = float((made.weight - table.weight).square().mean().detach())
        held = {key: value.numel() for key, value in made.state_dict().items()}
        assert ("codes_VM" in held) == (one.codes == "learned")
    assert away["learned", 3] < away["learned", 2] < away["learned", 1]
    with pytest.raises(ConfigError, match=r"rows: 3: \d+ tokens in 2 digits need"):
        Hash(codes="digits", rows=3).apply(model, models.calibration(tmp_path / "fit"))


@pytest.mark.parametrize("one", [Clusters(bits=4), Factorise(rank=4)])
def test_plain_networks_are_taken_too(one: Any, tmp_path: Path) -> None:
    if isinstance(one, Factorise):
        one = Factorise(rank=4, importance="none")
    made, x = one.apply(models.linears(), models.calibration(tmp_path)), torch.randn(5, 8)
    assert made.network(x).shape == (5, 2)
    assert sum(v.numel() * v.element_size() for v in made.network.state_dict().values()) < 4 * 1410
