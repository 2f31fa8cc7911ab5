"""Products as models were taught with them: every text cleaned as a shop's are when it is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shopstill.data.text import normalise
from shopstill.serve.forms import LONGEST_BRAND, LONGEST_DESCRIPTION, LONGEST_TITLE, Product


def cleaned(product: Product) -> Product:
    """A product with its texts normalised; a title of which nothing would be left stays as it is.

    >>> cleaned(Product(id="1", title="Rake &quot;PRO&quot;", category=("Home ", "<b>Garden</b>"))).title
    'Rake "PRO"'
    """
    found: dict[str, Any] = {
        "title": normalise(product.title)[:LONGEST_TITLE] or product.title,
        "description": _cut(product.description, LONGEST_DESCRIPTION),
        "brand": _cut(product.brand, LONGEST_BRAND),
        "category": tuple(part for part in map(normalise, product.category) if part),
        "attributes": {normalise(name) or name: normalise(value) for name, value in product.attributes.items()},
    }
    changed = {name: value for name, value in found.items() if value != getattr(product, name)}
    # A form is checked anew when it is made anew.
    return replace(product, **changed) if changed else product


def _cut(text: str | None, longest: int) -> str | None:
    return text and (normalise(text)[:longest] or None)
