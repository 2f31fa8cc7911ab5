"""A trained model as a bundle, which appears only where it scores as the model does."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from shopstill.core.artifact import whole
from shopstill.core.config import plain
from shopstill.data.lexical import FEATURES
from shopstill.data.pairs import PairTexts
from shopstill.export import parity
from shopstill.export.card import card
from shopstill.export.graphs import Graph, graphs, trace
from shopstill.export.weights import write_graphs
from shopstill.models.build import TextModel
from shopstill.models.compact import stand_ins
from shopstill.models.cross import CrossEncoder
from shopstill.models.joint import JointModel
from shopstill.models.towers import TwoTowers
from shopstill.serve.bundle import manifest as form
from shopstill.serve.bundle import stored
from shopstill.serve.bundle.load import load_texts


@dataclass(frozen=True, kw_only=True)
class About:
    """What a bundle says about its model beside what the model itself shows.

    Attributes:
        name: what it is called.
        text: the columns of a product that it reads, joined by spaces.
        fusion: what a cosine of its vectors counts beside a share of the best score by words; None: ranks are fused.
        labels: names of the classes, where outputs are classes.
        fingerprints: of what it was made from.
        lineage: each step of its making, with what it did to quality, size and time.
        metrics: how it was judged.
        machine: where times were measured.
        licences: of the weights it started from and of the data: ``what``, ``licence``, ``source``.
    """

    name: str
    text: tuple[str, ...] = ("title",)
    fusion: float | None = None
    labels: tuple[str, ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    lineage: tuple[Mapping[str, Any], ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    licences: tuple[Mapping[str, str], ...] = ()


def write_bundle(
    model: TextModel,
    folder: Path,
    *,
    about: About,
    rows: PairTexts,
    gain_N: np.ndarray | None = None,
    products: Mapping[str, str] | None = None,
    tolerance: float | None = None,
) -> Path:
    """Write a model as a bundle, hold the bundle's scores to the model's, and only then put it in its place.

    Args:
        model: the model that was judged.
        folder: where the bundle will be.
        about: what its manifest and card say of it.
        rows: real pairs that parity is held on, beside texts that are hard to read.
        gain_N: their grades, for NDCG.
        products: id → text of products to bring along, encoded.
        tolerance: how far a score may be off; by default as ``parity.allowed`` says.

    Returns:
        The folder.

    Raises:
        ArtifactError: a score differs by more than the tolerance; the text and both scores are named. Nothing appears.
    """
    tolerance = parity.allowed(model.network) if tolerance is None else tolerance
    parts = graphs(model.network.eval())
    traced = {name: trace(part) for name, part in parts.items()}
    with whole(folder) as aside:
        write_graphs(aside, traced, {name: part.prefix for name, part in parts.items()}, form.WEIGHTS)
        shutil.copyfile(model.tokenizer.path, aside / form.TOKENIZER)
        if model.lexical is not None:
            model.lexical.others(()).save(aside / form.LEXICAL)
        stated = _stated(model, about, parts, traced) | {"tolerance": tolerance}
        form.write(aside, stated)
        found = parity.check(model, aside, rows, gain_N=gain_N, tolerance=tolerance)
        stated["parity"] = asdict(found)
        stated["batch_invariant"] &= found.alone <= parity.TOLERANCE
        if products is not None:
            load_texts(aside).ahead([*products.values()]).write(aside / form.PRODUCTS)
            stored.write_ids(aside / form.PRODUCTS, list(products))
        (aside / form.CARD).write_text(card(stated, aside), encoding="utf-8")
        form.write(aside, stated)
    return folder


def _stated(model: TextModel, about: About, parts: Mapping[str, Graph], traced: Mapping[str, Any]) -> dict[str, Any]:
    network = model.network
    return {
        **asdict(about),
        "scheme": scheme(network),
        "kind": network.config.kind,
        "model": plain(network.config),
        "outputs": network.config.outputs if isinstance(network, CrossEncoder) else 1,
        "limits": _limits(network),
        "graphs": {name: stated_graph(name, part.outputs, traced[name]) for name, part in parts.items()},
        "features": list(FEATURES) if network.lexical else [],
        "vectors": None if model.vectors is None else plain(model.vectors),
        "batch_invariant": batch_invariant(network),
    }


def scheme(network: nn.Module) -> str:
    """How a network computes, and by which compact parts it does so or is stored: ``fp32 (packed_table)``.

    >>> scheme(nn.Linear(2, 2))
    'fp32'
    """
    kinds = sorted({str(part["kind"]) for part in stand_ins(network).values()})
    computed = "int8" if any(kind.startswith("int8") for kind in kinds) else "fp32"
    return f"{computed} ({', '.join(kinds)})" if kinds else computed


def batch_invariant(network: nn.Module) -> bool:
    """Whether no part of a network computes a row in another way for the company it is in."""
    return all(getattr(module, "batch_invariant", True) for module in network.modules())


def _limits(network: nn.Module) -> dict[str, int]:
    if isinstance(network, JointModel):
        return _limits(network.cross) | _limits(network.towers)
    if isinstance(network, CrossEncoder):
        return {"pair": network.config.max_tokens}
    assert isinstance(network, TwoTowers)
    return {"query": network.config.query.max_tokens, "product": network.config.product.max_tokens}


def stated_graph(name: str, outputs: Sequence[str], traced: Any) -> dict[str, Any]:
    """What the manifest says of a graph: its file, and what it takes and gives."""
    return {
        "file": f"{name}.onnx",
        "opset": traced.opset_imports[""],
        "inputs": {value.name: _tensor(value) for value in traced.graph.inputs},
        "outputs": {name: _tensor(value) for name, value in zip(outputs, traced.graph.outputs, strict=True)},
    }


def _tensor(value: Any) -> dict[str, Any]:
    shape = [size if isinstance(size, int) else str(size.value) for size in value.shape]
    return {"dtype": value.dtype.name.lower(), "shape": shape}
