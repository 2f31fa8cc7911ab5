"""Hash token tables: each row becomes a sum of rows of small tables.

Shapes: ``V`` tokens, ``M`` small tables (books), ``K`` rows of each, ``D`` width.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from shopstill.compress import Stage, Trait, _means, _tables
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.compress._tables import held_bytes
from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.models.compact import replace_module
from shopstill.models.compact.hashed import Hashed

_ROUNDS = 10


@config
class Hash:
    """Token vectors as sums of ``books`` rows, one of each small table, fitted to the old ones by least squares.

    With ``codes: digits`` a token's rows are the digits of its number, quotient and remainder where there are two
    books (Shi et al. 2020, https://arxiv.org/abs/1909.02107): smallest, and needs ``recover``. With ``learned`` they
    come from k-means of the vectors, then of what is left over, and so on, a byte a book and token; tokens count as
    often as the shop's texts use them. ``rows`` is 256 where it is not given, or as many as digits need.

    Raises:
        ConfigError: the model has no dense token table, digits have too few rows, or nothing would get smaller.

    >>> Hash(codes="digits").books
    2
    """

    kind: Literal["hashed"] = "hashed"
    codes: Literal["learned", "digits"] = "learned"
    books: int = Field(default=2, ge=1, le=16)
    rows: int | None = Field(default=None, ge=2, le=32768)

    stage: ClassVar[Stage] = "weights"
    needs: ClassVar[tuple[Trait, ...]] = ("text transformers", "token tables")

    def milder(self) -> Hash | None:
        """Twice the books; None at 16."""
        return None if self.books == 16 else replace(self, books=min(16, 2 * self.books))

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model with hashed token tables."""
        made = copied(model)
        done = 0
        for name, table in _tables.token_tables(made.network).items():
            part = Hashed(table.num_embeddings, table.embedding_dim, self.books, self._rows(table), self._stored)
            if held_bytes(part) < held_bytes(table):
                weight_V = _tables.use(made, calibration, table.num_embeddings, self.kind)
                self._fill(part, table.weight.detach(), weight_V, calibration.seed)
                replace_module(made.network, name, part)
                done += 1
        if not done:
            raise ConfigError(
                "hashed: no dense token table would get smaller; use fewer books or rows, or leave it out"
            )
        return made

    @property
    def _stored(self) -> bool:
        return self.codes == "learned"

    def _rows(self, table: nn.Embedding) -> int:
        tokens = table.num_embeddings
        if self._stored:
            return min(self.rows or 256, tokens)
        needed = math.ceil(round(tokens ** (1 / self.books), 9))
        if self.rows is not None and self.rows < needed:
            raise ConfigError(f"hashed: rows: {self.rows}: {tokens} tokens in {self.books} digits need {needed}")
        return self.rows or needed

    def _fill(self, part: Hashed, weight_VD: Tensor, use_V: Tensor, seed: int) -> None:
        codes_VM = part.codes(torch.arange(len(weight_VD)))
        books = torch.zeros(part.books, part.rows, part.embedding_dim)
        if self._stored:
            rest = weight_VD
            for book in range(part.books):
                centres, codes_VM[:, book] = _means.rows(rest, use_V, part.rows, seed + book)
                books[book, : len(centres)] = centres
                rest = rest - centres[codes_VM[:, book]]
            part.codes_VM.copy_(codes_VM)
        with torch.no_grad():
            part.book.weight.copy_(fitted(weight_VD, use_V, codes_VM, books).flatten(0, 1))


def fitted(weight_VD: Tensor, use_V: Tensor, codes_VM: Tensor, books_MKD: Tensor) -> Tensor:
    """The books [M, K, D] that bring weighted squared errors down, codes staying: one book after the other, in rounds.

    >>> table = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    >>> codes = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]])
    >>> books = fitted(table, torch.ones(4), codes, torch.zeros(2, 2, 1))
    >>> (books[0][codes[:, 0]] + books[1][codes[:, 1]]).round(decimals=3).flatten().tolist()
    [0.0, 1.0, 10.0, 11.0]
    """
    books = books_MKD.clone()
    whole = sum((books[m][codes_VM[:, m]] for m in range(len(books))), torch.zeros_like(weight_VD))
    for _ in range(_ROUNDS):
        for book, code_V in zip(books, codes_VM.T, strict=True):
            rest = weight_VD - whole + book[code_V]
            held = torch.zeros(len(book)).index_add(0, code_V, use_V)
            sums = torch.zeros_like(book).index_add(0, code_V, rest * use_V[:, None])
            fresh = torch.where(held[:, None] > 0, sums / held.clamp(min=1e-30)[:, None], book)
            whole = whole + (fresh - book)[code_V]
            book.copy_(fresh)
    return books


hashed = Hash
