"""Pictures sorted into folders: a folder a class, folders within folders a path of classes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from shopstill.core.config import config
from shopstill.core.errors import DataError
from shopstill.data.chunk import BROKEN, Chunk, Reject, broken
from shopstill.data.class_sides import SIDE, SIDE_NAMES
from shopstill.data.images.files import SUFFIXES, files_in, is_picture, place
from shopstill.data.readers._delimited import ROWS

log = logging.getLogger(__name__)


@config
class ImageFolder:
    """Reads products from the names of pictures: ``shoes/boots/red-1.jpg`` is in the class shoes > boots.

    A product's id is its path below the folder, its title the file's name without its ending. A picture that lies in no
    folder has no category. Files with other endings than jpg, jpeg, jpe, jfif, png, webp, bmp and gif, and hidden ones,
    are passed over and counted in the log: as a warning where they are more than one in ten. A file's ``line`` is its
    number in the order of names.

    Where all folders at the top are named train, val, valid, validation or test, they are the publisher's sides and no
    step of the category: the attribute ``split`` says which one, and ``split: {publisher: true}`` keeps them.

    Attributes:
        path: the folder, or a zip of one.
    """

    path: Path

    def read(self) -> Iterator[Chunk]:
        """Products, in the order of their names.

        Raises:
            DataError: there is no such folder or zip, or it holds no picture.
        """
        names = files_in(self.path)
        pictures = [name for name in names if is_picture(name)]
        if not pictures:
            there = ", ".join(names[:5]) or "nothing"
            raise DataError(f"{self.path}: holds no picture ({', '.join(SUFFIXES)}); found: {there}")
        if others := len(names) - len(pictures):
            level = logging.WARNING if 10 * others > len(names) else logging.INFO
            first = next(name for name in names if not is_picture(name))
            log.log(level, "%s: %d of %d files are no pictures, such as %s", self.path, others, len(names), first)
        yield from self.chunks(pictures)

    def chunks(self, pictures: Sequence[str]) -> Iterator[Chunk]:
        """Products of pictures, by their names below the folder."""
        sided = all(name.split("/")[0].lower() in SIDE_NAMES for name in pictures if "/" in name)
        for begin in range(0, len(pictures), ROWS):
            yield self._chunk(pictures[begin : begin + ROWS], begin + 1, sided)

    def sources(self) -> list[Path]:
        """The folder or zip."""
        if not self.path.exists():
            raise DataError(f"{self.path}: no such folder; one of pictures, with a folder a class, is expected")
        return [self.path]

    def _chunk(self, names: Sequence[str], first: int, sided: bool) -> Chunk:
        file = str(self.path)
        numbered = list(enumerate(names, start=first))
        rejects = tuple(
            Reject(file=file, line=line, table="products", field="product_id", value=name, reason=BROKEN)
            for line, name in numbered
            if broken(name)
        )
        sound = [(line, name) for line, name in numbered if not broken(name)]
        folders = [name.split("/")[:-1] for _, name in sound]
        sides = [SIDE_NAMES[folder[0].lower()] if sided and folder else None for folder in folders]
        data = pa.table(
            {
                "product_id": pa.array([name for _, name in sound], pa.string()),
                "title": pa.array([name.rpartition("/")[2].rpartition(".")[0] for _, name in sound], pa.string()),
                "category": pa.array([folder[sided:] or None for folder in folders], pa.list_(pa.string())),
                "attributes": pa.array(
                    [[(SIDE, side)] if side else None for side in sides], pa.map_(pa.string(), pa.string())
                ),
                "image": pa.array([place(self.path, name) for _, name in sound], pa.string()),
            }
        )
        lines = pa.array([line for line, _ in sound], pa.int64())
        return Chunk(table="products", data=data, file=file, lines=lines, rejects=rejects)


image_folder = ImageFolder
