"""The student in a tab: a static folder that searches its catalogue with no server, and with no network after a visit.

What a browser answers is what this library answers where product vectors are kept in int8: products are found by their
pooled vectors, the best ``DEPTH`` put in order by the head, and, where there is a cross-encoder, the best ``REORDERED``
of these once more by the sum of both. Lexical features are exact for queries that ``spelled`` says yes to; for others
they count as not known, as where a bundle is given NaN for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from shopstill.core.artifact import check_place, whole
from shopstill.core.errors import DataError
from shopstill.export.browser import catalogue, site
from shopstill.export.browser.lexical import spelled
from shopstill.export.browser.student import DEPTH, REORDERED, Student
from shopstill.serve.forms import Product

__all__ = ["DEPTH", "REORDERED", "spelled", "write_browser"]


def write_browser(bundle: Path, products: Iterable[Product], folder: Path) -> Path:
    """Write a bundle and a catalogue as a folder for any static host; a product's title is what the student reads.

    Args:
        bundle: a bundle of towers, alone or with a cross-encoder.
        products: the catalogue, in the order in which equals are shown.
        folder: where it will be; it appears whole or not at all.

    Returns:
        The folder. Serve it over HTTPS, or from localhost: browsers keep nothing offline for other addresses.

    Raises:
        ArtifactError: there is no whole bundle, other things lie in the folder, or onnxruntime-web cannot be had.
        DataError: the bundle cannot find products, its tokenizer is of another kind, or there are no products.
    """
    check_place(Path(folder))
    student = Student(Path(bundle))
    rows = list(products)
    if not rows:
        raise DataError("products: there are none; give at least one for the browser to find")
    runtime = site.runtime() if student.graphs else {}
    with whole(folder) as aside:
        catalogue.write(aside, rows)
        facts = student.write(aside, [product.title for product in rows])
        site.write(aside, facts, runtime, student.manifest.licences)
    return Path(folder)
