"""A model as a folder that transformers or sentence-transformers, and whatever reads their folders, load by themselves.

Only what these libraries have classes for can be so written. Of cross-encoders: an encoder of the BERT family with all
its layers of one size, and the head of BERT's own classifier, which reads the first token. Of two towers: those with
the ``dot`` head (``export/sentence.py``).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from shopstill.core.artifact import whole
from shopstill.export import bert
from shopstill.export.sentence import write_sentence
from shopstill.models.build import TextModel
from shopstill.models.cross import CrossEncoder, FirstHead
from shopstill.models.encoder import Encoder
from shopstill.models.towers import TwoTowers

_INPUTS = ("input_ids", "token_type_ids", "attention_mask")


def write_hf(model: TextModel, folder: Path, labels: tuple[str, ...] = ()) -> Path:
    """Write a folder that gives the same logits in transformers, or the same cosines in sentence-transformers.

    A cross-encoder is read by ``AutoModelForSequenceClassification``, two towers by ``SentenceTransformer``. Weights
    that are stored small are written out in float32.

    Args:
        model: a cross-encoder with ``pooling: first``, or two towers with ``head: dot``.
        folder: where to.
        labels: names of a cross-encoder's outputs.

    Raises:
        ConfigError: the library has no class for this model; the reason is given.
    """
    if isinstance(model.network, TwoTowers):
        return write_sentence(model, folder)
    network = _expressible(model)
    with torch.no_grad(), whole(folder) as aside:
        save_file(bert.stored(_weights(network)), aside / "model.safetensors", metadata={"format": "pt"})
        bert.write_json(aside / "config.json", _settings(network, model, labels))
        about = bert.tokenizer_settings(model.tokenizer, network.config.max_tokens, _INPUTS)
        bert.write_json(aside / "tokenizer_config.json", about)
        shutil.copyfile(model.tokenizer.path, aside / "tokenizer.json")
    return folder


def _expressible(model: TextModel) -> CrossEncoder:
    """The network, where transformers has a class for it."""
    network = model.network
    if not isinstance(network, CrossEncoder):
        raise bert.refusal(f"a model of kind {network.config.kind!r}")
    if not isinstance(network.head, FirstHead):
        raise bert.refusal(f"the head of pooling {network.config.pooling!r}, which reads the means of both sides")
    if not isinstance(network.encoder, Encoder):
        raise bert.refusal("a head of BERT's kind on another family's encoder")
    bert.hold_layers(network)
    return network


def _weights(network: CrossEncoder) -> dict[str, Tensor]:
    encoder, head = network.encoder, network.head
    assert isinstance(encoder, Encoder)
    assert isinstance(head, FirstHead)
    kind = bert.family(network.size)
    found = bert.weights(encoder, f"{kind}.")
    found |= bert.both("classifier.dense" if kind == "roberta" else "bert.pooler.dense", head.dense)
    return found | bert.both("classifier.out_proj" if kind == "roberta" else "classifier", head.out)


def _settings(network: CrossEncoder, model: TextModel, labels: tuple[str, ...]) -> dict[str, Any]:
    names = labels or tuple(f"LABEL_{at}" for at in range(network.config.outputs))
    return {
        **bert.settings(network.size, "ForSequenceClassification", model.tokenizer.pad),
        "classifier_dropout": network.config.dropout,
        "id2label": {str(at): name for at, name in enumerate(names)},
        "label2id": {name: at for at, name in enumerate(names)},
    }
