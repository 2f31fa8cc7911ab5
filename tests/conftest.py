"""A model so small that whole runs take seconds, and a recipe around it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WIDTH, LAYERS, VOCABULARY = 16, 3, 400
QUICK_JUDGING = {
    "metrics": ["ndcg@10", "spearman", "rmse"],
    **dict.fromkeys(("resamples", "slice_resamples", "permutations"), 100),
}
QUICK_TIMING = {
    "candidates": [1],
    "threads": [1],
    "memory": False,
    "seconds": 0.01,
    "min_rounds": 2,
    "warmups": 1,
    "turn_ms": 1,
}


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Titles of a simulated shop, to make a vocabulary and texts from."""
    from shopstill.data.shop import Shop
    from shopstill.data.simulate import Simulate, simulate

    folder = tmp_path_factory.mktemp("words")
    simulate(Simulate(products=200, queries=20, events=0, seed=5), folder)
    titles: list[str] = Shop(folder).read("products", ["title"]).column("title").to_pylist()
    return titles


@pytest.fixture(scope="session")
def tiny_start(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> Path:
    """A folder as transformers writes one: a BERT of three layers with random weights, and its tokenizer."""
    folder = tmp_path_factory.mktemp("start") / "tiny-bert"
    folder.mkdir()
    _write_tokenizer(folder / "tokenizer.json", words)
    _write_bert(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_recipe(tiny_start: Path) -> Callable[..., dict[str, Any]]:
    """Values of a recipe that runs in seconds; keywords replace its parts."""

    def values(runs: Path, **changes: Any) -> dict[str, Any]:
        training = {"epochs": 2, "batch_rows": 16, "learning_rate": 1e-3}
        cross = {"kind": "cross", "start": str(tiny_start), "max_tokens": 24}
        static = {"kind": "static", "start": str(tiny_start), "max_tokens": 16}
        towers = {"kind": "towers", "head": "interaction", "width": 8, "hidden": 8, "query": static, "product": static}
        return {
            "name": "tiny",
            "seed": 3,
            "runs": str(runs),
            "shop": {"reader": "simulate", "products": 150, "queries": 40, "judged_per_query": 6, "events": 0},
            "split": {"valid": 0.2, "test": 0.3, "seed": 1},
            "teacher": {"kind": "cross", "model": cross, "training": training},
            "mine": {"bm25": 3, "others": 1, "neighbours": 1, "random": 1},
            "students": {
                "fast": {
                    "model": towers,
                    "objective": [{"loss": "soft_bce"}, {"loss": "margin_mse", "weight": 0.1}],
                    "training": training,
                },
                "exact": {
                    "model": {**cross, "start": "teacher", "layers": [0]},
                    "objective": [{"loss": "soft_bce"}],
                    "training": training,
                },
            },
            "judging": QUICK_JUDGING,
            "timing": QUICK_TIMING,
            **changes,
        }

    return values


def _write_tokenizer(path: Path, titles: list[str]) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece())
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    split = tokenizer.pre_tokenizer.pre_tokenize_str
    words = [word for title in titles for word, _ in split(tokenizer.normalizer.normalize_str(title))]
    ids = {piece: at for at, piece in enumerate(_pieces(words))}
    tokenizer.model = models.WordPiece(vocab=ids, unk_token="[UNK]")
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.BertProcessing(*((name, ids[name]) for name in ("[SEP]", "[CLS]")))
    tokenizer.save(str(path))


def _pieces(words: list[str]) -> list[str]:
    """The vocabulary that merging the commonest neighbours gives: the same on every run, as the library's trainer's,
    which breaks ties by chance, is not."""
    split = [[word[0], *(f"##{letter}" for letter in word[1:])] for word in words]
    pieces = dict.fromkeys([*SPECIAL, *sorted({piece for parts in split for piece in parts})])
    while len(pieces) < VOCABULARY:
        pairs = Counter(pair for parts in split for pair in pairwise(parts))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merged = best[0] + best[1].removeprefix("##")
        pieces[merged] = None
        split = [_merged(parts, best, merged) for parts in split]
    return [*pieces]


def _merged(parts: list[str], pair: tuple[str, str], merged: str) -> list[str]:
    out: list[str] = []
    for part in parts:
        if out and (out[-1], part) == pair:
            out[-1] = merged
        else:
            out.append(part)
    return out


def _write_bert(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    draw = torch.Generator().manual_seed(0)
    sizes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCABULARY, WIDTH),
        "embeddings.position_embeddings.weight": (64, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.LayerNorm": (WIDTH,),
    }
    for layer in range(LAYERS):
        inside = f"encoder.layer.{layer}"
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            sizes |= {f"{inside}.{name}.weight": (WIDTH, WIDTH), f"{inside}.{name}.bias": (WIDTH,)}
        sizes |= {f"{inside}.intermediate.dense.weight": (32, WIDTH), f"{inside}.intermediate.dense.bias": (32,)}
        sizes |= {f"{inside}.output.dense.weight": (WIDTH, 32), f"{inside}.output.dense.bias": (WIDTH,)}
        sizes |= {f"{inside}.attention.output.LayerNorm": (WIDTH,), f"{inside}.output.LayerNorm": (WIDTH,)}
    weights = {}
    for name, size in sizes.items():
        if name.endswith("LayerNorm"):
            weights |= {f"{name}.weight": torch.ones(size), f"{name}.bias": torch.zeros(size)}
        else:
            weights[name] = torch.randn(size, generator=draw) * 0.3
    save_file(weights, folder / "model.safetensors")
    stated = {
        "model_type": "bert",
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
        "type_vocab_size": 2,
    }
    (folder / "config.json").write_text(json.dumps(stated), encoding="utf-8")
