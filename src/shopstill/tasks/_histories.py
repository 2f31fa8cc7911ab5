"""Questions of histories as tables and labels, and what the shop says of their items.

Shapes: ``N`` questions.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from shopstill.core.errors import DataError
from shopstill.data.histories import AttributeConfig, ColdItems, Histories, Part, Parts, cold_items, item_attributes
from shopstill.data.shop import Shop
from shopstill.evaluate.wording import Wording
from shopstill.tasks._turns import call_of

WORDS = Wording(
    unit="shopper",
    units="shoppers",
    rows="next items, each ranked among the whole catalogue",
    ranked="items",
    shown="The latest items of a history, and what each one ranks first; 1 is the item that came next.",
    **call_of("answer", "histories"),
)


def asked(histories: Histories, part: Part, name: str) -> pa.Table:
    """Questions by the shop's ids."""
    return pa.table(
        {
            "shopper_id": histories.shopper_ids.take(pa.array(part.shopper_N)),
            "upto": pa.array(part.upto_N),
            "product_id": histories.item_ids.take(pa.array(part.target_N - 1)),
            "split": pa.array([name] * len(part), pa.string()),
        }
    )


def check_parts(parts: Parts, parted: str, core: int) -> None:
    """That there is something to learn from, to choose the epoch by, and to test on.

    Args:
        parts: the questions.
        parted: how histories were parted: ``last`` or ``time``.
        core: how many events a shopper and an item had to have.

    Raises:
        DataError: there is not.
    """
    sizes = {name: len(getattr(parts, name)) for name in ("train", "valid", "test")}
    if not all(sizes.values()):
        told = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
        if parted == "time":
            # An empty test part, and shares that leave a part empty, are refused where histories are parted.
            cause = "split.valid is 0; give it a share above 0, such as 0.1"
        else:
            lower = ", or lower task.histories.core" if core > 1 else ""
            cause = f"a shopper needs 4 events to be in all; take in more events{lower}"
        raise DataError(f"histories: a part has no question ({told}), and each needs some: {cause}")


def unit_ids(histories: Histories, part: Part) -> list[str]:
    """Of each question; the shopper's, and with several of a shopper, the place in the history too."""
    ids = histories.shopper_ids.take(pa.array(part.shopper_N)).to_pylist()
    if len(set(ids)) == len(ids):
        return list(ids)
    return [f"{name}:{upto}" for name, upto in zip(ids, part.upto_N.tolist(), strict=True)]


def titles(shop: Shop, item_ids: pa.Array) -> list[str]:
    """Of every item, its product's title; its id where the shop does not have it."""
    products = shop.read("products", ["product_id", "title"])
    place = pc.index_in(item_ids, value_set=products.column("product_id").combine_chunks())
    found = products.column("title").combine_chunks().take(place)
    return list(pc.coalesce(found, item_ids).to_pylist())


def cold(shop: Shop, histories: Histories, told: AttributeConfig | None) -> ColdItems | None:
    """Products that nobody has taken up, where they are wanted, told in the attributes that models are created with."""
    if not (told and told.cold):
        return None
    return cold_items(shop, histories, item_attributes(shop, histories, told), told)
