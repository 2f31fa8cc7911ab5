"""A model of classes as a bundle, which appears only where it says of a product what the model does."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from shopstill.core.artifact import whole
from shopstill.core.config import plain
from shopstill.core.errors import ConfigError
from shopstill.data.images import ImageForm
from shopstill.data.images.decode import decoder
from shopstill.data.reading import Reading
from shopstill.export import label_parity, parity
from shopstill.export.bundle import About, batch_invariant, scheme, stated_graph
from shopstill.export.card import card
from shopstill.export.graphs import trace
from shopstill.export.label_graphs import graphs
from shopstill.export.weights import write_graphs
from shopstill.models.label import ImageNetwork, LabelModel, LabelRows, TextNetwork, reading_of
from shopstill.serve.bundle import manifest as form


def write_label_bundle(
    model: LabelModel,
    folder: Path,
    *,
    about: About,
    rows: LabelRows,
    pictures: ImageForm | None = None,
    tolerance: float | None = None,
) -> Path:
    """Write a model as a bundle, hold what it says of products to the model, and only then put it in its place.

    Args:
        model: the model that was judged.
        folder: where the bundle will be.
        about: what its manifest and card say of it.
        rows: real products that parity is held on, beside some that are hard to read.
        pictures: how pictures became the pixels that it learnt from; for a model that looks at some.
        tolerance: how far a logit may be off, in parts of the product's largest; by default as ``parity.allowed`` says.

    Returns:
        The folder.

    Raises:
        ArtifactError: a logit differs by more than the tolerance; the product and both values are named. Nothing
            appears.
        ConfigError: it looks at pictures, and how they are made is not told, or they are of another size.
    """
    network = model.network.eval()
    shape = _form(model, pictures)
    tolerance = parity.allowed(network) if tolerance is None else tolerance
    parts = graphs(network, model.size)
    traced = {name: trace(part) for name, part in parts.items()}
    reading = _reading(model)
    stated: dict[str, Any] = {
        **asdict(about),
        "scheme": scheme(network),
        "kind": network.config.kind,
        "model": plain(network.config),
        "outputs": len(model.classes),
        "reading": None if reading is None else plain(reading),
        "pictures": None if shape is None else plain(shape),
        "decoder": "" if shape is None else decoder(),
        "limits": {},
        "graphs": {name: stated_graph(name, part.outputs, traced[name]) for name, part in parts.items()},
        "batch_invariant": batch_invariant(network),
        "tolerance": tolerance,
    }
    with whole(folder) as aside:
        write_graphs(aside, traced, dict.fromkeys(parts, ""), form.WEIGHTS)
        names = json.dumps(list(model.classes), ensure_ascii=False, indent=0)
        (aside / form.CLASSES).write_text(names + "\n", encoding="utf-8")
        if reading is not None and reading.tokens:
            assert model.tokenizer is not None, "a network that reads tokens has a tokenizer"
            shutil.copyfile(model.tokenizer.path, aside / form.TOKENIZER)
        form.write(aside, stated)
        found = label_parity.check(model, aside, rows, tolerance=tolerance)
        stated["parity"] = asdict(found)
        stated["batch_invariant"] &= found.alone <= parity.TOLERANCE
        (aside / form.CARD).write_text(card(stated, aside), encoding="utf-8")
        form.write(aside, stated)
    return folder


def _form(model: LabelModel, pictures: ImageForm | None) -> ImageForm | None:
    """How pictures are made, for a model that looks at some."""
    if isinstance(model.network, TextNetwork):
        return None
    if pictures is None or model.size != (pictures.height, pictures.width):
        told = "not told" if pictures is None else f"{pictures.height} × {pictures.width}"
        raise ConfigError(f"pictures: {told}, and the model looks at {model.size} pixels; say how they were made")
    return pictures


def _reading(model: LabelModel) -> Reading | None:
    """How a text becomes ids, for a model that reads some."""
    return None if isinstance(model.network, ImageNetwork) else reading_of(model.network.body.config)
