"""Which tokens a shop's texts use, and a tokenizer that knows some tokens alone.

Shapes: ``V`` tokens of the vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shopstill.core.errors import ConfigError
from shopstill.core.fingerprint import fingerprint
from shopstill.data.tokens import TextTokenizer

_AT_ONCE = 8192


def counts(tokenizer: TextTokenizer, texts: Iterable[str], rows: int) -> Tensor:
    """How often each token stands in some texts [V] float32, of a table with so many rows."""
    found, rest = np.zeros(rows, np.int64), iter(texts)
    while piece := list(islice(rest, _AT_ONCE)):
        found += np.bincount(tokenizer.encode(piece).ids_S, minlength=rows)
    return torch.from_numpy(found.astype(np.float32))


def kept_ids(stated: dict[str, Any], used: Iterable[int], characters: bool) -> list[int]:
    """The ids that stay, ascending: those used, what they are put together from, special tokens and single characters.

    Args:
        stated: the content of a ``tokenizer.json``.
        used: ids that must stay.
        characters: keep every single character, so that any word can still be spelt; or those alone that are used.
    """
    vocabulary = _vocabulary(stated)
    model = stated["model"]
    token_of = {number: token for token, number in vocabulary.items()}
    kept = {token_of[number] for number in used if number in token_of}
    kept |= {token["content"] for token in stated.get("added_tokens") or ()}
    kept |= {model[key] for key in ("unk_token",) if model.get(key) is not None}
    if characters:
        kept |= {token for token in vocabulary if _is_character(token, model)}
    if model["type"] == "Unigram":
        kept |= _unigram_needs(model)
    if model["type"] == "BPE":
        kept = _with_parts(kept, model)
    return sorted(vocabulary[token] for token in kept if token in vocabulary)


def remapped(stated: dict[str, Any], ids: list[int]) -> dict[str, Any]:
    """The content of a ``tokenizer.json`` that knows these ids alone, renumbered in their order."""
    vocabulary = _vocabulary(stated)
    new_id = {old: new for new, old in enumerate(ids)}
    renumbered = {token: new_id[old] for token, old in vocabulary.items() if old in new_id}
    own = dict(stated["model"])
    if own["type"] == "Unigram":
        own["vocab"] = [piece for old, piece in enumerate(own["vocab"]) if old in new_id]
        own["unk_id"] = None if own.get("unk_id") is None else new_id[own["unk_id"]]
    else:
        inside = sorted((t for t in own["vocab"] if t in renumbered), key=renumbered.__getitem__)
        own["vocab"] = {token: renumbered[token] for token in inside}
    if own["type"] == "BPE":
        own["merges"] = [m for m in own["merges"] if all(t in renumbered for t in (*_pair(m), _merged(m, own)))]
    added = [{**token, "id": renumbered[token["content"]]} for token in stated.get("added_tokens") or ()]
    padding = stated.get("padding") and {**stated["padding"], "pad_id": new_id.get(stated["padding"]["pad_id"], 0)}
    return {
        **stated,
        "model": own,
        "added_tokens": added,
        "padding": padding,
        "post_processor": _renumbered(stated.get("post_processor"), renumbered),
    }


def written(stated: dict[str, Any]) -> TextTokenizer:
    """A tokenizer with this content, from a file that lasts as long as the process; saving a model copies it."""
    path = Path(_scratch().name) / f"{fingerprint(stated)}.json"
    path.write_text(json.dumps(stated, ensure_ascii=False), encoding="utf-8")
    return TextTokenizer(path)


def read(tokenizer: TextTokenizer) -> dict[str, Any]:
    """The content of a tokenizer's file.

    Raises:
        ConfigError: its kind is not one whose vocabulary can be cut.
    """
    stated = dict(json.loads(tokenizer.path.read_text(encoding="utf-8")))
    kind, known = stated["model"].get("type"), ("WordPiece", "Unigram", "BPE", "WordLevel")
    if kind not in known:
        raise ConfigError(f"{tokenizer.path}: model.type {kind!r} cannot be cut; allowed: {', '.join(known)}")
    return stated


@cache
def _scratch() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="shopstill-")


def _vocabulary(stated: dict[str, Any]) -> dict[str, int]:
    """Every token → its id, added ones included."""
    own = stated["model"]["vocab"]
    found = {piece[0]: at for at, piece in enumerate(own)} if isinstance(own, list) else dict(own)
    return found | {token["content"]: token["id"] for token in stated.get("added_tokens") or ()}


def _is_character(token: str, model: dict[str, Any]) -> bool:
    """A single character, at the beginning of a word or inside it; or a byte that stands for a part of one."""
    if model.get("byte_fallback") and token.startswith("<0x"):
        return True
    bare = token.removeprefix(model.get("continuing_subword_prefix") or "")
    bare = bare.removesuffix(model.get("end_of_word_suffix") or "")
    return len(bare if len(bare) == 1 else bare.removeprefix("▁")) <= 1


def _unigram_needs(model: dict[str, Any]) -> set[str]:
    """The unknown token, and the least likely one: what is unknown costs more than it by a fixed amount."""
    pieces = model["vocab"]
    needed = {min(pieces, key=lambda piece: piece[1])[0]} if pieces else set()
    return needed if model.get("unk_id") is None else needed | {pieces[model["unk_id"]][0]}


def _with_parts(kept: set[str], model: dict[str, Any]) -> set[str]:
    """Tokens with everything that some merge puts them together from: whatever merge makes them still can."""
    made_from: dict[str, set[str]] = {}
    for merge in model["merges"]:
        made_from.setdefault(_merged(merge, model), set()).update(_pair(merge))
    whole, todo = set(kept), list(kept)
    while todo:
        fresh = made_from.get(todo.pop(), set()) - whole
        whole |= fresh
        todo.extend(fresh)
    return whole


def _pair(merge: str | list[str]) -> tuple[str, str]:
    left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
    return left, right


def _merged(merge: str | list[str], model: dict[str, Any]) -> str:
    left, right = _pair(merge)
    return left + right.removeprefix(model.get("continuing_subword_prefix") or "")


def _renumbered(value: Any, new: dict[str, int]) -> Any:
    """A post-processor whose special tokens have their new ids."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int):
        return [value[0], new[value[0]]]
    if isinstance(value, list):
        return [_renumbered(item, new) for item in value]
    if isinstance(value, dict) and {"id", "ids", "tokens"} <= value.keys():
        return {**value, "ids": [new[token] for token in value["tokens"]]}
    return {key: _renumbered(item, new) for key, item in value.items()} if isinstance(value, dict) else value
