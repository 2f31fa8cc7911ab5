"""The commands around a server: what they serve, and what they say where they cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests.serve.conftest import Bundles

from shopstill import cli
from shopstill.cli.serving import indexed
from shopstill.core.errors import ArtifactError, DataError
from shopstill.serve.forms import Product
from shopstill.serve.index.live import Live


@pytest.mark.parametrize("kind", ["static towers, interaction", None])
def test_a_server_answers_until_it_is_stopped(bundles: Bundles, tmp_path: Path, kind: str | None) -> None:
    rows = [{"id": str(n), "title": f"red mug {n}"} for n in range(20)]
    (tmp_path / "goods.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["serve", *([str(bundles(kind))] if kind else []), "--products", str(tmp_path / "goods.jsonl")]
    command += ["--index", str(tmp_path / "index"), "--port", "0", "--set", "workers=1"]
    with subprocess.Popen([sys.executable, "-m", "shopstill", *command], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            told = next(line for line in process.stderr if "listening on" in line)
            address = next(word for word in told.split() if word.startswith("http"))
            with urlopen(f"{address}/search?q=red+mug&limit=5", timeout=30) as response:
                assert json.load(response)["total"] == 20
        finally:
            process.terminate()
        process.stderr.read()
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["--products", "none.jsonl"], "not a catalogue"),
        ([], "no index here; name the catalogue"),
        (["--set", "worker=2"], "worker"),
        (["--set", "workers"], "KEY=VALUE"),
        (["--port", "99999"], "port"),
    ],
)
def test_what_cannot_be_served_is_told_with_the_fix(
    bundles: Bundles, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], told: str
) -> None:
    base = ["serve", str(bundles("static towers, interaction")), "--index", str(tmp_path / "index")]
    assert cli.main([*base, *change]) == 1
    assert told in capsys.readouterr().err


def test_a_shadow_needs_a_model_beside_it(bundles: Bundles, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--shadow", str(bundles("static towers, interaction"))]) == 1
    assert "is compared with a model that answers; name its bundle" in capsys.readouterr().err


def test_a_faulty_product_is_named_by_file_and_line(
    bundles: Bundles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    goods = tmp_path / "goods.jsonl"
    goods.write_text('{"id": "1", "title": "mug"}\n{"id": "2", "title": "mug", "price": -3}\n')
    base = ["serve", str(bundles("static towers, interaction")), "--index", str(tmp_path / "index")]
    assert cli.main([*base, "--products", str(goods)]) == 1
    assert f"{goods}:2: price: -3" in capsys.readouterr().err
    assert not (tmp_path / "index" / "CURRENT").exists()


def test_an_index_built_anew_takes_the_place_of_the_old_one_once_it_is_whole(
    bundles: Bundles, index: Path, goods: list[Product], tmp_path: Path
) -> None:
    bundle = bundles("static towers, interaction")
    fresh = tmp_path / "fresh.jsonl"
    fresh.write_text('{"id": "1", "title": "mug"}\n{"id": "2", "title": ""}\n')
    with pytest.raises(DataError, match="title"):
        indexed(index, bundle, fresh, anew=True)
    opened = Live(index)
    assert len(opened.now.catalogue) == len(goods)
    with pytest.raises(ArtifactError, match="another process"):
        indexed(index, bundle, fresh, anew=True)
    opened.close()
    fresh.write_text('{"id": "1", "title": "mug"}\n')
    indexed(index, bundle, fresh, anew=True)
    opened = Live(index)
    assert [product.id for product in opened.now.catalogue.products()] == ["1"]
    opened.close()


def test_a_key_is_shown_once_and_kept_as_a_hash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = tmp_path / "keys.json"
    assert cli.main(["key", str(keys), "--scope", "products", "--name", "feed"]) == 0
    secret = capsys.readouterr().out.strip()
    assert secret not in keys.read_text()
    assert cli.main(["key", str(keys), "--scope", "prodcuts", "--name", "other"]) == 1
    assert "did you mean 'products'" in capsys.readouterr().err
