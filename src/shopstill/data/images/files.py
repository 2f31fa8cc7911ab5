"""Where pictures lie: files in folders, or members of a zip as ``archive.zip!/member``; no address is ever fetched."""

from __future__ import annotations

import os
import re
import threading
import zipfile
import zlib
from pathlib import Path
from types import TracebackType

from shopstill.core.errors import DataError
from shopstill.data.readers._files import kind_of

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif")
ABSENT, ADDRESS, TOO_LARGE, BROKEN = "no such picture", "an address", "too large", "broken picture"
_INSIDE = re.compile(r"(?P<archive>.*?\.zip)!/(?P<member>.+)", re.IGNORECASE | re.DOTALL)
_REMOTE = re.compile(r"(?:[a-z][a-z\d+.-]+:)?//|data:", re.IGNORECASE)
_START = 1 << 10


class ImageFault(DataError):
    """A picture that cannot be used; its message is the reason, which begins with the kind of fault."""


def place(path: Path, name: str) -> str:
    """What the column ``image`` says of a picture in a folder or a zip.

    >>> place(Path("shop/images.zip"), "a/1.jpg"), place(Path("shop/images"), "1.jpg")
    ('shop/images.zip!/a/1.jpg', 'shop/images/1.jpg')
    """
    return f"{path}!/{name}" if is_zip(path) else str(path / name)


def beside(image: str, folder: Path) -> str:
    """A picture's name with the folder before it, where it is a relative path and the file lies there."""
    inside = _INSIDE.fullmatch(image)
    there = not _REMOTE.match(image) and os.path.isfile(folder / (inside["archive"] if inside else image))
    return str(folder / image) if there else image


def is_zip(path: Path) -> bool:
    """Whether a path names a zip."""
    return path.suffix.lower() == ".zip"


def files_in(path: Path) -> list[str]:
    """Names of all files below a folder or in a zip, with ``/`` between their parts, sorted; hidden ones are left out.

    Links to folders are followed, but for one to a folder that it lies in.

    Raises:
        DataError: nothing is there, or it is neither a folder nor a whole zip.
    """
    if is_zip(path) and not path.is_dir():
        return sorted(name for name in _members(path) if not name.endswith("/") and _seen(name))
    if not path.is_dir():
        raise DataError(f"{path}: {'is no folder' if path.exists() else 'no such folder'}; one of pictures is expected")
    found: list[str] = []
    above = {str(path): {path.resolve()}}
    for folder, inner, names in os.walk(path, followlinks=True):
        held = above.pop(folder)
        real = {name: Path(folder, name).resolve() for name in inner if _seen(name)}
        inner[:] = [name for name in real if real[name] not in held]
        above |= {os.path.join(folder, name): held | {real[name]} for name in inner}
        below = Path(folder).relative_to(path)
        found += [(below / name).as_posix() for name in names if _seen(name)]
    return sorted(found)


def is_picture(name: str) -> bool:
    """Whether a file's name ends as a picture's does."""
    return name.lower().endswith(SUFFIXES)


class Pictures:
    """Reads pictures' bytes, in any number of threads; archives stay open until it is closed.

    Args:
        root: the folder in which relative paths are looked for first, such as a shop's; then the working directory.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root
        self._archives: dict[str, zipfile.ZipFile | ImageFault] = {}
        self._opening = threading.Lock()

    def read(self, image: str, limit: int) -> bytes:
        """The bytes of a picture.

        Args:
            image: a path, or ``archive.zip!/member``.
            limit: bytes, at most.

        Raises:
            ImageFault: it is not there, is damaged or too large, or is an address.
        """
        if _REMOTE.match(image):
            raise ImageFault(f"{ADDRESS}: only local files are read; fetch it first, and put its path here")
        inside = _INSIDE.fullmatch(image)
        try:
            return self._member(inside["archive"], inside["member"], limit) if inside else self._file(image, limit)
        except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, EOFError) as cause:
            if isinstance(cause, ImageFault):
                raise
            raise ImageFault(f"{BROKEN}: cannot be read ({cause})") from None

    def __enter__(self) -> Pictures:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for archive in self._archives.values():
            if isinstance(archive, zipfile.ZipFile):
                archive.close()

    def _file(self, image: str, limit: int) -> bytes:
        path = self._found(image)
        _small(path.stat().st_size, limit)
        with path.open("rb") as file:
            content = file.read(limit + 1)
        _small(len(content), limit)
        return content

    def _member(self, archive: str, member: str, limit: int) -> bytes:
        with self._opening:
            if archive not in self._archives:
                self._archives[archive] = self._opened(archive)
        opened = self._archives[archive]
        if isinstance(opened, ImageFault):
            raise opened
        try:
            info = opened.getinfo(member)
        except KeyError:
            raise ImageFault(f"{ABSENT}: {archive} holds no such member") from None
        # A zip says how large a member is, and gives no byte more.
        _small(info.file_size, limit)
        return opened.read(info)

    def _opened(self, archive: str) -> zipfile.ZipFile | ImageFault:
        try:
            return zipfile.ZipFile(self._found(archive))
        except ImageFault as fault:
            return fault
        except (OSError, zipfile.BadZipFile) as cause:
            return ImageFault(f"{BROKEN}: {archive} is no whole zip ({cause})")

    def _found(self, name: str) -> Path:
        roots = [self._root] if self._root else []
        for path in (*(root / name for root in roots), Path(name)):
            if path.is_file():
                return path
        raise ImageFault(f"{ABSENT}: there is no such file")


def _small(size: int, limit: int) -> None:
    if size > limit:
        raise ImageFault(f"{TOO_LARGE}: the file has {size:,} bytes; {limit:,} at most are read")


def _seen(name: str) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; a zip of pictures is expected") from None
    except zipfile.BadZipFile as cause:
        with path.open("rb") as file:
            found = kind_of(file.read(_START))
        raise DataError(f"{path}: is no whole zip archive ({cause}; found {found}); get the file again") from None
