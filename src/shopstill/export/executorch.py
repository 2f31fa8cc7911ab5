"""A cross-encoder as a program for phones: ExecuTorch with XNNPACK, held to the model's scores on this machine.

Shapes: ``B`` rows of a run, ``T`` their tokens, ``K`` outputs.
"""

from __future__ import annotations

import copy
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from shopstill.core.artifact import whole
from shopstill.core.errors import ConfigError, require
from shopstill.data.pairs import PairTexts
from shopstill.data.tokens import TextTokenizer
from shopstill.export import bert, parity
from shopstill.export.graphs import Graph, graphs
from shopstill.models.build import TextModel
from shopstill.models.compact import replace_module
from shopstill.models.compact._part import LinearPart, Part
from shopstill.models.cross import CrossEncoder
from shopstill.models.lean import dense
from shopstill.serve.bundle.cross import Cross

ROWS = 16
"""Rows of a run, at most: a program's memory is laid out ahead, for the largest that may come."""

PROGRAM, _TOKENIZER, _MANIFEST = "pair.pte", "tokenizer.json", "manifest.json"
_EXTRA = "phone"


class Program:
    """A program as this machine runs it; stands where ``Cross`` expects onnxruntime's sessions.

    Args:
        path: the ``.pte``.

    Raises:
        MissingDependency: ExecuTorch is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._method = require("executorch.runtime", _EXTRA).Runtime.get().load_program(path).load_method("forward")

    def run(self, _: str, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The scores [B] or [B, K] of any number of rows."""
        given = [torch.from_numpy(np.ascontiguousarray(value)) for value in inputs.values()]
        pieces = zip(*(value.split(ROWS) for value in given), strict=True)
        # What a run gives lies in the program's own memory, which the next run writes over.
        return [np.concatenate([self._method.execute(list(piece))[0].numpy().copy() for piece in pieces])]


def write_executorch(model: TextModel, folder: Path, *, rows: PairTexts, tolerance: float = parity.TOLERANCE) -> Path:
    """Write ``pair.pte`` with its tokenizer and manifest, once its scores are the model's.

    It takes ``input_ids``, ``attention_mask`` and ``token_type_ids``, int64 [B, T], B of 1 to 16 and T up to the
    model's limit, and gives the scores. Weights that are stored small are written out in float32.

    Args:
        model: a cross-encoder.
        folder: where to.
        rows: real pairs that parity is held on, beside texts that are hard to read.
        tolerance: how far a score may be off.

    Raises:
        ConfigError: it is no cross-encoder, or is computed in int8.
        ArtifactError: a score differs by more than the tolerance. Nothing appears.
        MissingDependency: ExecuTorch is not installed.
    """
    network = _plain(model)
    require("executorch.exir", _EXTRA)
    with whole(folder) as aside:
        graph = graphs(network)["pair"]
        (aside / PROGRAM).write_bytes(_lowered(graph, network.config.max_tokens))
        shutil.copyfile(model.tokenizer.path, aside / _TOKENIZER)
        held = _held(model, aside, network.config, rows, tolerance)
        bert.write_json(aside / _MANIFEST, _stated(graph, model, network, held))
    return folder


def _plain(model: TextModel) -> CrossEncoder:
    """A copy of the network in which each compact part is the dense module that it stands for."""
    if not isinstance(model.network, CrossEncoder):
        raise _none(f"takes cross-encoders, and this is a model of kind {model.network.config.kind!r}")
    network = copy.deepcopy(model.network).eval()
    made: dict[int, nn.Module] = {}
    for name, part in list(network.named_modules(remove_duplicate=False)):
        if isinstance(part, Part):
            replace_module(network, name, made.setdefault(id(part), _dense(part)))
    return network


def _dense(part: Part) -> nn.Module:
    weight = part.weight.detach().float()
    if not isinstance(part, LinearPart):
        return nn.Embedding.from_pretrained(weight)
    if not dense(part):
        raise _none("has float32 arithmetic alone, and layers of this model are computed in int8")
    linear = nn.Linear(part.in_features, part.out_features, bias=part.bias is not None)
    linear.weight = nn.Parameter(weight, requires_grad=False)
    if part.bias is not None:
        linear.bias = nn.Parameter(part.bias.detach().float(), requires_grad=False)
    return linear


def _none(what: str) -> ConfigError:
    return ConfigError(f"format executorch: {what}; export it as a bundle, whose graphs are ONNX")


def _lowered(graph: Graph, limit: int) -> bytes:
    """The program's bytes."""
    exir = require("executorch.exir", _EXTRA)
    xnnpack = require("executorch.backends.xnnpack.partition.xnnpack_partitioner", _EXTRA)
    axes = {0: torch.export.Dim("pairs", min=1, max=ROWS), 1: torch.export.Dim("tokens", min=2, max=limit)}
    # Its check of types takes len() of tensors, which makes a dynamic number of rows a fixed one.
    options = exir.EdgeCompileConfig(_check_ir_validity=False)
    with torch.no_grad(), _quiet():
        found = torch.export.export(
            graph.module.eval(), (), kwargs=graph.inputs, dynamic_shapes=dict.fromkeys(graph.inputs, axes)
        )
        edge = exir.to_edge_transform_and_lower(
            found, partitioner=[xnnpack.XnnpackPartitioner()], compile_config=options
        )
        return bytes(edge.to_executorch().buffer)


def _held(model: TextModel, folder: Path, config: Any, rows: PairTexts, tolerance: float) -> dict[str, Any]:
    """Parity of the program with the model: in company, and one pair at a time."""
    served = Cross(
        Program(folder / PROGRAM),  # type: ignore[arg-type]
        TextTokenizer(folder / _TOKENIZER),
        config.max_tokens,
        config.outputs,
        threads=1,
    )
    both = parity.with_hostile(rows)
    judged = parity.judged_scores(model, both)
    texts = list(zip(*both.texts(np.arange(len(both))), strict=True))
    queries, products = served.tokenizer.encode(both.queries), served.tokenizer.encode(both.products)
    found = served.score(queries, products, both.query_N, both.product_N)
    one = slice(None, None, max(1, len(both) // ROWS))
    pairs = zip(both.query_N[one], both.product_N[one], strict=True)
    alone = np.concatenate([served.score(queries, products, np.array([q]), np.array([p])) for q, p in pairs])
    return {
        "rows": len(rows),
        "hostile": len(both) - len(rows),
        "difference": parity.hold("the program", found, judged, texts, tolerance),
        "alone": parity.hold("a pair alone", alone, judged[one], texts[one], tolerance),
        "tolerance": tolerance,
    }


def _stated(graph: Graph, model: TextModel, network: CrossEncoder, held: dict[str, Any]) -> dict[str, Any]:
    from importlib.metadata import version

    limits = {"pairs": [1, ROWS], "tokens": [2, network.config.max_tokens]}
    return {
        "program": PROGRAM,
        "runtime": f"ExecuTorch {version('executorch')}, XNNPACK",
        "inputs": {name: {"dtype": "int64", "shape": list(graph.axes[name].values())} for name in graph.inputs},
        "outputs": {name: {"dtype": "float32", "scores": network.config.outputs} for name in graph.outputs},
        "limits": limits,
        "pad": model.tokenizer.pad,
        "parity": held,
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """The compiler tells its own developers much that no user can act on."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
