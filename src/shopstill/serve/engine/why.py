"""Why a product scored as it did: each word left out in turn, on the model as it is served."""

from __future__ import annotations

from collections.abc import Sequence

from shopstill.serve.bundle.load import Bundle
from shopstill.serve.engine.marks import Word, compared, words
from shopstill.serve.forms import Moved, Product, Why
from shopstill.serve.index.generation import text_of

_WORDS = 48


def why(name: str, bundle: Bundle, query: str, product: Product, spelling: str | None = None) -> Why:
    """What moved a model's score of a product: ``effect`` is by how much the score falls without the word.

    An attribute's effect is that of all words of its value that stand in what the model reads. Where a search takes the
    query in a better ``spelling``, so does this.
    """
    query = spelling or query
    text = text_of(product, bundle)
    asked, read = words(query)[:_WORDS], words(text)[:_WORDS]
    named = _attributes(product, read)
    pairs = [(query, text), *((_without(query, [word]), text) for word in asked)]
    pairs += [(query, _without(text, [word])) for word in read]
    pairs += [(query, _without(text, some)) for _, some in named]
    score, *others = (float(one) for one in bundle.score(pairs).reshape(len(pairs), -1)[:, 0])
    falls = [score - other for other in others]
    of_query, of_title = falls[: len(asked)], falls[len(asked) : len(asked) + len(read)]
    of_attributes = falls[len(asked) + len(read) :]
    return Why(
        model=name,
        score=score,
        spelling=spelling,
        query=[_moved(word, fall) for word, fall in zip(asked, of_query, strict=True)],
        title=[_moved(word, fall) for word, fall in zip(read, of_title, strict=True)],
        attributes=[
            Moved(text=label, start=some[0].start, stop=some[-1].stop, effect=fall)
            for (label, some), fall in zip(named, of_attributes, strict=True)
        ],
    )


def _attributes(product: Product, read: Sequence[Word]) -> list[tuple[str, list[Word]]]:
    """Brand and attributes of which a word stands in the text, and these words."""
    named = {"brand": product.brand or "", **product.attributes}
    found = []
    for name, value in named.items():
        own = {compared(word.text) for word in words(value)}
        some = [word for word in read if compared(word.text) in own]
        if some:
            found.append((f"{name}: {value}", some))
    return found


def _moved(word: Word, effect: float) -> Moved:
    return Moved(text=word.text, start=word.start, stop=word.stop, effect=effect)


def _without(text: str, some: Sequence[Word]) -> str:
    """A text with some of its words taken out.

    >>> _without("red mug", [Word("red", 0, 3)])
    'mug'
    """
    kept, at = [], 0
    for word in some:
        kept.append(text[at : word.start])
        at = word.stop
    return " ".join("".join([*kept, text[at:]]).split())
