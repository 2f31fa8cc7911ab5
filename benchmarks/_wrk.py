"""As many requests as a server answers: ``wrk``, one thread, a few connections that never rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MISSING = "wrk is not installed, and nothing else stands in for it: apt-get install wrk, or brew install wrk"

_SCRIPT = """
local paths, at = {}, 0
for line in io.lines(os.getenv("PATHS")) do paths[#paths + 1] = line end
request = function()
  at = at % #paths + 1
  return wrk.format("GET", paths[at])
end
done = function(summary, latency, requests)
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '{"requests":%d,"seconds":%f,"refused":%d,"broken":%d,"bytes":%d,"p50":%f,"p95":%f,"p99":%f,"max":%f}\\n',
    summary.requests, summary.duration / 1e6, summary.errors.status, broken, summary.bytes,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
"""


def there() -> bool:
    """Whether wrk is installed."""
    return shutil.which("wrk") is not None


def saturated(where: str, paths: Sequence[str], connections: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Requests that are answered a second, latencies in ms (of whatever status), and how many were not answered.

    Args:
        where: host and port.
        paths: asked for in turn.
        connections: that are open, each with one request at a time.
        seconds: for how long; wrk takes whole ones.
        folder: for the script and the paths.
    """
    script, list_of = folder / "paths.lua", folder / "paths.txt"
    script.write_text(_SCRIPT, encoding="utf-8")
    list_of.write_text("".join(f"{path}\n" for path in paths), encoding="ascii")
    length = max(1, round(seconds))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{length}s", "--timeout", "10s", "-s", str(script)]
    done = subprocess.run(
        [*command, f"http://{where}"],
        env={**os.environ, "PATHS": str(list_of)},
        capture_output=True,
        text=True,
        timeout=length + 60,
        check=False,
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("{")), None)
    if line is None:
        raise SystemExit(f"wrk said nothing of use: {done.stdout[-400:]} {done.stderr[-400:]}")
    found: dict[str, Any] = json.loads(line)
    answered = found["requests"] - found["refused"]
    return {**found, "connections": connections, "answered_a_second": answered / found["seconds"]}
