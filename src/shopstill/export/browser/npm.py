"""Packages of the npm registry: fetched when they are needed, held to a pinned SHA-512, and kept for the next time."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shopstill import __version__
from shopstill.core.errors import ArtifactError

REGISTRY = "https://registry.npmjs.org"
_SECONDS = 60
_MOST_BYTES = 256 << 20


@dataclass(frozen=True, kw_only=True)
class Package:
    """A release of a package.

    Attributes:
        name: on npm, with its scope.
        version: exactly this one.
        integrity: ``sha512-`` and the base64 of its archive's digest, as npm states it.
        licence: what it may be used under.
    """

    name: str
    version: str
    integrity: str
    licence: str

    @property
    def path(self) -> str:
        """Where it lies in a registry."""
        return f"{self.name}/-/{self.name.rpartition('/')[2]}-{self.version}.tgz"


def files(package: Package, names: Sequence[str]) -> dict[str, bytes]:
    """Some files of a package, by their names in it.

    Raises:
        ArtifactError: it cannot be had, or is not what was pinned.
    """
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(_archive(package)), mode="r:gz") as archive:
        for name in names:
            try:
                held = archive.extractfile(f"package/{name}")
            except KeyError:
                held = None
            if held is None:
                raise ArtifactError(f"{package.name} {package.version}: holds no file {name!r}; pin another release")
            found[name] = held.read()
    return found


def cache() -> Path:
    """Where archives are kept: ``SHOPSTILL_CACHE``, or ``shopstill`` in the user's folder for such things."""
    if own := os.environ.get("SHOPSTILL_CACHE"):
        return Path(own) / "npm"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "shopstill" / "npm"


def _archive(package: Package) -> bytes:
    kept = cache() / f"{package.name.replace('/', '-').lstrip('@')}-{package.version}.tgz"
    if kept.is_file():
        content = kept.read_bytes()
        if _integrity(content) == package.integrity:
            return content
    url = f"{_registry()}/{package.path}"
    content = _fetch(url, kept)
    found = _integrity(content)
    if found != package.integrity:
        raise ArtifactError(
            f"{url}: is not the {package.name} {package.version} that was pinned ({found}, not {package.integrity}); "
            f"use another registry (NPM_CONFIG_REGISTRY), and do not use this file"
        )
    kept.parent.mkdir(parents=True, exist_ok=True)
    aside = kept.with_name(f".{kept.name}.{uuid.uuid4().hex[:8]}")
    aside.write_bytes(content)
    aside.replace(kept)
    return content


def _fetch(url: str, kept: Path) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": f"shopstill/{__version__}"})
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            content: bytes = answer.read(_MOST_BYTES + 1)
    except (urllib.error.URLError, TimeoutError, OSError) as cause:
        reason = getattr(cause, "reason", None) or cause
        raise ArtifactError(
            f"{url}: cannot be fetched ({reason}); go online once, name a mirror in NPM_CONFIG_REGISTRY, "
            f"or put the file at {kept}"
        ) from None
    if len(content) > _MOST_BYTES:
        raise ArtifactError(f"{url}: more than {_MOST_BYTES:,} bytes; name another registry in NPM_CONFIG_REGISTRY")
    return content


def _registry() -> str:
    named = os.environ.get("NPM_CONFIG_REGISTRY") or REGISTRY
    if not named.startswith("https://"):
        raise ArtifactError(f"NPM_CONFIG_REGISTRY: {named!r} is no https address; packages are fetched over HTTPS only")
    return named.rstrip("/")


def _integrity(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
