"""Prune single weights of linear layers: by size or by movement, at once or while training, free or N of M."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from shopstill.compress import Stage
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.compress._ranked import Scope
from shopstill.compress._thinning import Plan, Sparsity, Thinning, masks
from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.models.compact import replace_module
from shopstill.models.compact.masked import Masked
from shopstill.train.training import Training


@config
class Weights:
    """Zero a part of the linear layers' weights. The file gets smaller; the time does not change on this runtime.

    A part ``sparsity`` of them goes. A weight that stays costs its value, and every place one bit. Schedule
    ``once`` masks the smallest weights as they are; ``gradual`` closes the masks by a cubic schedule over the first
    ``until`` of a training on the teacher's labels (Zhu and Gupta 2017, https://arxiv.org/abs/1710.01878), by size,
    or by ``movement`` (Sanh et al. 2020, https://arxiv.org/abs/2005.07683). ``pattern: "2:4"`` keeps 2 of every 4
    inputs and says the sparsity itself. Masks survive whatever comes after.

    Raises:
        ConfigError: a pattern is not N:M with N < M, movement is asked for at once, or nothing is dense.

    >>> Weights(sparsity=0.9, method="movement", schedule="gradual").until
    0.7
    """

    kind: Literal["weights"] = "weights"
    sparsity: float = Field(default=0.5, gt=0, lt=1)
    pattern: str | None = Field(default=None, pattern=r"^[1-9]\d?:[1-9]\d?$")
    method: Literal["magnitude", "movement"] = "magnitude"
    scope: Scope = "global"
    schedule: Literal["once", "gradual"] = "once"
    until: float = Field(default=0.7, gt=0, lt=1)
    training: Training | None = None
    rows: int | None = Field(default=None, ge=1, description="training pairs, drawn by the seed; null: all")

    stage: ClassVar[Stage] = "weights"

    def __post_init__(self) -> None:
        if self.method == "movement" and self.schedule == "once":
            raise ConfigError("weights: movement is seen in training only; set schedule: gradual")
        if self.pattern is not None and self._pattern[0] >= self._pattern[1]:
            raise ConfigError(f"weights: pattern {self.pattern!r}: N must be less than M, as in 2:4")

    def milder(self) -> Weights | None:
        """Half the sparsity; None where a pattern says it, or so little goes that half of it is not worth a mask."""
        return None if self.pattern or self.sparsity < 0.1 else replace(self, sparsity=self.sparsity / 2)

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model with masked layers."""
        made = copied(model)
        found = {name: m for name, m in made.network.named_modules() if type(m) is nn.Linear}
        if not found:
            raise ConfigError(
                "weights: no linear layer is dense any more; put weights before the pass that changed them"
            )
        pattern = None if self.pattern is None else self._pattern
        wanted = Sparsity(share=self.sparsity, pattern=pattern, scope=self.scope)
        if self.schedule == "gradual":
            self._train(made, calibration, found, wanted)
        else:
            scores = [linear.weight.detach().abs() for linear in found.values()]
            for (name, linear), mask in zip(found.items(), masks(scores, wanted), strict=True):
                replace_module(made.network, name, Masked.of(linear.weight.detach(), linear.bias, mask))
        return made

    def _train(self, made: M, calibration: Calibration, found: dict[str, nn.Linear], wanted: Sparsity) -> None:
        parts = {name: Thinning(linear, self.method == "movement") for name, linear in found.items()}
        for name, part in parts.items():
            replace_module(made.network, name, part)
        plan = Plan(list(parts.values()), wanted, self.until)
        calibration.train(made, self.training, self.rows)
        plan.take(1.0)
        for name, part in parts.items():
            replace_module(made.network, name, Masked.of(part.dense.detach(), part.bias, part.mask))
        made.network.eval()

    @property
    def _pattern(self) -> tuple[int, int]:
        least, group = re.findall(r"\d+", self.pattern or "1:2")
        return int(least), int(group)


weights = Weights
