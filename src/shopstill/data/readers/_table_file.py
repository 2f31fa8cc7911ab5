"""One file of a shop's own export, and what its columns mean."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from shopstill.core.config import config
from shopstill.data.chunk import Scale

Format = Literal["auto", "csv", "tsv", "json", "parquet"]


def _texts(said: Any) -> Any:
    """A mapping whose keys are what a file says: YAML's whole numbers as the text they were.

    Raises:
        ValueError: YAML has made something else of a key, and nobody knows how it was written.
    """
    if not isinstance(said, Mapping):
        return said
    for key in said:
        if isinstance(key, bool):
            told = "YAML reads yes, no, on, off, true and false as truth values; put those that the file says in quotes"
            raise ValueError(told)
        if not isinstance(key, str | int):
            raise ValueError(f"YAML reads {str(key)!r} as no text; put it in quotes, as the file has it")
    return {str(key): value for key, value in said.items()}


_Texts = BeforeValidator(_texts)


@config
class TableFile:
    """A file and what its columns mean.

    Attributes:
        path: the file; text may be gzipped or zipped.
        columns: our column → the file's. Judgments and events may name ``query`` (the text) instead of ``query_id``;
            queries without a ``query_id`` get one made from their text, and products without a ``product_id`` the
            number of their line, such as texts that have a class and no id. A judgment without a ``gain`` has its
            grade's distance from ``zero``, or the label's own. A ``price`` may have a currency's sign or
            code before or after it, which is dropped, and either decimal convention where it cannot be mistaken:
            ``1.299,00 €``, ``$1,299.00``, ``12,50``, ``1 299,00``, ``12,-``. A bare ``1.299`` is a little more than
            one, as in any number; ``1,299``, ``1.299 €``, and ``1.299`` in a file with prices such as ``12,50`` or
            ``1.299.000``, may be either, so their rows are set aside like those of ``cheap``.
            A relative path of ``image`` is looked for beside the file.
        format: found by the name when ``auto``; ``json`` is JSON lines or one array.
        encoding: of text files.
        delimiter: of ``csv`` files.
        header: the columns' names, where a text file does not give them.
        attributes: columns of the file that become attributes, under their own names or as attribute → column.
        category_separator: what parts the steps of a category's path in text.
        labels: label → [grade, gain], where grades are named; map ``label`` to the file's column then. Case, white
            space and the width of signs do not tell labels apart.
        low: the smallest grade.
        high: the largest grade.
        zero: the grade that is worth nothing.
        constants: our column → the value that every row has, where the file has no such column: ratings that are all
            purchases have ``kind: purchase``.
        values: our column → {the file's value → ours}, such as ``kind: {pv: impression, buy: purchase}``.
        repeats: the file repeats an id with every row that names it; the first row counts.
    """

    path: Path
    columns: Mapping[str, str]
    format: Format = "auto"
    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    header: tuple[str, ...] | None = None
    attributes: Mapping[str, str] | tuple[str, ...] = ()
    category_separator: str = Field(default=">", min_length=1)
    labels: Annotated[Mapping[str, tuple[float, float]], _Texts] = Field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    zero: float = 0.0
    constants: Mapping[str, str] = Field(default_factory=dict)
    values: Mapping[str, Annotated[Mapping[str, str], _Texts]] = Field(default_factory=dict)
    repeats: bool = False

    def named(self) -> Mapping[str, str]:
        """Attribute → column."""
        return self.attributes if isinstance(self.attributes, Mapping) else {name: name for name in self.attributes}

    def wanted(self) -> list[str]:
        """The file's columns that are mapped, each once."""
        return list(dict.fromkeys([*self.columns.values(), *self.named().values()]))

    def scale(self) -> Scale:
        """What the grades mean."""
        low = -inf if self.low is None else self.low
        high = inf if self.high is None else self.high
        return Scale(labels=self.labels, low=low, high=high, zero=self.zero)
