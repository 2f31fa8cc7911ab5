"""The pictures of products that have a class."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopstill.core.errors import ConfigError, DataError
from shopstill.data.class_groups import silent
from shopstill.data.classes import ClassRows
from shopstill.data.images import ImageForm, Images, read_images
from shopstill.data.shop import Shop
from shopstill.models.label import Augment, Bag, Both, TextEncoder
from shopstill.tasks._course import stating

log = logging.getLogger(__name__)

_PIXELS, _FIRST, _NAMED = "pixels", 3, 20
_BROKEN = "picture cannot be used"
_MANY = 0.1
"""The share of products without a picture that is worth a warning."""


@dataclass(frozen=True)
class Taken:
    """Pictures by row."""

    images: Images

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.images.take(rows)


def pictures_of(shop: Shop, rows: ClassRows, form: ImageForm) -> Images | None:
    """The products' pictures, decoded once, beside the shop; None where no product names one.

    Raises:
        DataError: not one of those that are named can be used.
    """
    names = rows.table.column("image").to_pylist()
    if not any(names):
        return None
    found = read_images(names, form, shop.path.parent / _PIXELS, root=shop.path)
    if not found.there_N.any():
        reasons = "; ".join(str(fault) for fault in found.rejects[:_FIRST])
        raise DataError(
            f"none of {len(found.rejects):,} pictures can be used: {reasons}. Relative paths are looked for beside the "
            "products' table and in the working directory: put them there, or set task.pictures: null to read texts "
            "alone"
        )
    for fault in found.rejects[:_NAMED]:
        log.warning("%s", fault)
    without = len(found) - int(found.there_N.sum())
    level = logging.WARNING if without > len(found) * _MANY else logging.INFO
    if without:
        told = (
            "%d of %d products have no picture to see: %d name none, and are white; of %d it cannot be used, and those "
            "are not learnt from"
        )
        log.log(level, told, without, len(found), found.missing, len(found.rejects))
    return found


def check_seen(wanted: Any, images: Images | None) -> None:
    """That there are pictures for a network that reads them.

    Raises:
        ConfigError: there is none.
    """
    if images is None:
        raise ConfigError(
            f"{wanted.kind!r} reads pictures, but no product of the shop names one; map image to their files, or use "
            "bag or text_encoder"
        )


def learnable(split: pa.Table, rows: ClassRows, images: Images | None) -> pa.Table:
    """A split without what a picture that cannot be used would teach; its metadata count what was left out.

    A product whose picture is broken, or not where it is said to be, is not learnt from, whatever its text says: as
    white pixels under a class it would teach that white is of this class. In the validation and the test part it stays
    where its text says something, white like a product that names no picture: a shop has such products, a server sees
    no more of them, and a model that reads both is to be judged on them too. Where the text says nothing either, as the
    name of a file in a folder, no model could know, and it is left out there as well.

    Args:
        split: ``product_id, split``.
        rows: the products.
        images: their pictures; None where none is read.
    """
    if images is None or not images.rejects:
        return split
    broken_N = [name is not None for name in rows.table["image"].to_pylist()] & ~images.there_N
    ids = rows.table["product_id"].combine_chunks()
    broken, unknown = (ids.filter(pa.array(mask)) for mask in (broken_N, broken_N & np.array(silent(rows.table), bool)))
    out = pc.is_in(split["product_id"], broken)
    kept = pc.and_not(pc.not_equal(split["split"], "train"), pc.is_in(split["product_id"], unknown))
    left = split.filter(pc.or_(pc.invert(out), kept))
    return stating(left, {_BROKEN: len(split) - len(left)})


def unread(models: Mapping[str, Any], form: ImageForm | None, augment: Augment) -> Iterator[str]:
    """Models, by their place in a recipe, that read pictures which are not there, or texts where pictures are mixed."""
    for place, model in models.items():
        if form is None and not isinstance(model, Bag | TextEncoder):
            yield (
                f"{place}: {model.kind!r} reads pictures, but task.pictures is null; give their height and width, or "
                "use bag or text_encoder"
            )
        if augment.mixup and isinstance(model, Both):
            yield (
                f"{place}: {model.kind!r} reads texts too, of which no two have a mean, but task.augment.mixup is "
                f"{augment.mixup:g}; set it to 0, or use a model that reads pictures alone"
            )
