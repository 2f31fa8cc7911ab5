"""Which passes fit a network, and which orders of them are legal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, takewhile
from typing import Any

from shopstill.compress import PASSES, Trait, needs_of
from shopstill.core.errors import ConfigError, with_article
from shopstill.models.families import traits

_ORDER = ("structure", "weights", "storage", "arithmetic")
_WHY = {
    "structure": "it takes rows and columns of dense weights",
    "weights": "it changes the values of dense weights",
    "storage": "what is computed in integers is stored so already",
}
_ONCE = ("storage", "arithmetic")


def check_chain(passes: Sequence[Any]) -> None:
    """Refuse an order of passes in which some pass would find nothing to do, or undo what another did.

    Shapes come first, then values, then how they are stored, then how they are computed. ``recover`` may stand wherever
    weights can still learn; ``distil`` begins anew.

    Raises:
        ConfigError: the order is illegal; the message says which pass, and why.

    >>> from shopstill.compress.heads import Heads
    >>> from shopstill.compress.clusters import Clusters
    >>> check_chain([Heads(), Clusters()])
    >>> check_chain([Clusters(), Heads()])
    Traceback (most recent call last):
      ...
    shopstill.core.errors.ConfigError: heads after clusters: it takes rows and columns of dense weights; put heads first
    """
    for at, one in enumerate(passes):
        for other in takewhile(lambda later: later.kind != "distil", passes[at + 1 :]):
            _check(one, other)
    for one, other in pairwise(passes):
        if one.kind == other.kind == "recover":
            raise ConfigError("recover after recover: one does the work of both; give it more epochs")


def _check(one: Any, other: Any) -> None:
    """``other`` stands somewhere behind ``one``."""
    pair = f"{other.kind} after {one.kind}"
    if other.kind == "recover":
        if one.stage == "arithmetic":
            raise ConfigError(f"{pair}: what is computed in integers does not learn; put recover before {one.kind}")
        return
    if one.kind == "recover":
        return
    if _ORDER.index(other.stage) < _ORDER.index(one.stage):
        raise ConfigError(f"{pair}: {_WHY[other.stage]}; put {other.kind} first")
    if one.stage == other.stage == "arithmetic" or (one.kind == other.kind and one.stage in _ONCE):
        raise ConfigError(f"{pair}: both decide how the same weights are held; leave one out")


def misfit(step: Any, wanted: Any) -> str | None:
    """Why a pass has nothing to do on a network as configured, and which passes have; None where it may have.

    What only a network's weights or sizes tell, the pass says itself.

    >>> from shopstill.models.label.config import Bag
    >>> misfit(PASSES.get("vocabulary")(), Bag())
    >>> misfit(PASSES.get("vocabulary")(), Bag(tokens=False)).partition(";")[0]
    'vocabulary works on tokenizers, but a bag as configured has linear layers and tables alone'
    """
    needs, has = needs_of(step), traits(wanted)
    if not needs or has & set(needs):
        return None
    fitting = [name for name in PASSES.names() if _fits(name, has)]
    there = f"{with_article(wanted.kind)} as configured has {' and '.join(sorted(has))} alone"
    return f"{step.kind} works on {' or '.join(needs)}, but {there}; use {' or '.join(fitting)}, or leave it out"


def _fits(name: str, has: frozenset[Trait]) -> bool:
    needs = needs_of(PASSES.get(name))
    return not needs or bool(has & set(needs))
