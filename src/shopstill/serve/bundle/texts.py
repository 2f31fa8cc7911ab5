"""What callers give as a text."""

from __future__ import annotations

import math
from typing import Any

from shopstill.core.errors import DataError


def text_of(value: Any, what: str, at: int) -> str:
    """A text; None and NaN, which tables have where there is none, are an empty one.

    Raises:
        DataError: it is something else.

    >>> text_of(None, "query", 0), text_of("red mug", "query", 1)
    ('', 'red mug')
    """
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    raise DataError(f"{what} {at}: {value!r} is a {type(value).__name__}; give a string, or None where there is none")
