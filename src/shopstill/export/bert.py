"""Our encoder under the names of transformers' BERT and RoBERTa, and what else its folders hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from shopstill.core.errors import ConfigError
from shopstill.data.tokens import TextTokenizer
from shopstill.models.compact._part import LinearPart
from shopstill.models.encoder import Encoder, EncoderConfig, Layer
from shopstill.models.lean import dense

_NORMS = {"norm_attention": "attention.output.LayerNorm", "norm_output": "output.LayerNorm"}
_LINEARS = {
    "query": "attention.self.query",
    "out": "attention.output.dense",
    "up": "intermediate.dense",
    "down": "output.dense",
}
_TABLES = {
    "tokens": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "segments": "embeddings.token_type_embeddings",
}


def refusal(what: str) -> ConfigError:
    """The error for what no folder of another library can say."""
    return ConfigError(f"format hf: transformers has no class for {what}; export it as a bundle, whose graphs are ONNX")


def hold_layers(network: nn.Module) -> None:
    """Refuse a network that BERT's classes cannot compute.

    Raises:
        ConfigError: layers differ in size, or are computed in int8.
    """
    if not all(_even(part.size) for part in network.modules() if isinstance(part, Encoder)):
        raise refusal("layers of different sizes, or heads that do not share out the width")
    if not all(dense(part) for part in network.modules() if isinstance(part, LinearPart)):
        raise refusal("layers computed in int8")


def _even(size: EncoderConfig) -> bool:
    first = size.layer(0)
    return all(size.layer(i) == first for i in range(size.layers)) and first.heads * first.head_width == size.width


def family(size: EncoderConfig) -> str:
    """``roberta`` where positions begin behind that of the padding token, else ``bert``.

    >>> family(EncoderConfig(vocab=10, first_position=2))
    'roberta'
    """
    return "roberta" if size.first_position else "bert"


def weights(encoder: Encoder, prefix: str = "") -> dict[str, Tensor]:
    """An encoder's weights under their names in transformers, in float32."""
    found = {f"{prefix}{theirs}.weight": getattr(encoder, ours).weight for ours, theirs in _TABLES.items()}
    found |= both(f"{prefix}embeddings.LayerNorm", encoder.norm)
    for index, layer in enumerate(encoder.layers):
        assert isinstance(layer, Layer)
        found |= _layer(f"{prefix}encoder.layer.{index}", layer)
    return found


def _layer(place: str, layer: Layer) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for ours, theirs in (_LINEARS | _NORMS).items():
        found |= both(f"{place}.{theirs}", getattr(layer, ours))
    for part in ("weight", "bias"):
        key, value = getattr(layer.key_value, part).chunk(2)
        found |= {f"{place}.attention.self.key.{part}": key, f"{place}.attention.self.value.{part}": value}
    return found


def both(name: str, module: nn.Module) -> dict[str, Tensor]:
    """A module's weight and bias."""
    return {f"{name}.weight": module.weight, f"{name}.bias": module.bias}  # type: ignore[dict-item]


def stored(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights as a file holds them: float32, each with its own memory."""
    return {name: value.detach().float().clone().contiguous() for name, value in found.items()}


def settings(size: EncoderConfig, architecture: str, pad: int) -> dict[str, Any]:
    """The ``config.json`` of an encoder; ``architecture`` is the end of its class's name, such as ``Model``."""
    kind = family(size)
    return {
        "architectures": [f"{'Roberta' if kind == 'roberta' else 'Bert'}{architecture}"],
        "model_type": kind,
        "vocab_size": size.vocab,
        "hidden_size": size.width,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.layer(0).heads,
        "intermediate_size": size.layer(0).feed_forward,
        "max_position_embeddings": size.positions,
        "type_vocab_size": size.segments,
        "layer_norm_eps": size.norm_eps,
        "hidden_act": "gelu",
        "hidden_dropout_prob": size.dropout,
        "attention_probs_dropout_prob": size.dropout,
        # RoBERTa counts positions from behind that of its padding token.
        "pad_token_id": size.first_position - 1 if kind == "roberta" else pad,
        "dtype": "float32",
    }


def tokenizer_settings(tokenizer: TextTokenizer, limit: int, inputs: tuple[str, ...]) -> dict[str, Any]:
    """The ``tokenizer_config.json`` of a tokenizer that cuts at ``limit`` tokens."""
    begin, part, pad = (tokenizer.token(number) for number in (tokenizer.begin, tokenizer.part, tokenizer.pad))
    special = {"cls_token": begin, "bos_token": begin, "sep_token": part, "eos_token": part, "pad_token": pad}
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": list(inputs)}
    return {**names, "model_max_length": limit, **special}


def write_json(path: Path, value: Any) -> None:
    """A file of JSON that people can read as well."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
