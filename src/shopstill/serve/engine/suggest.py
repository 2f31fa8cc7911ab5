"""Ways to go on typing: words that begin so, and brands, categories and products that fit."""

from __future__ import annotations

from shopstill.data.text import fold, last_word
from shopstill.serve.forms import Kind, Suggestion
from shopstill.serve.index.catalogue import Catalogue
from shopstill.serve.index.facets import BRAND, CATEGORY, Wanted
from shopstill.serve.index.words import Words, tokens_of

_EACH = {BRAND: 2, CATEGORY: 2}
_TRIED = 12


def suggestions(catalogue: Catalogue, text: str, limit: int) -> list[Suggestion]:
    """Up to ``limit`` suggestions for what has been typed so far: completions, then places, then products."""
    if not text.strip():
        return []
    places = _places(catalogue, text)
    words = _completions(catalogue, text, max(1, limit - len(places)))
    found = [*words, *places]
    return [*found, *_products(catalogue, text, limit - len(found))][:limit]


def _completions(catalogue: Catalogue, text: str, most: int) -> list[Suggestion]:
    """The typed text with its last word finished, where products match all of it; commonest first."""
    last = last_word(text)[1]
    if not last or text[-1:].isspace() or not fold(text).endswith(last):
        return []
    before = fold(text)[: -len(last)]
    found = []
    for word in _fitting(catalogue.words, before, last, most):
        query = catalogue.words.query(before + word, Wanted())
        if count := catalogue.words.search(query, 1).total:
            found.append(Suggestion(text=before + word, kind="completion", count=count))
    return sorted(found, key=lambda one: -one.count)[:most]


def _fitting(words: Words, before: str, begun: str, most: int) -> list[str]:
    """Words that an unfinished one may stand for: those that most products have, beside what was typed before it."""
    if not tokens_of(before):
        return [word for word, _ in words.beginning(begun, _TRIED)]
    forms = [word for word, _ in words.endings(begun)]
    counted = sorted(zip(words.beside(before, forms), forms, strict=True), key=lambda one: -one[0])
    return [word for count, word in counted[:most] if count]


def _places(catalogue: Catalogue, text: str) -> list[Suggestion]:
    """Brands and categories of which a word begins so."""
    typed, values = fold(text).strip(), catalogue.values
    found: list[Suggestion] = []
    for field, most in _EACH.items():
        fitting = values.beginning(field, typed)
        counted = [(catalogue.words.having(code), code) for code in fitting[:_TRIED]]
        for count, code in sorted(counted, reverse=True)[:most]:
            if count:
                kind: Kind = "brand" if field == BRAND else "category"
                found.append(Suggestion(text=values.names[code][1], kind=kind, count=count))
    return found


def _products(catalogue: Catalogue, text: str, most: int) -> list[Suggestion]:
    if most < 1:
        return []
    rows = catalogue.words.search(catalogue.words.query(text, Wanted(), prefix=True), most).rows
    products = [catalogue.product(int(row)) for row in rows]
    return [Suggestion(text=product.title, kind="product", count=1, id=product.id) for product in products]
