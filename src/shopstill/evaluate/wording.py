"""What a report calls the things of a task, so that it speaks of shoppers where queries make no sense."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Wording:
    """Words of a task, as search relevance has them unless told otherwise.

    Attributes:
        unit: what a value of a metric belongs to.
        units: several of them.
        rows: what is judged of all units together.
        ranked: what a ranking is of.
        shown: what the examples of failures show.
        call: what an answer does, with a place for how many.
        calls: the same, of one model.
        asked: what there are so many of in a call.
    """

    unit: str = "query"
    units: str = "queries"
    rows: str = "graded products"
    ranked: str = "candidates"
    shown: str = "The top of each one’s ranking, with the human grade of each product."
    call: str = "rank {} candidates"
    calls: str = "ranks {} candidates"
    asked: str = "candidates"
