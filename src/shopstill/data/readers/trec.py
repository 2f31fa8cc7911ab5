"""TREC collections: corpus, queries and qrels, as BEIR (JSON lines) and Multi-CPR (tab-separated) publish them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from shopstill.core.config import config
from shopstill.core.errors import DataError
from shopstill.data.chunk import Chunk, Raw, Scale
from shopstill.data.readers._delimited import Layout, read_delimited
from shopstill.data.readers._files import Source, bounded_lines, existing, sources_in, text_stream
from shopstill.data.readers._objects import as_text, read_objects

_SUFFIXES = (".jsonl", ".json", ".tsv", ".txt", ".qrels")
_SPLITS = {"train": "train", "dev": "valid", "valid": "valid", "test": "test"}


@config
class Trec:
    """Reads documents as products, topics as queries, and qrels as judgments.

    The corpus and the queries are JSON lines (``_id, title, text``) where the name says ``.jsonl``, else tab-separated
    ``id, text`` without a header. Qrels have four columns (``topic 0 document grade``) or BEIR's three under a header
    (``query-id, corpus-id, score``), parted by tabs or spaces. A document without a title gets its text as the title.

    Attributes:
        corpus: files of documents.
        queries: files of topics.
        qrels: split (``all`` where the publisher has none) → file.
        zero: the grade that is worth nothing; the gain is a grade's distance from it, and lower ones are worth
            nothing too.

    Source: https://trec.nist.gov/data/qrels_eng/, https://github.com/beir-cellar/beir,
    https://github.com/Alibaba-NLP/Multi-CPR
    """

    corpus: tuple[Path, ...] = Field(min_length=1)
    queries: tuple[Path, ...] = Field(min_length=1)
    qrels: Mapping[Literal["train", "dev", "valid", "test", "all"], Path] = Field(default_factory=dict)
    zero: float = 0.0

    def read(self) -> Iterator[Chunk]:
        """Products, queries, judgments.

        Raises:
            DataError: a file is missing or is not what it claims to be.
        """
        for path in self.corpus:
            for source in sources_in(path, _SUFFIXES):
                yield from _texts(source, "products", _document)
        for path in self.queries:
            for source in sources_in(path, _SUFFIXES):
                yield from _texts(source, "queries", _topic)
        for split, path in self.qrels.items():
            for source in sources_in(path, _SUFFIXES):
                yield from self._judgments(source, split)

    def sources(self) -> list[Path]:
        """Corpus, queries and qrels."""
        return [existing(path) for path in (*self.corpus, *self.queries, *self.qrels.values())]

    def _judgments(self, source: Source, split: str) -> Iterator[Chunk]:
        names = {"query_id": "query", "product_id": "document", "grade": "grade"}
        for raw in read_delimited(source, _qrels_layout(source)):
            ours = _SPLITS.get(split)
            splits = pa.array([ours] * raw.data.num_rows, pa.string())
            data = raw.select(names).append_column("split", splits)
            scale = Scale(zero=self.zero)
            yield Chunk(
                table="judgments", data=data, file=source.name, lines=raw.lines, rejects=raw.rejects, scale=scale
            )


def _texts(source: Source, table: str, shape: Callable[[pa.Table], pa.Table]) -> Iterator[Chunk]:
    for raw in _rows(source, table):
        yield Chunk(table=table, data=shape(raw.data), file=source.name, lines=raw.lines, rejects=raw.rejects)


def _rows(source: Source, table: str) -> Iterator[Raw]:
    """Columns ``_id``, ``title``, ``text``."""
    kinds: dict[str, Any] = dict.fromkeys(("_id", "title", "text"), as_text)
    if ".jsonl" in source.name or ".json" in source.name:
        for objects in read_objects(source, table=table):
            yield objects.columns(kinds)
        return
    for raw in read_delimited(source, Layout(table=table, header=("_id", "text"), delimiter="\t", quoted=False)):
        empty = pa.nulls(raw.data.num_rows, pa.string())
        yield Raw(data=raw.data.append_column("title", empty), lines=raw.lines, rejects=raw.rejects)


def _document(data: pa.Table) -> pa.Table:
    untitled = pc.is_null(data["title"])
    text = pc.if_else(untitled, pa.scalar(None, pa.string()), data["text"])
    return pa.table({"product_id": data["_id"], "title": pc.coalesce(data["title"], data["text"]), "description": text})


def _topic(data: pa.Table) -> pa.Table:
    return pa.table({"query_id": data["_id"], "text": data["text"]})


def _qrels_layout(source: Source) -> Layout:
    expected = "qrels: topic 0 document grade, or query-id corpus-id score under a header"
    with text_stream(source, encoding="utf-8", expected=expected) as text:
        first = next(bounded_lines(text, source.name), "")
    delimiter = "\t" if "\t" in first else " "
    fields = first.split("\t") if delimiter == "\t" else first.split()
    if [f.strip() for f in fields] == ["query-id", "corpus-id", "score"]:
        return Layout(
            table="judgments", header=("query", "document", "grade"), delimiter=delimiter, skip=1, quoted=False
        )
    if len(fields) not in (3, 4):
        raise DataError(f"{source.name}:1: has {len(fields)} fields ({first.strip()[:200]!r}); expected {expected}")
    names = ("query", "document", "grade") if len(fields) == 3 else ("query", "iteration", "document", "grade")
    return Layout(table="judgments", header=names, delimiter=delimiter, quoted=False)


trec = Trec
