"""What a call takes in a process of its own: its memory, and the time from nothing to its end."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from shopstill.core.errors import DataError
from shopstill.core.hardware import peak_memory_bytes

_CHILD = "import sys; from shopstill.evaluate.alone import answer; answer(sys.stdin.read())"


@dataclass(frozen=True, kw_only=True)
class Alone:
    """What a fresh process takes.

    Attributes:
        seconds: from starting Python, imports and loading included, to the end of the call.
        peak_memory_bytes: its largest resident memory.
    """

    seconds: float
    peak_memory_bytes: int


def alone(function: str, args: Sequence[object] = (), *, timeout: float = 600.0) -> Alone:
    """Call a function in a fresh process, so that what this one has loaded does not count.

    Compare with the same call on a function that does nothing to know what Python itself takes.

    Args:
        function: ``"package.module:name"``, importable from a new process.
        args: JSON values that it is called with.
        timeout: seconds.

    Raises:
        DataError: the name has no colon, the call fails, or takes too long; says what it printed last.

    >>> alone("math:sqrt", [2.0]).peak_memory_bytes > 1_000_000
    True
    """
    module, colon, name = function.partition(":")
    if not colon:
        raise DataError(f"alone: {function!r} must be written 'package.module:name'")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    start = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD],
            input=json.dumps([module, name, list(args)]),
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"alone: {function} took more than {timeout} s; give it less to do") from None
    except subprocess.CalledProcessError as cause:
        last = (cause.stderr.strip().splitlines() or ["no message"])[-1]
        raise DataError(f"alone: {function} failed with exit code {cause.returncode}: {last}") from None
    return Alone(seconds=time.perf_counter() - start, peak_memory_bytes=int(done.stdout.rsplit("\n", 1)[1]))


def answer(asked: str) -> None:
    """What the fresh process does: make the call that is asked for, and say how much memory that took."""
    module, name, args = json.loads(asked)
    getattr(importlib.import_module(module), name)(*args)
    sys.stdout.write(f"\n{peak_memory_bytes()}")
