"""The student's part of the folder: its tokenizer, vectors, head and graphs, and the products as it sees them.

Shapes: ``P`` products, ``S`` tokens of all products end to end, ``V`` tokens of the vocabulary, ``D`` width.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shopstill.core.errors import DataError, require
from shopstill.data.lexical import LexicalIndex
from shopstill.data.tokens import TextTokenizer
from shopstill.data.vectors import Codec, Vectors
from shopstill.export.browser import lexical
from shopstill.export.browser.characters import characters
from shopstill.serve.bundle import lean
from shopstill.serve.bundle import manifest as form
from shopstill.serve.bundle.sessions import Sessions
from shopstill.serve.bundle.towers import Towers, TowersAhead

DEPTH, REORDERED = 100, 20
"""How many of the products found the head puts in order, and how many of these a cross-encoder does once more."""

CODEC = Codec(kind="int8")
FOLDER, PRODUCTS = "student", "catalogue/products.safetensors"

Arrays = dict[str, np.ndarray]


class Student:
    """A bundle, read for the browser.

    Args:
        bundle: its folder.

    Raises:
        ArtifactError: there is no whole bundle.
        DataError: it cannot find products, or computes its head in a way that the browser does not.
    """

    def __init__(self, bundle: Path) -> None:
        self.bundle, self.manifest = bundle, form.read(bundle)
        if "query" not in self.manifest.limits:
            raise DataError(
                f"{bundle}: a model of kind {self.manifest.kind!r} orders products but does not find them, and a "
                f"browser has nothing else to find them by; export a student of kind towers or joint"
            )
        sessions = Sessions(bundle, self.manifest.graphs)
        self.arrays = sessions.constants("lean") if "lean" in sessions else {}
        if lean.head(self.arrays) is None:
            raise DataError(
                f"{bundle}: its head is computed as {self.manifest.scheme}, which the browser does not do; "
                f"export the student as it was before that pass"
            )
        self.tables = characters(bundle / form.TOKENIZER)
        self.tokenizer = TextTokenizer(bundle / form.TOKENIZER)
        index = LexicalIndex.load(bundle / form.LEXICAL) if self.manifest.features else None
        self.towers = Towers(sessions, self.tokenizer, self.manifest.limits, index)
        self.rules = lexical.rules() if self.manifest.features else None
        self.graphs = [name for name in ("query", "pair") if self._runs(name)]

    def ahead(self, texts: Sequence[str]) -> TowersAhead:
        """The towers with products as the browser keeps them."""
        return TowersAhead.of(self.towers, texts, CODEC)

    def write(self, folder: Path, texts: Sequence[str]) -> dict[str, Any]:
        """Write all files of the student and of what it knows of the products; what the page is to know of them."""
        own = folder / FOLDER
        own.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.bundle / form.TOKENIZER, own / form.TOKENIZER)
        _json(own / "characters.json", self.tables)
        _arrays(own / "student.safetensors", self._weights())
        if self.rules is not None:
            _json(own / "rules.json", self.rules)
        for name in self.graphs:
            _whole_graph(self.bundle / self.manifest.graphs[name].file, own / f"{name}.onnx")
        _arrays(folder / PRODUCTS, self._products(texts))
        return self._facts(len(texts))

    def _runs(self, name: str) -> bool:
        return name in self.manifest.graphs and f"{name}.table" not in self.arrays

    def _weights(self) -> Arrays:
        """The query's side and the head; the product's side has done its work when this is written."""
        return {name: value for name, value in self.arrays.items() if not name.startswith("product.")}

    def _products(self, texts: Sequence[str]) -> Arrays:
        ahead = self.ahead(texts)
        products = ahead.products
        assert isinstance(products.pooled_PD, Vectors)
        found = {f"pooled.{name}": value for name, value in products.pooled_PD.state().items()}
        found["length"] = _narrow(products.length_P)
        if products.ids_S is not None:
            # A vocabulary's vectors, of those tokens alone that the catalogue has.
            assert isinstance(products.vectors, np.ndarray)
            used, place_S = np.unique(products.ids_S, return_inverse=True)
            found |= {"words": products.vectors[used], "ids": _narrow(place_S)}
        elif isinstance(products.vectors, Vectors):
            found |= {f"tokens.{name}": value for name, value in products.vectors.state().items()}
        if self.rules is not None and ahead.lexical is not None:
            found |= lexical.arrays(ahead.lexical)
        if "pair" in self.manifest.limits:
            rows = self.tokenizer.encode(texts)
            kept = rows.take(np.arange(len(texts)), self.manifest.limits["pair"])
            found |= {"cross.length": _narrow(kept.length_N), "cross.ids": _narrow(kept.ids_S)}
        return found

    def _facts(self, products: int) -> dict[str, Any]:
        stated, tokenizer = self.manifest, self.tokenizer
        return {
            "name": stated.name,
            "kind": stated.kind,
            "digest": stated.digest,
            "products": products,
            "limits": stated.limits,
            "depth": DEPTH,
            "reordered": REORDERED,
            "special": {"begin": tokenizer.begin, "part": tokenizer.part, "pad": tokenizer.pad},
            "doubled": tokenizer.doubled,
            "graphs": self.graphs,
            "features": len(stated.features),
            "lexical": self.rules is not None,
        }


def _whole_graph(source: Path, to: Path) -> None:
    """A graph with its weights inside: a browser has no files beside it."""
    onnx = require("onnx", "train")
    graph = onnx.load(str(source), load_external_data=True)
    for tensor in graph.graph.initializer:
        tensor.ClearField("external_data")
        tensor.data_location = onnx.TensorProto.DEFAULT
    onnx.save_model(graph, str(to))


def _narrow(values: np.ndarray) -> np.ndarray:
    """Whole numbers in as few bytes as they fit."""
    most = int(values.max(initial=0))
    return values.astype(np.uint8 if most < 1 << 8 else np.uint16 if most < 1 << 16 else np.uint32)


def _arrays(path: Path, arrays: Arrays) -> None:
    from safetensors.numpy import save

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(save({name: np.ascontiguousarray(value) for name, value in arrays.items()}))


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
