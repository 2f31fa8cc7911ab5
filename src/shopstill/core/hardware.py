"""What machine this is: processor, flags, cores, memory; stands beside every measured time."""

from __future__ import annotations

import os
import platform
import resource
import sys
from pathlib import Path
from typing import Any

_FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "asimd", "asimddp", "i8mm")


def machine() -> dict[str, Any]:
    """Processor, the flags that matter for inference, cores, memory and Python of this machine.

    >>> sorted(machine())
    ['cores', 'flags', 'memory_gib', 'processor', 'python', 'system']
    """
    name, flags = _processor()
    return {
        "processor": name,
        "flags": [f for f in _FLAGS if f in flags],
        "cores": cores(),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory_bytes() -> int:
    """The largest resident memory of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux hands ru_maxrss on from the process that started this one; the high-water mark is this one's own.
        marks = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        if marks:
            return int(marks[0].split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _processor() -> tuple[str, set[str]]:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or "unknown", set()
    lines = (line.partition(":") for line in info.read_text().splitlines())
    fields = {name.strip(): value.strip() for name, _, value in lines}
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return fields.get("model name", platform.processor() or "unknown"), flags


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
