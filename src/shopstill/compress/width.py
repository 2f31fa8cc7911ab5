"""Prune the width of encoders' states, and of static token tables.

Shapes: ``D`` width before, ``E`` after, ``V`` tokens, ``S`` tokens of a batch.
"""

from __future__ import annotations

from typing import ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import nn

from shopstill.compress import Stage, Trait, _narrow, _tokens
from shopstill.compress._calibration import Calibration, M, copied
from shopstill.compress._encoders import encoders
from shopstill.compress._importance import Importance
from shopstill.core.config import config
from shopstill.core.errors import ConfigError
from shopstill.models.compact import put
from shopstill.models.compact._part import Table
from shopstill.models.encoder import Encoder
from shopstill.models.towers import TokenTower


@config
class Width:
    """Keep the ``width`` most important dimensions of an encoder's states, or of a static table's vectors.

    An encoder's dimension matters by the weights that read it and its scale in the norms (magnitude), by these weights
    and its mean square (activation), or by the change of the objective without it (taylor); norms are fitted anew to
    what they gave before. A static table is multiplied out with its projection and kept in its principal components,
    tokens weighted by how often the shop's texts use them; the projection turns them back, so that nothing behind it
    changes.

    Raises:
        ConfigError: nothing in the model is wider, or it is compact already.

    >>> Width(width=64).importance
    'activation'
    """

    kind: Literal["width"] = "width"
    width: int = Field(ge=1)
    importance: Importance = "activation"
    rows: int = Field(default=512, ge=1)

    stage: ClassVar[Stage] = "structure"
    needs: ClassVar[tuple[Trait, ...]] = ("text transformers", "token tables")

    def apply(self, model: M, calibration: Calibration) -> M:
        """The model with narrower states and tables."""
        made = copied(model)
        towers = [m for m in made.network.modules() if isinstance(m, TokenTower) and isinstance(m.body, Table)]
        wide_towers = [t for t in towers if cast("Table", t.body).embedding_dim > self.width]
        there = any(isinstance(m, Encoder) for m in made.network.modules())
        found = encoders(made.network, self.kind) if there or not towers else {}
        wide = {name: encoder for name, encoder in found.items() if encoder.size.width > self.width}
        if not wide and not wide_towers:
            raise ConfigError(f"width: {self.width}: nothing in this model is wider; use less, or leave the pass out")
        for name, encoder in wide.items():
            _narrow.encoder(made, calibration, name, encoder, self)
        for tower in wide_towers:
            if cast("Table", tower.body).embedding_dim > self.width:
                _narrow_table(tower, made, calibration, self.width)
        return made


def _narrow_table(tower: TokenTower, model: M, calibration: Calibration, width: int) -> None:
    if not isinstance(tower.body, nn.Embedding) or not isinstance(tower.project, nn.Linear):
        raise ConfigError("width: a token table is compact already; put width before the pass that made it")
    weight_V = 1 + _tokens.counts(model.tokenizer, calibration.texts(), tower.body.num_embeddings)  # type: ignore[attr-defined]  # models with towers have one
    vectors = (tower.body.weight @ tower.project.weight.T).detach().double()
    narrow, back = _narrow.principal(vectors, weight_V.double(), width)
    project = nn.Linear(narrow.shape[1], len(back), bias=False)
    with torch.no_grad():
        project.weight.copy_(back)
    # Both towers may have one table, and then one projection.
    put(model.network, tower.body, nn.Embedding.from_pretrained(narrow.float(), freeze=False))
    put(model.network, tower.project, project)


width = Width
