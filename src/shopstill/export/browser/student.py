"""The student's part of the folder: its tokenizer, vectors, head and graphs, and the products as it sees them.

Shapes: ``P`` products, ``S`` tokens of all products end to end, ``V`` tokens of the vocabulary, ``D`` width.
"""

from __future__ import annotations

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
from shopstill.export.browser.plain import narrow, write_arrays, write_json
from shopstill.export.browser.words import settings
from shopstill.serve.bundle import lean
from shopstill.serve.bundle import manifest as form
from shopstill.serve.bundle.sessions import Sessions
from shopstill.serve.bundle.towers import Towers
from shopstill.serve.engine.ranking import RERANKED

DEPTH, REORDERED = RERANKED, 20
"""How many of the products found the model puts in order; and how many where it is a cross-encoder, too."""

CODEC = Codec(kind="int8")
FOLDER, PRODUCTS = "student", "catalogue/products.safetensors.gz"

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
        self.lexical = bool(self.manifest.features) and lexical.stems_agree()
        self.graphs = [name for name in ("query", "pair") if self._runs(name)]

    def write(self, folder: Path, texts: Sequence[str]) -> dict[str, Any]:
        """Write all files of the student and of what it knows of the products; what the page is to know of them."""
        own = folder / FOLDER
        own.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.bundle / form.TOKENIZER, own / form.TOKENIZER)
        write_json(own / "characters.json", self.tables)
        write_arrays(own / "student.safetensors.gz", self._weights())
        write_json(own / "rules.json", lexical.rules())
        for name in self.graphs:
            _whole_graph(self.bundle / self.manifest.graphs[name].file, own / f"{name}.onnx")
        write_arrays(folder / PRODUCTS, self._products(texts))
        return self._facts(len(texts))

    def _runs(self, name: str) -> bool:
        return name in self.manifest.graphs and f"{name}.table" not in self.arrays

    def _weights(self) -> Arrays:
        """The query's side and the head; the product's side has done its work when this is written."""
        return {name: value for name, value in self.arrays.items() if not name.startswith("product.")}

    def _products(self, texts: Sequence[str]) -> Arrays:
        """Products as tokens of a table, from which their vectors are made again; or as vectors in int8."""
        products, tower = self.towers.encode(texts), self.towers.product
        if isinstance(tower, lean.Words):
            assert products.ids_S is not None
            # Of those tokens alone that the catalogue has.
            used, place_S = np.unique(products.ids_S, return_inverse=True)
            found = {"words": tower.table[used], "importance": tower.importance[used], "ids": narrow(place_S)}
        else:
            found = self._vectors(products)
        found["length"] = narrow(products.length_P)
        if self.lexical and self.towers.lexical is not None:
            found |= lexical.arrays(self.towers.lexical.others(texts))
        if "pair" in self.manifest.limits:
            rows = self.tokenizer.encode(texts)
            kept = rows.take(np.arange(len(texts)), self.manifest.limits["pair"])
            found |= {"cross.length": narrow(kept.length_N), "cross.ids": narrow(kept.ids_S)}
        return found

    def _vectors(self, products: lean.Products) -> Arrays:
        products.keep(CODEC)
        parts = {"pooled": products.pooled_PD} | (
            {} if isinstance(self.towers.head, lean.Dot) else {"tokens": products.vectors}
        )
        found: Arrays = {}
        for part, vectors in parts.items():
            assert isinstance(vectors, Vectors)
            found |= {f"{part}.{name}": value for name, value in vectors.state().items()}
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
            "lexical": self.lexical,
            "legs": settings(stated.fusion),
        }


def _whole_graph(source: Path, to: Path) -> None:
    """A graph with its weights inside: a browser has no files beside it."""
    onnx = require("onnx", "train")
    graph = onnx.load(str(source), load_external_data=True)
    for tensor in graph.graph.initializer:
        tensor.ClearField("external_data")
        tensor.data_location = onnx.TensorProto.DEFAULT
    onnx.save_model(graph, str(to))
