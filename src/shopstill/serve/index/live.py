"""The index as it lives: a generation, a journal of changes, and models that are ready; changed while it is read.

A folder holds ``CURRENT`` (the name of the generation), the generations, and beside each its journal. A change is in
the journal, on the disk, before anyone is told that it was made; at the start the journal is played again. What readers
hold is a ``Snapshot`` that never changes; a change, a model or a new generation takes its place in one step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from shopstill.core.errors import ArtifactError
from shopstill.serve.bundle.load import Bundle
from shopstill.serve.forms import Changed, Product
from shopstill.serve.index import generation as made
from shopstill.serve.index.catalogue import Catalogue
from shopstill.serve.index.documents import form
from shopstill.serve.index.facets import Columns
from shopstill.serve.index.files import copied
from shopstill.serve.index.generation import WORDS, Generation, open_generation, text_of
from shopstill.serve.index.journal import Journal, Record, records
from shopstill.serve.index.place import (
    FIRST,
    current,
    drop,
    exists,
    following,
    hold,
    journal_of,
    live_of,
    point,
    sweep,
)
from shopstill.serve.index.ready import Ready
from shopstill.serve.index.words import Words
from shopstill.serve.index.writer import Writer

_FAULTS = (OSError, ValueError)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What one request sees: the catalogue, and the models that are ready for it, by name."""

    catalogue: Catalogue
    ready: Mapping[str, Ready]


class Live:
    """An index that is open for searches and for changes; one process at a time may hold it.

    Args:
        folder: what ``create`` wrote.

    Raises:
        ArtifactError: there is no index, or another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        name = current(folder)
        self._held = hold(folder)
        self._changing, self._torn = threading.Lock(), False
        try:
            sweep(folder, name)
            found = open_generation(folder / name)
            self._writer, self.now = _started(found)
            self._journal = Journal(journal_of(found.folder))
        except BaseException:
            self._held.close()
            raise

    def add_model(self, name: str, bundle: Bundle) -> None:
        """Make a model ready under a name; what it needs of the products is worked out where it is not there."""
        found = self.now.catalogue.generation
        if not found.prepared(bundle):
            _apart(made.prepare, found.folder, bundle.folder)
        if self.now.ready:
            found.fetch(bundle)
        with self._changing:
            # A new generation may have come meanwhile.
            if not self.now.catalogue.generation.prepared(bundle):
                made.prepare(self.now.catalogue.generation.folder, bundle.folder)
            ready = {**self.now.ready, name: _ready(self.now.catalogue, bundle)}
            self.now = replace(self.now, ready=ready)

    def drop_model(self, name: str) -> None:
        """Forget a model; requests that use it finish."""
        with self._changing:
            self.now = replace(self.now, ready={n: one for n, one in self.now.ready.items() if n != name})

    def change(self, put: Sequence[Product] = (), delete: Sequence[str] = ()) -> Changed:
        """Put products (in place of those with their ids) and delete some; on the disk and searchable on return.

        Raises:
            ArtifactError: the disk took only a part of it; nothing was changed.
        """
        with self._changing, _written(self.folder):
            if self._torn:
                self._mend()
            before = self.now
            number = before.catalogue.number + 1
            record: Record = {"number": number, "put": [_plain(product) for product in put], "delete": list(delete)}
            sound = self._journal.bytes
            self._journal.append(record)
            try:
                self.now = _changed(before, self._writer, number, put, delete)
            except BaseException:
                # What was added to the index before it failed must not be seen with the next change.
                self._torn = True
                self._journal.cut(sound)
                raise
            kept = {product.id for product in put} - {*delete}
            gone = sum(before.catalogue.row(one) is not None for one in {*delete})
            return Changed(put=len(kept), deleted=gone, number=number)

    def rebuild(self) -> str:
        """A new generation of all products as they are, put in place in one step; its name.

        It is made in a process of its own, while searches and changes go on here.
        """
        before = self.now
        folder = self.folder / following(before.catalogue.generation.name)
        bundles = [ready.bundle.folder for ready in before.ready.values()]
        _apart(_rebuilt, before.catalogue.generation.folder, before.catalogue.number, folder, bundles)
        with self._changing:
            self._replace(open_generation(folder), before.catalogue.number)
        return folder.name

    def close(self) -> None:
        """Let go of the files."""
        with self._changing:
            self._writer.close()
            self._journal.close()
            self._held.close()

    def _mend(self) -> None:
        """Make the index of changes again, from the generation and the journal, after a change that failed."""
        with suppress(*_FAULTS):
            self._writer.close()
        old = self.now
        self._writer, now = _started(old.catalogue.generation)
        self.now = replace(now, ready={name: _ready(now.catalogue, one.bundle) for name, one in old.ready.items()})
        self._torn = False

    def _replace(self, found: Generation, upto: int) -> None:
        """Take up a new generation, and what was changed while it was made."""
        old = self.now
        journal_of(found.folder).unlink(missing_ok=True)
        journal = Journal(journal_of(found.folder))
        for record in records(self._journal.path):
            if record["number"] > upto:
                journal.append(record)
        writer, catalogue = _started(found)
        for one in old.ready.values():
            # A model may have come while the generation was made.
            if not found.prepared(one.bundle):
                made.prepare(found.folder, one.bundle.folder)
        ready = {name: _ready(catalogue.catalogue, one.bundle) for name, one in old.ready.items()}
        point(self.folder, found.name)
        self._writer.close()
        self._journal.close()
        self._writer, self._journal, self._torn = writer, journal, False
        self.now = replace(catalogue, ready=ready)
        drop(old.catalogue.generation.folder)


def create(
    folder: Path, products: Iterable[Product], bundles: Iterable[Path], total: int, *, anew: bool = False
) -> None:
    """Write an index: a generation, with what some models need of it.

    With ``anew`` it takes the place of an index and all changes to it, once it is whole: a faulty catalogue costs none.

    Raises:
        ArtifactError: there is an index already, or a process serves it.
        DataError: two products have the same id.
    """
    if exists(folder) and not anew:
        raise ArtifactError(f"{folder}: there is an index already; open it, or build it anew")
    folder.mkdir(parents=True, exist_ok=True)
    name = following(current(folder)) if exists(folder) else FIRST
    with hold(folder):
        made.build(folder / name, products, bundles, total)
        journal_of(folder / name).unlink(missing_ok=True)
        point(folder, name)
        sweep(folder, name)


def _started(found: Generation) -> tuple[Writer, Snapshot]:
    """A generation with every change of its journal, and what changes it further."""
    live = live_of(found.folder)
    copied(found.folder / WORDS, live)
    catalogue = Catalogue(
        generation=found,
        words=Words(live),
        alive_P=np.ones(len(found), bool),
        later=[],
        later_columns=Columns.of([], []),
        later_places=[],
        latest={},
        number=found.number,
    )
    writer, now = Writer(live), Snapshot(catalogue=catalogue, ready={})
    for record in records(journal_of(found.folder)):
        put = [form.validate_python(one) for one in record["put"]]
        now = _changed(now, writer, record["number"], put, record["delete"])
    return writer, now


def _changed(now: Snapshot, writer: Writer, number: int, put: Sequence[Product], delete: Sequence[str]) -> Snapshot:
    """What is there after a change; of products with one id the last one counts, and deleting comes last."""
    before, wanted = now.catalogue, {product.id: product for product in put}
    gone = [row for one in dict.fromkeys([*wanted, *delete]) if (row := before.row(one)) is not None]
    kept = [product for one, product in wanted.items() if one not in {*delete}]
    start, codes = len(before.alive_P), [before.values.codes(product) for product in kept]
    olds = [before.row(product.id) for product in kept]
    # What is put in place of another is listed where that one was, and what is new behind all.
    places = [start + at if old is None else before.place(old) for at, old in enumerate(olds)]
    for row in gone:
        writer.remove(row)
    for at, product in enumerate(kept):
        writer.add(start + at, places[at], product, codes[at])
    writer.commit()
    alive_P = np.concatenate([before.alive_P, np.ones(len(kept), bool)])
    alive_P[gone] = False
    catalogue = replace(
        before,
        words=before.words.renewed(),
        alive_P=alive_P,
        later=[*before.later, *kept],
        later_columns=before.later_columns.joined(Columns.of(codes, [product.price for product in kept])),
        later_places=[*before.later_places, *places],
        latest={**before.latest, **dict.fromkeys(delete), **{p.id: start + at for at, p in enumerate(kept)}},
        number=number,
    )
    ready = {
        name: one.extended([text_of(product, one.bundle) for product in kept]) if kept else one
        for name, one in now.ready.items()
    }
    return Snapshot(catalogue=catalogue, ready=ready)


def _ready(catalogue: Catalogue, bundle: Bundle) -> Ready:
    base, near = catalogue.generation.ready(bundle)
    ready = Ready(bundle=bundle, base=base, near=near)
    texts = [text_of(product, bundle) for product in catalogue.later]
    return ready.extended(texts) if texts else ready


def _rebuilt(source: Path, upto: int, folder: Path, bundles: Sequence[Path]) -> None:
    """Write a new generation of an old one and its journal up to a change; runs in a process of its own."""
    found = open_generation(source)
    last, gone = dict[str, Product](), set[str]()
    for record in records(journal_of(source)):
        if record["number"] <= upto:
            last |= {one["id"]: form.validate_python(one) for one in record["put"]}
            gone |= {*record["delete"]}
            for one in record["delete"]:
                last.pop(one, None)
    # Each in its place: what was put in place of another in that one's, and what is new behind all.
    old = (last.pop(product.id, product) for product in found.products() if product.id not in gone)
    made.build(folder, chain(old, last.values()), bundles, len(found) + len(last), number=upto)


def _apart(work: Callable[..., object], *given: object) -> None:
    """Do heavy work in a process of its own, so that searches here go on undisturbed."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(work, *given).result()


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """Say of what a full disk ends in that it is one; tantivy tells of it by a ValueError."""
    try:
        yield
    except ArtifactError:
        raise
    except _FAULTS as cause:
        raise ArtifactError(f"{folder}: the change could not be written ({cause}); free space and retry") from None


def _plain(product: Product) -> dict[str, object]:
    found: dict[str, object] = form.dump_python(product, mode="json", exclude_defaults=True)
    return found
