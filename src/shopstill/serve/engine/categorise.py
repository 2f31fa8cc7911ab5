"""Models of classes, and what they say of products that a caller shows."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from time import perf_counter

import numpy as np

from shopstill.core.errors import require
from shopstill.data.images import ImageLimits
from shopstill.serve.bundle.label import LabelBundle, WrongPicture
from shopstill.serve.bundle.load import load_label
from shopstill.serve.categories import Categorise, Categorised, Classes, Likely, Shown
from shopstill.serve.engine.beside import Beside
from shopstill.serve.engine.errors import WrongField


class Categorisers:
    """Models of classes by name; the first one answers where none is named."""

    def __init__(self) -> None:
        self._models = Beside("a model of classes", "--categorise", load_label, _warm)

    def load(self, folder: Path) -> str:
        """Load a model under its own name, and have it answer once.

        Raises:
            ArtifactError: there is no bundle of classes, or it is torn.
            ConfigError: there is one of this name already.
            MissingDependency: it looks at pictures, and Pillow is not installed.
        """
        return self._models.load(folder)

    def answer(self, asked: Categorise, limits: ImageLimits) -> Categorised:
        """The classes of products.

        Args:
            asked: the products.
            limits: what a picture may cost.

        Raises:
            UnknownModel: none is loaded, or none of this name.
            WrongField: a product has nothing that the model reads, or a picture cannot be used.
        """
        began = perf_counter()
        name, bundle = self._models.pick(asked.model)
        for at, product in enumerate(asked.products):
            _hold(bundle, product, at)
        texts = [product.text for product in asked.products] if bundle.reads_texts else None
        pixels = _pixels(bundle, asked.products, limits) if bundle.reads_pictures else None
        products = [
            Classes(classes=[Likely(name=likely, probability=part) for likely, part in first])
            for first in bundle.best(texts, pixels, limit=asked.limit)
        ]
        return Categorised(products=products, took_ms=round((perf_counter() - began) * 1000, 3), model=name)


def _warm(bundle: LabelBundle) -> object:
    pixels = None
    if bundle.reads_pictures:
        require("PIL.Image", "vision")
        pixels = np.full((1, bundle.form.height, bundle.form.width, 3), 255, np.uint8)
    return bundle.classify([""] if bundle.reads_texts else None, pixels)


def _hold(bundle: LabelBundle, product: Shown, at: int) -> None:
    """Hold a product to what the model needs: of text and picture one that it reads."""
    reads = {"text": bundle.reads_texts, "picture": bundle.reads_pictures}
    if not any(there and getattr(product, part) is not None for part, there in reads.items()):
        wanted = " or ".join(part for part, there in reads.items() if there)
        raise WrongField(f"products.{at}", f"has no {wanted}, and {bundle.manifest.name!r} reads that; give one")


def _pixels(bundle: LabelBundle, products: tuple[Shown, ...], limits: ImageLimits) -> np.ndarray:
    files = [_file(product.picture, f"products.{at}.picture") for at, product in enumerate(products)]
    try:
        return bundle.pixels(files, limits)
    except WrongPicture as wrong:
        raise WrongField(f"products.{wrong.at}.picture", wrong.reason) from None


def _file(picture: str | None, field: str) -> bytes | None:
    """The bytes of a picture that came as text; line breaks, as many encoders put in, are passed over."""
    if picture is None:
        return None
    start, comma, rest = picture.partition(",")
    text = rest if comma and start.startswith("data:") else picture
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as cause:
        raise WrongField(field, f"is not base64 ({cause}); encode the file's bytes so") from None
