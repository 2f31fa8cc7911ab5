"""Fashion Product Images (Kaggle): a CSV of products with three levels of classes, and a picture of each."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from shopstill.core.config import config
from shopstill.core.errors import DataError
from shopstill.data.chunk import Chunk, Raw
from shopstill.data.images.files import files_in, is_picture, place
from shopstill.data.readers._delimited import Layout, read_delimited
from shopstill.data.readers._files import existing, one_source
from shopstill.data.readers._named import titled

log = logging.getLogger(__name__)

_CLASSES = ("masterCategory", "subCategory", "articleType")
_ATTRIBUTES = ("gender", "baseColour", "season", "year", "usage")
# As published, names hold commas that nobody quoted.
_STYLES = Layout(
    table="products",
    required=("id", "gender", *_CLASSES, "baseColour", "season", "year", "usage", "productDisplayName"),
    open_ended=True,
)
_NONE = "NA"


@config
class Fashion:
    """Reads ``styles.csv`` and finds ``images/ID.jpg`` beside it, in a folder or in ``images.zip``.

    The category is the path of master category, subcategory and article type; gender, base colour, season, year and
    usage become attributes. A row with more fields than the header has a name with commas: they are put back; and a
    name may begin with a quote that nothing closes. A product without a name is titled by its id; one without a picture
    stays in the shop without one, and is counted in the log.

    Attributes:
        path: the folder that holds ``styles.csv`` and the pictures, or the CSV itself.
        pictures: whether pictures are looked for; without them, texts alone are read.

    Source: https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-dataset
    """

    path: Path
    pictures: bool = True

    def read(self) -> Iterator[Chunk]:
        """Products, a piece of the file at a time.

        Raises:
            DataError: a file is missing or is not what it claims to be.
        """
        styles, *pictures = self.sources()
        found = _by_id(pictures[0]) if pictures else {}
        source = one_source(styles, (".csv",))
        products = without = 0
        for raw in read_delimited(source, _STYLES):
            data = _products(raw, found)
            products, without = products + data.num_rows, without + data["image"].null_count
            yield Chunk(table="products", data=data, file=source.name, lines=raw.lines, rejects=raw.rejects)
        if self.pictures and without:
            log.warning("%s: %d of %d products have no picture in %s", styles, without, products, pictures[0])

    def sources(self) -> list[Path]:
        """The CSV, and the folder or zip of pictures."""
        styles = existing(self.path / "styles.csv" if self.path.is_dir() else self.path)
        return [styles, self._beside(styles)] if self.pictures else [styles]

    def _beside(self, styles: Path) -> Path:
        for name in ("images", "images.zip"):
            if (styles.parent / name).exists():
                return styles.parent / name
        raise DataError(
            f"{styles.parent}: holds neither a folder images nor images.zip; put the pictures there, or set "
            "pictures: false"
        )


def _by_id(pictures: Path) -> dict[str, str]:
    """Where the picture of each id lies; one nearer to the top counts before one further in."""
    found: dict[str, str] = {}
    for name in sorted(filter(is_picture, files_in(pictures)), key=lambda name: (name.count("/"), name)):
        found.setdefault(name.rpartition("/")[2].rpartition(".")[0], place(pictures, name))
    return found


def _products(raw: Raw, pictures: dict[str, str]) -> pa.Table:
    data = titled(raw.select({"product_id": "id", "title": "productDisplayName"}))
    images = [pictures.get((text or "").strip()) for text in data["product_id"].to_pylist()]
    columns = (raw.data[name].to_pylist() for name in _CLASSES)
    paths = [_path(steps) for steps in zip(*columns, strict=True)]
    columns = (raw.data[name].to_pylist() for name in _ATTRIBUTES)
    attributes = [_attributes(values) for values in zip(*columns, strict=True)]
    data = data.append_column("image", pa.array(images, pa.string()))
    data = data.append_column("category", pa.array(paths, pa.list_(pa.string())))
    return data.append_column("attributes", pa.array(attributes, pa.map_(pa.string(), pa.string())))


def _path(steps: tuple[str | None, ...]) -> list[str] | None:
    """The classes down to the first that is not told: one below it would slip up a level."""
    told = [(step or "").strip() for step in steps]
    return told[: told.index("")] or None if "" in told else told


def _attributes(values: tuple[str | None, ...]) -> list[tuple[str, str]] | None:
    return [(name, v) for name, v in zip(_ATTRIBUTES, values, strict=True) if v and v.strip() != _NONE] or None


fashion = Fashion
