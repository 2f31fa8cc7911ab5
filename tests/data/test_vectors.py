"""Product vectors in codes: recall against exact search, memory, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shopstill.core.errors import ArtifactError, ConfigError, DataError
from shopstill.data.vectors import Codec, Vectors

WIDTH, ROWS, QUERIES = 48, 2000, 40


def _unit(values: np.ndarray) -> np.ndarray:
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def shop() -> tuple[np.ndarray, np.ndarray]:
    """Products in a few hundred neighbourhoods, as embeddings lie, and queries near some of them."""
    draw = np.random.default_rng(0)
    middle = draw.normal(size=(300, WIDTH)) * np.linspace(2, 0.2, WIDTH)
    products = _unit(middle[draw.integers(300, size=ROWS)] + 0.5 * draw.normal(size=(ROWS, WIDTH)))
    return products, _unit(products[:QUERIES] + 0.08 * draw.normal(size=(QUERIES, WIDTH)))


def _recall(kept: Vectors, products: np.ndarray, queries: np.ndarray) -> float:
    exact = np.argsort(-(queries @ products.T), axis=1, kind="stable")[:, :10]
    found = [kept.top(query, 10).rows for query in queries]
    return float(np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(found, exact, strict=True)]))


@pytest.mark.parametrize(
    ("options", "least", "bytes_each"),
    [
        ({"kind": "float32"}, 1.0, 192),
        ({"kind": "float16"}, 0.99, 96),
        ({"kind": "int8"}, 0.97, 52),
        ({"kind": "binary"}, 0.2, 6),
        ({"kind": "binary", "rescore": 10}, 0.85, 58),
        ({"kind": "product", "parts": 12}, 0.5, 12),
        ({"kind": "product", "parts": 12, "rescore": 10}, 0.97, 64),
    ],
)
def test_recall_and_memory_are_as_stated(
    shop: tuple[np.ndarray, np.ndarray], options: dict[str, Any], least: float, bytes_each: int
) -> None:
    products, queries = shop
    codec = Codec(**options)
    kept = Vectors.fit(products, codec)
    assert _recall(kept, products, queries) >= least
    assert codec.bytes(WIDTH) == bytes_each
    shared = kept.state().get("centroids", np.zeros(0)).nbytes
    assert kept.nbytes - shared == bytes_each * ROWS


@pytest.mark.parametrize("kind", ["float32", "float16", "int8", "binary", "product"])
@pytest.mark.parametrize("rescore", [0, 4])
def test_scores_are_products_with_what_is_decoded(shop: tuple[np.ndarray, np.ndarray], kind: Any, rescore: int) -> None:
    products, queries = shop
    kept = Vectors.fit(products[:500], Codec(kind=kind, parts=7, rescore=rescore))
    some = np.array([3, 0, 499, 3])
    assert kept.decode().shape == (500, WIDTH)
    assert np.array_equal(kept.decode(some), kept.decode()[some])
    assert np.allclose(kept.scores(queries[0]), kept.decode() @ queries[0], atol=1e-5)
    assert np.allclose(kept.scores(queries[0], some), kept.scores(queries[0])[some], atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"kind": "int8"}, {"kind": "product", "parts": 6, "rescore": 3}, {"kind": "binary"}]
)
def test_state_survives_safetensors(
    shop: tuple[np.ndarray, np.ndarray], options: dict[str, Any], tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    products, queries = shop
    kept = Vectors.fit(products, Codec(**options))
    save_file(kept.state(), tmp_path / "vectors.safetensors")
    again = Vectors.read(kept.codec, WIDTH, load_file(tmp_path / "vectors.safetensors"))
    assert np.array_equal(again.top(queries[0], 10).rows, kept.top(queries[0], 10).rows)
    assert again.nbytes == kept.nbytes
    state = kept.state()
    state.popitem()
    with pytest.raises(ArtifactError, match="needs"):
        Vectors.read(kept.codec, WIDTH, state)


def test_more_vectors_are_kept_by_what_was_learned(shop: tuple[np.ndarray, np.ndarray]) -> None:
    products, _ = shop
    kept = Vectors.fit(products[:1500], Codec(kind="product", parts=8))
    before = kept.decode().copy()
    assert kept.extend(products[1500:]) == range(1500, ROWS)
    assert np.array_equal(kept.decode()[:1500], before)
    assert np.square(kept.decode() - products).sum(1).mean() < 0.5
    with pytest.raises(DataError, match="width 3"):
        kept.extend(np.ones((1, 3), np.float32))


def test_few_and_odd_vectors() -> None:
    for kind in ("float32", "float16", "int8", "binary", "product"):
        kept = Vectors.fit(np.array([[0.0, 0, 0], [1, 2, 3]], np.float32), Codec(kind=kind, parts=2, rescore=2))
        found = kept.top(np.ones(3, np.float32), 10)
        assert found.rows.tolist() == [1, 0]
        assert np.isfinite(found.scores).all()
        assert kept.extend(np.zeros((0, 3), np.float32)) == range(2, 2)
    assert Vectors.fit(np.eye(3, dtype=np.float32), Codec()).top(np.ones(3, np.float32), 2).rows.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("vectors", "codec", "error", "words"),
    [
        (np.zeros((0, 4)), Codec(), DataError, "at least one"),
        (np.zeros((3, 0)), Codec(), DataError, "at least one"),
        (np.zeros(4), Codec(), DataError, "matrix"),
        (np.array([[0.0], [np.nan]]), Codec(), DataError, "row 1"),
        (np.zeros((9, 4)), Codec(kind="product", parts=5), ConfigError, "parts: 5"),
    ],
)
def test_what_cannot_be_kept_is_refused(vectors: Any, codec: Codec, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Vectors.fit(vectors, codec)
