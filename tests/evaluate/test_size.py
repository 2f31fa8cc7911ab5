"""Bytes, parameters and memory are what they are, and torn files are named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from shopstill.core.errors import DataError
from shopstill.evaluate.size import size_of, tensor_shapes


def _model(folder: Path) -> Path:
    folder.mkdir()
    save_file({"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.int8)}, folder / "model.safetensors", {"k": "v"})
    (folder / "config.json").write_text("{}")
    return folder


def test_a_folder_is_weighed(tmp_path: Path) -> None:
    folder = _model(tmp_path / "m")
    os.link(folder / "config.json", folder / "again.json")
    told = size_of(folder, note="all")
    assert told.parameters == 17
    assert told.bytes == (folder / "model.safetensors").stat().st_size + 2
    assert tensor_shapes(folder / "model.safetensors") == {"a": (3, 4), "b": (5,)}
    assert size_of([folder / "config.json"]).parameters is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x05",
        (10**12).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (3).to_bytes(8, "little") + b"{x}",
    ],
)
def test_what_is_no_safetensors_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.safetensors"):
        size_of(tmp_path)


def test_a_shape_that_lies_is_refused(tmp_path: Path) -> None:
    text = json.dumps({"a": {"shape": [-1, 2]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(DataError, match="shape"):
        tensor_shapes(tmp_path / "x.safetensors")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: does not exist"):
        size_of(tmp_path / "nowhere")
