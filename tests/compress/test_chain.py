"""Orders of passes: what makes sense is taken, what does not is refused with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from shopstill.compress import PASSES, Softens
from shopstill.compress._chain import check_chain, misfit
from shopstill.compress.clusters import Clusters
from shopstill.compress.heads import Heads
from shopstill.compress.layers import Layers
from shopstill.compress.low_rank import Factorise
from shopstill.compress.recover import Recover
from shopstill.compress.vocabulary import Vocabulary
from shopstill.compress.weights import Weights
from shopstill.compress.width import Width
from shopstill.core.config import build
from shopstill.core.errors import ConfigError
from shopstill.models.sequence import ItemMean, SASRec


@dataclass(frozen=True)
class Integers:
    kind: str = "integers"
    stage: str = "arithmetic"


@dataclass(frozen=True)
class Halves:
    kind: str = "halves"
    stage: str = "storage"


RANK = Factorise(rank=4)


@pytest.mark.parametrize(
    "chain",
    [
        [],
        [Recover()],
        [Layers(count=1), Recover(), Heads(), Recover(), Width(width=8), Vocabulary(), RANK, Recover(), Clusters()],
        [Clusters(), Recover(), Halves()],
        [Weights(), Recover(), Integers()],
        [Heads(), Heads()],
    ],
)
def test_legal_orders(chain: list[Any]) -> None:
    check_chain(chain)


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        ([Weights(), Heads()], "heads after weights: it takes rows and columns of dense weights; put heads first"),
        ([RANK, Recover(), Vocabulary()], "vocabulary after low_rank"),
        ([Clusters(), Weights()], "weights after clusters: it changes the values"),
        ([Integers(), Halves()], "halves after integers"),
        ([Heads(), Integers(), Recover()], "recover after integers: what is computed in integers does not learn"),
        ([Clusters(), Clusters()], "clusters after clusters: both decide"),
        ([Integers(), Integers()], "leave one out"),
        ([Recover(), Recover()], "recover after recover"),
    ],
)
def test_illegal_orders_are_refused_with_the_reason(chain: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_chain(chain)


@pytest.mark.parametrize(("network", "told"), [(ItemMean(), "an item_mean"), (SASRec(), "a sasrec")])
def test_a_pass_that_has_nothing_to_do_says_on_what(network: Any, told: str) -> None:
    fault = misfit(Vocabulary(), network)
    assert fault is not None
    assert f"vocabulary works on tokenizers, but {told} as configured has" in fault


@pytest.mark.parametrize("name", PASSES.names())
def test_milder_and_milder_comes_to_an_end(name: str) -> None:
    needed: dict[str, Any] = {"distil": {"model": {"kind": "cross"}}, "layers": {"count": 1}, "width": {"width": 8}}
    at: Any = build(PASSES.get(name), needed.get(name, {"share": 0.3} if name == "low_rank" else {}))
    seen = []
    while isinstance(at, Softens):
        assert at not in seen
        seen.append(at)
        at = at.milder()
    assert len(seen) <= 12


def test_to_distil_is_to_begin_anew() -> None:
    again = build(PASSES.get("distil"), {"model": {"kind": "cross"}})
    check_chain([Clusters(), again, Heads(), Clusters()])
    with pytest.raises(ConfigError, match="heads after clusters"):
        check_chain([again, Clusters(), Heads()])
