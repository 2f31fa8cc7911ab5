"""Grades follow from what is hidden, and words alone do not give them away."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from shopstill.data.bm25 import BM25
from shopstill.data.shop import Shop
from shopstill.data.simulate import Simulate, make_truth, simulate
from shopstill.data.simulate.judge import grades
from shopstill.data.simulate.queries import query_pieces, stack
from shopstill.data.simulate.world import World, world

Scores = Callable[[str, NDArray[np.int64]], NDArray[np.float64]]


@pytest.fixture(scope="module", params=["en", "zh"])
def ladder(request: pytest.FixtureRequest, shops: dict[str, Shop], settings: dict[str, Simulate]) -> dict[str, float]:
    """Mean NDCG@10 of four ways to rank the judged candidates."""
    language = request.param
    shop = shops[language]
    titles = shop.read("products")["title"].to_pylist()
    texts = shop.read("queries")["text"].to_pylist()
    truth = make_truth(settings[language])
    intents = stack([piece for piece, _ in query_pieces(truth, settings[language].queries)])
    translate = understanding(world(), language)
    plain = BM25.build(titles, language=language)
    understood = BM25.build([translate(title) for title in titles], language="en")
    random = np.random.default_rng(0)
    values: dict[str, list[float]] = {"random": [], "words": [], "concepts": [], "oracle": []}
    for query, products, gain in judged(shop):
        hidden = grades(truth, intents.take(np.array([query])), products[None])[0]
        values["random"].append(float(np.mean([ndcg(random.random(len(gain)), gain) for _ in range(5)])))
        values["words"].append(ndcg(plain.scores(texts[query], products, language=language), gain))
        values["concepts"].append(ndcg(understood.scores(translate(texts[query]), products, language="en"), gain))
        values["oracle"].append(ndcg(hidden, gain))
    return {name: float(np.mean(value)) for name, value in values.items()}


def test_words_help_but_understanding_helps_more(ladder: dict[str, float]) -> None:
    assert ladder["random"] + 0.12 < ladder["words"]
    assert ladder["words"] + 0.12 < ladder["concepts"] < ladder["oracle"] - 0.03
    assert ladder["oracle"] > 0.97


def test_grades_are_spread(shops: dict[str, Shop]) -> None:
    for shop in shops.values():
        counts = np.bincount(shop.read("judgments")["grade"].to_numpy().astype(int), minlength=4)
        share = counts / counts.sum()
        assert len(share) == 4
        assert 0.3 < share[0] < 0.6
        assert share[1:].min() > 0.08


def test_noise_moves_grades_by_one_and_stays_in_range(tmp_path_factory: pytest.TempPathFactory) -> None:
    true, noisy = (
        simulate(Simulate(products=300, queries=60, events=0, noise=noise), tmp_path_factory.mktemp("noise"))
        for noise in (0, 0.3)
    )
    step = noisy.read("judgments")["grade"].to_numpy() - true.read("judgments")["grade"].to_numpy()
    assert set(np.unique(step)) == {-1, 0, 1}
    assert abs(np.mean(step != 0) - 0.3) < 0.05
    assert set(noisy.read("judgments")["grade"].to_pylist()) == {0, 1, 2, 3}


def test_every_query_can_be_met(shops: dict[str, Shop], settings: dict[str, Simulate]) -> None:
    for name, config in settings.items():
        truth = make_truth(config)
        intents = stack([piece for piece, _ in query_pieces(truth, config.queries)])
        assert len(intents) == shops[name].count("queries")
        assert (grades(truth, intents, intents.seed) == 3).all()


def test_accessory_is_related_and_lookalike_is_not() -> None:
    names = world().types
    related, alike = world().related, world().lookalikes[0]
    phone, case = names.index("phone"), names.index("phone case")
    assert related[phone, case]
    assert related[case, phone]
    lamp, table = names.index("table lamp"), names.index("coffee table")
    assert alike[lamp, table]
    assert not related[lamp, table]
    shampoo, dog = names.index("shampoo"), names.index("dog shampoo")
    assert alike[shampoo, dog]
    assert not related[shampoo, dog]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_phrase_means_one_thing(language: str) -> None:
    things = [world().asks[language], *(attribute.asks[language] for attribute in world().attributes)]
    for forms in things:
        phrases = [phrase for spellings in forms.spellings for phrase in set(spellings)]
        assert len(phrases) == len(set(phrases))
    for titles, asks in zip(world().titles[language].spellings, world().asks[language].spellings, strict=False):
        shared = {title.lower() for title in titles} & {ask.lower() for ask in asks}
        assert 0 < len(shared) < len(set(asks))


def judged(shop: Shop) -> list[tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
    """Query number, product numbers and gains of each query that has a gain."""
    rows = shop.read("judgments").to_pylist()
    groups: dict[int, list[tuple[int, float]]] = {}
    for row in rows:
        groups.setdefault(int(row["query_id"][1:]), []).append((int(row["product_id"][1:]), row["gain"]))
    pairs = [(query, np.array(group)) for query, group in groups.items()]
    return [(query, group[:, 0].astype(np.int64), group[:, 1]) for query, group in pairs if group[:, 1].any()]


def ndcg(scores: NDArray[np.floating | np.integer], gain: NDArray[np.float64], k: int = 10) -> float:
    order, ideal = np.argsort(-np.asarray(scores, dtype=float), kind="stable")[:k], np.sort(gain)[::-1][:k]
    discount = 1 / np.log2(np.arange(len(order)) + 2)
    return float((gain[order] * discount).sum() / (ideal * discount).sum())


def understanding(words: World, language: str) -> Callable[[str], str]:
    """A model that knows all synonyms: phrases become names of what they mean, families included."""
    meaning: dict[str, str] = {}
    kinds = len(words.types)
    for concept, phrases in enumerate(words.asks[language].spellings):
        for phrase in phrases:
            meaning.setdefault(phrase, " ".join(_name("kind", t) for t in np.flatnonzero(words.exact[concept])))
    for kind, phrases in enumerate(words.titles[language].spellings[:kinds]):
        meaning.update({phrase.lower(): _name("kind", kind) for phrase in phrases})
    for attribute in words.attributes:
        for value, phrases in enumerate(attribute.titles[language].spellings):
            family = attribute.family[value]
            names = [_name(attribute.name, concept) for concept in (value, family) if concept >= 0]
            for phrase in phrases:
                meaning.setdefault(phrase.lower(), " ".join(names))
        for concept, phrases in enumerate(attribute.asks[language].spellings):
            for phrase in phrases:
                meaning.setdefault(phrase.lower(), _name(attribute.name, concept))
    longest = "|".join(re.escape(phrase) for phrase in sorted(meaning, key=len, reverse=True))
    found = re.compile(rf"(?<!\w)(?:{longest})(?!\w)" if language == "en" else longest)
    return lambda text: found.sub(lambda match: f" {meaning[match.group()]} ", text.lower())


def _name(thing: str, number: int) -> str:
    """A word that no tokeniser takes apart."""
    return thing + "".join(chr(ord("a") + int(digit)) for digit in str(number))
