"""The weights of a bundle's graphs in one safetensors file, each stored once, as small as the network holds it."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from shopstill.core.errors import require

_WORTH_BYTES = 256
"""Smaller constants stay in their graph."""

_KINDS = frozenset("fiub")
"""Kinds of numpy's types that safetensors stores."""


def write_graphs(folder: Path, models: Mapping[str, Any], prefixes: Mapping[str, str], weights: str) -> None:
    """Write each graph as ``NAME.onnx``; their weights lie in the file ``weights``, which onnxruntime maps.

    A weight that several graphs use, or that several names share, is stored once. What the exporter made of weights
    (such as a transposed copy) is named after its graph.

    Args:
        folder: where to.
        models: graphs by name, in ``onnx_ir``'s form.
        prefixes: name of a graph → where the module it was traced from stands in the whole network.
        weights: name of the file of weights.
    """
    ir = require("onnx_ir", "train")
    stored: dict[str, np.ndarray] = {}
    known: dict[bytes, str] = {}
    places: list[tuple[Any, str]] = []
    for graph, model in models.items():
        for name, value in model.graph.initializers.items():
            array = value.const_value.numpy()
            if array.nbytes < _WORTH_BYTES or array.dtype.kind not in _KINDS:
                continue
            own = name.removeprefix("network.")
            own = f"{prefixes[graph]}{own}" if own != name else f"{graph}/{name}"
            digest = _digest(array)
            if digest not in known:
                known[digest] = own if own not in stored else f"{graph}/{name}"
                stored[known[digest]] = np.ascontiguousarray(array)
            places.append((value, known[digest]))
    (folder / weights).write_bytes(save(stored))
    where = _offsets(folder / weights)
    for value, name in places:
        tensor, (offset, length) = value.const_value, where[name]
        value.const_value = ir.ExternalTensor(
            weights, offset, length, tensor.dtype, shape=tensor.shape, name=value.name, base_dir=folder
        )
    for graph, model in models.items():
        _forget(model.graph)
        written = ir.to_proto(model)
        # Shapes of what lies between are not always those that other tools infer, which then refuse the graph.
        del written.graph.value_info[:]
        (folder / f"{graph}.onnx").write_bytes(written.SerializeToString())


def _forget(graph: Any) -> None:
    """Leave out where in which source file each operator was traced: most of a graph's bytes, and nobody's business."""
    graph.metadata_props.clear()
    for part in (*graph, *(value for node in graph for value in node.outputs), *graph.inputs):
        part.metadata_props.clear()
        part.doc_string = None


def _digest(array: np.ndarray) -> bytes:
    about = f"{array.dtype.str} {array.shape}".encode()
    return hashlib.blake2b(about + np.ascontiguousarray(array).tobytes(), digest_size=16).digest()


def _offsets(path: Path) -> dict[str, tuple[int, int]]:
    """Where in a safetensors file each array's bytes begin, and how many there are."""
    with open(path, "rb") as handle:
        (size,) = struct.unpack("<Q", handle.read(8))
        header = json.loads(handle.read(size))
    spans = {name: stated["data_offsets"] for name, stated in header.items() if name != "__metadata__"}
    return {name: (8 + size + start, end - start) for name, (start, end) in spans.items()}
