"""A cross-encoder as a folder that transformers, and whatever reads its folders, loads by itself.

Only what transformers has a class for can be so written: an encoder of the BERT family with all its layers of one size,
and the head of BERT's own classifier, which reads the first token.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from shopstill.core.artifact import whole
from shopstill.core.errors import ConfigError
from shopstill.models.build import TextModel
from shopstill.models.compact._part import LinearPart
from shopstill.models.cross import CrossEncoder, FirstHead
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


def write_hf(model: TextModel, folder: Path, labels: tuple[str, ...] = ()) -> Path:
    """Write a folder that ``AutoModelForSequenceClassification`` loads, with the same logits.

    Weights that are stored small are written out in float32.

    Args:
        model: a cross-encoder with ``pooling: first``.
        folder: where to.
        labels: names of the outputs.

    Raises:
        ConfigError: transformers has no class for this model; the reason is given.
    """
    network = _expressible(model)
    roberta = network.size.first_position > 0
    with torch.no_grad(), whole(folder) as aside:
        save_file(_weights(network, roberta), aside / "model.safetensors", metadata={"format": "pt"})
        _write(aside / "config.json", _settings(network, model, labels, roberta))
        _write(aside / "tokenizer_config.json", _tokenizer_settings(network, model))
        shutil.copyfile(model.tokenizer.path, aside / "tokenizer.json")
    return folder


def _expressible(model: TextModel) -> CrossEncoder:
    """The network, where transformers has a class for it."""
    network = model.network
    if not isinstance(network, CrossEncoder):
        raise _none(f"a model of kind {network.config.kind!r}")
    if not isinstance(network.head, FirstHead):
        raise _none(f"the head of pooling {network.config.pooling!r}, which reads the means of both sides")
    if not isinstance(network.encoder, Encoder):
        raise _none("a head of BERT's kind on another family's encoder")
    if not _even(network.encoder.size):
        raise _none("layers of different sizes, or heads that do not share out the width")
    if not all(dense(part) for part in network.modules() if isinstance(part, LinearPart)):
        raise _none("layers computed in int8")
    return network


def _none(what: str) -> ConfigError:
    return ConfigError(f"format hf: transformers has no class for {what}; export it as a bundle, whose graphs are ONNX")


def _even(size: EncoderConfig) -> bool:
    first = size.layer(0)
    return all(size.layer(i) == first for i in range(size.layers)) and first.heads * first.head_width == size.width


def _weights(network: CrossEncoder, roberta: bool) -> dict[str, Tensor]:
    encoder, head = network.encoder, network.head
    assert isinstance(encoder, Encoder)
    assert isinstance(head, FirstHead)
    base = "roberta" if roberta else "bert"
    found = {f"{base}.{theirs}.weight": getattr(encoder, ours).weight for ours, theirs in _TABLES.items()}
    found |= _both(f"{base}.embeddings.LayerNorm", encoder.norm)
    for index, layer in enumerate(encoder.layers):
        assert isinstance(layer, Layer)
        found |= _layer(f"{base}.encoder.layer.{index}", layer)
    found |= _both("classifier.dense" if roberta else "bert.pooler.dense", head.dense)
    found |= _both("classifier.out_proj" if roberta else "classifier", head.out)
    return {name: value.detach().float().clone().contiguous() for name, value in found.items()}


def _layer(place: str, layer: Layer) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for ours, theirs in (_LINEARS | _NORMS).items():
        found |= _both(f"{place}.{theirs}", getattr(layer, ours))
    for part in ("weight", "bias"):
        key, value = getattr(layer.key_value, part).chunk(2)
        found |= {f"{place}.attention.self.key.{part}": key, f"{place}.attention.self.value.{part}": value}
    return found


def _both(name: str, module: nn.Module) -> dict[str, Tensor]:
    return {f"{name}.weight": module.weight, f"{name}.bias": module.bias}  # type: ignore[dict-item]


def _settings(network: CrossEncoder, model: TextModel, labels: tuple[str, ...], roberta: bool) -> dict[str, Any]:
    size, outputs = network.size, network.config.outputs
    names = labels or tuple(f"LABEL_{at}" for at in range(outputs))
    return {
        "architectures": ["RobertaForSequenceClassification" if roberta else "BertForSequenceClassification"],
        "model_type": "roberta" if roberta else "bert",
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
        "classifier_dropout": network.config.dropout,
        # RoBERTa counts positions from behind that of its padding token.
        "pad_token_id": size.first_position - 1 if roberta else model.tokenizer.pad,
        "id2label": {str(at): name for at, name in enumerate(names)},
        "label2id": {name: at for at, name in enumerate(names)},
        "dtype": "float32",
    }


def _tokenizer_settings(network: CrossEncoder, model: TextModel) -> dict[str, Any]:
    name = model.tokenizer.token
    begin, part, pad = name(model.tokenizer.begin), name(model.tokenizer.part), name(model.tokenizer.pad)
    special = {"cls_token": begin, "bos_token": begin, "sep_token": part, "eos_token": part, "pad_token": pad}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": network.config.max_tokens,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        **special,
    }


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
