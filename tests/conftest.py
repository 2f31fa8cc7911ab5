"""A model so small that whole runs take seconds, and a recipe around it."""

from __future__ import annotations

import json
from collections.abc import Callable
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


def _write_tokenizer(path: Path, words: list[str]) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(words, trainer)
    places = [(name, tokenizer.token_to_id(name)) for name in ("[SEP]", "[CLS]")]
    tokenizer.post_processor = processors.BertProcessing(*places)
    tokenizer.save(str(path))


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
