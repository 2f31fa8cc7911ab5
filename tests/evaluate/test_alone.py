"""A process of its own: what this one holds does not count, and a failure says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopstill.core.errors import DataError
from shopstill.evaluate.alone import alone


def test_peak_memory_is_of_the_call_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "eats.py").write_text("def eat(mib):\n    return len(bytearray(b'x') * (mib << 20))\n")
    monkeypatch.syspath_prepend(tmp_path)
    ours = np.ones(30_000_000)  # 240 MB of this process must not count
    little, much = alone("eats:eat", [1]).peak_memory_bytes, alone("eats:eat", [100]).peak_memory_bytes
    assert little < ours.nbytes / 2
    assert alone("time:sleep", [0.3]).seconds > 0.3
    assert much - little == pytest.approx(99 << 20, rel=0.1)


def test_a_call_that_fails_says_why() -> None:
    with pytest.raises(DataError, match=r"math:sqrt failed.*math domain error"):
        alone("math:sqrt", [-1.0])
    with pytest.raises(DataError, match="must be written"):
        alone("math.sqrt")
    with pytest.raises(DataError, match="took more than"):
        alone("time:sleep", [5.0], timeout=0.5)
