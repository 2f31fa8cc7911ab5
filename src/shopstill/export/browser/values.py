"""The filters' part of the folder: what each product can be filtered by, in numbers that a browser counts; and where
it is listed.

A value is a code, and those of a field are adjacent, in the order in which the server numbers them. Shapes: ``P``
products, ``V`` values, ``C`` codes of all products end to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from shopstill.export.browser.plain import narrow, write_arrays, write_json
from shopstill.serve.engine import counting
from shopstill.serve.forms import Product
from shopstill.serve.index.facets import Values

_CODES, _NAMES = "catalogue/values.safetensors.gz", "catalogue/values.json"


def write(folder: Path, products: Sequence[Product], place_P: np.ndarray) -> dict[str, Any]:
    """Write what products can be filtered by and where they are listed; what the page is to know of it."""
    values = Values()
    codes = [values.codes(product) for product in products]
    order = sorted(range(len(values.names)), key=lambda code: (values.names[code][0], code))
    place_V = np.argsort(np.array(order, np.int64))
    price_P = np.array([np.nan if product.price is None else product.price for product in products])
    arrays = {
        "length": narrow(np.array([len(own) for own in codes])),
        "codes": narrow(place_V[np.array([code for own in codes for code in own], np.int64)]),
        "price": price_P,
        "place": narrow(place_P),
    }
    write_arrays(folder / _CODES, arrays)
    fields = groupby((values.names[code] for code in order), key=lambda name: name[0])
    named = [[field, [value for _, value in names]] for field, names in fields]
    write_json(folder / _NAMES, {"fields": named, "settings": settings()})
    priced = bool(np.isfinite(price_P).any())
    return {"priced": priced, "filtered": priced or bool(order)}


def settings() -> dict[str, Any]:
    """How values are counted, as the server does it."""
    return {"shown": counting.VALUES, "attributes": counting.ATTRIBUTES, "steps": counting.STEPS.tolist()}
