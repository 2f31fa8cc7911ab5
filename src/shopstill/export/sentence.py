"""Two towers as a folder that sentence-transformers loads, with the same cosines.

A tower pools its tokens by ``softmax(importance)`` and projects the mean. Here that is said in the library's modules:

- a transformer: ``Transformer``, ``WordWeights`` with ``exp(importance)``, ``Pooling`` (mean), ``Dense``;
- a static tower: ``StaticEmbedding`` whose rows are ``exp(importance) · projected row``. Its mean is off by a factor
  alone, which the last module takes out. It knows no special tokens: a prompt of the two puts them into each text.

``Normalize`` comes last. Two towers that differ stand behind a ``Router``, under ``query`` and ``document``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from shopstill.core.artifact import whole
from shopstill.core.errors import ConfigError
from shopstill.data.tokens import TextTokenizer
from shopstill.export import bert
from shopstill.export.parity import HOSTILE
from shopstill.models.build import TextModel
from shopstill.models.compact._part import Part, Table
from shopstill.models.encoder import Encoder
from shopstill.models.foreign import ForeignEncoder
from shopstill.models.towers import TokenTower, TwoTowers

_BASE, _OWN = "sentence_transformers.base.modules", "sentence_transformers.sentence_transformer.modules"
_TYPES = {
    "Dense": f"{_BASE}.dense.Dense",
    "Normalize": f"{_BASE}.normalize.Normalize",
    "Pooling": f"{_OWN}.pooling.Pooling",
    "Router": f"{_BASE}.router.Router",
    "StaticEmbedding": f"{_OWN}.static_embedding.StaticEmbedding",
    "Transformer": f"{_BASE}.transformer.Transformer",
    "WordWeights": f"{_OWN}.word_weights.WordWeights",
}
_WEIGHTS, _TOKENIZER = "model.safetensors", "tokenizer.json"

_CARD = """\
# Two towers

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{name}")
queries = model.encode_query(["red mug"])
products = model.encode_document(["Steel mug, red, 12 oz"])
cosines = model.similarity(queries, products)
```

A pair's score is `{scale:.9g} * cosine + {bias:.9g}`.
"""

_PROMPTED = """
The prompts in `config_sentence_transformers.json` are the special tokens the model was trained with: leave them there.
"""


@dataclass(frozen=True, kw_only=True)
class _Side:
    """A tower, where a text of its side is cut, and before what its modules' folders are named."""

    tower: TokenTower
    tokenizer: TextTokenizer
    limit: int
    prefix: str

    @property
    def static(self) -> bool:
        return isinstance(self.tower.body, Table)

    @property
    def prompt(self) -> str:
        """What is put before each text."""
        special = (self.tokenizer.begin, self.tokenizer.part)
        return "".join(map(self.tokenizer.token, special)) if self.static else ""


def write_sentence(model: TextModel, folder: Path) -> Path:
    """Write a folder that ``SentenceTransformer`` (sentence-transformers 6) loads, whose cosines are the model's.

    ``encode_query`` and ``encode_document`` encode the two sides; where both are the same, ``encode`` does as well.

    Args:
        model: two towers with ``head: dot``.
        folder: where to.

    Raises:
        ConfigError: the library has no modules for this model; the reason is given.
    """
    network = _expressible(model)
    config = network.config
    limits = {"query": config.query.max_tokens, "document": config.product.max_tokens}
    alike = config.shared is True and len(set(limits.values())) == 1
    sides = {
        name: _Side(tower=tower, tokenizer=model.tokenizer, limit=limits[name], prefix="" if alike else f"{name}_")
        for name, tower in (("query", network.query), ("document", network.product))
    }
    for side in sides.values():
        _hold_tokens(side)
    prompts = {name: side.prompt for name, side in sides.items()}
    with torch.no_grad(), whole(folder) as aside:
        _write_modules(aside, sides, alike)
        bert.write_json(aside / "config_sentence_transformers.json", _settings(prompts, alike))
        card = _CARD.format(name=folder.name, scale=network.scale.item(), bias=network.bias.item())
        (aside / "README.md").write_text(card + _PROMPTED * any(prompts.values()), encoding="utf-8")
    return folder


def _expressible(model: TextModel) -> TwoTowers:
    network = model.network
    assert isinstance(network, TwoTowers)
    if network.config.head != "dot":
        raise _none(f"the head {network.config.head!r}, which reads more than a cosine; train with head: dot")
    if network.scale.item() <= 0:
        raise _none(f"a score that falls as the cosine rises (its scale is {network.scale.item():.3g})")
    foreign = [part for part in network.modules() if isinstance(part, ForeignEncoder)]
    if any(isinstance(part, Part) for encoder in foreign for part in encoder.modules()):
        raise _none("compact parts in another family's encoder")
    bert.hold_layers(network)
    return network


def _none(what: str) -> ConfigError:
    return ConfigError(
        f"format hf: sentence-transformers has no module for {what}; export it as a bundle, whose graphs are ONNX"
    )


def _hold_tokens(side: _Side) -> None:
    """Both libraries must read the same tokens from a text; an order that no static tower looks at is free."""
    reader, own = _reader(side), side.tokenizer
    for text in HOSTILE:
        clean = text.encode("utf-8", "replace").decode("utf-8")
        found = reader.encode(side.prompt + clean, add_special_tokens=not side.static).ids
        wanted = own.single(clean, side.limit).tolist()
        if side.static:
            found, wanted = sorted(found), sorted(wanted)
        if found != wanted:
            raise _none(f"how {own.path.name} reads the text {clean[:40]!r}: as {found[:8]}, not as {wanted[:8]}")


def _reader(side: _Side) -> Tokenizer:
    """The tokenizer as the library reads it: cut at the limit, not padded."""
    reader = Tokenizer.from_file(str(side.tokenizer.path))
    reader.no_padding()
    reader.enable_truncation(side.limit)
    return reader


def _write_modules(folder: Path, sides: dict[str, _Side], alike: bool) -> None:
    if alike:
        listed = _write_side(folder, sides["query"])
    else:
        routes = {name: _write_side(folder, side) for name, side in sides.items()}
        types = {place: _TYPES[kind] for modules in routes.values() for place, kind in modules}
        structure = {name: [place for place, _ in modules] for name, modules in routes.items()}
        # Which side a text is of must be said: no route is the default.
        parameters: dict[str, Any] = {"default_route": None, "allow_empty_key": False, "route_mappings": {}}
        stated = {"types": types, "structure": structure, "parameters": parameters}
        bert.write_json(folder / "router_config.json", stated)
        listed = [("", "Router")]
    last = f"{len(listed)}_Normalize"
    _module(folder / last, {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"})
    listed.append((last, "Normalize"))
    modules = [{"idx": i, "name": str(i), "path": path, "type": _TYPES[kind]} for i, (path, kind) in enumerate(listed)]
    bert.write_json(folder / "modules.json", modules)


def _write_side(folder: Path, side: _Side) -> list[tuple[str, str]]:
    """Write the modules of a tower; returns their places and kinds, in order."""
    kinds = ("StaticEmbedding",) if side.static else ("Transformer", "WordWeights", "Pooling", "Dense")
    listed = [(f"{side.prefix}{at}_{kind}", kind) for at, kind in enumerate(kinds)]
    if side.static:
        _write_static(folder / listed[0][0], side)
        return listed
    reader, weights, pooling, dense = (folder / place for place, _ in listed)
    _write_reader(reader, side)
    _module(weights, _word_weights(side))
    project = side.tower.project
    _module(pooling, {"embedding_dimension": project.in_features, "pooling_mode": "mean", "include_prompt": True})
    sizes = {"in_features": project.in_features, "out_features": project.out_features, "bias": False}
    _module(dense, {**sizes, "activation_function": "torch.nn.modules.linear.Identity"})
    save_file(bert.stored({"linear.weight": project.weight}), dense / _WEIGHTS, metadata={"format": "pt"})
    return listed


def _write_static(folder: Path, side: _Side) -> None:
    tower = side.tower
    rows = tower.project(tower.body.weight) * tower.importance.weight.exp()
    folder.mkdir()
    save_file(bert.stored({"embedding.weight": rows}), folder / _WEIGHTS, metadata={"format": "pt"})
    _reader(side).save(str(folder / _TOKENIZER))


def _write_reader(folder: Path, side: _Side) -> None:
    """The folder of a transformer and its tokenizer."""
    body = side.tower.body
    folder.mkdir()
    if isinstance(body, Encoder):
        found, stated = bert.weights(body), bert.settings(body.size, "Model", side.tokenizer.pad)
        # Nothing reads what BERT makes of the first token.
        own: dict[str, Any] = {"model_kwargs": {"add_pooling_layer": False}}
    else:
        assert isinstance(body, ForeignEncoder)
        found, stated, own = body.model.state_dict(), body.settings, {}
    save_file(bert.stored(found), folder / _WEIGHTS, metadata={"format": "pt"})
    bert.write_json(folder / "config.json", stated)
    bert.write_json(folder / "sentence_bert_config.json", own)
    inputs = ("input_ids", "attention_mask")
    bert.write_json(folder / "tokenizer_config.json", bert.tokenizer_settings(side.tokenizer, side.limit, inputs))
    _reader(side).save(str(folder / _TOKENIZER))


def _word_weights(side: _Side) -> dict[str, Any]:
    """Weights go by token here, not by id; an id that stands for none is in no text."""
    weight_V = side.tower.importance.weight.squeeze(-1).double().exp().tolist()
    vocab = [side.tokenizer.token(number) for number in range(min(len(weight_V), side.tokenizer.vocab))]
    return {"vocab": vocab, "word_weights": dict(zip(vocab, weight_V, strict=False)), "unknown_word_weight": 1.0}


def _module(folder: Path, stated: dict[str, Any]) -> None:
    folder.mkdir()
    bert.write_json(folder / "config.json", stated)


def _settings(prompts: dict[str, str], alike: bool) -> dict[str, Any]:
    return {
        "model_type": "SentenceTransformer",
        "prompts": prompts,
        "default_prompt_name": "query" if alike and prompts["query"] else None,
        "similarity_fn_name": "cosine",
    }
