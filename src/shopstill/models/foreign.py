"""Encoders of other families, run by the transformers library behind the same interface as our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from shopstill.core.errors import ConfigError, require
from shopstill.models.encoder import Encoder, EncoderConfig, pieces


class ForeignEncoder(nn.Module):
    """Any encoder that transformers builds from a ``config.json``, such as ModernBERT, DeBERTa or MPNet.

    No code of a model's own is run (``trust_remote_code`` stays off).

    Args:
        settings: the ``config.json``.

    Raises:
        ConfigError: transformers knows no encoder for it.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        transformers = require("transformers", "train")
        strict = require("huggingface_hub.errors", "train").StrictDataclassError
        self.settings = settings
        known = {k: v for k, v in settings.items() if k not in ("model_type", "transformers_version")}
        try:
            made = transformers.AutoConfig.for_model(settings["model_type"], **known)
            self.model = transformers.AutoModel.from_config(made)
        except (KeyError, ValueError, strict) as cause:
            raise ConfigError(
                f"model_type {settings.get('model_type')!r}: transformers cannot build it ({cause})"
            ) from None
        self.size = EncoderConfig(
            vocab=made.vocab_size,
            width=made.hidden_size,
            layers=made.num_hidden_layers,
            heads=made.num_attention_heads,
            feed_forward=getattr(made, "intermediate_size", 4 * made.hidden_size),
            segments=max(1, getattr(made, "type_vocab_size", 1) or 1),
        )

    @property
    def tokens(self) -> nn.Embedding:
        """The token table."""
        return self.model.get_input_embeddings()

    def forward(
        self,
        ids_BT: Tensor,
        mask_BT: Tensor | None = None,
        second_B: Tensor | None = None,
        first_only: bool = False,
    ) -> Tensor:
        """Hidden states of the last layer, as ``Encoder.forward`` gives them."""
        inputs = {
            "input_ids": ids_BT,
            "attention_mask": (torch.ones_like(ids_BT) if mask_BT is None else mask_BT.long()),
        }
        if self.size.segments > 1 and second_B is not None:
            places = ids_BT.new_ones(ids_BT.shape).cumsum(1) - 1
            inputs["token_type_ids"] = (places >= second_B[:, None]).long()
        states: Tensor = self.model(**inputs).last_hidden_state
        return states[:, :1] if first_only else states

    def pieces(self, length_B: Tensor) -> list[Tensor]:
        """Rows to run together, hardly anything of them padding."""
        return pieces(length_B)


AnyEncoder = Encoder | ForeignEncoder

WEIGHTS = "model.safetensors"


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a model folder.

    Raises:
        ConfigError: there are none, or they are torn.
    """
    try:
        return load_file(folder / WEIGHTS)
    except (FileNotFoundError, SafetensorError) as cause:
        raise ConfigError(f"{folder}: no readable {WEIGHTS} ({cause}); save all weights in one such file") from None


def foreign(folder: Path, settings: dict[str, Any]) -> ForeignEncoder:
    """A foreign encoder with the folder's weights.

    Raises:
        ConfigError: a weight is missing; heads that the encoder does not use are left out.
    """
    made = ForeignEncoder(settings)
    prefix = f"{made.model.base_model_prefix}."
    weights = {k.removeprefix(prefix): v for k, v in read_weights(folder).items()}
    missing, _ = made.model.load_state_dict(weights, strict=False)
    lost = [name for name in missing if not name.startswith("pooler")]
    if lost:
        raise ConfigError(f"{folder / WEIGHTS}: lacks {', '.join(lost[:3])}; is it of another architecture?")
    return made
