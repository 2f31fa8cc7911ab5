"""Products that a bundle brings along, with everything about them done: nothing is encoded at the start."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from shopstill.core.mapped import mapped
from shopstill.data.lexical import LexicalIndex
from shopstill.data.tokens import Ragged
from shopstill.data.vectors import Codec, Vectors
from shopstill.serve.bundle.cross import Cross, CrossAhead
from shopstill.serve.bundle.lean import Products, Words
from shopstill.serve.bundle.manifest import LEXICAL
from shopstill.serve.bundle.towers import Towers, TowersAhead

_IDS, _ARRAYS, _PLAIN, _COUNT = "ids.json", "products.safetensors", "plain", "count"

Arrays = dict[str, np.ndarray]


def write(folder: Path, count: int, parts: Sequence[CrossAhead | TowersAhead]) -> None:
    """Write products, in order, into a folder."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    arrays: Arrays = {_COUNT: np.array([count])}
    for part in parts:
        if isinstance(part, CrossAhead):
            arrays |= {"cross.ids_S": part.products.ids_S, "cross.length_N": part.products.length_N}
        else:
            arrays |= _state(part.products)
            if part.lexical is not None:
                part.lexical.save(folder / LEXICAL)
    save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, folder / _ARRAYS)


def write_ids(folder: Path, ids: Sequence[str]) -> None:
    """Write the products' ids, in order."""
    (folder / _IDS).write_text(json.dumps(list(ids), ensure_ascii=False) + "\n", encoding="utf-8")


def read_ids(folder: Path) -> list[str]:
    """The products' ids, in order."""
    return list(json.loads((folder / _IDS).read_text(encoding="utf-8")))


def count(folder: Path) -> int:
    """How many products there are."""
    return int(_arrays(folder)[_COUNT][0])


def read_cross(folder: Path, cross: Cross) -> CrossAhead:
    """The products as a cross-encoder wants them."""
    arrays = _arrays(folder)
    length = arrays["cross.length_N"]
    start = np.cumsum(length, dtype=np.int64) - length
    return CrossAhead(cross, Ragged(ids_S=arrays["cross.ids_S"], start_N=start, length_N=length))


def read_towers(folder: Path, towers: Towers, codec: Codec | None) -> TowersAhead:
    """The products as towers want them."""
    arrays = _arrays(folder)
    width, length = int(arrays["towers.width"][0]), arrays["towers.length_P"]
    pooled = _vectors(arrays, "pooled.", width, codec)
    if "towers.ids_S" in arrays:
        assert isinstance(towers.product, Words)
        products = Products(towers.product.unit, length, pooled, arrays["towers.ids_S"])
    else:
        products = Products(_vectors(arrays, "tokens.", width, codec), length, pooled)
    return TowersAhead(towers, products, None if towers.lexical is None else LexicalIndex.load(folder / LEXICAL))


def _state(products: Products) -> Arrays:
    own = {"pooled.": products.pooled_PD} | ({} if products.ids_S is not None else {"tokens.": products.vectors})
    arrays: Arrays = {"towers.length_P": products.length_P, "towers.width": np.array([products.width])}
    for prefix, held in own.items():
        codes: Mapping[str, np.ndarray] = {_PLAIN: held} if isinstance(held, np.ndarray) else held.state()
        arrays |= {f"{prefix}{name}": value for name, value in codes.items()}
    return arrays if products.ids_S is None else {**arrays, "towers.ids_S": products.ids_S}


def _vectors(arrays: Arrays, prefix: str, width: int, codec: Codec | None) -> np.ndarray | Vectors:
    state = {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
    if _PLAIN in state:
        return state[_PLAIN]
    assert codec is not None
    return Vectors.read(codec, width, state)


def _arrays(folder: Path) -> Arrays:
    return mapped(folder / _ARRAYS)
