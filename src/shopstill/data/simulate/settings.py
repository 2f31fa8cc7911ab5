"""What a simulated shop is like."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shopstill.core.config import config

Language = Literal["en", "zh"]


@config
class Simulate:
    """A simulated shop.

    >>> Simulate(products=500, languages=("en", "zh")).judged_per_query
    20

    Attributes:
        products: rows of the products table.
        queries: rows of the queries table; fewer where a small shop has fewer different things to ask for.
        judged_per_query: graded products of a query; fewer where the shop has fewer.
        languages: languages of titles and queries, in equal parts.
        shoppers: how many visit; fewer where there are too few events for all.
        events: rows of the events table, about; 0 for none.
        impressions: whether the events hold what was only shown. Of a log, six rows in seven are such; without them as
            many rows hold seven times as many visits, and each shopper's history is as much longer.
        images: draw a picture of every product (true), of none (false), or of the first so many.
        image_size: pixels a side of a picture.
        rough_images: turn pictures by up to 20 degrees, put them on a ground with shades, and add more noise.
        vague: share of products whose title and description do not say what they are, so that the picture must; and
            share of types that are drawn as another of their category, so that the text must.
        noise: share of judgments in which the annotator was off by one grade.
        seed: the same seed gives the same shop on any machine, another gives another.
    """

    products: int = Field(default=4_000, ge=100, le=10_000_000)
    queries: int = Field(default=600, ge=1, le=5_000_000)
    judged_per_query: int = Field(default=20, ge=2, le=200)
    languages: tuple[Language, ...] = Field(default=("en",), min_length=1, max_length=2)
    shoppers: int = Field(default=500, ge=1, le=10_000_000)
    events: int = Field(default=30_000, ge=0, le=1_000_000_000)
    impressions: bool = True
    images: bool | int = Field(default=False, ge=0)
    image_size: int = Field(default=64, ge=48, le=128)
    rough_images: bool = False
    vague: float = Field(default=0.0, ge=0, le=1)
    noise: float = Field(default=0.05, ge=0, le=1)
    seed: int = Field(default=0, ge=0, lt=2**63)
