"""The folder for the browser: whole, self-contained, and refused with a reason where it cannot be made."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shopstill.serve
from shopstill.core.errors import ArtifactError, DataError
from shopstill.export.browser import lexical, npm, site, write_browser
from shopstill.export.browser.characters import characters
from shopstill.models.build import TextModel
from shopstill.serve.forms import Product

from .conftest import PRODUCTS

Written = Callable[[str], tuple[TextModel, Path]]
TITLES = [title for title in PRODUCTS if title.isascii()]
CATALOGUE = [Product(id=f"p{at}", title=title, price=float(at)) for at, title in enumerate(TITLES)]
ANYWHERE = re.compile(r"""https?://[a-z]|["'(]//[a-z]""", re.IGNORECASE)


@pytest.fixture
def folder(written: Written, tmp_path: Path) -> Path:
    return write_browser(written("static towers")[1], CATALOGUE, tmp_path / "tab")


def test_the_service_worker_keeps_every_file_under_its_content(folder: Path) -> None:
    text = (folder / "service-worker.js").read_text(encoding="utf-8")
    listed = json.loads(text.split("const FILES = ", 1)[1].split(";\n", 1)[0])
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert set(listed) == set(there) - {"service-worker.js", ".shopstill"}
    for name, digest in listed.items():
        assert hashlib.sha256(there[name].read_bytes()).hexdigest() == digest


def test_a_change_of_one_file_is_a_new_version(written: Written, tmp_path: Path) -> None:
    bundle = written("static towers")[1]
    workers = [
        (write_browser(bundle, products, tmp_path / "tab") / "service-worker.js").read_text(encoding="utf-8")
        for products in (CATALOGUE, CATALOGUE, CATALOGUE[:-1])
    ]
    versions = [re.search('VERSION = "([0-9a-f]{16})"', text)[1] for text in workers]  # type: ignore[index]
    assert versions[0] == versions[1] != versions[2]


def test_nothing_is_asked_of_other_hosts(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.suffix in {".html", ".css", ".js", ".webmanifest"}:
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            links = [line for line in text.splitlines() if ANYWHERE.search(line) and not line.startswith("//")]
            assert not links, path
            assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(", text), path
    assert "default-src 'none'" in (folder / "index.html").read_text(encoding="utf-8")


def test_both_languages_say_the_same_things(folder: Path) -> None:
    script = (folder / "page" / "texts.js").read_text(encoding="utf-8")
    english, chinese = (set(re.findall(r"(?:, |    )(\w+): (?=[\"\[])", part)) for part in script.split("\n  zh: {"))
    assert english == chinese
    assert len(english) > 15


def test_the_page_shares_the_served_ones_modules(folder: Path) -> None:
    for name in site.SHARED:
        served = Path(shopstill.serve.__file__).parent / "page" / name
        assert (folder / "page" / name).read_bytes() == served.read_bytes()
        assert not (Path(site.__file__).parent / "static" / "page" / name).exists(), name


def test_it_can_be_installed(folder: Path) -> None:
    stated = json.loads((folder / "manifest.webmanifest").read_text(encoding="utf-8"))
    assert {"name", "start_url", "display", "icons"} <= set(stated)
    for icon in stated["icons"]:
        assert (folder / icon["src"]).is_file()


def test_sizes_are_stated(folder: Path) -> None:
    stated = json.loads((folder / "student" / "student.json").read_text(encoding="utf-8"))
    own = sum(path.stat().st_size for path in (folder / "student").iterdir() if path.name != "student.json")
    assert stated["bytes"]["student"] == own
    assert stated["products"] == len(TITLES)


def test_columns_that_nothing_has_are_left_out(folder: Path) -> None:
    shown = json.loads((folder / "catalogue" / "products.json").read_text(encoding="utf-8"))
    assert set(shown) == {"id", "title"}
    assert shown["title"] == TITLES


def test_a_model_that_finds_nothing_is_refused(written: Written, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"kind 'cross' orders products.*towers or joint"):
        write_browser(written("cross, first token")[1], CATALOGUE, tmp_path / "tab")
    assert not (tmp_path / "tab").exists()


@pytest.mark.parametrize(
    ("products", "said"), [([], "there are none"), ([CATALOGUE[0], CATALOGUE[0]], "'p0' is there twice")]
)
def test_a_catalogue_that_cannot_be_shown_is_refused(
    products: list[Product], said: str, written: Written, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said):
        write_browser(written("static towers")[1], products, tmp_path / "tab")
    assert not (tmp_path / "tab").exists()


def test_other_things_in_the_folder_stay(written: Written, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="holds things that shopstill did not write"):
        write_browser(written("static towers")[1], CATALOGUE, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"model": {"type": "BPE", "vocab": {}, "merges": []}},
            "model is a BPE, and the browser reads a WordPiece",
        ),
        ({"normalizer": None}, "its normalizer is a None"),
        ({"added_tokens": [{"content": "<x>", "lstrip": True}]}, "added token '<x>'"),
    ],
)
def test_a_tokenizer_of_another_kind_is_refused(
    change: dict[str, Any], said: str, tiny_start: Path, tmp_path: Path
) -> None:
    stated = json.loads((tiny_start / "tokenizer.json").read_text(encoding="utf-8"))
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(stated | change), encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(said)):
        characters(path)


def test_another_stemmer_leaves_lexical_features_unknown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert lexical.stems_agree()
    monkeypatch.setattr(lexical, "tokenise", lambda word, _: [word])
    assert not lexical.stems_agree()
    assert "PyStemmer stems" in caplog.text


def test_chinese_titles_bring_what_cuts_them(written: Written, tmp_path: Path) -> None:
    products = [*CATALOGUE, Product(id="zh", title="保温杯 500ml")]
    try:
        folder = write_browser(written("static towers")[1], products, tmp_path / "tab")
    except ArtifactError as cause:
        if "cannot be fetched" in str(cause):
            pytest.skip(f"needs the npm registry once: {cause}")
        raise
    assert {path.name for path in (folder / "runtime").iterdir()} == {"jieba_rs_wasm.js", "jieba_rs_wasm_bg.wasm"}
    assert "jieba-wasm 2.4.0: MIT" in (folder / "LICENCES.txt").read_text(encoding="utf-8")
    assert json.loads((folder / "student" / "student.json").read_text(encoding="utf-8"))["chinese"]


def test_english_titles_need_nothing_from_elsewhere(folder: Path) -> None:
    assert not (folder / "runtime").exists()


class Registry:
    """A registry of one package, that counts how often it is asked."""

    def __init__(self) -> None:
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w:gz") as archive:
            entry = tarfile.TarInfo("package/a.js")
            entry.size = 2
            archive.addfile(entry, io.BytesIO(b"ok"))
        self.content = held.getvalue()
        self.asked: list[str] = []

    def open(self, request: Any, timeout: float) -> io.BytesIO:
        self.asked.append(request.full_url)
        return io.BytesIO(self.content)

    def package(self, integrity: str = "") -> npm.Package:
        pinned = integrity or npm._integrity(self.content)
        return npm.Package(name="@scope/name", version="1.0.0", integrity=pinned, licence="MIT")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    made = Registry()
    monkeypatch.setattr("urllib.request.urlopen", made.open)
    monkeypatch.setenv("SHOPSTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://mirror.example/npm/")
    return made


def test_a_package_is_fetched_once(registry: Registry) -> None:
    for _ in range(2):
        assert npm.files(registry.package(), ["a.js"]) == {"a.js": b"ok"}
    assert registry.asked == ["https://mirror.example/npm/@scope/name/-/name-1.0.0.tgz"]


def test_a_torn_copy_is_fetched_again(registry: Registry) -> None:
    npm.files(registry.package(), ["a.js"])
    kept = next(npm.cache().iterdir())
    kept.write_bytes(kept.read_bytes()[:-3])
    assert npm.files(registry.package(), ["a.js"]) == {"a.js": b"ok"}
    assert len(registry.asked) == 2


def test_another_package_than_the_pinned_one_is_refused(registry: Registry) -> None:
    with pytest.raises(ArtifactError, match=r"is not the @scope/name 1.0.0 that was pinned \(sha512-.*not sha512-x"):
        npm.files(registry.package("sha512-x"), ["a.js"])
    assert not npm.cache().exists()
    with pytest.raises(ArtifactError, match="holds no file 'b"):
        npm.files(registry.package(), ["b.js"])


def test_without_a_network_the_address_and_the_fix_are_named(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(ArtifactError, match=r"name-1.0.0.tgz: cannot be fetched \(no route\).*NPM_CONFIG_REGISTRY"):
        npm.files(registry.package(), ["a.js"])
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://mirror.example")
    with pytest.raises(ArtifactError, match="is no https address"):
        npm.files(registry.package(), ["a.js"])
