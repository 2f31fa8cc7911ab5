"""Structural pruning takes away what it says and nothing else: exact where what goes is nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from shopstill.compress.feed_forward import FeedForward
from shopstill.compress.heads import Heads
from shopstill.compress.layers import Layers
from shopstill.compress.share_layers import ShareLayers
from shopstill.compress.width import Width
from shopstill.core.errors import ConfigError
from shopstill.models import build, pretrained
from shopstill.models.build import TextModel
from shopstill.models.encoder import Encoder, LayerSize
from shopstill.models.towers import TokenTower
from shopstill.testing import _pass_models as models


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.start(tmp_path_factory.mktemp("prune") / "start")


@pytest.fixture
def make(start: Path) -> Callable[[str], TextModel]:
    return lambda kind: models.model(models.configurations(start)[kind])


@pytest.fixture
def applied(tmp_path: Path) -> Callable[[Any, TextModel], TextModel]:
    return lambda one, model: one.apply(model, models.calibration(tmp_path / "fit"))


Make = Callable[[str], TextModel]
Applied = Callable[[Any, TextModel], TextModel]
ENCODED = ["cross", "cross, first token", "shared transformer towers, interaction", "joint"]
IMPORTANCE = ["magnitude", "activation", "taylor"]


def _encoder(model: TextModel) -> Encoder:
    return next(m for m in model.network.modules() if isinstance(m, Encoder))


@pytest.mark.parametrize("importance", IMPORTANCE)
@pytest.mark.parametrize("kind", ENCODED)
def test_a_head_that_adds_nothing_goes_without_a_trace(
    kind: str, importance: str, make: Make, applied: Applied
) -> None:
    model = make(kind)
    with torch.no_grad():
        for layer, dead in zip(_encoder(model).layers, (0, 1, 0), strict=True):
            layer.out.weight[:, dead * 8 : dead * 8 + 8] = 0
    pruned = applied(Heads(share=0.5, importance=importance, scope="layer"), model)
    assert [layer.heads for layer in _encoder(pruned).layers] == [1, 1, 1]
    assert _encoder(pruned).layers[0].query.out_features == 8
    np.testing.assert_allclose(models.scores(pruned), models.scores(model), atol=1e-5)


@pytest.mark.parametrize("importance", IMPORTANCE)
@pytest.mark.parametrize("kind", ENCODED)
def test_units_that_add_nothing_go_without_a_trace(kind: str, importance: str, make: Make, applied: Applied) -> None:
    model = make(kind)
    dead = [torch.arange(0, 32, 2), torch.arange(8), torch.arange(24, 32)]
    with torch.no_grad():
        for layer, units in zip(_encoder(model).layers, dead, strict=True):
            layer.down.weight[:, units] = 0
    pruned = applied(FeedForward(share=64 / 96, importance=importance), model)
    assert [layer.up.out_features for layer in _encoder(pruned).layers] == [16, 24, 24]
    np.testing.assert_allclose(models.scores(pruned), models.scores(model), atol=1e-5)


def _with_idle_dimensions(model: TextModel, idle: torch.Tensor) -> None:
    """Dimensions in which every state is zero, in an encoder whose states have mean zero, so that norms ignore them."""
    encoder, live = _encoder(model), torch.ones(16, dtype=torch.bool)
    live[idle] = False
    with torch.no_grad():
        writers = [encoder.tokens.weight.T, encoder.positions.weight.T, encoder.segments.weight.T]
        for layer in encoder.layers:
            writers += [layer.out.weight, layer.out.bias[:, None], layer.down.weight, layer.down.bias[:, None]]
        for weight in writers:
            weight[idle] = 0
            weight[live] -= weight[live].mean(0)
        for norm in (m for m in encoder.modules() if isinstance(m, nn.LayerNorm)):
            norm.weight.copy_(live * 0.7)
            norm.bias.zero_()


@pytest.mark.parametrize("importance", IMPORTANCE)
@pytest.mark.parametrize("kind", ENCODED)
def test_dimensions_that_are_zero_go_without_a_trace(kind: str, importance: str, make: Make, applied: Applied) -> None:
    model, idle = make(kind), torch.tensor([1, 4, 7, 15])
    _with_idle_dimensions(model, idle)
    head = getattr(getattr(model.network, "cross", model.network), "head", None)
    if hasattr(head, "dense"):
        with torch.no_grad():
            head.out.weight[:, idle] = 0
    pruned = applied(Width(width=12, importance=importance), model)
    assert _encoder(pruned).size.width == 12
    np.testing.assert_allclose(models.scores(pruned), models.scores(model), atol=1e-4)


@pytest.mark.parametrize("kind", ["static towers", "static towers, interaction"])
def test_a_table_of_low_rank_gets_as_narrow_without_a_trace(kind: str, make: Make, applied: Applied) -> None:
    model = make(kind)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tower in (m for m in model.network.modules() if isinstance(m, TokenTower)):
            shape = tower.body.weight.shape
            tower.body.weight.copy_(torch.randn(shape[0], 5, generator=draw) @ torch.randn(5, shape[1], generator=draw))
    pruned = applied(Width(width=5), model)
    assert pruned.network.query.body.embedding_dim == 5
    np.testing.assert_allclose(models.scores(pruned), models.scores(model), atol=1e-4)
    coarse = np.abs(models.scores(applied(Width(width=4), model)) - models.scores(model)).max()
    assert coarse > 1e-3, "four components cannot say what five said"


def test_layers_that_are_named_stay(make: Make, applied: Applied) -> None:
    model = make("cross")
    pruned = applied(Layers(keep=(0, 2)), model)
    expected = pretrained.shrink(_encoder(model), [0, 2]).state_dict()
    found = _encoder(pruned).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    np.testing.assert_array_equal(models.scores(applied(Layers(keep=(0, 1, 2)), model)), models.scores(model))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_layer_that_does_nothing_is_the_one_that_goes(
    place: int, make: Make, applied: Applied, tmp_path: Path
) -> None:
    model = make("cross")
    idle = _encoder(model).layers[place]
    with torch.no_grad():
        for writer in (idle.out, idle.down):
            writer.weight.zero_()
            writer.bias.zero_()
    given = models.calibration(tmp_path)
    own = replace(given.examples(model, None), teacher_N=models.scores(model))
    found = Layers(count=2, rows=24).apply(model, replace(given, examples=lambda *_: own))
    assert _encoder(found).size.layers == 2
    kept = _encoder(applied(Layers(keep=tuple({0, 1, 2} - {place})), model)).state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in _encoder(found).state_dict().items())


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (Layers, "either keep"),
        (lambda: Layers(keep=(0,), count=1), "either keep"),
    ],
)
def test_options_that_contradict_each_other_are_refused(one: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        one()


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (Layers(keep=(0, 3)), "3 is not a layer of encoder, which has 0 to 2"),
        (Layers(keep=(2, 0)), "ascending"),
        (Width(width=16), "nothing in this model is wider"),
        (ShareLayers(groups=3), "no encoder has more layers"),
    ],
)
def test_what_a_model_does_not_have_is_refused(one: Any, message: str, make: Make, applied: Applied) -> None:
    with pytest.raises(ConfigError, match=message):
        applied(one, make("cross"))


def test_structure_after_shared_layers_keeps_them_shared(make: Make, applied: Applied, tmp_path: Path) -> None:
    model = make("cross")
    shared = applied(ShareLayers(groups=2), model)
    pruned = applied(Heads(share=0.5, scope="layer"), applied(FeedForward(share=0.5, multiple=1), shared))
    layers = _encoder(pruned).layers
    assert len({id(layer) for layer in layers}) == 2
    build.save(pruned, tmp_path / "saved")
    loaded = build.load(tmp_path / "saved")
    assert len({id(layer) for layer in _encoder(loaded).layers}) == 2
    np.testing.assert_array_equal(models.scores(loaded), models.scores(pruned))


def test_a_shared_layer_is_the_mean_of_its_group_and_stored_once(make: Make, applied: Applied, tmp_path: Path) -> None:
    model = make("cross")
    shared = applied(ShareLayers(groups=1), model)
    expected = torch.stack([layer.up.weight for layer in _encoder(model).layers]).mean(0)
    assert torch.allclose(_encoder(shared).layers[2].up.weight, expected, atol=1e-6)
    build.save(shared, tmp_path / "shared")
    build.save(model, tmp_path / "model")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("shared", "model")]
    layer = sum(value.numel() for value in _encoder(model).layers[0].parameters()) * 4
    assert sizes[0] < sizes[1] - 2 * layer


def _sizes() -> Any:
    """Sizes of encoders, uneven ones too."""

    def stated(layers: int, heads: int, head_width: int, each: list[tuple[int, int]]) -> dict[str, Any]:
        own = [LayerSize(heads=h, head_width=head_width, feed_forward=f) for h, f in each[:layers]]
        width = heads * head_width
        return {"width": width, "layers": layers, "heads": heads, "feed_forward": 16, "each": own}

    layer = st.tuples(st.integers(1, 4), st.integers(1, 40))
    return st.builds(
        stated, st.integers(1, 4), st.integers(1, 4), st.integers(3, 9), st.lists(layer, min_size=4, max_size=4)
    )


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=_sizes(), share=st.floats(0.05, 1), width=st.integers(1, 6), which=st.sampled_from(IMPORTANCE))
def test_any_shape_is_pruned_saved_and_loaded(
    size: dict[str, Any], share: float, width: int, which: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    made = models.model(models.configurations(models.start(folder / "start", size))["cross"])
    calibration = models.calibration(folder / "fit")
    chain = [
        Heads(share=share, importance=which),
        FeedForward(share=share, importance=which, multiple=3),
        Width(width=min(width, size["width"] - 1), importance=which),
        Layers(count=1, rows=8),
    ]
    for one in chain:
        made = one.apply(made, calibration)
    build.save(made, folder / "saved")
    loaded = build.load(folder / "saved")
    scores = models.scores(made)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(models.scores(loaded), scores)
    assert _encoder(loaded).size.layers == 1
