"""``Engine``: a catalogue and its models, searched, changed and swapped while it answers, from any thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np

from shopstill.core.errors import DataError, ShopstillError
from shopstill.data.images import ImageLimits
from shopstill.data.text import normalise
from shopstill.serve.bundle.manifest import read
from shopstill.serve.categories import Categorise, Categorised
from shopstill.serve.cleaning import cleaned
from shopstill.serve.engine.categorise import Categorisers
from shopstill.serve.engine.compare import compare
from shopstill.serve.engine.errors import UnknownProduct
from shopstill.serve.engine.models import Models
from shopstill.serve.engine.ranking import Pace
from shopstill.serve.engine.recent import Recent
from shopstill.serve.engine.recommend import Recommenders
from shopstill.serve.engine.search import Ranking, Served, search
from shopstill.serve.engine.shadow import NOTHING, Shadow, Shadowing
from shopstill.serve.engine.spelling import corrected
from shopstill.serve.engine.suggest import suggestions
from shopstill.serve.engine.why import why
from shopstill.serve.forms import (
    LONGEST,
    Answer,
    Changed,
    Comparison,
    Hit,
    ModelState,
    Product,
    Search,
    Suggestion,
    Why,
)
from shopstill.serve.index import live
from shopstill.serve.index.catalogue import Catalogue
from shopstill.serve.index.live import Live
from shopstill.serve.recommendations import Recommend, Recommended

log = logging.getLogger(__name__)

Side = Literal["query", "product"]

REBUILT_AT, REBUILT_SHARE = 20_000, 5
"""Changed products at which a new generation is made: at least so many, and at least one in so many of all."""


class Engine:
    """Searches an index with the models that are loaded. Make one with ``open``."""

    def __init__(self, index: Live, models: Models, shadow: Shadow | None = None) -> None:
        self._live, self._models, self._shadow = index, models, shadow
        self._recent: Recent[Ranking] = Recent()
        self._rebuilding = threading.Lock()
        self.recommenders, self.categorisers = Recommenders(), Categorisers()

    @classmethod
    def open(
        cls, index: Path, bundle: Path | None = None, *, threads: int = 1, shadow: Shadowing | None = None
    ) -> Engine:
        """Open an index with a model.

        Args:
            index: folder that ``create`` wrote.
            bundle: folder of the model that answers, unless another one did when the index was last open; without any
                words alone find and order.
            threads: threads that one search may use.
            shadow: a second model to compare with.

        Raises:
            ArtifactError: the index or a bundle is missing, torn, or of another version.
        """
        opened = Live(index)
        models = Models(opened, threads)
        try:
            models.resume(bundle)
            made = cls(opened, models, _shadow(opened, models, shadow) if shadow else None)
        except BaseException:
            opened.close()
            raise
        return made

    def search(self, asked: Search) -> Answer:
        """Answer a search.

        Raises:
            UnknownModel: it names a model that is not loaded.
        """
        now, name = self._live.now, asked.model or self._models.active
        pace = self._models.paces.setdefault(name, Pace())
        model = self._models.ready(name, now) if name else None
        served = Served(name=name, model=model, pace=pace, recent=self._recent)
        answer = search(now.catalogue, served, asked)
        if answer.query and asked.offset == 0:
            self._models.recorded.append(answer.query)
            if self._shadow and answer.reranked:
                self._shadow.offer(answer)
        return answer

    def suggest(self, text: str, limit: int = 8) -> list[Suggestion]:
        """Ways to go on typing; a blank at the end finishes the last word."""
        ended = " " if text[-1:].isspace() else ""
        return suggestions(self._live.now.catalogue, normalise(text) + ended, limit) if text.strip() else []

    def similar(self, product_id: str, limit: int = 12) -> list[Hit]:
        """The products nearest to one; by words where there is no model with vectors.

        Raises:
            UnknownProduct: it is not in the catalogue.
        """
        now = self._live.now
        catalogue, row = now.catalogue, _row(now.catalogue, product_id)
        ready = now.ready.get(self._models.active)
        if ready is None or ready.near is None:
            asked = Search(query=catalogue.product(row).title[:LONGEST], limit=min(100, limit + 1), rerank=False)
            return [hit for hit in self.search(asked).hits if hit.product.id != product_id][:limit]
        rows, scores = ready.nearest(ready.vectors(np.array([row]))[0], limit + 1, catalogue.alive_P)
        found = [(int(r), float(s)) for r, s in zip(rows, scores, strict=True) if r != row][:limit]
        return [Hit(position=at + 1, product=catalogue.product(r), score=s) for at, (r, s) in enumerate(found)]

    def recommend(self, asked: Recommend) -> Recommended:
        """Products that come next after a history."""
        return self.recommenders.answer(asked, self._live.now.catalogue)

    def categorise(self, asked: Categorise, limits: ImageLimits) -> Categorised:
        """Classes of products that the caller shows."""
        return self.categorisers.answer(asked, limits)

    def product(self, product_id: str) -> Product:
        """A product.

        Raises:
            UnknownProduct: it is not in the catalogue.
        """
        catalogue = self._live.now.catalogue
        return catalogue.product(_row(catalogue, product_id))

    def score(self, query: str, texts: Sequence[str], model: str | None = None) -> list[float]:
        """Scores of texts that the caller brings, for a query."""
        bundle = self._models.ready(model).bundle
        asked = normalise(query)
        return _first(bundle.score([(asked, normalise(text)) for text in texts])) if texts else []

    def score_products(self, query: str, ids: Sequence[str], model: str | None = None) -> list[float]:
        """Scores of products of the catalogue, for a query.

        Raises:
            UnknownProduct: one is not in the catalogue.
        """
        now = self._live.now
        rows = np.array([_row(now.catalogue, one) for one in ids], np.int64)
        return _first(self._models.ready(model, now).score(normalise(query), rows)) if len(rows) else []

    def embed(self, texts: Sequence[str], side: Side, model: str | None = None) -> np.ndarray:
        """Unit vectors [N, D] of queries or of products.

        Raises:
            DataError: the model reads pairs alone, and has no vectors.
        """
        towers = self._models.ready(model).bundle.towers
        if towers is None:
            name = model or self._models.active
            raise DataError(f"model {name!r}: reads pairs alone and has no vectors; name a model with towers")
        clean = [normalise(text) for text in texts]
        if side == "query":
            return np.stack([towers.ask(text).pooled for text in clean]).astype(np.float32)
        products = towers.encode(clean)
        return products.pooled(np.arange(len(clean))).astype(np.float32)

    def why(self, query: str, product_id: str, model: str | None = None) -> Why:
        """What moved the score of a product for a query, in the spelling that a search takes it in."""
        now, name = self._live.now, model or self._models.active
        product = now.catalogue.product(_row(now.catalogue, product_id))
        typed = normalise(query)
        return why(name, self._models.ready(name, now).bundle, typed, product, corrected(now.catalogue, typed))

    def compare(self, query: str, one: str, other: str, limit: int = 10) -> Comparison:
        """The same candidates, as the first model finds them, in the order of two models."""
        now = self._live.now
        sides = tuple((name, self._models.ready(name, now)) for name in (one, other))
        return compare(now.catalogue, normalise(query), (sides[0], sides[1]), limit)

    def put(self, products: Sequence[Product]) -> Changed:
        """Add products, in place of those with their ids; on the disk and searchable on return."""
        return self.change(products, ())

    def delete(self, ids: Sequence[str]) -> Changed:
        """Take products out; ids that are not there change nothing."""
        return self.change((), ids)

    def change(self, put: Sequence[Product], delete: Sequence[str]) -> Changed:
        """Both in one step. Where much was changed, a new generation is begun, and the journal with it."""
        done, catalogue = self._live.change(put=[*map(cleaned, put)], delete=delete), self._live.now.catalogue
        if catalogue.pending >= max(REBUILT_AT, len(catalogue) // REBUILT_SHARE):
            self._rebuild_soon()
        return done

    def models(self) -> list[ModelState]:
        """All loaded models."""
        return self._models.states()

    def load(self, name: str, folder: Path) -> ModelState:
        """Load a model beside the others; slow, and nothing else waits for it."""
        return self._models.load(name, folder)

    def activate(self, name: str) -> ModelState:
        """Let a loaded model answer from now on."""
        return self._models.activate(name)

    def roll_back(self) -> ModelState:
        """Let the model before the active one answer again."""
        return self._models.roll_back()

    def unload(self, name: str) -> None:
        """Forget a model that is not active."""
        self._models.unload(name)

    def rebuild(self) -> str:
        """A new generation of the index from all changes, put in place in one step; its name. Slow."""
        return self._live.rebuild()

    def _rebuild_soon(self) -> None:
        """Rebuild in the background, unless that is being done."""
        if not self._rebuilding.acquire(blocking=False):
            return

        def rebuild() -> None:
            try:
                log.info("%s: in place", self._live.rebuild())
            except (ShopstillError, OSError, BrokenExecutor) as cause:
                log.warning("the index was not rebuilt, and stays as it is: %s", cause)
            finally:
                self._rebuilding.release()

        threading.Thread(target=rebuild, name="shopstill-rebuild", daemon=True).start()

    def facts(self) -> dict[str, Any]:
        """How large the index is, and what answers."""
        now = self._live.now
        return {
            "products": len(now.catalogue),
            "generation": now.catalogue.generation.name,
            "pending": now.catalogue.pending,
            "models": [state.name for state in self.models()],
            "active": self._models.active,
            "index_bytes": now.catalogue.generation.bytes,
        }

    def disagreement(self) -> dict[str, Any]:
        """What the second model off the path of the answers found."""
        return self._shadow.state() if self._shadow else dict(NOTHING)

    def close(self) -> None:
        """Let go of everything."""
        if self._shadow:
            self._shadow.close()
        self._live.close()


def create(index: Path, bundle: Path | None, products: Iterable[Product], total: int, *, anew: bool = False) -> None:
    """Write an index of products, with what a model needs of them; ``anew`` in the place of one that is there.

    Raises:
        ArtifactError: there is an index already, a process serves it, or there is no bundle.
        DataError: two products have the same id.
    """
    live.create(index, map(cleaned, products), [bundle] if bundle else [], total, anew=anew)


def _shadow(index: Live, models: Models, wanted: Shadowing) -> Shadow:
    """The second model, loaded under a name of its own."""
    name = f"{read(wanted.bundle).name}-shadow"
    if name not in index.now.ready:
        models.load(name, wanted.bundle)
    return Shadow(name, wanted.share, wanted.alarm, lambda: index.now)


def _row(catalogue: Catalogue, product_id: str) -> int:
    row = catalogue.row(product_id)
    if row is None:
        raise UnknownProduct(product_id)
    return row


def _first(scores: np.ndarray) -> list[float]:
    """A score a pair; of several outputs the first."""
    return [float(one) for one in scores.reshape(len(scores), -1)[:, 0]]
