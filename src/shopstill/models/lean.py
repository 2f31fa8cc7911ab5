"""What the towers' scoring in numpy (``shopstill.serve.bundle.lean``) needs of a network.

Shapes: ``V`` tokens of the vocabulary, ``D`` width, ``H`` hidden units, ``F`` what the head reads, ``L`` levels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from shopstill.models.compact._part import LinearPart, Table
from shopstill.models.towers import LEVELS, SPREAD, InteractionHead, TwoTowers


def fits(network: TwoTowers) -> bool:
    """Whether dense weights say all of the head; a part that computes otherwise, such as in int8, is not in them."""
    if network.config.head == "dot":
        return True
    return all(dense(part) for part in network.head.modules() if isinstance(part, LinearPart))


def arrays(network: TwoTowers, head: bool) -> dict[str, Tensor]:
    """What every token of a static tower stands for, and, where asked for, the head's weights, its norm folded in.

    A static tower gives ``….table`` [V, D], its projected vectors, and ``….importance`` [V]; what both sides share is
    there once, as ``query``.
    """
    found = {}
    for side in ("query",) if network.config.shared is True else ("query", "product"):
        tower = getattr(network, side)
        if isinstance(tower.body, Table) and getattr(tower.project, "batch_invariant", True):
            if side == "query" or not network.config.shared:
                found[f"{side}.table"] = tower.project(tower.body.weight)
            found[f"{side}.importance"] = tower.importance.weight.squeeze(-1)
    if not head:
        return found
    if network.config.head == "dot":
        return found | {"head.scale": network.scale, "head.bias": network.bias}
    return found | {f"head.{name}": value for name, value in _interaction(network.head).items()}


@torch.no_grad()
def dense(part: LinearPart) -> bool:
    """Whether a part computes what its dense weight says."""
    x = torch.linspace(-1, 1, 3 * part.in_features).view(3, -1)
    return torch.allclose(part(x), F.linear(x, part.weight, part.bias), atol=1e-5)


def _interaction(head: InteractionHead) -> dict[str, Tensor]:
    norm = head.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return {
        "matched_FH": (head.matched.weight * scale).T,
        "matched_H": head.matched.bias + head.matched.weight @ (norm.bias - norm.running_mean * scale),
        "product_of_DH": head.product_of.weight.T,
        "query_DH": head.query_alone.weight.T,
        "product_DH": head.product_alone.weight.T,
        "middle_HH": head.middle.weight.T,
        "middle_H": head.middle.bias,
        "out_H": head.out.weight[0],
        "out": head.out.bias,
        "mean_F": norm.running_mean,
        "levels_L": torch.tensor(LEVELS),
        "spread": torch.tensor(SPREAD),
    }
