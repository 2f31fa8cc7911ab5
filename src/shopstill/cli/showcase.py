"""The end of a run that a person can try: the shop's page, with the students and the teacher side by side."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote
from urllib.request import urlopen

from shopstill.core.artifact import Artifact

if TYPE_CHECKING:
    from shopstill.recipe import Recipe
    from shopstill.serve.app.settings import Settings
    from shopstill.serve.engine.engine import Engine

log = logging.getLogger(__name__)

_QUERIES = 3
_WORDS = (2, 4)
_PATIENCE_S = 60


def show(recipe: Recipe, made: Sequence[Artifact]) -> None:
    """Serve the run's shop until Ctrl-C; where nobody watches a terminal, ask three queries over HTTP and stop.

    Args:
        recipe: the run.
        made: what it made, the shop first and the report last.
    """
    from shopstill import pipeline
    from shopstill.cli.serving import beside, indexed
    from shopstill.serve.app.settings import Settings
    from shopstill.serve.engine.engine import Engine

    bundles = list(pipeline.bundles(recipe, made).values())
    index = recipe.runs / recipe.name / "index"
    # The models may be others than those of an earlier run.
    indexed(index, bundles[0], made[0].path, anew=True)
    (index / "models.json").unlink(missing_ok=True)
    engine = Engine.open(index, bundles[0])
    beside(engine, bundles[1:])
    # Any free port: another server on the usual one must not end a run of minutes with an error.
    settings = Settings(port=0, report=_report(made[-1].path))
    _serve(engine, settings, _queries(made[0].path))


def _serve(engine: Engine, settings: Settings, queries: Sequence[str]) -> None:
    from shopstill.serve.app.run import address, prepared, serve

    if _watched():
        serve(engine, settings, ready=lambda where: _invite(where, queries))
        return
    try:
        server, listening = prepared(engine, settings)
        began = threading.Event()
        server.ready = began.set
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        began.wait(_PATIENCE_S)
        _ask(address(listening), queries)
        server.should_exit = True
        thread.join()
    finally:
        engine.close()


def _invite(where: str, queries: Sequence[str]) -> None:
    lines = [f"\nThe shop is open at {where} (stop with Ctrl-C). Try:"]
    lines += [f"  {where}/?q={quote(query)}   {query}" for query in queries]
    lines += [f"  {where}/lab   what the server does, and the report"]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _ask(where: str, queries: Sequence[str]) -> None:
    """What a person would have tried."""
    for query in queries:
        with urlopen(f"{where}/search?limit=3&q={quote(query)}", timeout=30) as response:
            found = json.load(response)
        sys.stdout.write(f"\n{query}: {found['total']:,} products in {found['took_ms']:.1f} ms\n")
        sys.stdout.writelines(f"  {hit['position']}. {hit['product']['title']}\n" for hit in found["hits"])
    sys.stdout.write("\nOn a terminal this ends with a page to try.\n")


def _queries(prepared: Path) -> list[str]:
    """Some of the shop's own test queries, of a few words each."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from shopstill.data.shop import Shop

    split = pq.read_table(prepared / "split.parquet")
    held = set(split.filter(pc.equal(split["split"], "test"))["query_id"].to_pylist())
    found = [row["text"] for row in Shop(prepared / "shop").read("queries").to_pylist() if row["query_id"] in held]
    fit = [text for text in found if _WORDS[0] <= len(text.split()) <= _WORDS[1]]
    return (fit or found)[:_QUERIES]


def _report(folder: Path) -> Path | None:
    path = folder / "report.html"
    return path if path.exists() else None


def _watched() -> bool:
    return sys.stdout.isatty()
