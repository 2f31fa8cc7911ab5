"""The student in a tab: a static folder that searches its catalogue with no server, and with no network after a visit.

A browser answers as the server does: products are found by words and by vectors, put together, and the best of them
ordered by the model. Product vectors are kept in int8, and a cross-encoder orders the best ``REORDERED``, as a server
does whose time is enough for so many. Queries are cut as on the server where ``spelled`` says so; for others lexical
features count as not known, as where a bundle is given NaN for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from shopstill.core.artifact import check_place, whole
from shopstill.core.errors import DataError
from shopstill.export.browser import catalogue, site, values, words
from shopstill.export.browser.lexical import spelled
from shopstill.export.browser.npm import files
from shopstill.export.browser.student import DEPTH, REORDERED, Student
from shopstill.serve.cleaning import cleaned
from shopstill.serve.forms import Product
from shopstill.serve.index.order import by_category

__all__ = ["DEPTH", "REORDERED", "spelled", "write_browser"]


def write_browser(bundle: Path, products: Iterable[Product], folder: Path) -> Path:
    """Write a bundle and a catalogue as a folder for any static host; a product's title is what the student reads.

    Args:
        bundle: a bundle of towers, alone or with a cross-encoder.
        products: the catalogue, as it is to be listed; it lies by category, as the server has it.
        folder: where it will be; it appears whole or not at all.

    Returns:
        The folder. Serve it over HTTPS, or from localhost: browsers keep nothing offline for other addresses.

    Raises:
        ArtifactError: there is no whole bundle, other things lie in the folder, or what browsers need of npm (for
            graphs onnxruntime-web, for Chinese titles jieba-wasm) cannot be had.
        DataError: the bundle cannot find products, its tokenizer is of another kind, or there are no products.
    """
    check_place(Path(folder))
    student = Student(Path(bundle))
    came = [cleaned(product) for product in products]
    place_P = by_category([product.category for product in came])
    rows = [came[place] for place in place_P]
    if not rows:
        raise DataError("products: there are none; give at least one for the browser to find")
    fields = words.postings(rows)
    needed = {site.GRAPHS: bool(student.graphs), site.CHINESE: words.chinese(fields["words"].tokens)}
    parts = {package: files(package, names) for package, names in site.FILES.items() if needed[package]}
    with whole(folder) as aside:
        catalogue.write(aside, rows)
        words.write(aside, fields)
        facts = student.write(aside, [product.title for product in rows]) | {"chinese": needed[site.CHINESE]}
        facts |= values.write(aside, rows, place_P)
        site.write(aside, facts, parts, student.manifest.licences)
    return Path(folder)
