"""Networks that put products into classes: by picture, by text, or by both."""

from __future__ import annotations

from shopstill.models.label.augment import Augment, Augmented
from shopstill.models.label.config import Bag, Both, Config, Label, Text, TextEncoder
from shopstill.models.label.create import create
from shopstill.models.label.feed import LabelFeed, LabelRows, Pictures, ids_of, reading_of
from shopstill.models.label.model import LabelModel
from shopstill.models.label.networks import BothNetwork, ImageNetwork, LabelNetwork, TextNetwork

__all__ = [
    "Augment",
    "Augmented",
    "Bag",
    "Both",
    "BothNetwork",
    "Config",
    "ImageNetwork",
    "Label",
    "LabelFeed",
    "LabelModel",
    "LabelNetwork",
    "LabelRows",
    "Pictures",
    "Text",
    "TextEncoder",
    "TextNetwork",
    "create",
    "ids_of",
    "reading_of",
]
