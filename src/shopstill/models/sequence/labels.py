"""What is kept of what a teacher says of places of histories: its best items, and some drawn from the others.

Shapes: ``P`` places, ``V`` items, ``K`` best items, ``S`` drawn ones.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from shopstill.core.config import config
from shopstill.models.sequence.items import ABSENT

_FEW = 1 << 15
"""Of as many items a partial sort of all costs little."""


@config
class Labelling:
    """Of which items a teacher's logits are kept, for each place: the best, and some drawn from the others.

    Items of the history are none of them where they are out of the ranking: a teacher is sure of them before all
    others, and would say little else.
    """

    best: int = Field(default=50, ge=1)
    drawn: int = Field(default=50, ge=0)


def chosen(
    logits_PV: Tensor, truth_P: Tensor, best: int, drawn: int, draw: torch.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is kept of logits: those of the best items, of some of the others, and of the true one.

    Args:
        logits_PV: of all items; minus infinity for those that are out of the ranking, which are not kept.
        truth_P: the true items.
        best: K.
        drawn: S, uniformly and with repetition from all but the best.
        draw: the source of chance.

    Returns:
        items int32 [P, K + S], 0 where none is kept, their logits float16, and the true item's [P].
    """
    top_PK = highest(logits_PV, best)
    place_PS = torch.randint(max(1, logits_PV.shape[1] - best), (len(logits_PV), drawn), generator=draw)
    # The n-th item that is not among the best: n, and one more for each of the best that stands before it.
    sorted_PK = top_PK.sort(-1).values
    place_PS = place_PS + torch.searchsorted(sorted_PK - torch.arange(best), place_PS, right=True)
    column_PC = torch.cat([top_PK, place_PS], 1)
    kept = logits_PV.gather(1, column_PC)
    item_PC = torch.where(kept > -torch.inf, column_PC + 1, 0)
    own_P = logits_PV.gather(1, truth_P[:, None] - 1).squeeze(1)
    logit, own = (values.clamp(min=ABSENT).half().numpy() for values in (kept, own_P))
    return item_PC.int().numpy(), logit, own


def highest(logits_PV: Tensor, count: int) -> Tensor:
    """[P, count] the columns of the highest logits, the highest first, as ``topk`` has them.

    Many are folded into some columns, of which those whose maximum is highest hold all that is wanted: a look at each
    logit and a sort of few, where ``topk`` of a million takes four times as long.

    >>> highest(torch.tensor([[1.0, 3.0, 2.0]]), 2).tolist()
    [[1, 2]]
    """
    items = logits_PV.shape[1]
    columns = max(1, 2 * count, math.isqrt(count * items))
    folds = items // columns
    if items < _FEW or folds < 2:
        return logits_PV.topk(count).indices
    folded_PFC = logits_PV[:, : folds * columns].unflatten(1, (folds, columns))
    column_PK = folded_PFC.amax(1).topk(count).indices
    held = folded_PFC.gather(2, column_PK[:, None].expand(-1, folds, -1)).flatten(1)
    place_PK = torch.cat([held, logits_PV[:, folds * columns :]], 1).topk(count).indices
    inside = place_PK.clamp(max=folds * count - 1)
    found = inside // count * columns + column_PK.gather(1, inside % count)
    return torch.where(place_PK < folds * count, found, place_PK - folds * count + folds * columns)
