"""Products that a bundle brings along, with everything about them done: nothing is encoded at the start."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from shopstill.data.lexical import LexicalIndex
from shopstill.data.tokens import Ragged
from shopstill.data.vectors import Codec, Vectors
from shopstill.serve.bundle.cross import Cross, CrossAhead
from shopstill.serve.bundle.lean import Products, Words
from shopstill.serve.bundle.manifest import LEXICAL
from shopstill.serve.bundle.towers import Towers, TowersAhead

_IDS, _ARRAYS, _PLAIN = "ids.json", "products.safetensors", "plain"

Arrays = dict[str, np.ndarray]


def write(folder: Path, ids: Sequence[str], parts: Sequence[CrossAhead | TowersAhead]) -> None:
    """Write products, in order, into a folder."""
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    arrays: Arrays = {}
    for part in parts:
        if isinstance(part, CrossAhead):
            arrays |= {"cross.ids_S": part.products.ids_S, "cross.length_N": part.products.length_N}
        else:
            arrays |= _state(part.products)
            if part.lexical is not None:
                part.lexical.save(folder / LEXICAL)
    (folder / _ARRAYS).write_bytes(save({name: np.ascontiguousarray(value) for name, value in arrays.items()}))
    (folder / _IDS).write_text(json.dumps(list(ids), ensure_ascii=False) + "\n", encoding="utf-8")


def read_ids(folder: Path) -> list[str]:
    """The products' ids, in order."""
    return list(json.loads((folder / _IDS).read_text(encoding="utf-8")))


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
    from safetensors.numpy import load_file

    return dict(load_file(folder / _ARRAYS))
