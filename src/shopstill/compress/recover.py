"""Recover: train a compressed model on the teacher's labels, with the loop that trained it first."""

from __future__ import annotations

import logging
from typing import ClassVar, Literal

from pydantic import Field

from shopstill.compress import Stage
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.train.training import Training

log = logging.getLogger(__name__)


@config
class Recover:
    """Bring the same objective down again, with whatever weights the passes before have left to learn.

    Where validation gets worse by it, the weights stay as they were. What is masked stays masked, what is shared stays
    shared, and codebooks learn their values.

    Raises:
        ConfigError: nothing is left that can learn.

    >>> Recover(training=Training(epochs=1)).stage
    'weights'
    """

    kind: Literal["recover"] = "recover"
    training: Training | None = None
    rows: int | None = Field(default=None, ge=1, description="training pairs, drawn by the seed; null: all")

    stage: ClassVar[Stage] = "weights"

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model with its best weights by validation."""
        made = copied(model)
        if not any(value.requires_grad for value in made.network.parameters()):
            raise ConfigError("recover: no weight of this model can learn any more; put recover earlier in the chain")
        before = calibration.quality(made)
        after = calibration.train(made, self.training, self.rows).best
        calibration.notes[self.kind] = {"before": before, "after": after}
        if after < before:
            log.info("recover: validation fell from %.4f to %.4f; the weights stay as they were", before, after)
            return copied(model)
        made.network.eval()
        return made


recover = Recover
