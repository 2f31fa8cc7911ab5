"""The parity gate of classes: a bundle says of a product what the model that was judged does, or it is not shipped.

Shapes: ``N`` products, ``H`` × ``W`` pixels, ``K`` classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shopstill.core.errors import ArtifactError
from shopstill.data.images import picture
from shopstill.data.reading import read_texts
from shopstill.export.parity import HOSTILE, TAU, TOLERANCE, hold_rows
from shopstill.models.label import LabelModel, LabelRows
from shopstill.serve.bundle.label import LabelBundle, rectangle
from shopstill.serve.bundle.load import load_label
from shopstill.serve.bundle.sessions import Sessions
from shopstill.train.predict import predict

_ALONE, _THREADS, _MORE, _SHOWN = 24, 4, 3, 60
_COLOURS = ((0, 0, 0), (255, 255, 255), (128, 128, 128), (255, 0, 0), (0, 255, 0), (0, 0, 255))


@dataclass(frozen=True, kw_only=True)
class LabelParity:
    """How near a bundle is to its model.

    Attributes:
        rows: products compared; ``hostile``: those made to be hard to read.
        difference: the largest difference of a logit from the model's; as all of them in parts of the product's
            largest logit, where that is more than 1.
        alone: the largest between a product's logits in company and alone.
        padding: the largest of texts with needless padding, run as another runtime would.
        threads: the largest between one thread and several.
        agreement: of the real products, how many are put into the same class; the hostile ones where there are none.
    """

    rows: int
    hostile: int
    difference: float
    alone: float
    padding: float
    threads: float
    agreement: float


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Products as a bundle takes them; ``names`` say what is hard to read about the last of them."""

    texts: Sequence[str] | None
    pixels: np.ndarray | None
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.pixels) if self.texts is None and self.pixels is not None else len(self.texts or ())

    def take(self, rows: Sequence[int]) -> Shown:
        """Some of them."""
        texts = None if self.texts is None else [self.texts[row] for row in rows]
        return Shown(texts=texts, pixels=None if self.pixels is None else self.pixels[list(rows)], names=())

    def rows(self) -> LabelRows:
        """The same as a network's feed takes them."""
        every = np.arange(len(self))
        return LabelRows(pictures=self.pixels, picture_N=every, texts=self.texts, text_N=every)

    def named(self, row: int) -> str:
        """A product in words."""
        hard = row - (len(self) - len(self.names))
        told = [self.names[hard]] if hard >= 0 else []
        if self.texts is not None:
            text = self.texts[row]
            told.append(repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"))
        return ", ".join(told) or "a picture"


def check(model: LabelModel, bundle: Path, rows: LabelRows, *, tolerance: float) -> LabelParity:
    """Compare a bundle with the model it was made from.

    Args:
        model: the model that was judged.
        bundle: the bundle's folder.
        rows: real products.
        tolerance: how far any logit may be off, in parts of the largest.

    Raises:
        ArtifactError: a logit is off by more, or not finite; the product and both values are named. Or too many
            products fall into another class.
    """
    served = load_label(bundle)
    both = with_hostile(rows, served)
    hard = len(both.names)
    judged_NK = judged(model, both)
    found_NK = served.logits(both.texts, both.pixels)
    difference = _hold("the bundle", found_NK, judged_NK, tolerance, both)
    real = slice(0, len(both) - hard) if len(both) > hard else slice(None)
    agreement = float((found_NK[real].argmax(1) == judged_NK[real].argmax(1)).mean())
    if tolerance > TOLERANCE and agreement < TAU:
        raise ArtifactError(
            f"parity: the bundle puts products into other classes: {agreement:.1%} agree, at least {TAU:.0%} are asked"
        )
    _decoded(served, both)
    several_NK = load_label(bundle, threads=_THREADS).logits(both.texts, both.pixels)
    company = tolerance if tolerance <= TOLERANCE else math.inf
    return LabelParity(
        rows=len(both) - hard,
        hostile=hard,
        difference=difference,
        alone=_alone(served, both, found_NK, company),
        padding=_padding(served, both, found_NK, company),
        threads=_hold(f"{_THREADS} threads", several_NK, found_NK, tolerance, both),
        agreement=agreement,
    )


def judged(model: LabelModel, shown: Shown) -> np.ndarray:
    """The model's own logits [N, K]."""
    return predict(model.network, model.network.feed(model.tokenizer, shown.rows())).logits


def with_hostile(rows: LabelRows, served: LabelBundle) -> Shown:
    """Real products; then such as are hard to read: texts, pictures, or both beside each other."""
    pixels = texts = None
    hard: dict[str, np.ndarray] = {}
    if served.reads_pictures:
        sight = rows.sight()
        hard = hostile_pictures(served.form.height, served.form.width)
        real = np.asarray(sight.pictures[sight.picture_N])
    count = max(len(hard), len(HOSTILE) if served.reads_texts else 0)
    place = np.arange(count)
    if served.reads_pictures:
        pixels = np.concatenate([real, np.stack(list(hard.values()))[place % len(hard)]])
    if served.reads_texts:
        assert rows.texts is not None and rows.text_N is not None
        texts = [rows.texts[text] for text in rows.text_N.tolist()]
        texts += [HOSTILE[at % len(HOSTILE)] for at in range(count)]
    names = [list(hard)[at % len(hard)] if hard else "a hard text" for at in range(count)]
    return Shown(texts=texts, pixels=pixels, names=names)


def hostile_pictures(height: int, width: int) -> dict[str, np.ndarray]:
    """Pictures that no product has: of one colour, of noise, of stripes a pixel wide, and of sharp edges."""
    made = {f"a picture of {colour}": np.full((height, width, 3), colour, np.uint8) for colour in _COLOURS}
    draw = np.random.default_rng(0)
    row, column = np.mgrid[:height, :width]
    stripes, halves = (column % 2 * 255), (column >= width // 2) * 255
    made["a picture of noise"] = draw.integers(0, 256, (height, width, 3), np.uint8)
    made["a picture of black and white noise"] = np.repeat(draw.integers(0, 2, (height, width, 1)) * 255, 3, 2)
    made["a picture of a chequerboard"] = np.repeat(((row + column) % 2 * 255)[..., None], 3, 2)
    made["a picture of stripes"] = np.repeat(stripes[..., None], 3, 2)
    made["a picture of two halves"] = np.repeat(halves[..., None], 3, 2)
    return {name: pixels.astype(np.uint8) for name, pixels in made.items()}


def _hold(what: str, found_NK: np.ndarray, expected_NK: np.ndarray, tolerance: float, shown: Shown) -> float:
    """The largest difference, in parts of a product's largest logit: what no product looks like has large ones.

    Of each product the class alone that is off most is told.
    """
    if found_NK.shape != expected_NK.shape:
        return hold_rows(what, found_NK, expected_NK, tolerance, shown.named)
    scale_N1 = np.maximum(np.abs(expected_NK).max(1, keepdims=True), 1)
    off_NK = np.nan_to_num(np.abs(found_NK - expected_NK), nan=np.inf)
    worst_N1 = off_NK.argmax(1)[:, None]
    one, other = (np.take_along_axis(part / scale_N1, worst_N1, 1)[:, 0] for part in (found_NK, expected_NK))
    return hold_rows(f"{what}, in parts of the largest logit", one, other, tolerance, shown.named)


def _alone(served: LabelBundle, shown: Shown, found_NK: np.ndarray, tolerance: float) -> float:
    """Products answered one at a time; those that are hard to read come last, and are among them."""
    step = max(1, len(shown) // _ALONE)
    chosen = sorted({*range(0, len(shown), step), *range(max(0, len(shown) - _ALONE), len(shown))})
    one = [shown.take([row]) for row in chosen]
    alone_NK = np.concatenate([served.logits(each.texts, each.pixels) for each in one])
    return _hold("a product alone, and in company", alone_NK, found_NK[chosen], tolerance, shown.take(chosen))


def _padding(served: LabelBundle, shown: Shown, found_NK: np.ndarray, tolerance: float) -> float:
    """Texts with places to spare, and all pictures of a piece at once, run as another runtime would."""
    chosen = list(range(max(0, len(shown) - _ALONE), len(shown)))
    part = shown.take(chosen)
    given = {} if part.pixels is None else {"image_BHWC": np.ascontiguousarray(part.pixels)}
    if part.texts is not None and served.manifest.reading is not None:
        given |= rectangle(read_texts(part.texts, served.tokenizer, served.manifest.reading), served.tokenizer, _MORE)
    logit_NK = Sessions(served.folder, served.manifest.graphs).run("classes", given)[0]
    return _hold("the graph alone, padded", logit_NK, found_NK[chosen], tolerance, part)


def _decoded(served: LabelBundle, shown: Shown) -> None:
    """A picture of the right size, written without loss, comes out of the bundle's own reading pixel for pixel."""
    if shown.pixels is None:
        return
    for pixels in shown.pixels[[0, -1]]:
        if not np.array_equal(served.pixels([picture(pixels)])[0], pixels):
            raise ArtifactError("parity: a picture is read otherwise than it was; install the extra vision anew")
