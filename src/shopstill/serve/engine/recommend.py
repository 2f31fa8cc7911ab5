"""Models of histories, and what they recommend of a catalogue."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import numpy as np

from shopstill.core.errors import DataError
from shopstill.serve.bundle.history import EMPTY, HistoryBundle
from shopstill.serve.bundle.load import load_history
from shopstill.serve.bundle.scan import Wanted
from shopstill.serve.engine.beside import Beside
from shopstill.serve.engine.legs import COMPARED
from shopstill.serve.index import facets
from shopstill.serve.index.catalogue import Catalogue
from shopstill.serve.recommendations import Next, Recommend, Recommended


class Recommenders:
    """Models of histories by name; the first one answers where none is named."""

    def __init__(self) -> None:
        self._models = Beside("a model of histories", "--recommend", load_history, _warm)

    def load(self, folder: Path) -> str:
        """Load a model under its own name, and have it answer once.

        Raises:
            ArtifactError: there is no bundle of histories, or it is torn.
            ConfigError: there is one of this name already.
        """
        return self._models.load(folder)

    def answer(self, asked: Recommend, catalogue: Catalogue) -> Recommended:
        """The products that come next: those of the catalogue that the model knows, and that fit.

        Raises:
            UnknownModel: none is loaded, or none of this name.
            DataError: the model knows nothing of the history, and needs something.
        """
        began = perf_counter()
        name, bundle = self._models.pick(asked.model)
        history, unknown = bundle.numbers(asked.history)
        if not len(history) and bundle.manifest.kind not in EMPTY:
            raise DataError(
                f"history: {name!r} knows none of its {unknown} products, and needs one; "
                "send others, or show what is popular instead"
            )
        items = _best(bundle, history, asked, catalogue)
        return Recommended(items=items, unknown=unknown, took_ms=round((perf_counter() - began) * 1000, 3), model=name)


def _warm(bundle: HistoryBundle) -> object:
    return bundle.best([np.ones(1, np.int64)], Wanted(limit=1))


def _best(bundle: HistoryBundle, history: np.ndarray, asked: Recommend, catalogue: Catalogue) -> list[Next]:
    wanted = facets.Wanted.of(asked.filters, catalogue.values)
    ids, rows = bundle.item_ids, {}

    def fits(item_C: np.ndarray) -> np.ndarray:
        found = {item: row for item in item_C.tolist() if (row := catalogue.row(ids[item - 1])) is not None}
        rows.update(found)
        there_C = np.fromiter((item in found for item in item_C.tolist()), bool, len(item_C))
        there_C[there_C] = catalogue.fit(np.fromiter(found.values(), np.int64, len(found)), wanted)
        return there_C

    chosen = Wanted(
        limit=asked.limit,
        seen=asked.seen,
        exclude=bundle.numbers(asked.exclude)[0],
        allowed=_few(bundle, wanted, catalogue) if wanted else None,
        fits=fits,
    )
    items, scores = bundle.best([history], chosen)[0]
    return [
        Next(id=ids[item - 1], score=score, product=catalogue.product(rows[item]))
        for item, score in zip(items.tolist(), scores.tolist(), strict=True)
    ]


def _few(bundle: HistoryBundle, wanted: facets.Wanted, catalogue: Catalogue) -> np.ndarray | None:
    """The items that fit a filter, where they are few, so that not all others need be looked at; else None."""
    found = catalogue.words.search(catalogue.words.query("", wanted), COMPARED)
    if found.total > COMPARED:
        return None
    return bundle.numbers([catalogue.product(row).id for row in found.rows.tolist()])[0]
