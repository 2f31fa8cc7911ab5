"""Token ids of many texts as one ragged array, and pairs put together from texts that were tokenised once.

Shapes: ``N`` texts or pairs; ``S`` the sum of their lengths. Row n is ``ids_S[start_N[n] : start_N[n] + length_N[n]]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from shopstill.core.errors import DataError

_CHUNK = 8192


@dataclass(frozen=True, kw_only=True)
class Ragged:
    """Rows of different lengths, end to end.

    Attributes:
        ids_S: int32 token ids of all rows.
        start_N: int64 position at which each row begins.
        length_N: int32 tokens of each row.
    """

    ids_S: np.ndarray
    start_N: np.ndarray
    length_N: np.ndarray

    def __len__(self) -> int:
        return len(self.length_N)

    def row(self, index: int) -> np.ndarray:
        """The ids of one row."""
        return self.ids_S[self.start_N[index] : self.start_N[index] + self.length_N[index]]

    def take(self, rows_M: np.ndarray, limit: int | None = None) -> Ragged:
        """The rows named, in that order, each cut at ``limit`` tokens."""
        length = self.length_N[rows_M] if limit is None else np.minimum(self.length_N[rows_M], limit)
        return Ragged(ids_S=self.ids_S[_spans(self.start_N[rows_M], length)], start_N=_starts(length), length_N=length)

    @staticmethod
    def of(rows: Sequence[Sequence[int]]) -> Ragged:
        """Rows given one by one.

        >>> Ragged.of([[1, 2], [], [3]]).length_N.tolist()
        [2, 0, 1]
        """
        length = np.fromiter((len(r) for r in rows), np.int32, len(rows))
        flat = np.fromiter(chain.from_iterable(rows), np.int32, int(length.sum()))
        return Ragged(ids_S=flat, start_N=_starts(length), length_N=length)


class TextTokenizer:
    """Texts to ids with the ``tokenizer.json`` of a model; special tokens are put in when texts are joined.

    Args:
        path: a ``tokenizer.json``.

    Raises:
        DataError: the file is not a tokenizer, or lacks the tokens that begin, part and fill a row.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as cause:  # noqa: BLE001 - the library raises nothing finer
            raise DataError(f"{path}: not a tokenizer.json that the tokenizers library reads ({cause})") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.begin = self._special("[CLS]", "<s>", "<|startoftext|>")
        self.part = self._special("[SEP]", "</s>", "<|endoftext|>")
        self.pad = self._special("[PAD]", "<pad>", "[SEP]", "</s>")
        self.doubled = self._tokenizer.token_to_id("[SEP]") is None
        self.vocab: int = self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, texts: Sequence[str]) -> Ragged:
        """Ids of texts, without special tokens."""
        parts = []
        for at in range(0, len(texts), _CHUNK):
            piece = [t.encode("utf-8", "replace").decode("utf-8") for t in texts[at : at + _CHUNK]]
            parts.append(Ragged.of([e.ids for e in self._tokenizer.encode_batch_fast(piece, add_special_tokens=False)]))
        return concatenate(parts)

    def pairs(self, queries: Ragged, products: Ragged, query_N: np.ndarray, product_N: np.ndarray, limit: int) -> Pairs:
        """Rows ``begin query part product part``, at most ``limit`` tokens.

        The product is cut first, to half of the room at least; then the query, to what the product leaves.

        Args:
            queries: tokenised query texts.
            products: tokenised product texts.
            query_N: which query each pair has.
            product_N: which product each pair has.
            limit: tokens a row, at most.
        """
        q_len, p_len = self._kept(queries.length_N[query_N], products.length_N[product_N], limit)
        length = q_len + p_len + self._specials
        start = _starts(length)
        ids = np.full(int(length.sum()), self.part, np.int32)
        ids[start] = self.begin
        ids[_spans(start + 1, q_len)] = queries.ids_S[_spans(queries.start_N[query_N], q_len)]
        second = q_len + self._specials - 1
        ids[_spans(start + second, p_len)] = products.ids_S[_spans(products.start_N[product_N], p_len)]
        return Pairs(rows=Ragged(ids_S=ids, start_N=start, length_N=length), second_N=second)

    def pair_lengths(
        self, queries: Ragged, products: Ragged, query_N: np.ndarray, product_N: np.ndarray, limit: int
    ) -> np.ndarray:
        """Tokens of each row that ``pairs`` would make, int32."""
        q_len, p_len = self._kept(queries.length_N[query_N], products.length_N[product_N], limit)
        return q_len + p_len + self._specials

    def singles(self, texts: Ragged, text_N: np.ndarray, limit: int) -> Ragged:
        """Rows ``begin text part``, at most ``limit`` tokens."""
        kept = np.minimum(texts.length_N[text_N], limit - 2)
        length = (kept + 2).astype(np.int32)
        start = _starts(length)
        ids = np.full(int(length.sum()), self.part, np.int32)
        ids[start] = self.begin
        ids[_spans(start + 1, kept)] = texts.ids_S[_spans(texts.start_N[text_N], kept)]
        return Ragged(ids_S=ids, start_N=start, length_N=length)

    def single(self, text: str, limit: int) -> np.ndarray:
        """``begin text part`` of one text, int64: what ``singles`` gives, sooner."""
        found = self._tokenizer.encode(text.encode("utf-8", "replace").decode("utf-8"), add_special_tokens=False).ids
        return np.array([self.begin, *found[: limit - 2], self.part], np.int64)

    def token(self, number: int) -> str:
        """The token that an id stands for."""
        return str(self._tokenizer.id_to_token(number))

    def agrees(self, other: TextTokenizer) -> bool:
        """Whether the same ids stand for the same tokens."""
        mine, theirs = self._tokenizer.get_vocab(), other._tokenizer.get_vocab()
        return bool(mine == theirs)

    @property
    def _specials(self) -> int:
        return 4 if self.doubled else 3

    def _kept(self, query_N: np.ndarray, product_N: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
        """How many tokens of each query and product stay, int32, of as many as they have."""
        room = limit - self._specials
        if room < 2:
            raise DataError(f"a limit of {limit} tokens leaves no room for a pair; use at least {self._specials + 2}")
        q_len = np.minimum(query_N, np.maximum(room - product_N, room // 2)).astype(np.int32)
        return q_len, np.minimum(product_N, room - q_len).astype(np.int32)

    def _special(self, *names: str) -> int:
        for name in names:
            found = self._tokenizer.token_to_id(name)
            if found is not None:
                return int(found)
        raise DataError(f"{self.path}: has none of the special tokens {', '.join(names)}; use another tokenizer")


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Joined rows, and the position in each at which the second text begins."""

    rows: Ragged
    second_N: np.ndarray


def concatenate(parts: Sequence[Ragged]) -> Ragged:
    """Rows of several ragged arrays, one after the other."""
    if not parts:
        return Ragged.of([])
    length = np.concatenate([p.length_N for p in parts])
    return Ragged(ids_S=np.concatenate([p.ids_S for p in parts]), start_N=_starts(length), length_N=length)


def padded(rows: Ragged, pad: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows as a rectangle: ``ids_NT`` int64 and ``mask_NT`` bool, True where a token stands.

    >>> padded(Ragged.of([[5, 6], [7]]), pad=0)[0].tolist()
    [[5, 6], [7, 0]]
    """
    width = int(rows.length_N.max()) if len(rows) else 0
    mask = np.arange(width) < rows.length_N[:, None]
    ids = np.full(mask.shape, pad, np.int64)
    ids[mask] = rows.ids_S[_spans(rows.start_N, rows.length_N)]
    return ids, mask


def _starts(length_N: np.ndarray) -> np.ndarray:
    ends = np.cumsum(length_N, dtype=np.int64)
    return ends - length_N


def _spans(start_N: np.ndarray, length_N: np.ndarray) -> np.ndarray:
    """Positions ``start, start+1, …`` of every row, end to end."""
    total = int(np.sum(length_N))
    out: np.ndarray[Any, np.dtype[np.int64]] = np.arange(total, dtype=np.int64)
    return out + np.repeat(np.asarray(start_N, np.int64) - _starts(length_N), length_N)
