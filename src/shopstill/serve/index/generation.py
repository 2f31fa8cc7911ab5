"""A generation: the whole catalogue as it was at one moment, on the disk, never changed and opened without reading it.

A folder holds the products as they are shown, the lexical index, the values to filter by, and for each model what it
needs of the products. What changes later is in a journal beside it (``live``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from shopstill.core.artifact import whole
from shopstill.core.errors import ArtifactError
from shopstill.core.mapped import fetch
from shopstill.core.progress import progress
from shopstill.serve.bundle.load import Ahead, Bundle, load_texts
from shopstill.serve.forms import Product
from shopstill.serve.index import documents, facets, nearest
from shopstill.serve.index.documents import Documents
from shopstill.serve.index.facets import Columns, Values
from shopstill.serve.index.nearest import Nearest
from shopstill.serve.index.order import arranged
from shopstill.serve.index.writer import Writer

FORMAT = 2
WORDS = "words"
_STATED, _PLACES, _MODELS, _AHEAD, _SPOOL = "generation.json", "places.npy", "models", "ahead", "spool"
_ANEW = "build it anew from the catalogue: shopstill serve BUNDLE --products CATALOGUE --anew"
_AT_ONCE = 8192
_HEAP = 512_000_000
"""Bytes held before a piece of the lexical index is written: a search goes through one large piece in less time than
through several."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """A generation that is open.

    Attributes:
        folder: where it lies.
        documents: the products, by row.
        columns: what they are filtered by.
        values: every value of every field; it grows with what comes later.
        place_N: where each row's product is listed.
        number: of the last change that is in it.
        bytes: of its files, when it was opened.
    """

    folder: Path
    documents: Documents
    columns: Columns
    values: Values
    place_N: np.ndarray
    number: int
    bytes: int

    @property
    def name(self) -> str:
        """Its name, which orders generations in time."""
        return self.folder.name

    def __len__(self) -> int:
        return len(self.documents)

    def products(self) -> Iterator[Product]:
        """Its products as they are listed."""
        return (self.documents.product(int(row)) for row in np.argsort(self.place_N))

    def ready(self, bundle: Bundle) -> tuple[Ahead, Nearest | None]:
        """What a model needs of the products, as ``prepare`` wrote it: scores ahead, and vectors where it has some."""
        folder = self.folder / _MODELS / key(bundle)
        ahead = bundle.read_ahead(folder / _AHEAD)
        return ahead, None if ahead.vectors is None else Nearest.open(ahead.vectors, folder)

    def fetch(self, bundle: Bundle) -> None:
        """Have the model's part in memory, so that the first searches on it need not wait for the disk."""
        # A generation that was replaced meanwhile is gone, and then the next one's part is opened.
        with suppress(OSError):
            fetch(self.folder / _MODELS / key(bundle))

    def prepared(self, bundle: Bundle) -> bool:
        """Whether the model's part is there."""
        return (self.folder / _MODELS / key(bundle)).is_dir()


def open_generation(folder: Path) -> Generation:
    """A generation that ``build`` wrote.

    Raises:
        ArtifactError: there is none, or another version wrote it.
    """
    try:
        stated = json.loads((folder / _STATED).read_text(encoding="utf-8"))
    except (OSError, ValueError) as cause:
        raise ArtifactError(f"{folder}: no generation of an index here ({cause}); {_ANEW}") from None
    if stated.get("format") != FORMAT:
        raise ArtifactError(
            f"{folder / _STATED}: an index of format {stated.get('format')}, and this version reads {FORMAT}; {_ANEW}"
        )
    found = Generation(
        folder=folder,
        documents=Documents(folder),
        columns=Columns.load(folder),
        values=facets.load_values(folder),
        place_N=np.asarray(np.load(folder / _PLACES, mmap_mode="r")),
        number=stated["number"],
        bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    )
    if len(found.documents) != stated["products"] or len(found.columns) != stated["products"]:
        raise ArtifactError(f"{folder}: torn: holds other than its {stated['products']:,} products; build it again")
    return found


def build(folder: Path, products: Iterable[Product], bundles: Iterable[Path], total: int, number: int = 0) -> int:
    """Write a generation; it appears whole or not at all.

    Args:
        folder: where it will lie.
        products: as they are to be listed; their rows are by category.
        bundles: folders of the models to prepare.
        total: how many products there are, about; for the progress shown.
        number: of the last change that is in the products.

    Returns:
        how many products there were.

    Raises:
        DataError: two products have the same id.
    """
    values = Values()
    with whole(folder) as aside:
        with arranged(products, aside / _SPOOL, total) as (place_N, ordered), Writer(aside / WORDS, _HEAP) as writer:
            placed = zip(place_N.tolist(), ordered, strict=True)
            count = documents.write(aside, _indexed(aside, placed, writer, values, total))
            writer.commit()
        np.save(aside / _PLACES, place_N)
        facets.save_values(values, aside)
        stated = {"format": FORMAT, "products": count, "number": number}
        (aside / _STATED).write_text(json.dumps(stated) + "\n", encoding="utf-8")
        for bundle in bundles:
            prepare(aside, bundle)
    return count


def prepare(folder: Path, bundle_folder: Path) -> None:
    """Write what a model needs of a generation's products: their tokens, vectors and a graph over these."""
    bundle, found = load_texts(bundle_folder), Documents(folder)
    with whole(folder / _MODELS / key(bundle)) as aside:
        ahead = bundle.ahead([text_of(product, bundle) for product in found])
        ahead.write(aside / _AHEAD)
        if ahead.vectors is not None:
            nearest.build(ahead.vectors, aside)


def text_of(product: Product, bundle: Bundle) -> str:
    """What a model reads of a product."""
    return " ".join(text for column in bundle.manifest.text if (text := getattr(product, column)))


def key(bundle: Bundle) -> str:
    """What tells a model's part of a generation from another's."""
    return bundle.manifest.digest[:16]


def _indexed(
    folder: Path, products: Iterable[tuple[int, Product]], writer: Writer, values: Values, total: int
) -> Iterator[Product]:
    """Products as they pass, each with its place, indexed; their columns are written at the end."""
    source = iter(products)
    codes: list[list[int]] = []
    prices: list[float | None] = []
    with progress("index", total, "products") as bar:
        while piece := list(islice(source, _AT_ONCE)):
            for place, product in piece:
                found = values.codes(product)
                writer.add(len(codes), place, product, found)
                codes.append(found)
                prices.append(product.price)
                yield product
            bar.advance(len(piece))
    Columns.of(codes, prices).save(folder)
