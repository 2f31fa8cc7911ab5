"""The page and its parts, read once at the start: what is not among them cannot be asked for."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from fastapi import Request
from fastapi.responses import Response

from shopstill.serve.app.errors import Refusal

FOLDER = Path(__file__).resolve().parent.parent / "page"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
_PACKED = (".png", ".webp", ".woff2")
_WORTH_PACKING = 1_000

_SAFE = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "x-frame-options": "SAMEORIGIN"}
_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' https: data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'"
)
# The report is one file with its styles and scripts inside. In a sandbox it has no origin: it reaches nothing here.
_REPORT_POLICY = (
    "sandbox allow-scripts allow-popups; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


@dataclass(frozen=True, kw_only=True)
class _File:
    content: bytes
    packed: bytes | None
    kind: str
    tag: str


class Pages:
    """Every file of a folder that a browser may have, by its name.

    Args:
        folder: the files; links that lead out of it, hidden files and unknown endings are left out.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        root = folder.resolve()
        self._files = {name: _read(path) for name, path in _listed(root)} if root.is_dir() else {}

    def answer(self, request: Request, name: str) -> Response:
        """A file, or the news that the browser has it already.

        Raises:
            Refusal: there is none of this name.
        """
        file = self._files.get(name)
        if file is None:
            raise Refusal(404, "not_found", f"{name[:80]!r}: there is no such file in the page")
        headers = {"etag": file.tag, "cache-control": "no-cache", "vary": "accept-encoding", **_SAFE}
        if file.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        headers["content-security-policy"] = _PAGE_POLICY
        content = file.content
        if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            content, headers["content-encoding"] = file.packed, "gzip"
        return Response(content, headers=headers, media_type=file.kind)


def report(path: Path | None) -> Response:
    """The report of the run, in a sandbox; blocks while it is read.

    Raises:
        Refusal: the server was given none.
    """
    if path is None or not path.is_file():
        raise Refusal(404, "no_report", "this server has no report to show; start it with one")
    headers = {**_SAFE, "cache-control": "no-cache", "content-security-policy": _REPORT_POLICY}
    return Response(path.read_bytes(), headers=headers, media_type=_TYPES[".html"])


def _listed(root: Path) -> list[tuple[str, Path]]:
    found = [(path.relative_to(root), path) for path in sorted(root.rglob("*"))]
    return [
        (name.as_posix(), path)
        for name, path in found
        if path.suffix in _TYPES
        and path.is_file()
        and path.resolve().is_relative_to(root)
        and not any(part.startswith((".", "_")) for part in name.parts)
    ]


def _read(path: Path) -> _File:
    content = path.read_bytes()
    tag = f'"{blake2b(content, digest_size=12).hexdigest()}"'
    packs = path.suffix not in _PACKED and len(content) > _WORTH_PACKING
    packed = gzip.compress(content, 9, mtime=0) if packs else None
    return _File(content=content, packed=packed, kind=_TYPES[path.suffix], tag=tag)
