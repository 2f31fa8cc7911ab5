"""What is asked and answered of products' classes: the same forms in Python and, as JSON, over HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from shopstill.core.config import config
from shopstill.serve.forms import Limit


@config
class Shown:
    """What is known of a product; what the model does not read is passed over.

    Attributes:
        text: such as its title.
        picture: a file's bytes in base64, as such or as a ``data:`` address; JPEG, PNG, WebP, BMP or GIF.
    """

    text: str | None = None
    picture: str | None = None


@config
class Categorise:
    """Products whose classes are wanted.

    Attributes:
        products: at least one; how many, and how large, is for the server's settings to say.
        limit: how many classes of each.
        model: name of a loaded model of classes; None for the first one.
    """

    products: tuple[Shown, ...] = Field(min_length=1)
    limit: Limit = 5
    model: str | None = Field(default=None, max_length=128)


@dataclass(frozen=True, kw_only=True)
class Likely:
    """A class, and how probable the model takes it to be."""

    name: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Classes:
    """A product's classes, the likeliest first."""

    classes: list[Likely]


@dataclass(frozen=True, kw_only=True)
class Categorised:
    """The classes of each product, in the order of the request."""

    products: list[Classes]
    took_ms: float
    model: str
