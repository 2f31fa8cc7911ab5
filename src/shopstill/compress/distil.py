"""Distil once more: the model so far is the assistant that teaches a smaller network."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from shopstill.compress._calibration import Calibration, M
from shopstill.core.config import config
from shopstill.models import families
from shopstill.models.families import AnyModel
from shopstill.train.training import Training


@config
class Distil:
    """A new network learns from what the model so far says of the training rows (Mirzadeh et al. 2020,
    https://arxiv.org/abs/1902.03393: a teacher's assistant bridges a gap of size that is too wide for one step).

    ``model`` is the new network, of any kind that the task trains; where it starts from ``teacher``, that is the model
    so far. ``rows`` is how many training rows it sees in an epoch; all where null.
    """

    kind: Literal["distil"] = "distil"
    model: AnyModel
    training: Training | None = None
    rows: int | None = Field(default=None, ge=1)

    stage: ClassVar[str] = "structure"

    def apply(self, model: M, calibration: Calibration) -> M:
        """The new network, taught."""
        assistant = calibration.folder.with_name(f"{calibration.folder.name}-assistant")
        families.save(model, assistant)
        made: M = calibration.create(self.model, assistant)
        calibration.taught_by(model).train(made, self.training, self.rows)
        return made


distil = Distil
