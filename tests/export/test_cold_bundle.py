"""A bundle recommends products that nobody took up, by their attributes, as the model would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tests.export.history_kit import HISTORIES, attributes, model, scores

from shopstill.core.errors import ArtifactError, ConfigError
from shopstill.data.histories import ColdItems
from shopstill.export import history_parity
from shopstill.export.bundle import About
from shopstill.export.history import write_history_bundle
from shopstill.models.sequence import BERT4Rec, SASRec, SequenceModel, with_cold
from shopstill.models.sequence.config import CodedItems
from shopstill.serve.bundle.load import load_history
from shopstill.serve.bundle.scan import Wanted

ITEMS, COLD = 300, 40
CONFIGS = {
    "sasrec": SASRec(width=8, max_items=10),
    "bert4rec": BERT4Rec(width=8, max_items=10, table=CodedItems(books=4, rows=16)),
}
Shipped = tuple[SequenceModel, Path]
PAST = [history % ITEMS + 1 for history in HISTORIES]


def _cold() -> ColdItems:
    told = attributes(COLD)
    return ColdItems(ids=pa.array([f"new {number}" for number in range(1, COLD + 1)]), attributes=told)


@pytest.fixture(scope="module", params=CONFIGS)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    made = model(CONFIGS[request.param], items=ITEMS, described=True)
    titles = [f"Title {number}" for number in range(1, ITEMS + COLD + 1)]
    folder = tmp_path_factory.mktemp("cold") / "bundle"
    about = About(name="cold")
    return made, write_history_bundle(made, folder, about=about, histories=PAST, titles=titles, cold=_cold())


def test_cold_items_are_recommended_as_the_model_scores_them(written: Shipped) -> None:
    made, folder = written
    network, served = with_cold(made.network, _cold().attributes), load_history(folder)
    assert served.cold.tolist() == list(range(ITEMS + 1, ITEMS + COLD + 1))
    histories = [np.array([*history, ITEMS + 7]) for history in PAST]
    found = served.best(histories, Wanted(limit=COLD, seen=True, allowed=served.cold))
    for history, (items, given) in zip(histories, found, strict=True):
        read = history[-(network.config.max_items - network.masks) :]
        with torch.inference_mode():
            state = network.last(torch.from_numpy(read)[None], torch.tensor([len(read)]))
            expected = network.scores(state)[0, ITEMS:].numpy()
        np.testing.assert_allclose(given, expected[items - ITEMS - 1], atol=1e-5)
        np.testing.assert_allclose(given, np.sort(expected)[::-1], atol=1e-5)
    named = served.recommend(["item 3", "new 2"], 5, allowed=[f"new {number}" for number in range(1, 9)])
    assert {name for name, _ in named} <= {f"new {number}" for number in (1, 3, 4, 5, 6, 7, 8)}
    assert served.title(ITEMS + 2) == f"Title {ITEMS + 2}"


def test_they_are_marked_told_of_and_out_of_what_is_judged(written: Shipped) -> None:
    made, folder = written
    table = pq.read_table(folder / "items.parquet")
    assert np.asarray(table.column("cold")).sum() == COLD
    served = load_history(folder)
    assert served.manifest.parity["cold"] == COLD
    fifth = np.array([np.argsort(-scores(made, history))[4] + 1 for history in PAST])
    places = served.places(PAST, fifth, seen=True, shown=3)
    assert places[:, 0].tolist() == [4] * len(PAST), "cold items that score higher do not count"
    assert places[:, 2:].max() <= ITEMS
    assert f"Of its items, {COLD} are cold" in (folder / "README.md").read_text(encoding="utf-8")


def test_models_without_attributes_have_no_cold_items_and_say_so(tmp_path: Path) -> None:
    made = model(replace(CONFIGS["sasrec"], width=4, heads=1), items=30)
    with pytest.raises(ConfigError, match="reads no attributes"):
        write_history_bundle(made, tmp_path / "b", about=About(name="x"), histories=[], cold=_cold())
    folder = write_history_bundle(made, tmp_path / "b", about=About(name="x"), histories=[])
    assert "cannot be scored, and are not in it" in (folder / "README.md").read_text(encoding="utf-8")
    assert len(load_history(folder).cold) == 0


def test_scores_of_cold_items_that_differ_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, judged = model(CONFIGS["sasrec"], items=60, described=True), history_parity.judged

    def wrong(*given: object) -> object:
        own, recall = judged(*given)  # type: ignore[arg-type]
        return (own + (len(given) == 5), recall)

    monkeypatch.setattr(history_parity, "judged", wrong)
    with pytest.raises(ArtifactError, match="cold items"):
        write_history_bundle(made, tmp_path / "b", about=About(name="x"), histories=[], cold=_cold())
