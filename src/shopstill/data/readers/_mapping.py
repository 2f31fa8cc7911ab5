"""What a mapping of columns says, and what is wrong with it, whatever the files hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from shopstill.core.errors import nearest
from shopstill.data.chunk import folded
from shopstill.data.readers._table_file import TableFile
from shopstill.data.schema import SCHEMAS

QUERY = "query"
"""Stands for ``query_id`` where a file names queries by their text."""


def faults(files: Mapping[str, TableFile]) -> Iterator[str]:
    """What is wrong with the mappings of a shop's tables, each with its place and the fix."""
    for table, file in files.items():
        yield from _column_faults(table, file)
        yield from _label_faults(table, file)
        yield from _header_faults(table, file)
    yield from _query_faults(files)


def numbered(table: str, file: TableFile) -> bool:
    """Whether rows are known by their line alone."""
    return table == "products" and "product_id" not in file.columns


def _column_faults(table: str, file: TableFile) -> Iterator[str]:
    """Columns that a table does not have, and those that it lacks."""
    known = [*SCHEMAS[table].names, *((QUERY,) if table in ("judgments", "events") else ())]
    for option, given in (("columns", file.columns), ("constants", file.constants)):
        for column in given:
            if column not in known:
                yield f"{table}.{option}.{column}: unknown column; {nearest(column, known)}"
    for column in sorted({*file.columns} & {*file.constants}):
        yield f"{table}.constants.{column}: is among the columns too; leave one out"
    derived = {"query_id"} if table == "queries" or QUERY in file.columns else set()
    derived |= {"product_id"} if numbered(table, file) else set()
    derived |= {"gain", "grade" if "label" in file.columns else "gain"}
    needed = [f.name for f in SCHEMAS[table] if not f.nullable and f.name not in derived]
    for column in needed:
        if column not in file.columns and column not in file.constants:
            yield (
                f"{table}.columns: lacks {column!r}, which every row needs; add {column}: <column of {file.path}>, or "
                f"to {table}.constants {column}: <the value of every row>"
            )


def _label_faults(table: str, file: TableFile) -> Iterator[str]:
    """Labels that say nothing, or two things."""
    if "label" in file.columns and "grade" not in file.columns and not file.labels:
        yield f"{table}.labels: says nothing about the labels in {file.columns['label']!r}; add <label>: [grade, gain]"
    spelt = defaultdict[str, list[str]](list)
    for label in file.labels:
        spelt[folded(label)].append(label)
    for same in spelt.values():
        if len({file.labels[label] for label in same}) > 1:
            yield f"{table}.labels: {' and '.join(map(repr, same))} are one label, with different grades; keep one"


def _header_faults(table: str, file: TableFile) -> Iterator[str]:
    """Columns that a header of the recipe's own lacks."""
    header = file.header or file.wanted()
    for column in file.wanted():
        if column not in header:
            yield f"{table}.header: lacks {column!r}, which is mapped; {nearest(column, header)}"


def _query_faults(files: Mapping[str, TableFile]) -> Iterator[str]:
    """Tables that name queries in two ways, or in one that the queries do not have."""
    own = "queries" in files and "query_id" in _given(files["queries"])
    for table, file in files.items():
        named = {QUERY, "query_id"} & _given(file)
        if table == "queries" or not named:
            continue
        place = f"{table}.columns.{min(named)}"
        if len(named) == 2:
            yield f"{place}: query_id is mapped too; leave one out"
        elif "queries" not in files:
            optional = ", or leave it out" if table == "events" else ""
            yield (
                f"{place}: the shop has no queries; add them, with repeats: true from {file.path} itself where they "
                f"have no file of their own{optional}"
            )
        elif QUERY in named and own:
            yield (
                f"{place}: the queries have ids of their own; map query_id to the column of {file.path} that has "
                "them, or leave query_id out of queries"
            )
        elif "query_id" in named and not own:
            yield (
                f"{place}: the queries have no ids of their own; map {QUERY} to the column of {file.path} that has "
                "their text, or query_id among the queries too"
            )


def _given(file: TableFile) -> set[str]:
    """Our columns that a file has."""
    return {*file.columns, *file.constants}
