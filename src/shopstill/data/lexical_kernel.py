"""The arithmetic of lexical features: queries against packed product rows, on bit masks of title positions.

A hundred candidates are so few that the number of numpy calls is the cost; hence the packed rows, the masks and the
sums over stacks. Sums run over multiples of 2⁻²⁰ up to 16, which float32 holds exactly, so that no order of adding
changes them.

Shape legend: ``B`` pairs, ``Q`` tokens of a query, ``M`` figures of a query (numbers, measures, models), ``F``
features.
An array of queries ends in an axis of length B, or of length 1 where one query meets all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FEATURES = (
    "query_size",  # tokens of the query / 16
    "query_idf",  # mean rarity of the query's tokens
    "query_noun_idf",  # rarity of the query's noun
    "query_numbers",  # numbers in the query / 4
    "query_models",  # model numbers in the query / 4
    "title_size",  # tokens of the title / 32
    "title_noun_idf",  # rarity of the title's noun
    "title_numbers",  # numbers in the title / 8
    "adjacent",  # share of neighbouring query tokens that are neighbours in the title, in this order
    "ordered",  # share of neighbouring query tokens that come in this order
    "found",  # share of query tokens in the title, alone or joined with a neighbour ("dish washer", "dishwasher")
    "grams",  # mean share of a query token's character n-grams in the title
    "found_idf",  # found, weighted by rarity
    "grams_idf",  # grams, weighted by rarity
    "bm25",  # BM25 / the most it could be for this query
    "bm25_sum",  # BM25 / 4, at most 1
    "missed_idf",  # rarity of the rarest query token that is not in the title
    "grams_worst",  # grams of the token that fares worst
    "noun_is_noun",  # 1 where the query's noun is the title's, 1/2 the token before, 1/4 any before, 1/8 behind
    "title_noun_named",  # 1 where the query names the title's noun
    "title_covered",  # share of title tokens that the query names
    "noun_covered",  # the same up to the title's noun
    "first_place",  # 1 where the first of them opens the title, towards 0 at its end
    "numbers_found",  # share of the query's numbers in the title
    "measures_found",  # share of its numbers with a unit
    "measures_against",  # share whose unit is in the title with other numbers only
    "models_found",  # share of its model numbers
)
_AT = {name: place for place, name in enumerate(FEATURES)}
_QUERY, _TITLE = slice(0, 5), slice(5, 8)
_PLAIN, _WEIGHTED, _COVERED, _FIGURES = slice(8, 12), slice(12, 15), slice(20, 22), slice(23, 27)
# Rows of the stack that is summed over a query's tokens.
_BESIDE, _AFTER, _FOUND, _GRAMS, _BM25 = range(5)

GRID = np.float32(1024)
QUERY_TOKENS, TITLE_TOKENS = 16, 32
NOTHING = np.uint32(0xFFFFFFFF)
_ONE = np.uint32(1)
_BM25_SCALE = np.float32(1 / 4096)
_NOUN_LEVELS = np.array([0.125, 0.125, 0.25, 0.5], np.float32)
_BYTES = np.uint64(0x0101010101010101)


class Title:
    """Where everything stands in a product's packed row of 32-bit words."""

    tokens = slice(0, 32)
    grams = slice(32, 64)
    figures = slice(64, 96)
    facts = slice(96, 106)
    width = 106


class Fact:
    """Where everything stands among a row's facts."""

    shown = slice(0, 3)  # floats: the features that depend on the title alone
    noun_idf = 1
    size = 3  # float, at least 1
    noun = 4  # float: tokens up to the noun, at least 1
    covered = slice(3, 5)
    norm = 5  # float: BM25's k1 · (1 − b + b · size / average)
    near = slice(6, 10)  # masks of positions: all, up to the noun, the noun and the token before it, the noun


class Query:
    """Where everything stands among a query's floats."""

    shown = slice(0, 5)  # the features that depend on the query alone
    plain = slice(5, 9)  # what the plain sums are shares of
    weighted = slice(9, 12)  # what the sums weighted by rarity are shares of

    @staticmethod
    def floats(shown: Sequence[float], size: int, rarity: float) -> Array:
        """The floats [12, 1] of a query of ``size`` tokens whose idf adds up to ``rarity``."""
        grid, pairs = float(GRID), max(size - 1, 1)
        values = (*shown, pairs, pairs, size, size * grid, rarity, rarity * grid, rarity * grid)
        return np.array(values, np.float32)[:, None]


class Queries(NamedTuple):
    """Queries of Q tokens each.

    Attributes:
        probe: [2Q − 1, B] digest of each token, then of each token and the next written as one.
        idf: [Q, B] rarity of each token, a multiple of 1/1024.
        scale: [Q, B] 1024 / number of its character n-grams.
        grams: [Q, B, 16] their bits, as words of 64.
        noun: [B] position of the noun.
        floats: [12, B] what ``Query`` lists.
        figures: [M, B] digests of numbers, measures, their units and models.
        groups: [4, M, B] which figure counts for which feature, with which sign.
        counts: [4, B] how many figures each of these features is a share of, at least 1.
    """

    probe: Array
    idf: Array
    scale: Array
    grams: Array
    noun: Array
    floats: Array
    figures: Array
    groups: Array
    counts: Array

    @staticmethod
    def of(queries: Sequence[Queries]) -> Queries:
        """Queries of one width side by side; those with fewer figures are filled up."""
        most = max(len(query.figures) for query in queries)
        filled = [query._filled(most) for query in queries]
        return Queries(
            *(np.concatenate(parts, axis) for parts, axis in zip(zip(*filled, strict=True), _AXES, strict=True))
        )

    def at(self, index_B: Array) -> Queries:
        """The query of each of B pairs."""
        return Queries(*(part.take(index_B, axis) for part, axis in zip(self, _AXES, strict=True)))

    def _filled(self, most: int) -> Queries:
        short = most - len(self.figures)
        if not short:
            return self
        figures = np.concatenate([self.figures, np.full((short, 1), NOTHING)])
        groups = np.concatenate([self.groups, np.zeros((len(self.groups), short, 1), np.float32)], axis=1)
        return self._replace(figures=figures, groups=groups)


# The axis of each part that runs over queries.
_AXES = [1 if name == "grams" else -1 for name in Queries._fields]


def pair_features(queries: Queries, rows_BW: NDArray[np.uint32]) -> NDArray[np.float32]:
    """``features_BF`` of B pairs of a query and a packed row."""
    # One fact of all rows after the other, so that what follows runs along memory.
    facts = np.ascontiguousarray(rows_BW[:, Title.facts].T)
    floats = facts.view(np.float32)
    out_FB = np.empty((len(FEATURES), len(rows_BW)), np.float32)
    out_FB[_QUERY] = queries.floats[Query.shown]
    out_FB[_TITLE] = floats[Fact.shown]
    tokens = len(queries.idf)
    places = _places(queries.probe, rows_BW[:, Title.tokens])
    own, joined = places[:tokens], places[tokens:]
    # The last row is the union: every position that the query names.
    hit = np.empty((tokens + 1, len(rows_BW)), np.uint32)
    hit[:-1] = own
    hit[:-2] |= joined
    hit[1:-1] |= joined
    np.bitwise_or.reduce(hit[:-1], axis=0, out=hit[-1])
    first = np.bitwise_count((hit & -hit) - _ONE)

    stack = np.zeros((5, tokens, len(rows_BW)), np.float32)
    np.not_equal(hit[:-1], 0, out=stack[_FOUND])
    _order(own, joined, first[:-1], stack)
    _grams(queries, rows_BW[:, Title.grams], stack)
    _saturation(own, floats[Fact.norm], stack)
    np.rint(stack[_GRAMS:], out=stack[_GRAMS:])
    _sums(queries, stack, out_FB)
    _nouns(_column(hit, queries.noun), hit[-1], facts, out_FB)
    out_FB[_AT["first_place"]] = 1 - np.minimum(first[-1] / floats[Fact.size], 1)
    _figures(queries, rows_BW[:, Title.figures], out_FB)
    return np.ascontiguousarray(out_FB.T)


def _places(codes: Array, held_BT: Array) -> Array:
    """A bit for each of 32 places at which a row holds a code, for each code and row."""
    # On contiguous arrays numpy compares and packs in one sweep instead of a sweep a row.
    equal = codes[:, :, None] == np.ascontiguousarray(held_BT)
    return np.packbits(equal.reshape(-1), bitorder="little").view("<u4").reshape(equal.shape[:2])


def _order(own: Array, joined: Array, first: Array, stack: Array) -> None:
    """Whether each token but the first stands right behind the one before it, or anywhere behind it."""
    if not len(joined):
        # A query of one token is in order where it is found.
        stack[_BESIDE] = stack[_AFTER] = stack[_FOUND]
        return
    beside = own[:-1] << _ONE
    beside &= own[1:]
    beside |= joined
    np.not_equal(beside, 0, out=stack[_BESIDE, 1:])
    after = first[:-1] < first[1:]
    after |= joined != 0
    np.multiply(after, stack[_FOUND, 1:], out=stack[_AFTER, 1:])


def _grams(queries: Queries, title_BX: Array, stack: Array) -> None:
    """The share of each token's n-grams that the title has, in units of 1/1024."""
    shared = np.bitwise_count(queries.grams & np.ascontiguousarray(title_BX).view("<u8")).view("<u8")
    # Each byte counts eight of 64 bits; the top byte of the product is their sum, as no token has 256 n-grams.
    both = shared[..., 0] + shared[..., 1]
    both *= _BYTES
    np.multiply(both.view(np.uint8)[:, 7::8], queries.scale, out=stack[_GRAMS])


def _saturation(own: Array, norm: Array, stack: Array) -> None:
    """BM25's f / (f + norm) of each token, in units of 1/1024."""
    often = np.bitwise_count(own).astype(np.float32)
    part = stack[_BM25]
    np.multiply(often, GRID, out=part)
    often += norm
    part /= often


def _sums(queries: Queries, stack: Array, out_FB: Array) -> None:
    """Shares of the query's tokens, plain and weighted by rarity."""
    plain = np.add.reduce(stack[:_BM25], axis=1)
    np.divide(plain, queries.floats[Query.plain], out=out_FB[_PLAIN])
    weighted = stack[_FOUND:] * queries.idf
    sums = np.add.reduce(weighted, axis=1)
    np.divide(sums, queries.floats[Query.weighted], out=out_FB[_WEIGHTED])
    np.minimum(sums[-1] * _BM25_SCALE, 1, out=out_FB[_AT["bm25_sum"]])
    np.maximum.reduce(queries.idf - weighted[0], axis=0, out=out_FB[_AT["missed_idf"]])
    np.divide(np.minimum.reduce(stack[_GRAMS], axis=0), GRID, out=out_FB[_AT["grams_worst"]])


def _nouns(noun: Array, union: Array, facts: Array, out_FB: Array) -> None:
    """Where the query's noun stands, and what the query names, beside the title's noun."""
    near_4B = facts[Fact.near]
    np.dot(_NOUN_LEVELS, (noun & near_4B) != 0, out=out_FB[_AT["noun_is_noun"]])
    named_4B = np.bitwise_count(union & near_4B)
    out_FB[_AT["title_noun_named"]] = named_4B[-1]
    np.divide(named_4B[:2], facts[Fact.covered].view(np.float32), out=out_FB[_COVERED])


def _figures(queries: Queries, held_BM: Array, out_FB: Array) -> None:
    if not len(queries.figures):
        out_FB[_FIGURES] = 0
        return
    found = _places(queries.figures, held_BM) != 0
    np.divide(np.add.reduce(queries.groups * found, axis=1), queries.counts, out=out_FB[_FIGURES])


def _column(values: Array, place: Array) -> Array:
    """``values[place[b], b]`` for each b, or one row where there is one place."""
    return values[place[0]] if len(place) == 1 else values[place, np.arange(len(place))]
