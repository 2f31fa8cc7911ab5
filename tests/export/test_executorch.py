"""A cross-encoder as a program for phones: scores as the model's, or nothing appears."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from shopstill.core.errors import ArtifactError, ConfigError, MissingDependency
from shopstill.export import executorch, parity
from shopstill.export.executorch import PROGRAM, ROWS, Program, write_executorch
from shopstill.models.build import TextModel
from shopstill.models.compact import replace_module, stand_ins
from shopstill.models.compact.half import Half
from shopstill.models.compact.half_table import HalfTable
from shopstill.models.compact.int8_dynamic import Int8Dynamic

from .conftest import ROWS as TEXTS

Make = Callable[..., TextModel]
HERE = find_spec("executorch") is not None
installed = pytest.mark.skipif(not HERE, reason="ExecuTorch is not installed: pip install 'shopstill[phone]'")
# Of its own parts, several use what Python and torch have deprecated.
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def phone(make: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[TextModel, Path]:
    """A model, some of whose weights are stored small, and its program: compiling takes half a minute."""
    model = make("cross, both sides")
    layer, table = model.network.encoder.layers[0].up, model.network.encoder.tokens
    replace_module(model.network, "encoder.layers.0.up", Half.of(layer.weight, layer.bias))
    replace_module(model.network, "encoder.tokens", HalfTable.of(table.weight))
    return model, write_executorch(model, tmp_path_factory.mktemp("phones") / "phone", rows=TEXTS)


@pytest.mark.slow
@installed
@quiet
def test_the_program_scores_as_the_model_at_any_size(phone: tuple[TextModel, Path]) -> None:
    model, folder = phone
    program = Program(folder / PROGRAM)
    for count, tokens in ((1, 5), (2, 20), (ROWS + 3, 11)):
        ids = torch.randint(5, 400, (count, tokens))
        types = torch.zeros_like(ids)
        types[:, tokens // 2 :] = 1
        with torch.no_grad():
            lengths = torch.full((count,), tokens), torch.full((count,), tokens // 2)
            expected = model.network(ids.flatten(), *lengths).logits
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": types}
        found = program.run("pair", {name: value.numpy() for name, value in inputs.items()})[0]
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert len(stand_ins(model.network)) == 2, "the model itself was changed"


@pytest.mark.slow
@installed
@quiet
def test_the_manifest_states_inputs_limits_and_parity(phone: tuple[TextModel, Path]) -> None:
    model, folder = phone
    stated = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert stated["inputs"]["input_ids"] == {"dtype": "int64", "shape": ["pairs", "tokens"]}
    assert stated["limits"] == {"pairs": [1, ROWS], "tokens": [2, model.network.config.max_tokens]}
    assert stated["parity"]["hostile"] >= len(parity.HOSTILE)
    assert max(stated["parity"]["difference"], stated["parity"]["alone"]) <= stated["parity"]["tolerance"] == 1e-4


@pytest.mark.slow
@installed
@quiet
def test_nothing_appears_where_scores_differ(
    phone: tuple[TextModel, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, folder = phone
    program = (folder / PROGRAM).read_bytes()
    monkeypatch.setattr(executorch, "_lowered", lambda graph, limit: program)
    monkeypatch.setattr(parity, "_judged", lambda model, rows: np.full(len(rows), 7.0, np.float32))
    with pytest.raises(ArtifactError, match=r"the program: row \d+, query .* 7.0 is expected; off by"):
        write_executorch(model, tmp_path / "phone", rows=TEXTS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["static towers", "joint"])
def test_models_of_other_kinds_are_refused(kind: str, make: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"format executorch: takes cross-encoders, .* export it as a bundle"):
        write_executorch(make(kind), tmp_path / "phone", rows=TEXTS)


def test_arithmetic_in_int8_is_refused(make: Make, tmp_path: Path) -> None:
    model = make("cross, first token")
    layer = model.network.encoder.layers[0].up
    replace_module(model.network, "encoder.layers.0.up", Int8Dynamic.of(layer.weight, layer.bias))
    with pytest.raises(ConfigError, match="computed in int8"):
        write_executorch(model, tmp_path / "phone", rows=TEXTS)


@pytest.mark.skipif(HERE, reason="ExecuTorch is installed")
def test_where_it_is_not_installed_the_line_that_installs_it_is_named(make: Make, tmp_path: Path) -> None:
    with pytest.raises(MissingDependency, match=r"pip install 'shopstill\[phone\]'"):
        write_executorch(make("cross, first token"), tmp_path / "phone", rows=TEXTS)
    assert not list(tmp_path.iterdir())
