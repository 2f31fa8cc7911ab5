"""Product vectors kept small: coded, searched and rescored in numpy alone.

Shapes: ``N`` vectors, ``D`` their width, ``M`` parts of a vector, ``C`` centroids of a part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from shopstill.core.config import config
from shopstill.core.errors import ArtifactError, ConfigError, DataError
from shopstill.data.centroids import assign, centroids

Array = NDArray[np.float32]
Codes = dict[str, NDArray[np.generic]]

_AT_ONCE = 16384
_LEARNED_FROM = 65536


@config
class Codec:
    """How vectors are kept.

    ``int8`` keeps a number in a byte, with a scale for each vector; ``binary`` keeps the sign of each number;
    ``product`` cuts a vector into ``parts`` and keeps for each the number of its nearest centroid, one byte (Jégou et
    al. 2011, https://doi.org/10.1109/TPAMI.2010.57). Where ``rescore`` is set, ``top`` finds ``rescore`` times as many
    vectors as are asked for by their codes, and orders them by a second, finer copy in int8.

    >>> Codec(kind="int8").bytes(width=64)
    68
    """

    kind: Literal["float32", "float16", "int8", "binary", "product"] = "int8"
    parts: int = Field(default=16, ge=1)
    rescore: int = Field(default=0, ge=0)
    seed: int = 0

    def bytes(self, width: int) -> int:
        """Bytes that a vector takes, without centroids, which all share."""
        int8 = width + 4
        own = {
            "float32": 4 * width,
            "float16": 2 * width,
            "int8": int8,
            "binary": -(-width // 8),
            "product": self.parts,
        }[self.kind]
        return own + (int8 if self.rescore else 0)


class Found(NamedTuple):
    """The best vectors, best first: their rows and their scores."""

    rows: NDArray[np.int64]
    scores: Array


class Vectors:
    """Vectors in codes. Make them with ``fit``, or read what ``state`` gave.

    Args:
        codec: how they are kept.
        width: D.
        codes: one array a name, each with N rows.
        centroids: [M, C, ⌈D / M⌉] where the codec has some.
    """

    def __init__(self, codec: Codec, width: int, codes: Codes, centroids: Array | None = None) -> None:
        self.codec, self.width = codec, width
        self._codes, self._centroids = codes, centroids

    @classmethod
    def fit(cls, vectors_ND: Array, codec: Codec) -> Vectors:
        """Learn the codec's centroids, if it has any, from vectors, and keep these.

        Raises:
            DataError: there are none, or a number is not finite.
            ConfigError: there are more parts than numbers.

        >>> kept = Vectors.fit(np.eye(4, dtype=np.float32), Codec(kind="binary", rescore=2))
        >>> kept.top(np.array([0, 0, 1, 0], np.float32), 1).rows
        array([2])
        """
        vectors_ND = _sound(vectors_ND)
        if not vectors_ND.size:
            raise DataError(
                f"vectors: shape {vectors_ND.shape} holds no number to learn from; give at least one vector"
            )
        learned = None
        if codec.kind == "product":
            learned = _learn(vectors_ND, codec)
        kept = cls(codec, vectors_ND.shape[1], {}, learned)
        kept._codes = kept._encode(vectors_ND)
        return kept

    def __len__(self) -> int:
        return len(next(iter(self._codes.values())))

    @property
    def nbytes(self) -> int:
        """Bytes of all codes and centroids."""
        return sum(part.nbytes for part in self.state().values())

    def extend(self, vectors_ND: Array) -> range:
        """Keep more vectors, by the centroids learned before. Returns their rows.

        Raises:
            DataError: they are of another width, or a number is not finite.
        """
        vectors_ND, before = _sound(vectors_ND), len(self)
        if vectors_ND.shape[1] != self.width:
            raise DataError(
                f"vectors: width {vectors_ND.shape[1]}, but those kept have {self.width}; use one model for all"
            )
        more = self._encode(vectors_ND)
        self._codes = {name: np.concatenate([own, more[name]]) for name, own in self._codes.items()}
        return range(before, len(self))

    def decode(self, rows: NDArray[np.int64] | None = None) -> Array:
        """The vectors [N, D] that codes stand for, the finest there are; of some rows, or all."""
        codes = self._taken(rows)
        if "int8" in codes:
            return codes["int8"].astype(np.float32) * codes["scale"].astype(np.float32, copy=False)
        if self.codec.kind == "binary":
            bits = np.unpackbits(codes["binary"].astype(np.uint8, copy=False), axis=1, count=self.width)
            return (bits.astype(np.float32) * 2 - 1) / np.float32(self.width**0.5)
        if self.codec.kind == "product":
            assert self._centroids is not None
            parts = self._centroids[np.arange(len(self._centroids)), codes["product"]]
            return parts.reshape(len(parts), -1)[:, : self.width]
        return codes[self.codec.kind].astype(np.float32)

    def scores(self, query_D: Array, rows: NDArray[np.int64] | None = None) -> Array:
        """Dot products of a query with the vectors [N] that ``decode`` gives; with some rows, or all."""
        query_D = np.asarray(query_D, np.float32)
        if self.codec.kind == "product" and "int8" not in self._codes:
            return self._summed(query_D, rows)
        if rows is not None:
            return self.decode(rows) @ query_D
        out = np.empty(len(self), np.float32)
        for at in range(0, len(self), _AT_ONCE):
            piece = np.arange(at, min(at + _AT_ONCE, len(self)))
            out[piece] = self.decode(piece) @ query_D
        return out

    def top(self, query_D: Array, k: int) -> Found:
        """The k vectors of the highest scores; ties go to the lower row."""
        query_D = np.asarray(query_D, np.float32)
        if not self.codec.rescore:
            return _best(self.scores(query_D), k)
        rough = _best(self._rough(query_D), k * self.codec.rescore).rows
        best = _best(self.scores(query_D, np.sort(rough)), k)
        return Found(np.sort(rough)[best.rows], best.scores)

    def state(self) -> Codes:
        """Arrays to write, as safetensors take them; ``read`` makes the vectors of them again."""
        shared: Codes = {} if self._centroids is None else {"centroids": self._centroids}
        return {**self._codes, **shared}

    @classmethod
    def read(cls, codec: Codec, width: int, state: Mapping[str, NDArray[np.generic]]) -> Vectors:
        """Vectors of arrays that ``state`` gave.

        Raises:
            ArtifactError: an array is missing or does not fit the codec.
        """
        wanted = {codec.kind} | ({"int8"} if codec.rescore else set())
        wanted |= {"scale"} if "int8" in wanted else set()
        rest = {"centroids"} if codec.kind == "product" else set()
        if set(state) != wanted | rest or len({len(state[name]) for name in wanted}) != 1:
            shapes = {name: part.shape for name, part in state.items()}
            raise ArtifactError(f"vectors: {codec.kind} needs {sorted(wanted | rest)} of one length, not {shapes}")
        own = {name: state[name] for name in sorted(wanted)}
        return cls(codec, width, own, np.asarray(state["centroids"], np.float32) if rest else None)

    def _encode(self, vectors_ND: Array) -> Codes:
        kind = self.codec.kind
        codes: Codes = {}
        if kind == "binary":
            codes["binary"] = np.packbits(vectors_ND > 0, axis=1)
        elif kind == "product":
            assert self._centroids is not None
            parts = _parts(vectors_ND, len(self._centroids))
            near = [assign(part, own) for part, own in zip(parts, self._centroids, strict=True)]
            codes["product"] = np.stack(near, 1).astype(np.uint8)
        elif kind != "int8":
            codes[kind] = vectors_ND.astype(kind)
        if kind == "int8" or self.codec.rescore:
            scale = np.maximum(np.abs(vectors_ND).max(1, keepdims=True, initial=0) / 127, np.float32(1e-12))
            codes |= {"int8": np.rint(vectors_ND / scale).astype(np.int8), "scale": scale}
        return codes

    def _taken(self, rows: NDArray[np.int64] | None) -> Codes:
        return self._codes if rows is None else {name: part.take(rows, axis=0) for name, part in self._codes.items()}

    def _rough(self, query_D: Array) -> Array:
        """Scores by which candidates for rescoring are found; of signs, how many agree."""
        if self.codec.kind == "binary":
            apart = np.bitwise_xor(self._codes["binary"].astype(np.uint8, copy=False), np.packbits(query_D > 0))
            return -np.bitwise_count(apart).sum(1, dtype=np.float32)
        if self.codec.kind == "product":
            return self._summed(query_D, None)
        return self.scores(query_D)

    def _summed(self, query_D: Array, rows: NDArray[np.int64] | None) -> Array:
        """Scores from a table of each centroid's product with its part of the query."""
        assert self._centroids is not None
        codes = self._taken(rows)["product"]
        parts = _parts(query_D[None], len(self._centroids))
        table_MC = np.einsum("mcd,md->mc", self._centroids, np.stack([part[0] for part in parts]))
        place = codes + np.arange(len(table_MC)) * table_MC.shape[1]
        return table_MC.ravel().take(place).sum(1)


def _sound(vectors_ND: Array) -> Array:
    vectors_ND = np.ascontiguousarray(vectors_ND, np.float32)
    if vectors_ND.ndim != 2:
        raise DataError(f"vectors: shape {vectors_ND.shape}; give a matrix, a row for each vector")
    wrong = np.flatnonzero(~np.isfinite(vectors_ND).all(1))
    if len(wrong):
        raise DataError(f"vectors: row {wrong[0]} holds a number that is not finite; encode that product again")
    return vectors_ND


def _learn(vectors_ND: Array, codec: Codec) -> Array:
    """[M, C, ⌈D / M⌉] centroids of each part."""
    if codec.parts > vectors_ND.shape[1]:
        raise ConfigError(
            f"codec.parts: {codec.parts} is more than the vectors' width {vectors_ND.shape[1]}; use fewer"
        )
    draw = np.random.default_rng(codec.seed)
    some = vectors_ND[np.sort(draw.permutation(len(vectors_ND))[:_LEARNED_FROM])]
    return np.stack([centroids(part, 256, codec.seed) for part in _parts(some, codec.parts)])


def _parts(vectors_ND: Array, parts: int) -> list[Array]:
    """[N, ⌈D / M⌉] for each part; the last ones are filled up with zeros."""
    each = -(-vectors_ND.shape[1] // parts)
    whole = np.pad(vectors_ND, ((0, 0), (0, each * parts - vectors_ND.shape[1])))
    return [np.ascontiguousarray(part) for part in np.split(whole, parts, axis=1)]


def _best(scores_N: Array, k: int) -> Found:
    k = min(k, len(scores_N))
    if k < len(scores_N):
        least = np.partition(scores_N, len(scores_N) - k)[len(scores_N) - k]
        rows = np.flatnonzero(scores_N >= least)
    else:
        rows = np.arange(len(scores_N))
    rows = rows[np.argsort(-scores_N[rows], kind="stable")[:k]]
    return Found(rows, scores_N[rows])
