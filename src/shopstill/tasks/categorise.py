"""Categorisation: a product's picture, text, or both, to its category.

Shapes: ``N`` products of a part, ``K`` classes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopstill.core.config import config, plain
from shopstill.core.errors import ConfigError, DataError
from shopstill.core.fingerprint import fingerprint
from shopstill.data.classes import ClassConfig, ClassRows, class_rows, split_classes
from shopstill.data.images import ImageForm, Images, picture
from shopstill.data.shop import Shop
from shopstill.data.split import SplitConfig
from shopstill.evaluate.costs import Costs
from shopstill.evaluate.judged import Truth
from shopstill.evaluate.latency import Timing
from shopstill.evaluate.quality import OF_CLASSES
from shopstill.evaluate.wording import Wording
from shopstill.export.bundle import About
from shopstill.export.label import write_label_bundle
from shopstill.losses._classes import effective_number, inverse_frequency
from shopstill.models import label as networks
from shopstill.models.label import Augment, Augmented, Bag, LabelFeed, LabelModel, LabelRows, TextEncoder, TextNetwork
from shopstill.tasks import _answers
from shopstill.tasks._bins import binned
from shopstill.tasks._classed import Products
from shopstill.tasks._course import Form, Measures, Part
from shopstill.tasks._pictures import Taken, check_seen, learnable, pictures_of, unread
from shopstill.tasks._rows import RowCourse
from shopstill.tasks._turns import call_of
from shopstill.train.batches import Told

_PARITY_ROWS = 128
_FOR = {"train": "learn from", "valid": "choose the epoch by", "test": "test on"}
_WORDS = Wording(
    unit="product",
    units="products",
    rows="categories",
    ranked="categories",
    shown="Products that a student puts into a wrong category: first those that its teacher puts into the right one.",
    **call_of("categorise", "products"),
)


@config
class Categorise:
    """What a product's class is, and what is read of the product.

    Attributes:
        classes: the level of the category's path, the text, and whether the words of the class stay in it.
        pictures: how pictures become pixels; null where no model reads any. Where a picture cannot be used, its product
            is not learnt from, and judged only where its text says something; one that names none is white.
        augment: what is done to pictures in training.
        balance: how much a product counts in training: all alike; by the inverse of its class's share; or by the
            effective number of its class's products (Cui et al. 2019, arXiv:1901.05555, β = .999).
    """

    kind: Literal["categorise"] = "categorise"
    classes: ClassConfig = ClassConfig()
    pictures: ImageForm | None = ImageForm()
    augment: Augment = Augment()
    balance: Literal["none", "inverse", "effective"] = "none"

    @property
    def models(self) -> tuple[str, ...]:
        """Kinds of model that it can train."""
        return ("resnet", "mobilenet", "efficientnet_lite", "small_cnn", "bag", "text_encoder", "both")

    @property
    def takes(self) -> Literal["scores", "logits"]:
        """What its losses compare."""
        return "logits"

    @property
    def measures(self) -> Measures:
        """What it can be judged by."""
        return Measures(usual=("accuracy", "macro_f1", "ece"), known=OF_CLASSES, folds=False)

    @property
    def prepared(self) -> Mapping[str, Any]:
        """What the split depends on."""
        return {"classes": plain(self.classes), "pictures": self.pictures and plain(self.pictures)}

    def faults(self, models: Mapping[str, Any], split: SplitConfig) -> Iterator[str]:
        """Models that read what there is not."""
        return unread(models, self.pictures, self.augment)

    def split(self, shop: Shop, settings: SplitConfig) -> pa.Table:
        """The part of each product; those that look the same are in one, and ``learnable`` says which have none.

        Raises:
            ConfigError: the shares leave nothing to train on, or the publisher's sides cannot be had.
            DataError: a part has no product, or none whose picture can be used.
        """
        rows = class_rows(shop, self.classes)
        images = self.images(shop, rows)
        parted = split_classes(rows, settings, images.contents if images else None)
        found = learnable(parted, rows, images)
        left = set(found["split"].to_pylist())
        for part in (part for part in _FOR if part not in left):
            raise DataError(f"split: no product to {_FOR[part]}{_why(parted['split'].to_pylist().count(part))}")
        return found

    def images(self, shop: Shop, rows: ClassRows) -> Images | None:
        """The products' pictures, decoded once, beside the shop."""
        return None if self.pictures is None else pictures_of(shop, rows, self.pictures)

    def open(self, shop: Shop, split: pa.Table, settings: SplitConfig, seed: int) -> CategoriseCourse:
        """The course over a shop's products."""
        return CategoriseCourse(shop, split, self)


class CategoriseCourse(RowCourse[LabelModel, Products]):
    """Products with their categories.

    Args:
        shop: the prepared shop.
        split: the part of each product.
        task: the task's configuration.
    """

    def __init__(self, shop: Shop, split: pa.Table, task: Categorise) -> None:
        self._shop, self._task = shop, task
        self.rows = class_rows(shop, task.classes)
        self.width = len(self.rows.classes)
        self.preparation = fingerprint([list(self.rows.classes), task.pictures and plain(task.pictures)])
        place = pc.index_in(self.rows.table.column("product_id"), value_set=split.column("product_id").combine_chunks())
        self._part_N = np.array(split.column("split").take(place).to_pylist())
        self._label_N = self.rows.table.column("label").to_numpy()

    @cached_property
    def images(self) -> Images | None:
        """The products' pictures."""
        return self._task.images(self._shop, self.rows)

    @cached_property
    def _texts(self) -> list[str]:
        return list(self.rows.table.column("text").to_pylist())

    @cached_property
    def _known(self) -> list[bytes]:
        looks = self.images.contents if self.images else [None] * len(self._texts)
        return [f"{look.hex() if look else ''}:{text}".encode() for text, look in zip(self._texts, looks, strict=True)]

    def questions(self, part: Part) -> Products:
        """The products of a part."""
        row_N = np.flatnonzero(self._part_N == part)
        target_N = self._label_N[row_N]
        return Products(row_N=row_N, target_N=target_N, weight_N=self._weights(target_N), known=self._known)

    def _weights(self, label_N: np.ndarray) -> np.ndarray | None:
        if self._task.balance == "none":
            return None
        count_K = np.bincount(label_N, minlength=self.width).tolist()
        weights = inverse_frequency(count_K) if self._task.balance == "inverse" else effective_number(count_K)
        return np.array(weights)[label_N]

    # Learning

    def create(self, wanted: Any, members: Sequence[Path], seed: int, *, taught: bool = True) -> LabelModel:
        """A network for these classes and pictures, with its starting weights.

        Raises:
            ConfigError: it reads pictures, and there are none; or its start does not fit.
        """
        if not isinstance(wanted, Bag | TextEncoder):
            check_seen(wanted, self.images)
        form = self._task.pictures
        size = (form.height, form.width) if form else None
        return networks.create(wanted, self.rows.classes, next(iter(members), None), seed, size)

    def feed(self, questions: Products, model: LabelModel, *, training: bool = False) -> LabelFeed:
        """Pictures and texts as a network reads them."""
        found: LabelFeed = model.network.feed(model.tokenizer, self._shown(questions))
        return found

    def _shown(self, questions: Products) -> LabelRows:
        """What there is to see and to read of products."""
        images = self.images
        return LabelRows(
            pictures=None if images is None else Taken(images),
            picture_N=None if images is None else questions.row_N,
            texts=self._texts,
            text_N=questions.row_N,
        )

    def _examples(
        self, questions: Products, model: LabelModel, logit_N: np.ndarray | None = None, features: Any = None
    ) -> Told:
        examples = super()._examples(questions, model, logit_N, features)
        if isinstance(model.network, TextNetwork):
            return examples
        return Augmented(examples=examples, augment=self._task.augment, classes=self.width)

    # Judging

    def judged(self, outputs: Mapping[Part, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Confidence in the class that is most likely, and that class."""
        likely_NK = np.exp(outputs["test"] - outputs["test"].max(1, keepdims=True))
        likely_NK /= likely_NK.sum(1, keepdims=True)
        return likely_NK.max(1), likely_NK.argmax(1).astype(np.float64)

    def baselines(self) -> Mapping[str, Mapping[Part, np.ndarray]]:
        """None: ``random`` says the commonest class already."""
        return {}

    def truth(self, part: Part) -> Truth:
        """The categories of a part's products."""
        asked = self.questions(part)
        table = self.rows.table.take(pa.array(asked.row_N))
        classes = [self.rows.classes[label] for label in asked.target_N]
        return Truth(
            unit_ids=table.column("product_id").to_pylist(),
            queries=table.column("title").to_pylist(),
            unit_N=np.arange(len(asked)),
            product_ids=table.column("product_id").to_pylist(),
            titles=classes,
            grade_N=asked.target_N,
            gain_N=np.ones(len(asked)),
            slices=self._slices(asked),
            classes=self.rows.classes,
            paths=self.rows.paths,
            picture=self._picture(asked.row_N),
            words=_WORDS,
        )

    def _slices(self, asked: Products) -> dict[str, list[str]]:
        trained_K = np.bincount(self._label_N[self._part_N == "train"], minlength=self.width)
        found = {"to learn from": binned(trained_K[asked.target_N], (20, 100, 500), "product")}
        there_N = np.ones(len(asked), bool) if self.images is None else self.images.there_N[asked.row_N]
        return found if there_N.all() else {**found, "picture": np.where(there_N, "seen", "none to see").tolist()}

    def _picture(self, row_N: np.ndarray) -> Any:
        """Place of a product in a part → its picture as an address that holds it."""
        images = self.images

        def shown(place: int) -> str | None:
            row = int(row_N[place])
            if images is None or images.places[row] is None:
                return None
            return "data:image/png;base64," + base64.b64encode(picture(images.take([row])[0])).decode()

        return shown

    # Costs and shipping

    def costs(self, folders: Mapping[str, Sequence[Path]], timing: Timing) -> Costs:
        """What so many products at once cost, from pixels and text to classes."""
        asked = self.questions("test")
        return _answers.costs(self._shown(asked), len(asked), folders, timing)

    def served_costs(self, bundles: Mapping[str, Path], models: Mapping[str, Path], timing: Timing) -> Costs:
        """The same of bundles."""
        asked = self.questions("test")
        return _answers.served_costs(self._shown(asked), len(asked), bundles, models, timing)

    def ship(self, model: LabelModel, folder: Path, about: About, form: Form = "onnx") -> Path:
        """Write a bundle; parity is held on validation products."""
        if form != "onnx":
            raise ConfigError(f"form {form!r}: models of classes ship as bundles alone; use onnx")
        asked = self.questions("valid")
        rows = self._shown(asked.take(np.arange(min(_PARITY_ROWS, len(asked)))))
        about = replace(about, text=self._task.classes.text)
        return write_label_bundle(model, folder, about=about, rows=rows, pictures=self._task.pictures)

    def served(self, part: Part, bundle: Path) -> np.ndarray:
        """A bundle's logits of a part."""
        asked = self.questions(part)
        return _answers.served(self._shown(asked), len(asked), bundle)

    def texts(self) -> list[str]:
        """The text of every product."""
        return self._texts


def _why(lost: int) -> str:
    """Why a part is empty, of which pictures cost so many products, and what to do."""
    if not lost:
        return "; give split.valid and split.test shares above 0"
    return f": of all {lost:,} that there were the picture cannot be used; mend them, or set task.pictures: null"


categorise = Categorise
