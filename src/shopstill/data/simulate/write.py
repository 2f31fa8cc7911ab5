"""Write a simulated shop, table by table and piece by piece."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa

from shopstill.core.progress import progress
from shopstill.data.shop import Shop, ShopWriter
from shopstill.data.simulate.catalogue import Truth, make_catalogue
from shopstill.data.simulate.draw import draw_images, image_name
from shopstill.data.simulate.draws import Draws, Ints
from shopstill.data.simulate.events import event_pieces
from shopstill.data.simulate.graph import also_bought_rows, product_edges, taxonomy_rows
from shopstill.data.simulate.judge import judgment_rows
from shopstill.data.simulate.products import product_rows
from shopstill.data.simulate.queries import Intents, query_pieces, stack
from shopstill.data.simulate.settings import Simulate
from shopstill.data.simulate.world import world

log = logging.getLogger(__name__)

_PRODUCTS, _PAIRS = 32_768, 65_536
"""Rows made at a time."""


def simulate(config: Simulate, folder: Path) -> Shop:
    """Write a simulated shop; memory does not grow with it but for some hundred bytes a product, query and purchase.

    Every table follows from hidden attributes of products, from wishes behind queries and from tastes of shoppers:
    see ``make_truth`` and ``grades``.

    Args:
        config: what the shop is like.
        folder: where its tables and, under ``images/``, its pictures are written.

    >>> import tempfile
    >>> shop = simulate(Simulate(products=100, queries=10, events=500), Path(tempfile.mkdtemp()))
    >>> shop.tables
    ['products', 'queries', 'judgments', 'events', 'edges']
    """
    truth = make_truth(config)
    with ShopWriter(folder) as writer:
        writer.write("edges", taxonomy_rows(truth))
        _write_products(truth, config, writer)
        intents = _write_queries(truth, config, writer)
        if config.events:
            _write_events(truth, config, intents, writer)
    return Shop(folder)


def make_truth(config: Simulate) -> Truth:
    """What is hidden in the shop that ``simulate`` writes: for oracles, and for tasks that need wishes."""
    draws = Draws(config.seed)
    return Truth(
        world=world(),
        draws=draws,
        catalogue=make_catalogue(world(), draws, config.products, config.languages),
        vague=round(config.vague * 1000),
        rough=config.rough_images,
    )


def _write_products(truth: Truth, config: Simulate, writer: ShopWriter) -> None:
    pictures = config.products if config.images is True else min(int(config.images), config.products)
    with progress("simulating products", config.products, "products") as bar:
        for begin in range(0, config.products, _PRODUCTS):
            index = np.arange(begin, min(begin + _PRODUCTS, config.products))
            drawn = index[index < pictures]
            draw_images(truth, drawn, config.image_size, writer.path)
            rows = product_rows(truth, index)
            writer.write("products", rows.append_column("image", _image_names(drawn, len(index))))
            for edges in product_edges(truth, index):
                writer.write("edges", edges)
            bar.advance(len(index))


def _write_queries(truth: Truth, config: Simulate, writer: ShopWriter) -> Intents:
    parts, number = [], 0
    step = max(_PAIRS // config.judged_per_query, 1)
    with progress("simulating queries and judgments", config.queries, "queries") as bar:
        for intents, rows in query_pieces(truth, config.queries):
            writer.write("queries", rows)
            for begin in range(0, len(intents), step):
                part = intents.take(slice(begin, begin + step))
                index = number + begin + np.arange(len(part))
                writer.write("judgments", judgment_rows(truth, part, index, config.judged_per_query, config.noise))
            parts.append(intents)
            number += len(intents)
            bar.advance(len(intents))
    if number < config.queries:
        log.warning("%d queries wanted, but a shop this small has only %d different ones", config.queries, number)
    return stack(parts)


def _write_events(truth: Truth, config: Simulate, intents: Intents, writer: ShopWriter) -> None:
    pairs: list[Ints] = []
    with progress("simulating events", config.events, "events") as bar:
        for rows, bought in event_pieces(truth, intents, config):
            writer.write("events", rows)
            pairs.append(bought)
            bar.advance(len(rows))
    together = np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64)
    writer.write("edges", also_bought_rows(np.unique(together, axis=0)))


def _image_names(drawn: Ints, rows: int) -> pa.Array:
    return pa.array([*map(image_name, drawn.tolist()), *[None] * (rows - len(drawn))], pa.string())
