"""The sides that a publisher puts pictures on, as the folders train, val and test say."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from shopstill.core.errors import ConfigError, DataError
from shopstill.data.deal import Group, deal

log = logging.getLogger(__name__)

SIDE = "split"
"""The attribute of a product that names its side."""

NEEDED = ("train", "test")
"""The sides without which a publisher's are of no use."""

SIDE_NAMES = {"train": "train", "val": "valid", "valid": "valid", "validation": "valid", "test": "test"}


def side_of(attributes: Sequence[tuple[str, str]] | None) -> str | None:
    """The publisher's side that a product's attributes name."""
    return next((SIDE_NAMES.get(value) for name, value in attributes or () if name == SIDE), None)


def publishers(
    groups: Sequence[Group], given: Mapping[str, str | None], valid: float, seed: int, strata: Sequence[str]
) -> dict[str, str]:
    """The publisher's side of each product; what is one with a held-out product, and is not held out, has none.

    Args:
        groups: products that are one for a leak.
        given: id → the publisher's side.
        valid: the share of the training products that chooses the epoch where the publisher has none that do.
        seed: of that choice.
        strata: names of the classes.

    Raises:
        ConfigError: the products name no training side or no test side; or none chooses the epoch, and ``valid`` is 0.
        DataError: all of the training side are one with held-out products, or too few are left to choose from.
    """
    if lacking := [side for side in NEEDED if side not in given.values()]:
        raise ConfigError(
            f"split.publisher: true, but the products name no {' and no '.join(lacking)} side, as folders of these "
            "names would; set it to false"
        )
    sides: dict[str, str] = {}
    training: list[Group] = []
    for group in groups:
        own = {given[name] for name in group.ids}
        # The side held out longest wins, since what it shows must not be learnt.
        side = next((held for held in ("test", "valid") if held in own), "train")
        kept = tuple(name for name in group.ids if given[name] == side)
        sides.update(dict.fromkeys(kept, side))
        if side == "train" and kept:
            training.append(Group(group.key, kept, group.stratum))
    if len(sides) < len(given):
        told = "%d products are the same as one that the publisher holds out, or have no side; they are left out"
        log.warning(told, len(given) - len(sides))
    if not training:
        raise DataError(
            "split.publisher: true, but every product of the training side is the same as one that the publisher holds "
            "out, so that none is left to learn from; set it to false"
        )
    if "valid" not in sides.values():
        if not valid:
            raise ConfigError(
                "split.valid: 0, but the publisher names no validation side; give it a share above 0, such as 0.1, of "
                "the training side"
            )
        sides |= deal(training, {"valid": valid}, "train", seed, strata=strata, each=True, of="products")
    return sides
