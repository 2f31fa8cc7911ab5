"""The pictures of products that have a class."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from shopstill.data.classes import ClassRows
from shopstill.data.images import ImageForm, Images, read_images
from shopstill.data.shop import Shop

log = logging.getLogger(__name__)

_PIXELS, _NAMED = "pixels", 20


@dataclass(frozen=True)
class Taken:
    """Pictures by row."""

    images: Images

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.images.take(rows)


def pictures_of(shop: Shop, rows: ClassRows, form: ImageForm) -> Images | None:
    """The products' pictures, decoded once, beside the shop; None where no product names one."""
    names = rows.table.column("image").to_pylist()
    if not any(names):
        return None
    found = read_images(names, form, shop.path.parent / _PIXELS, root=shop.path)
    for fault in found.rejects[:_NAMED]:
        log.warning("%s", fault)
    if found.missing or found.rejects:
        log.warning("%d products have no picture, %d one that is broken", found.missing, len(found.rejects))
    return found
