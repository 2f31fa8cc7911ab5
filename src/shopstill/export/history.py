"""A model of shoppers' histories as a bundle, which appears only where it recommends as the model does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shopstill.core.artifact import whole
from shopstill.core.config import plain
from shopstill.core.errors import DataError
from shopstill.data.histories import ColdItems
from shopstill.export import history_parity, parity
from shopstill.export.bundle import About, batch_invariant, scheme, stated_graph
from shopstill.export.card import card
from shopstill.export.graphs import trace
from shopstill.export.history_graphs import codes, graphs, scan
from shopstill.export.weights import write_graphs
from shopstill.models.sequence import SequenceModel, with_cold
from shopstill.serve.bundle import manifest as form


def write_history_bundle(
    model: SequenceModel,
    folder: Path,
    *,
    about: About,
    histories: Sequence[np.ndarray],
    titles: Mapping[str, str] | Sequence[str] | None = None,
    cold: ColdItems | None = None,
    tolerance: float | None = None,
) -> Path:
    """Write a model as a bundle, hold what it recommends to the model, and only then put it in its place.

    Args:
        model: the model that was judged.
        folder: where the bundle will be.
        about: what its manifest and card say of it.
        histories: numbers of items from the oldest, that parity is held on, beside some that are hard to read.
        titles: of the items: by id, or one for each, in order, cold ones at the end.
        cold: products that nobody has taken up, which are recommended by their attributes.
        tolerance: how far a score may be off; by default as ``parity.allowed`` says.

    Returns:
        The folder.

    Raises:
        ArtifactError: a score differs by more than the tolerance, or the scan loses too many items. Nothing appears.
        ConfigError: there are cold products, and the model reads no attributes.
        DataError: there are not as many titles as items.
    """
    network, item_ids = model.network.eval(), model.item_ids.cast(pa.string())
    tolerance = parity.allowed(network) if tolerance is None else tolerance
    how, many = scheme(network), len(cold) if cold else 0
    if cold and many:
        network, item_ids = with_cold(network, cold.attributes), pa.concat_arrays([item_ids, cold.ids])
    items = _items(item_ids, titles, many)
    parts = graphs(network)
    traced = {name: trace(part) for name, part in parts.items()}
    scanned = scan(*codes(network))
    stated = {
        **asdict(about),
        "scheme": how,
        "kind": network.config.kind,
        "model": plain(network.config),
        "limits": {"history": network.config.max_items - (1 if network.masks else 0)},
        "graphs": {name: stated_graph(name, part.outputs, traced[name]) for name, part in parts.items()}
        | {"scan": stated_graph("scan", ("score",), scanned)},
        "batch_invariant": batch_invariant(network),
        "tolerance": tolerance,
    }
    with whole(folder) as aside:
        write_graphs(aside, traced, dict.fromkeys(parts, ""), form.WEIGHTS)
        write_graphs(aside, {"scan": scanned}, {"scan": ""}, form.SCANNED)
        pq.write_table(items, aside / form.ITEMS)
        form.write(aside, stated)
        found = history_parity.check(network, aside, histories, tolerance=tolerance, cold=many)
        stated["parity"] = asdict(found)
        stated["batch_invariant"] &= found.alone <= parity.TOLERANCE
        (aside / form.CARD).write_text(card(stated, aside), encoding="utf-8")
        form.write(aside, stated)
    return folder


def _items(item_ids: pa.Array, titles: Mapping[str, str] | Sequence[str] | None, cold: int) -> pa.Table:
    """Ids of items, item 1 first, with their titles; and which are cold, where some are."""
    columns: dict[str, Any] = {"item_id": item_ids}
    if isinstance(titles, Mapping):
        titles = [titles.get(name, name) for name in columns["item_id"].to_pylist()]
    if titles is not None:
        if len(titles) != len(item_ids):
            raise DataError(f"titles: {len(titles):,}, where there are {len(item_ids):,} items; give one for each")
        columns["title"] = pa.array(titles, pa.string())
    if cold:
        columns["cold"] = np.arange(len(item_ids)) >= len(item_ids) - cold
    return pa.table(columns)
