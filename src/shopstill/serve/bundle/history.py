"""A shopper's history to the items that come next, out of all of them: scanned in int8, the best scored exactly.

Items are numbered from 1, as in ``models.sequence``. Shapes: ``N`` histories, ``B`` of them at once, ``T`` places of
the longest, ``V`` items, ``R`` numbers that a history and an item are compared by, ``S`` items that are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from shopstill.core.errors import ArtifactError, DataError
from shopstill.serve.bundle.cross import pieces
from shopstill.serve.bundle.ids import Ids
from shopstill.serve.bundle.manifest import ITEMS, Manifest
from shopstill.serve.bundle.scan import Found, Scan, Wanted, best_columns
from shopstill.serve.bundle.sessions import Sessions

EMPTY = ("bert4rec",)
"""Kinds of network that say something of an empty history: what they learnt of a mask that stands alone."""

_CALL_PLACES, _PIECE_PLACES = 60, 1024
_CELLS = 1 << 22
"""Scores of the scan that are held at once, by each thread."""


class HistoryBundle:
    """A model of shoppers' histories as it is served.

    Args:
        folder: where it lies.
        manifest: what it states.
        threads: pieces of several histories that may run at once.

    Attributes:
        item_ids: the shop's id of each item; item 1 is at place 0.
        cold: numbers of the items that nobody had taken up when the model learnt: their attributes speak for them.
        max_items: the latest items of a history that are read.

    Raises:
        ArtifactError: its items cannot be read, or are not those of its graphs.
    """

    def __init__(self, folder: Path, manifest: Manifest, threads: int = 1) -> None:
        self.folder, self.manifest = folder, manifest
        self.item_ids, self._titles, self.cold = _read_items(folder, manifest)
        self.max_items = manifest.limits["history"]
        if (twice := self.item_ids.repeated()) is not None:
            raise ArtifactError(f"{folder / ITEMS}: names an item twice, {twice!r}; export the model again")
        self._sessions = Sessions(folder, manifest.graphs)
        self._scan = Scan(self._sessions)
        self._pool = ThreadPoolExecutor(threads, "shopstill-history") if threads > 1 else None

    def recommend(
        self,
        history: Sequence[str],
        limit: int = 10,
        *,
        exclude: Sequence[str] = (),
        allowed: Sequence[str] | None = None,
        seen: bool = False,
    ) -> list[tuple[str, float]]:
        """The items that come next most likely, best first, with their scores.

        Args:
            history: ids of items from the oldest; those that the model does not know are passed over.
            limit: how many.
            exclude: items that are not recommended.
            allowed: the only items that are; None for all.
            seen: whether items of the history are among them.

        Raises:
            DataError: no item of the history is known, and the model needs one.
        """
        return self.recommend_many([history], limit, exclude=exclude, allowed=allowed, seen=seen)[0]

    def recommend_many(
        self,
        histories: Sequence[Sequence[str]],
        limit: int = 10,
        *,
        exclude: Sequence[str] = (),
        allowed: Sequence[str] | None = None,
        seen: bool = False,
    ) -> list[list[tuple[str, float]]]:
        """The same for several histories.

        Raises:
            DataError: no item of a history is known, and the model needs one; which history is named.
        """
        wanted = Wanted(
            limit=limit,
            seen=seen,
            exclude=self.numbers(exclude)[0],
            allowed=None if allowed is None else self.numbers(allowed)[0],
        )
        found = self.best([self.numbers(history)[0] for history in histories], wanted)
        return [
            [(self.item_ids[item - 1], score) for item, score in zip(items.tolist(), scores.tolist(), strict=True)]
            for items, scores in found
        ]

    def numbers(self, ids: Sequence[str]) -> tuple[np.ndarray, int]:
        """The numbers of items in order, int64, and how many ids there are that the model does not know."""
        found = [number for number in self.item_ids.numbers(ids) if number]
        return np.array(found, np.int64), len(ids) - len(found)

    def title(self, item: int) -> str | None:
        """An item's title, where the bundle has one."""
        return None if self._titles is None else self._titles[item - 1].as_py()

    def queries(self, histories: Sequence[np.ndarray]) -> np.ndarray:
        """Queries [N, R] that items are compared with.

        Raises:
            DataError: a history is empty, and the model needs an item; or it has an item that there is not.
        """
        read = [self._read(history, at) for at, history in enumerate(histories)]
        length_N = np.array([len(history) for history in read], np.int64)
        order = np.argsort(length_N, kind="stable")
        cuts = pieces(np.maximum(length_N[order], 1), _CALL_PLACES, _PIECE_PLACES)
        found = self._map(lambda cut: self._asked([read[row] for row in order[cut]]), cuts)
        if not found:
            return np.zeros((0, self._width), np.float32)
        out = np.empty((len(read), found[0].shape[1]), np.float32)
        out[order] = np.concatenate(found)
        return out

    def best(self, histories: Sequence[np.ndarray], wanted: Wanted) -> list[Found]:
        """The best items of histories of numbers, scored exactly.

        Raises:
            DataError: as ``queries``.
        """
        queries = self.queries(histories)
        out = np.zeros(0, np.int64) if wanted.exclude is None else wanted.exclude

        def rows(cut: slice) -> list[Found]:
            score_BV = self._scan.scores(queries[cut])
            for score_V, history in zip(score_BV, histories[cut], strict=True):
                score_V[out - 1] = -np.inf
                if not wanted.seen:
                    score_V[history - 1] = -np.inf
            return [self._scan.first(*row, wanted) for row in zip(queries[cut], score_BV, strict=True)]

        return [found for part in self._map(rows, self._cuts(len(queries))) for found in part]

    def places(
        self, histories: Sequence[np.ndarray], targets: np.ndarray, *, seen: bool = False, shown: int = 0
    ) -> np.ndarray:
        """Where each target stands in the order that is served, for judging it.

        Items that are scored exactly stand before all others, which stand as the scan has them. Cold items are out of
        this ranking, as they are out of the model's.

        Args:
            histories: numbers of items, from the oldest.
            targets: [N] numbers of items.
            seen: whether items of a history stay in its ranking; a target that does not stands behind all others.
            shown: S.

        Returns:
            [N, 2 + S]: items that stand higher, others that stand level, and the first items.
        """
        queries, warm = self.queries(histories), len(self.item_ids) - len(self.cold)

        def rows(cut: slice) -> np.ndarray:
            score_BV = self._scan.scores(queries[cut])[:, :warm]
            if not seen:
                for score_V, history in zip(score_BV, histories[cut], strict=True):
                    score_V[history - 1] = -np.inf
            several = zip(queries[cut], score_BV, targets[cut].tolist(), strict=True)
            return np.array([self._scan.place(*row, shown) for row in several])

        found = self._map(rows, self._cuts(len(queries)))
        return np.concatenate(found) if found else np.zeros((0, 2 + shown))

    def candidates(self, history: np.ndarray, count: int) -> np.ndarray:
        """The items that a scan finds, in no order: what is then scored exactly."""
        return best_columns(self._scan.scores(self.queries([history]))[0], count) + 1

    @property
    def _width(self) -> int:
        return int(self.manifest.graphs["items"].outputs["vector"].shape[1])

    def _read(self, history: np.ndarray, at: int) -> np.ndarray:
        read = np.asarray(history, np.int64)[-self.max_items :]
        if not len(read) and self.manifest.kind not in EMPTY:
            raise DataError(
                f"history {at}: has no item that the model knows, and {self.manifest.kind} needs one; "
                "give one, or recommend what is popular instead"
            )
        if len(read) and (read.min() < 1 or read.max() > len(self.item_ids)):
            raise DataError(f"history {at}: items {read.min()} to {read.max()}; they go from 1 to {len(self.item_ids)}")
        return read

    def _asked(self, histories: list[np.ndarray]) -> np.ndarray:
        length_B = np.array([len(history) for history in histories], np.int64)
        item_BT = np.zeros((len(histories), max(1, int(length_B.max()))), np.int64)
        for row, history in zip(item_BT, histories, strict=True):
            row[: len(history)] = history
        return self._sessions.run("history", {"item_BT": item_BT, "length_B": length_B})[0]

    def _cuts(self, rows: int) -> list[slice]:
        step = max(1, _CELLS // len(self.item_ids))
        return [slice(at, min(at + step, rows)) for at in range(0, rows, step)]

    def _map(self, work: Any, parts: Sequence[Any]) -> list[Any]:
        return list((self._pool.map if self._pool else map)(work, parts))


def _read_items(folder: Path, manifest: Manifest) -> tuple[Ids, Any, np.ndarray]:
    """Ids of all items, their titles where there are some, and the numbers of cold ones."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / ITEMS
    wanted = {"history", "items", "scan"}
    if not wanted <= manifest.graphs.keys() or "history" not in manifest.limits:
        raise ArtifactError(f"{folder}: needs the graphs {', '.join(sorted(wanted))} and a limit; export it again")
    try:
        table = pq.read_table(path)
        ids = table.column("item_id").cast(pa.string()).combine_chunks()
        titles = table.column("title").combine_chunks() if "title" in table.column_names else None
        cold = np.asarray(table.column("cold")) if "cold" in table.column_names else np.zeros(0, bool)
    except (OSError, KeyError, pa.ArrowException) as cause:
        raise ArtifactError(f"{path}: not readable ({cause}); export the model again") from None
    shape = next(iter(manifest.graphs["scan"].outputs.values())).shape
    if not len(ids) or ids.null_count or shape[-1] != len(ids):
        raise ArtifactError(f"{path}: names {len(ids):,} items, and the scan has {shape[-1]}; export the model again")
    if cold[: len(cold) - cold.sum()].any():
        raise ArtifactError(f"{path}: has cold items before others; export the model again")
    return Ids(ids), titles, np.flatnonzero(cold) + 1
