"""The bundle: one folder that holds all a model needs to score, and a manifest that says what is in it.

A bundle holds ``manifest.json``, ``README.md`` (its card, in words), ``tokenizer.json``, ONNX graphs, one
``weights.safetensors`` that all graphs refer to, ``lexical/`` where the model takes lexical features, and ``products/``
where products come along. A bundle for histories has no tokenizer, but ``items.parquet``, its items' ids and titles,
and ``items.safetensors``, all items in int8. One for classes has ``classes.json``, their names, and a tokenizer where
it reads tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from shopstill import __version__
from shopstill.core.config import build, config
from shopstill.core.errors import ArtifactError, ConfigError
from shopstill.core.fingerprint import file_sha256, fingerprint
from shopstill.data.images import ImageForm
from shopstill.data.reading import Reading
from shopstill.data.vectors import Codec

MANIFEST, CARD = "manifest.json", "README.md"
WEIGHTS, TOKENIZER = "weights.safetensors", "tokenizer.json"
LEXICAL, PRODUCTS = "lexical", "products"
ITEMS, SCANNED = "items.parquet", "items.safetensors"
CLASSES = "classes.json"
FORMAT = 1
SINCE = "0.1.0"
"""The format that this version reads and writes, and the first version that read it."""

Kind = Literal[
    "cross",
    "towers",
    "joint",
    "sasrec",
    "bert4rec",
    "gru4rec",
    "item_mean",
    "resnet",
    "mobilenet",
    "efficientnet_lite",
    "small_cnn",
    "bag",
    "text_encoder",
    "both",
]
HISTORIES = frozenset(("sasrec", "bert4rec", "gru4rec", "item_mean"))
"""Kinds that read a shopper's history."""
LABELS = frozenset(("resnet", "mobilenet", "efficientnet_lite", "small_cnn", "bag", "text_encoder", "both"))
"""Kinds that put a product into a class; those in neither set read a query and a product."""


@config
class Tensor:
    """An input or output of a graph; a size that may vary has a name, such as ``pairs``."""

    dtype: str
    shape: tuple[int | str, ...]


@config
class GraphInfo:
    """A graph: its file, and what it takes and gives, by name and in order."""

    file: str
    opset: int
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


@config
class File:
    """A file of a bundle."""

    sha256: str
    bytes: int


@config
class Manifest:
    """What ``manifest.json`` states.

    Attributes:
        format: version of the layout.
        needs: the oldest shopstill that reads it.
        shopstill: the version that wrote it.
        name: what it is called.
        kind: ``cross``, ``towers`` or ``joint``; or of ``HISTORIES`` or ``LABELS``.
        model: the model's configuration.
        outputs: scores of a pair: 1, or the number of classes.
        labels: the names of the grades of a pair, in the order of the outputs.
        text: the columns of a product that it reads, joined by spaces.
        fusion: where its vectors were made to find: what a cosine counts beside a share of the best score by words.
        reading: how a text becomes ids, where it puts texts into classes.
        pictures: how a picture becomes the pixels that its graph takes, where it looks at pictures.
        decoder: what decoded the pictures that it was judged on; another may round a pixel of a JPEG otherwise.
        limits: tokens that are read of a ``pair``, a ``query`` and a ``product``, at most; items of a ``history``.
        graphs: by name.
        features: the lexical features that the head takes, in order.
        vectors: how ``ahead`` keeps the vectors of products; None: in float32, as they are.
        scheme: how weights are stored and computed, such as ``fp32``.
        batch_invariant: whether a pair's score is the same in any company, to within ``tolerance``.
        tolerance: how far scores may be from those of the model that was judged.
        parity: how far they were when the bundle was written.
        fingerprints: of what it was made from.
        lineage: each step of its making: quality, size, time.
        metrics: how it was judged.
        machine: where times were measured.
        licences: of the weights it started from, and of the data.
        files: every other file.
        digest: of all of the above.
    """

    format: Literal[1] = 1
    needs: str = SINCE
    shopstill: str = __version__
    name: str
    kind: Kind
    model: dict[str, Any]
    outputs: int = Field(default=1, ge=1)
    labels: list[str] = Field(default_factory=list)
    text: list[Literal["title", "brand", "description", "attributes"]] = Field(default=["title"], min_length=1)
    fusion: float | None = Field(default=None, ge=0)
    reading: Reading | None = None
    pictures: ImageForm | None = None
    decoder: str = ""
    limits: dict[str, int]
    graphs: dict[str, GraphInfo]
    features: list[str] = Field(default_factory=list)
    vectors: Codec | None = None
    scheme: str = "fp32"
    batch_invariant: bool = True
    tolerance: float
    parity: dict[str, Any] = Field(default_factory=dict)
    fingerprints: dict[str, str] = Field(default_factory=dict)
    lineage: list[dict[str, Any]] = Field(default_factory=list)
    metrics: dict[str, Any] = Field(default_factory=dict)
    machine: dict[str, Any] = Field(default_factory=dict)
    licences: list[dict[str, Any]] = Field(default_factory=list)
    files: dict[str, File] = Field(default_factory=dict)
    digest: str = ""


def write(folder: Path, stated: dict[str, Any]) -> Manifest:
    """Write the manifest of a folder that is otherwise complete; ``files`` and ``digest`` are worked out here.

    Raises:
        ConfigError: a value is not what the manifest holds.
    """
    named = {name: {"sha256": file_sha256(path), "bytes": path.stat().st_size} for name, path in _files(folder).items()}
    whole = {"format": FORMAT, "needs": SINCE, "shopstill": __version__, **stated, "files": named}
    whole = json.loads(json.dumps(whole, ensure_ascii=False, allow_nan=False))
    made = build(Manifest, {**whole, "digest": _digest(whole)}, MANIFEST)
    text = json.dumps({**whole, "digest": made.digest}, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return made


def read(folder: Path) -> Manifest:
    """Read a bundle's manifest, and hold every file to it.

    Raises:
        ArtifactError: there is no bundle, a later version wrote it, or a file is missing, torn, changed or not listed.
    """
    path = Path(folder) / MANIFEST
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ArtifactError(
            f"{folder}: no bundle here ({MANIFEST} is missing); write one with shopstill export"
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as cause:
        raise ArtifactError(f"{path}: not readable as JSON ({cause}); copy the bundle again") from None
    _known(path, stated)
    if stated.get("digest") != _digest(stated):
        raise ArtifactError(f"{path}: was changed after it was written (its digest differs); copy the bundle again")
    try:
        manifest = build(Manifest, stated, str(path))
    except ConfigError as cause:
        raise ArtifactError(f"{cause}; export the model again") from None
    _hold(Path(folder), manifest)
    unknown = [graph.file for graph in manifest.graphs.values() if graph.file not in manifest.files]
    if unknown:
        raise ArtifactError(f"{path}: names the graph {unknown[0]!r}, which is no file of the bundle; export it again")
    return manifest


def _known(path: Path, stated: Any) -> None:
    found = stated.get("format") if isinstance(stated, dict) else None
    if not isinstance(found, int) or isinstance(found, bool):
        raise ArtifactError(f"{path}: states no format; is it the manifest of a shopstill bundle?")
    if found > FORMAT:
        needs = stated.get("needs", "a later version")
        raise ArtifactError(
            f"{path}: a bundle of format {found}, and shopstill {__version__} reads format {FORMAT}; "
            f"shopstill {needs} reads it: pip install 'shopstill>={needs}'"
        )


def _hold(folder: Path, manifest: Manifest) -> None:
    there = _files(folder)
    for name in sorted(manifest.files.keys() | there.keys()):
        if name not in there:
            raise ArtifactError(f"{folder / name}: missing from the bundle; copy the bundle again")
        if name not in manifest.files:
            raise ArtifactError(f"{folder / name}: is not of this bundle ({MANIFEST} does not list it); remove it")
        stated, size = manifest.files[name], there[name].stat().st_size
        if size != stated.bytes:
            raise ArtifactError(f"{there[name]}: has {size:,} bytes of {stated.bytes:,}; copy the bundle again")
        if file_sha256(there[name]) != stated.sha256:
            raise ArtifactError(f"{there[name]}: content differs from its SHA-256 in {MANIFEST}; copy the bundle again")


def _files(folder: Path) -> dict[str, Path]:
    """Every file but the manifest, and hidden ones that a file manager leaves, by its name within the folder."""
    inside = {
        p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if not p.is_dir() or p.is_symlink()
    }
    return {name: p for name, p in inside.items() if name != MANIFEST and not p.name.startswith(".")}


def _digest(stated: dict[str, Any]) -> str:
    return fingerprint({key: value for key, value in stated.items() if key != "digest"})
