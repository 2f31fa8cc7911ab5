"""Questions of histories as tables and labels.

Shapes: ``N`` questions.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from shopstill.data.histories import Histories, Part


def asked(histories: Histories, part: Part, name: str) -> pa.Table:
    """Questions by the shop's ids."""
    return pa.table(
        {
            "shopper_id": histories.shopper_ids.take(pa.array(part.shopper_N)),
            "upto": pa.array(part.upto_N),
            "product_id": histories.item_ids.take(pa.array(part.target_N - 1)),
            "split": pa.array([name] * len(part)),
        }
    )


def unit_ids(histories: Histories, part: Part) -> list[str]:
    """Of each question; the shopper's, and with several of a shopper, the place in the history too."""
    ids = histories.shopper_ids.take(pa.array(part.shopper_N)).to_pylist()
    if len(set(ids)) == len(ids):
        return list(ids)
    return [f"{name}:{upto}" for name, upto in zip(ids, part.upto_N.tolist(), strict=True)]


def binned(count_N: np.ndarray, edges: tuple[int, ...], noun: str) -> list[str]:
    """How many there are of something, in a few steps."""
    low = [0, *(edge + 1 for edge in edges)]
    names = [_span(first, last, noun) for first, last in zip(low, [*edges, None], strict=True)]
    return [names[place] for place in np.searchsorted(edges, count_N)]


def _span(first: int, last: int | None, noun: str) -> str:
    if last is None:
        return f"{first:,}+ {noun}s"
    if first == last:
        return f"{first:,} {noun}s"
    return f"up to {last:,} {noun}s" if first == 0 else f"{first:,}–{last:,} {noun}s"
