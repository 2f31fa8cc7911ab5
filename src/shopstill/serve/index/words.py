"""The lexical leg: products by their words, with filters, counts and order by price, in an index of tantivy's.

A query is cut into tokens as a product was when the index was written (``writer``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tantivy
from tantivy import Occur, Query

from shopstill.data.text import last_word, tokenise
from shopstill.serve.forms import Sort
from shopstill.serve.index.endings import taken
from shopstill.serve.index.facets import Wanted
from shopstill.serve.index.files import Files
from shopstill.serve.index.writer import CODE, FORMS, PLACE, PRICE, ROW, WORDS, prepared

ENDING = 0.7
"""How much a word that an unfinished one stands for counts beside a word that was typed in full."""
TOKENS = 64
"""Tokens of a query that are looked up."""


@dataclass(frozen=True, kw_only=True)
class Matched:
    """What matched: rows and scores, best first, and how many there are in all."""

    rows: np.ndarray
    scores: np.ndarray
    total: int


@lru_cache(1 << 8)
def tokens_of(text: str) -> tuple[str, ...]:
    """The tokens of a query that are looked up; a search asks for them more than once."""
    return tuple(tokenise(text)[:TOKENS])


@lru_cache(1 << 14)
def _stem_of(form: str) -> str:
    """The token that a written word is found by: the commonest are asked for with each letter that is typed."""
    return max(tokenise(form), key=len)


class Words:
    """An index that is open; changes are made through ``writer.Writer`` and seen after ``renewed``.

    Args:
        folder: where it lies.

    Attributes:
        spelled: what a better spelling of a word was found to be, as long as no product changes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index = prepared(tantivy.Index.open(str(folder)))
        self._index.reload()
        self._searcher = self._index.searcher()
        # Last, so that it is let go of last.
        self._files = Files(folder)
        self.spelled: dict[tuple[str, bool], str | None] = {}

    def renewed(self) -> Words:
        """The index with all changes that were committed."""
        return Words(self.folder)

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    def query(self, text: str, wanted: Wanted, *, prefix: bool = False, every: bool = True) -> Query:
        """What to look for: every token of a text, or any, and the filters; everything where the text is empty."""
        if not text.strip():
            return self._filtered(Query.all_query(), wanted)
        tokens = list(tokens_of(text))
        last = self._unfinished(text, tokens) if prefix else []
        often = {token: count for token, count in Counter(tokens).items() if self._searcher.doc_freq(WORDS, token)}
        # A text without a single word finds nothing, rather than all; nor does one with a word that no product has.
        if not (often or last) or (every and len(often) < len({*tokens})):
            return Query.empty_query()
        occur = Occur.Must if every else Occur.Should
        parts = [*(self._token(token, count) for token, count in often.items()), *last]
        return self._filtered(Query.boolean_query([(occur, part) for part in parts]), wanted)

    def search(
        self, query: Query, limit: int, sort: Sort | Literal["place"] = "relevance", *, count: bool = True
    ) -> Matched:
        """The best that match, or the cheapest or dearest, or as they are listed.

        Without a count, what cannot be among the best is passed over, and the total is what was looked for.
        """
        order: dict[str, Any] = {}
        if sort != "relevance":
            direction = tantivy.Order.Desc if sort == "price_desc" else tantivy.Order.Asc
            order = {"order_by_field": PLACE if sort == "place" else PRICE, "order": direction}
        found: Any = self._searcher.search(query, max(1, limit), count=count, **order)
        hits = found.hits
        scores = np.zeros(len(hits), np.float32) if sort == "place" else _scores(hits)
        return Matched(rows=self._rows(hits), scores=scores, total=int(found.count) if count else len(hits))

    def among(self, query: Query, rows: np.ndarray) -> np.ndarray:
        """Those of some rows that match, in any order."""
        # Terms one by one are found in a tenth of the time that a set of them takes.
        terms = [Query.term_query(self._index.schema, ROW, row) for row in rows.tolist()]
        some = Query.boolean_query([(Occur.Should, term) for term in terms])
        parts = [(Occur.Must, Query.const_score_query(part, 0.0)) for part in (query, some)]
        return self._rows(self._searcher.search(Query.boolean_query(parts), len(rows), count=False).hits)

    def counts(self, query: Query, most: int, edges: Sequence[float] = ()) -> tuple[dict[int, int], list[int]]:
        """How many of the products that match have each code, of the ``most`` commonest; and of their prices, how many
        lie from each edge up to the next, the last without an end."""
        asked: dict[str, Any] = {}
        if most:
            asked["codes"] = {"terms": {"field": CODE, "size": most, "segment_size": most}}
        if len(edges):
            bounds = [{"from": low, "to": high} for low, high in pairwise(edges)] + [{"from": edges[-1]}]
            asked["prices"] = {"range": {"field": PRICE, "ranges": bounds}}
        found = self._searcher.aggregate(query, asked)
        codes = {int(one["key"]): int(one["doc_count"]) for one in found["codes"]["buckets"]} if most else {}
        inside = {one.get("from"): int(one["doc_count"]) for one in found["prices"]["buckets"]} if len(edges) else {}
        return codes, [inside.get(edge, 0) for edge in edges]

    def beginning(self, prefix: str, most: int) -> list[tuple[str, int]]:
        """Written words that begin so, commonest first, with the number of products that have each."""
        found = self._searcher.terms_with_prefix(FORMS, prefix)
        return sorted(found, key=lambda one: (-one[1], one[0]))[:most]

    def endings(self, begun: str) -> list[tuple[str, int]]:
        """Written words that an unfinished one stands for, with the number of products that have each."""
        return taken(self._searcher.terms_with_prefix(FORMS, begun))

    def beside(self, text: str, forms: Iterable[str]) -> list[int]:
        """How many products have every word of a text, and each of some words beside it."""
        asked, schema = self.query(text, Wanted()), self._index.schema
        terms = (Query.term_query(schema, WORDS, _stem_of(form), "basic") for form in forms)
        both = (Query.boolean_query([(Occur.Must, asked), (Occur.Must, term)]) for term in terms)
        return [self._count(one) for one in both]

    def having(self, code: int) -> int:
        """How many products have a value."""
        # A filter alone would go through all products.
        return self._count(Query.term_query(self._index.schema, CODE, code, "basic"))

    def known(self, form: str) -> int:
        """In how many titles a word is written so."""
        return int(self._searcher.doc_freq(FORMS, form))

    def stems(self, form: str) -> bool:
        """Whether any product has the word in whatever form."""
        return any(self._searcher.doc_freq(WORDS, token) for token in tokenise(form))

    def near(self, form: str, distance: int, most: int, without: Iterable[str] = ()) -> np.ndarray:
        """Rows of products with a word that is a few letters off, and with none of some other words."""
        schema = self._index.schema
        near = Query.fuzzy_term_query(schema, FORMS, form, distance)
        others = [(Occur.MustNot, Query.term_query(schema, FORMS, one, "basic")) for one in without]
        query = Query.boolean_query([(Occur.Must, near), *others]) if others else near
        return self._rows(self._searcher.search(query, most, count=False).hits)

    def _count(self, query: Query) -> int:
        found: Any = self._searcher.search(Query.const_score_query(query, 0.0), 1)
        return int(found.count)

    def _token(self, token: str, count: int = 1) -> Query:
        query = Query.term_query(self._index.schema, WORDS, token, "freq")
        # A word that is said twice counts twice, and need be looked up but once.
        return query if count == 1 else Query.boost_query(query, float(count))

    def _unfinished(self, text: str, tokens: list[str]) -> list[Query]:
        """The last word of a text or what it may become, in place of all its tokens, which are taken off; nothing where
        it is finished, is not looked up, or no word begins so.

        Nobody knows yet which word is meant, so that none stands out for being rare: each counts as the commonest does.
        """
        count, begun = (0, "") if text[-1:].isspace() or len(tokens) == TOKENS else last_word(text)
        schema, found = self._index.schema, self.endings(begun) if count else []
        if not found:
            return []
        whole = self._token(max(tokens[-count:], key=len))
        del tokens[-count:]
        usual = self._rarity(found[0][1])
        endings = [
            Query.boost_query(Query.term_query(schema, FORMS, word, "freq"), ENDING * usual / self._rarity(count))
            for word, count in found
        ]
        return [Query.disjunction_max_query([whole, *endings])]

    def _rarity(self, count: int) -> float:
        """What BM25 multiplies a token by that so many products have."""
        return math.log(1 + (max(len(self) - count, 0) + 0.5) / (count + 0.5))

    def _filtered(self, asked: Query, wanted: Wanted) -> Query:
        filters = [(Occur.Must, Query.const_score_query(part, 0.0)) for part in self._filters(wanted)]
        return Query.boolean_query([(Occur.Must, asked), *filters]) if filters else asked

    def _filters(self, wanted: Wanted) -> list[Query]:
        schema = self._index.schema
        found = [Query.term_set_query(schema, CODE, list(group)) for group in wanted.groups]
        if wanted.priced:
            bounds = (wanted.low or 0.0, math.inf if wanted.high is None else wanted.high)
            found.append(Query.range_query(schema, PRICE, tantivy.FieldType.Float, *bounds))
        return found

    def _rows(self, hits: Sequence[tuple[Any, tantivy.DocAddress]]) -> np.ndarray:
        # To open the column costs as much as to read it.
        found = self._searcher.fast_field_values(ROW, [address for _, address in hits]) if hits else []
        return np.array(found, np.int64)


def _scores(hits: Sequence[tuple[Any, Any]]) -> np.ndarray:
    return np.array([np.nan if score is None else score for score, _ in hits], np.float32)
