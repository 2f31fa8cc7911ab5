"""Distil once more: the model so far is the assistant that teaches a smaller network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal, cast

from pydantic import Field

from shopstill.compress._calibration import Calibration, M
from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.models import build
from shopstill.models.build import Text, TextModel
from shopstill.train.training import Training


@config
class Distil:
    """A new network learns from what the model so far says of the training pairs (Mirzadeh et al. 2020,
    https://arxiv.org/abs/1902.03393: a teacher's assistant bridges a gap of size that is too wide for one step).

    ``model`` is the new network; where it starts from ``teacher``, that is the model so far. ``rows`` is how many
    training pairs it sees in an epoch; all where null.

    Raises:
        ConfigError: the model so far is not one of texts.
    """

    kind: Literal["distil"] = "distil"
    model: Text
    training: Training | None = None
    rows: int | None = Field(default=None, ge=1)

    stage: ClassVar[str] = "structure"

    def apply(self, model: M, calibration: Calibration) -> M:
        """The new network, taught."""
        texts: Any = model
        if not isinstance(texts, TextModel):
            raise ConfigError(
                f"distil: teaches networks of texts, not {type(model).__name__}; train such a student apart"
            )
        assistant = calibration.folder.with_name(f"{calibration.folder.name}-assistant")
        build.save(texts, assistant)
        made = build.create(self.model, assistant, calibration.seed)
        if made.network.lexical:
            made = replace(made, lexical=texts.lexical or calibration.lexical())
        calibration.taught_by(model).train(made, self.training, self.rows)
        taught: Any = made
        return cast("M", taught)


distil = Distil
