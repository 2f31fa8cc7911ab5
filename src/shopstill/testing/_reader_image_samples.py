"""A tiny shop in each format that comes with pictures."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from shopstill.data.readers import READERS
from shopstill.testing._reader_kit import Sample, SampleFile, appending, quoted

_JPEG = b"\xff\xd8\xff\xe0"
"""How a picture begins; readers find pictures, and leave looking into them to others."""


def fashion(folder: Path) -> Sample:
    """``styles.csv`` and ``images.zip``; one name has commas that nobody quoted, one product no picture."""
    styles = folder / "styles.csv"
    styles.write_bytes(
        b"id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName\n"
        b"15970,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,Turtle Check Men Navy Blue Shirt\n"
        b"39386,Men,Apparel,Bottomwear,Jeans,Blue,Summer,2012,Casual,Peter England Men Party, Slim Fit, Blue Jeans\n"
        b'59263,Women,Accessories,Watches,Watches,Silver,,,NA,"Titan Women, Silver Watch"\n'
    )
    return Sample(
        reader=READERS.get("fashion")(path=folder),
        files=(
            SampleFile(
                path=styles,
                add=appending(lambda text: quoted(text) + b",Men,Apparel,Topwear,Shirts,Red,,2011,Casual,Shirt\n"),
                ragged=b"8,Men,too few\n",
            ),
            SampleFile(path=_archive(folder / "images.zip", ("images/15970.jpg", "images/39386.jpg")), plain=False),
        ),
        counts={"products": 3},
    )


def image_folder(folder: Path) -> Sample:
    """A zip of folders, with a file that is no picture."""
    names = ("mugs/red/1.jpg", "mugs/blue/1.PNG", "chairs/oak chair.webp", "README.txt", "__MACOSX/mugs/red/1.jpg")
    path = _archive(folder / "pictures.zip", names)
    reader = READERS.get("image_folder")(path=path)
    return Sample(reader=reader, files=(SampleFile(path=path, plain=False),), counts={"products": 3})


def _archive(path: Path, names: Iterable[str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, _JPEG + name.encode())
    return path


IMAGE_SAMPLES: Mapping[str, Callable[[Path], Sample]] = {"fashion": fashion, "image_folder": image_folder}
