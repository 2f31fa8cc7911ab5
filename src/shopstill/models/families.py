"""Families of models, and the folders they lie in: which family reads a folder is told by ``model.json``."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol

from pydantic import Field

from shopstill.core.errors import ArtifactError
from shopstill.models.build import Text
from shopstill.models.label.config import Label
from shopstill.models.sequence import Sequence

AnyModel = Annotated[Text | Sequence | Label, Field(discriminator="kind")]
"""Configuration of a model of any family."""

_FAMILIES = {
    **dict.fromkeys(("cross", "towers", "joint"), "shopstill.models.build"),
    **dict.fromkeys(("sasrec", "bert4rec", "gru4rec", "item_mean"), "shopstill.models.sequence.model"),
    **dict.fromkeys(
        ("resnet", "mobilenet", "efficientnet_lite", "small_cnn", "bag", "text_encoder", "both"),
        "shopstill.models.label.model",
    ),
}
"""Kind of network → the module that saves and loads it."""


Trait = Literal[
    "text transformers", "token tables", "tokenizers", "tables", "linear layers", "convolutions", "products ahead"
]
"""What a network may have that can be made smaller: a transformer that reads texts; a tower that is a table of tokens;
a tokenizer; any table; linear layers that are worth rounding; convolutions; products that are encoded ahead."""


class Model(Protocol):
    """A network with what its inputs are made with, such as ``shopstill.models.build.TextModel``; a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def network(self) -> Any:
        """The network; called with a batch's inputs, it returns ``Signals``."""
        ...

    @property
    def parameters(self) -> int:
        """Number of weights."""
        ...


def starts(wanted: Any) -> list[str | None]:
    """What a configuration's networks begin with: pretrained models by name, ``teacher``, None for random weights."""
    return list(import_module(_FAMILIES[wanted.kind]).starts(wanted))


def taps(wanted: Any) -> tuple[str, ...]:
    """Names of the features that a configuration's network returns beside its logits."""
    return tuple(import_module(_FAMILIES[wanted.kind]).taps(wanted))


def traits(wanted: Any) -> frozenset[Trait]:
    """What a configuration's network has that can be made smaller, as far as the configuration says."""
    return frozenset(import_module(_FAMILIES[wanted.kind]).traits(wanted))


def quick(wanted: Any) -> Any:
    """A configuration that fails where this one does, and is created in seconds: it may begin with other weights."""
    return import_module(_FAMILIES[wanted.kind]).quick(wanted)


def save(model: Any, folder: Path) -> None:
    """Write a model folder; ``load`` needs nothing else."""
    import_module(_FAMILIES[model.network.config.kind]).save(model, folder)


def load(folder: Path) -> Any:
    """Read a model folder, of whichever family it is.

    Raises:
        ArtifactError: there is none, or its weights do not fit its configuration.
    """
    try:
        kind = json.loads((folder / "model.json").read_text(encoding="utf-8"))["model"]["kind"]
        family = _FAMILIES[kind]
    except FileNotFoundError:
        raise ArtifactError(f"{folder}: no model here (model.json is missing)") from None
    except (ValueError, TypeError, KeyError) as cause:
        raise ArtifactError(f"{folder}/model.json: {cause}; run the stage that made it again") from None
    return import_module(family).load(folder)
