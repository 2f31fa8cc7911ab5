"""An index is what it was changed to: after a change, a restart, a rebuild, and a kill at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.serve.conftest import Bundles

from shopstill.core.errors import ArtifactError, DataError
from shopstill.serve.bundle.load import load_bundle
from shopstill.serve.forms import Filters, Product
from shopstill.serve.index.facets import Wanted
from shopstill.serve.index.generation import text_of
from shopstill.serve.index.live import Live, create
from shopstill.serve.index.place import current
from shopstill.serve.index.writer import Writer

KIND = "static towers, interaction"
NEW = Product(id="new", title="bright red mug", brand="Zed", price=3.0, category=("Home", "Mugs"))


def titles(live: Live) -> dict[str, str]:
    return {product.id: product.title for product in live.now.catalogue.products()}


def everything(live: Live, name: str = "m") -> dict[str, object]:
    """All that a search may see of an index, by product."""
    catalogue, ready = live.now.catalogue, live.now.ready[name]
    words = catalogue.words.search(catalogue.words.query("", Wanted()), 5_000).rows
    rows = np.sort(words)
    scores = ready.score("red mug 杯", rows)
    return {catalogue.product(int(row)).id: float(score) for row, score in zip(rows, scores, strict=True)}


@pytest.fixture
def live(index: Path, bundles: Bundles) -> Live:
    opened = Live(index)
    opened.add_model("m", load_bundle(bundles(KIND)))
    return opened


def test_a_fresh_index_holds_every_product(live: Live, goods: list[Product]) -> None:
    assert titles(live) == {product.id: product.title for product in goods}
    assert live.now.catalogue.row("nothing") is None
    live.close()


def test_changes_are_seen_at_once_everywhere(live: Live, goods: list[Product]) -> None:
    done = live.change(put=[NEW, Product(id=goods[0].id, title="now a red mug")], delete=[goods[1].id, "nothing"])
    catalogue = live.now.catalogue
    assert (done.put, done.number, len(catalogue)) == (2, 1, len(goods))
    assert catalogue.row(goods[1].id) is None
    assert catalogue.product(catalogue.row(goods[0].id) or -1).title == "now a red mug"
    found = catalogue.words.search(catalogue.words.query("bright red", Wanted()), 5).rows
    assert [catalogue.product(int(row)).id for row in found] == ["new"]
    brand = Wanted.of(Filters(brand=("Zed",)), catalogue.values)
    assert catalogue.fit(catalogue.rows(), brand).sum() == 1
    ready = live.now.ready["m"]
    row = catalogue.row("new") or -1
    nearest, _ = ready.nearest(ready.vectors(np.array([row]))[0], 1, catalogue.alive_P)
    assert nearest.tolist() == [row]
    live.close()


def test_what_a_reader_holds_does_not_change(live: Live, goods: list[Product]) -> None:
    before = live.now
    live.change(put=[NEW], delete=[goods[0].id])
    assert before.catalogue.row("new") is None
    assert before.catalogue.product(before.catalogue.row(goods[0].id) or 0).id == goods[0].id
    live.close()


@pytest.mark.parametrize("late", [False, True])
def test_a_change_that_the_disk_does_not_take_changes_nothing(
    index: Path, live: Live, bundles: Bundles, goods: list[Product], monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """Neither now, nor with the next change, nor after a restart; not even where the index had taken it."""
    live.change(put=[NEW])
    seen = everything(live)
    commit = Writer.commit

    def full(self: Writer) -> None:
        if late:
            commit(self)
        raise ValueError("An IO error occurred: 'No space left on device (os error 28)'")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "commit", full)
        for _ in range(2):
            with pytest.raises(ArtifactError, match=r"could not be written .*No space left.*; free space and retry"):
                live.change(put=[Product(id="lost", title="lost red mug")], delete=[goods[0].id, "new"])
    assert everything(live) == pytest.approx(seen, abs=1e-5)
    found = live.change(put=[Product(id="later", title="later red mug")], delete=["nobody", goods[1].id])
    assert (found.number, found.put, found.deleted) == (2, 1, 1)
    after = everything(live)
    words = live.now.catalogue.words
    assert not len(words.search(words.query("lost", Wanted()), 5).rows)
    assert len(words.search(words.query("later", Wanted()), 5).rows) == 1
    live.close()
    again = Live(index)
    again.add_model("m", load_bundle(bundles(KIND)))
    assert everything(again) == pytest.approx(after, abs=1e-5)
    again.close()


def test_a_restart_and_a_rebuild_change_nothing(
    index: Path, live: Live, bundles: Bundles, goods: list[Product]
) -> None:
    live.change(put=[NEW], delete=[goods[3].id])
    live.change(put=[Product(id="new", title="dark red mug"), Product(id="other", title="红色 杯子")])
    seen = everything(live)
    live.close()

    again = Live(index)
    again.add_model("m", load_bundle(bundles(KIND)))
    assert everything(again) == pytest.approx(seen, abs=1e-5)
    assert again.rebuild() == current(index) == "generation-000002"
    assert everything(again) == pytest.approx(seen, abs=1e-5)
    assert again.now.catalogue.pending == 0
    assert again.change(put=[NEW]).number == 3
    again.close()
    assert sorted(path.name for path in index.glob("generation-*")) == [
        "generation-000002",
        "generation-000002.journal",
        "generation-000002.live",
    ]


def test_what_was_put_later_scores_as_the_model_does(live: Live, bundles: Bundles) -> None:
    live.change(put=[NEW])
    row = live.now.catalogue.row("new")
    bundle = load_bundle(bundles(KIND))
    alone = bundle.score([("red mug", text_of(NEW, bundle))])
    assert live.now.ready["m"].score("red mug", np.array([row])) == pytest.approx(alone, abs=1e-5)
    live.close()


def test_one_process_at_a_time(index: Path, live: Live) -> None:
    with pytest.raises(ArtifactError, match="another process serves this index"):
        Live(index)
    live.close()
    Live(index).close()


def test_faulty_catalogues_leave_nothing_behind(bundles: Bundles, tmp_path: Path) -> None:
    twice = [Product(id="1", title="a"), Product(id="1", title="b")]
    with pytest.raises(DataError, match="'1' is there twice"):
        create(tmp_path / "index", twice, [bundles(KIND)], 2)
    assert {path.name for path in (tmp_path / "index").glob("*")} <= {"LOCK"}
    with pytest.raises(ArtifactError, match="no index here"):
        Live(tmp_path / "index")


def test_a_torn_generation_is_refused_by_name(index: Path) -> None:
    (index / current(index) / "generation.json").write_text(json.dumps({"format": 1, "products": 7, "number": 0}))
    with pytest.raises(ArtifactError, match="torn"):
        Live(index)


CHANGER = """
import sys
from pathlib import Path
from shopstill.serve.forms import Product
from shopstill.serve.index.live import Live
live = Live(Path(sys.argv[1]))
for batch in range(int(sys.argv[2]), 1_000_000):
    live.change(
        put=[Product(id=f"b{batch}-{n}", title=f"mug {batch} of many, number {n}") for n in range(20)],
        delete=[f"b{batch - 2}-{n}" for n in range(20)],
    )
    print(batch, flush=True)
"""


def test_every_acknowledged_change_survives_a_kill(index: Path, goods: list[Product]) -> None:
    draw, start = random.Random(5), 0
    for _ in range(20):
        command = [sys.executable, "-c", CHANGER, str(index), str(start)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(draw.random() * 0.15)
            os.kill(process.pid, signal.SIGKILL)
            told = [int(line) for line in process.stdout.read().split("\n") if line.strip().isdigit()]
        acknowledged = max([start, *told])
        live = Live(index)
        there = titles(live)
        live.close()
        batches = {int(name[1:].split("-")[0]) for name in there if name.startswith("b")}
        last = max(batches)
        # What was told is there; one more may be, whole, that nobody was told of.
        assert acknowledged <= last <= acknowledged + 1
        assert batches == {last - 1, last} if last else {0}
        assert all(sum(name.startswith(f"b{batch}-") for name in there) == 20 for batch in batches)
        assert len(there) == len(goods) + 20 * len(batches)
        start = last + 1
