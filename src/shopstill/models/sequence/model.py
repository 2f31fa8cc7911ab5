"""A network of histories with the items it knows: created, saved to a folder, and read back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shopstill.core.config import config, plain
from shopstill.core.errors import ArtifactError
from shopstill.models import _folder
from shopstill.models._folder import Shape
from shopstill.models.sequence.config import HashedItems, Sequence, Sizes
from shopstill.models.sequence.network import SequenceNetwork

_ITEMS = "items.parquet"


@config
class Saved(Shape):
    """What ``model.json`` holds."""

    model: Sequence
    sizes: Sizes


@dataclass(frozen=True, kw_only=True)
class SequenceModel:
    """A network with the shop's ids of its items: item 1 is at place 0."""

    network: SequenceNetwork
    item_ids: pa.Array

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self.network.parameters())


def starts(wanted: Any) -> list[str | None]:
    """What a configuration's networks begin with: random weights."""
    return [None]


def taps(wanted: Any) -> list[str]:
    """Names of the features that a configuration's network returns beside its logits."""
    return ["hidden"]


def traits(wanted: Any) -> set[str]:
    """What a configuration's network has that can be made smaller, as ``families.Trait`` names it."""
    return {"tables", "linear layers"}


def quick(wanted: Any) -> Any:
    """The same; in place of codes, which are found by k-means, there is a table of no vectors of its items' own."""
    return replace(wanted, table=HashedItems()) if wanted.table.kind == "codes" else wanted


def save(model: SequenceModel, folder: Path) -> None:
    """Write a model folder: weights, sizes and ids; ``load`` needs nothing else."""
    _folder.write(folder, model.network, {"model": plain(model.network.config), "sizes": plain(model.network.sizes)})
    pq.write_table(pa.table({"item_id": model.item_ids}), folder / _ITEMS)


def load(folder: Path) -> SequenceModel:
    """Read a model folder that ``save`` wrote.

    Raises:
        ArtifactError: there is none, or its weights do not fit its configuration.
    """
    from shopstill.models.sequence import empty

    stated = _folder.stated(Saved, folder)
    network = empty(stated.model, stated.sizes)
    _folder.fill(network, stated, folder)
    try:
        item_ids = pq.read_table(folder / _ITEMS).column("item_id").combine_chunks()
    except (FileNotFoundError, pa.ArrowInvalid, KeyError) as cause:
        raise ArtifactError(f"{folder / _ITEMS}: {cause}; run the stage that made it again") from None
    return SequenceModel(network=network, item_ids=item_ids)
