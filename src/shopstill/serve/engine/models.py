"""Which models are loaded, which one answers, and how one takes the place of another."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from shopstill.core.errors import ArtifactError, DataError
from shopstill.serve.bundle.load import Bundle, load_texts
from shopstill.serve.bundle.manifest import MANIFEST, read
from shopstill.serve.engine.errors import NoModel, UnknownModel
from shopstill.serve.engine.ranking import Pace
from shopstill.serve.forms import ModelState
from shopstill.serve.index.catalogue import Catalogue
from shopstill.serve.index.generation import text_of
from shopstill.serve.index.live import Live, Snapshot
from shopstill.serve.index.ready import Ready

RECORDED = 64
"""Queries that are kept, in memory alone, to try a new model on."""

_FIRST = ("", "usb cable", "red mug", "保温杯")
_CANDIDATES = 32
_AT_ONCE = 16
_STATED = "models.json"
_TOLERANCE = 1e-3


@dataclass
class Models:
    """The models of an index.

    Attributes:
        live: the index.
        threads: of each model.
    """

    live: Live
    threads: int = 1
    active: str = ""
    previous: str | None = None
    paces: dict[str, Pace] = field(default_factory=dict)
    recorded: deque[str] = field(default_factory=lambda: deque(_FIRST, maxlen=RECORDED))
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def load(self, name: str, folder: Path) -> ModelState:
        """Take up a model beside the others: every file verified, products encoded, tried on recorded queries.

        Raises:
            DataError: the name is taken.
            ArtifactError: the bundle is not whole, or scores other than it does by itself.
        """
        with self._changing:
            self._take(name, folder)
            self._save()
            return self.state(name)

    def _take(self, name: str, folder: Path) -> None:
        """Load a model, not to be remembered yet."""
        if name in self.live.now.ready:
            raise DataError(f"model {name!r}: is loaded already; unload it, or choose another name")
        bundle = load_texts(folder, self.threads)
        if bundle.manifest.outputs != 1:
            raise DataError(f"{folder}: gives {bundle.manifest.outputs} outputs a pair, and a search needs one score")
        self.live.add_model(name, bundle)
        try:
            _try(self.live.now.ready[name], self.live.now.catalogue, list(self.recorded))
        except ArtifactError:
            self.live.drop_model(name)
            raise
        self.paces[name] = Pace()
        self.active = self.active or name

    def activate(self, name: str) -> ModelState:
        """Let a loaded model answer from now on; requests in flight finish on the one before."""
        with self._changing:
            self.ready(name)
            if name != self.active:
                self.previous, self.active = self.active, name
                self._save()
            return self.state(name)

    def roll_back(self) -> ModelState:
        """Let the model before the active one answer again.

        Raises:
            DataError: there is none.
        """
        previous = self.previous
        if previous is None or previous not in self.live.now.ready:
            raise DataError("rollback: no model was active before this one; activate one by its name")
        return self.activate(previous)

    def unload(self, name: str) -> None:
        """Forget a model.

        Raises:
            DataError: it is the active one.
        """
        with self._changing:
            self.ready(name)
            if name == self.active:
                raise DataError(f"model {name!r}: is the active one; activate another first")
            self.live.drop_model(name)
            self.previous = None if self.previous == name else self.previous
            self._save()

    def ready(self, name: str | None, now: Snapshot | None = None) -> Ready:
        """A loaded model; the active one where none is named.

        Args:
            name: of the model.
            now: the moment that a request sees, with the catalogue of the same moment; None for this one.

        Raises:
            UnknownModel: it is not loaded.
        """
        wanted, models = name or self.active, (now or self.live.now).ready
        found = models.get(wanted)
        if found is None:
            raise UnknownModel(wanted, models) if wanted else NoModel("a model of texts", "its")
        return found

    def state(self, name: str) -> ModelState:
        """What a model is."""
        manifest, ready = self.ready(name).bundle.manifest, self.ready(name)
        return ModelState(
            name=name,
            kind=manifest.kind,
            active=name == self.active,
            previous=name == self.previous,
            retrieves=ready.near is not None,
            digest=manifest.digest,
            scheme=manifest.scheme,
            bytes=sum(file.bytes for file in manifest.files.values()),
        )

    def states(self) -> list[ModelState]:
        """All loaded models."""
        return [self.state(name) for name in self.live.now.ready]

    def resume(self, folder: Path | None) -> None:
        """Take up the models of the last start, and the one that this start names, if any: it answers, if it is new.

        What is remembered changes only when all of this has succeeded.
        """
        with self._changing:
            stated = self._stated()
            for name, path in stated["models"].items():
                if (Path(path) / MANIFEST).exists():
                    self._take(name, Path(path))
            ready = self.live.now.ready
            self.active = stated["active"] if stated["active"] in ready else self.active
            self.previous = stated["previous"] if stated["previous"] in ready else None
            if folder is not None:
                self._take_named(folder, known=stated["active"] in ready)
            self._save()

    def _take_named(self, folder: Path, *, known: bool) -> None:
        """Let the model that a start names answer, unless it is loaded already, and another one is known to answer."""
        ready, named = self.live.now.ready, read(folder)
        same = {one.bundle.manifest.digest: name for name, one in ready.items()}
        if named.digest in same:
            self.active = self.active if known else same[named.digest]
            return
        name = named.name if named.name not in ready else f"{named.name}-{named.digest[:6]}"
        self._take(name, folder)
        self.previous, self.active = self.active if self.active in ready else None, name

    def _stated(self) -> dict[str, Any]:
        path = self.live.folder / _STATED
        if not path.exists():
            return {"active": "", "previous": None, "models": {}}
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def _save(self) -> None:
        """Remember which models are loaded, for the next start."""
        bundles = {name: str(ready.bundle.folder.resolve()) for name, ready in self.live.now.ready.items()}
        stated = {"active": self.active, "previous": self.previous, "models": bundles}
        aside = self.live.folder / f".{_STATED}"
        aside.write_text(json.dumps(stated, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        aside.replace(self.live.folder / _STATED)


def _try(model: Ready, catalogue: Catalogue, queries: Sequence[str]) -> None:
    """Warm a model on recorded queries, and hold what it scores of products done ahead to what it scores by itself."""
    every = catalogue.rows()
    rows = every[:: max(1, len(every) // _CANDIDATES)][:_CANDIDATES]
    bundle = model.bundle
    texts = [text_of(catalogue.product(int(row)), bundle) for row in rows]
    # Codes of vectors and company that matters move scores a little; what is checked then is that there are scores.
    exact = bundle.manifest.vectors is None and bundle.manifest.batch_invariant
    for at in range(0, len(queries) if len(rows) else 0, _AT_ONCE):
        some = queries[at : at + _AT_ONCE]
        served = np.stack([model.score(query, rows) for query in some])
        # All queries of a piece in one call, so that the products are read once for it and not for each of them.
        pairs = [(query, text) for query in some for text in texts]
        alone = bundle.score(pairs).reshape(served.shape) if exact else served
        for query, found, expected in zip(some, served, alone, strict=True):
            _agrees(bundle, query, found, expected)


def _agrees(bundle: Bundle, query: str, served: np.ndarray, alone: np.ndarray) -> None:
    if not np.isfinite(served).all():
        raise ArtifactError(f"{bundle.folder}: scores {query!r} with what is no number; export the model again")
    off = float(np.abs(served - alone).max())
    if off > max(_TOLERANCE, bundle.manifest.tolerance):
        raise ArtifactError(
            f"{bundle.folder}: scores {query!r} otherwise for products done ahead (by {off:.2g}) than by itself; "
            "remove the index, or export the model again"
        )
