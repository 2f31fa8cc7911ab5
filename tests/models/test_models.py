"""Every kind of model: scores that do not depend on company, survive the disk, and agree with the route of serving."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from shopstill.core import config
from shopstill.core.errors import ArtifactError, ConfigError
from shopstill.models import build, families, pretrained
from shopstill.models.ahead import ahead
from shopstill.models.build import TextModel
from shopstill.models.cross import Cross, CrossEncoder, both_sides
from shopstill.models.label import TextEncoder
from shopstill.models.towers import Static, Towers, Transformer
from shopstill.train.predict import predict

from .conftest import KINDS, PRODUCTS, QUERIES, pairs

Make = Callable[..., TextModel]


def _scores(model: TextModel, rows: int = 256) -> np.ndarray:
    return predict(model.network, model.network.feed(model.tokenizer, pairs(model)), rows=rows).logits


@pytest.mark.parametrize("kind", KINDS)
def test_scores_do_not_depend_on_batch_company_or_order(kind: str, make: Make) -> None:
    model = make(kind)
    together = _scores(model)
    assert together.shape == (len(QUERIES) * len(PRODUCTS),)
    assert len(np.unique(together.round(4))) > len(PRODUCTS), "the scores tell nothing apart"
    for rows in (1, 3, 7):
        np.testing.assert_allclose(_scores(model, rows), together, atol=1e-5)
    feed = model.network.feed(model.tokenizer, pairs(model))
    order = np.random.default_rng(0).permutation(len(feed))
    with torch.inference_mode():
        shuffled = model.network(**feed.inputs(order)).logits.numpy()
    np.testing.assert_allclose(shuffled, together[order], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_configuration_tells_which_features_there_will_be(kind: str, make: Make) -> None:
    model = make(kind)
    feed = model.network.feed(model.tokenizer, pairs(model))
    with torch.inference_mode():
        found = model.network(**feed.inputs(np.arange(2))).features
    assert set(found) == set(families.taps(model.network.config))


@pytest.mark.parametrize("kind", KINDS)
def test_scoring_ahead_of_time_agrees_with_the_forward_pass(kind: str, make: Make) -> None:
    model = make(kind)
    expected = _scores(model).reshape(len(QUERIES), len(PRODUCTS))
    served = ahead(model, PRODUCTS)
    order = np.array([3, 0, 5, 1, 4, 2])
    for query, row in zip(QUERIES, expected, strict=True):
        np.testing.assert_allclose(served.score(query, np.arange(len(PRODUCTS))), row, atol=1e-5)
        np.testing.assert_allclose(served.score(query, order), row[order], atol=1e-5)
        np.testing.assert_allclose(served.score(query, order[:1]), row[order[:1]], atol=1e-5)


_LOAD = """
import json, sys
from pathlib import Path
import numpy as np
from shopstill.models import build, pretrained
from shopstill.data.pairs import PairTexts
from shopstill.train.predict import predict
texts = json.loads(sys.stdin.read())
shape = len(texts["queries"]), len(texts["products"])
query_N, product_N = (part.ravel() for part in np.indices(shape))
for folder in texts["folders"]:
    model = build.load(Path(folder))
    lexical = None
    if model.lexical is not None:
        lexical = model.lexical.others(texts["products"]).pairs(texts["queries"], query_N, product_N)
    given = PairTexts(queries=texts["queries"], products=texts["products"], query_N=query_N, product_N=product_N,
                      lexical_NF=lexical)
    print(json.dumps(predict(model.network, model.network.feed(model.tokenizer, given)).logits.tolist()))
"""


def test_every_kind_scores_the_same_in_another_process(make: Make, tmp_path: Path) -> None:
    expected = {}
    for number, kind in enumerate(KINDS):
        model = make(kind, seed=number)
        expected[kind] = _scores(model)
        build.save(model, tmp_path / str(number))
    asked = {"queries": QUERIES, "products": PRODUCTS, "folders": [str(tmp_path / str(n)) for n in range(len(KINDS))]}
    done = subprocess.run(
        [sys.executable, "-c", _LOAD], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for kind, line in zip(KINDS, done.stdout.splitlines(), strict=True):
        np.testing.assert_array_equal(np.array(json.loads(line), np.float32), expected[kind], err_msg=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_repeats_and_another_does_not(kind: str, tiny_start: Path, make: Make) -> None:
    first, again, other = (make(kind, seed=seed).network.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_shared_towers_are_one_and_are_stored_once(make: Make, tmp_path: Path) -> None:
    build.save(make("shared static towers"), tmp_path)
    assert not [name for name in load_file(tmp_path / "model.safetensors") if name.startswith("product.")]
    network = build.load(tmp_path).network
    assert network.query is network.product


def test_towers_that_share_tokens_weigh_them_apart_and_store_them_once(make: Make, tmp_path: Path) -> None:
    build.save(make("static towers, tokens shared"), tmp_path)
    stored = [name for name in load_file(tmp_path / "model.safetensors") if name.startswith("product.")]
    assert stored == ["product.importance.weight"]
    network = build.load(tmp_path).network
    assert network.query.body is network.product.body
    assert network.query.project is network.product.project
    assert not torch.equal(network.query.importance.weight, network.product.importance.weight)


def test_a_table_may_begin_as_what_an_encoder_makes_of_each_token(tiny_start: Path) -> None:
    wanted = Static(start=str(tiny_start), vectors="output")
    made = build.create(Towers(query=wanted, product=wanted, width=12), None, 0)
    encoder = pretrained.encoder(tiny_start).eval()
    ids = torch.tensor([[made.tokenizer.begin, at, made.tokenizer.part] for at in (7, 99, 250)])
    with torch.no_grad():
        alone = encoder(ids).mean(1)
        table = pretrained.spoken(encoder, made.tokenizer)
    torch.testing.assert_close(table[[7, 99, 250]], alone)
    # What is near in the encoder's width stays so in the table's, which keeps most of the variance.
    centred = table - table.mean(0)
    kept = made.network.query.body.weight
    assert torch.corrcoef(torch.stack([torch.pdist(centred), torch.pdist(kept)]))[0, 1] > 0.8


def test_a_model_folder_that_lacks_something_is_refused_with_what(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"model\.json is missing"):
        build.load(tmp_path)
    build.save(make("static towers"), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file({k: v for k, v in weights.items() if k != "query.project.weight"}, tmp_path / "model.safetensors")
    with pytest.raises(ArtifactError, match=r"lacks \['query\.project\.weight'\]"):
        build.load(tmp_path)
    save_file({**weights, "more": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ArtifactError, match=r"unknown \['more'\]"):
        build.load(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"model\.safetensors"):
        build.load(tmp_path)
    (tmp_path / "model.json").write_text('{"model": {"kind": "cross", "strat": 1}}')
    with pytest.raises(ArtifactError, match="did you mean 'start'"):
        build.load(tmp_path)


def test_no_pickle_is_written(make: Make, tmp_path: Path) -> None:
    build.save(make("static towers, interaction"), tmp_path)
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} <= {".json", ".safetensors"}


def test_a_student_may_start_from_the_teachers_layers_and_head(tiny_start: Path, tmp_path: Path) -> None:
    teacher = build.create(Cross(start=str(tiny_start), max_tokens=20), None, 7)
    build.save(teacher, tmp_path)
    student = build.create(Cross(start="teacher", layers=(0, 2), max_tokens=20), tmp_path, 8)
    assert isinstance(student.network, CrossEncoder)
    own, source = student.network.state_dict(), teacher.network.state_dict()
    assert student.network.size.layers == 2
    assert torch.equal(own["encoder.layers.1.up.weight"], source["encoder.layers.2.up.weight"])
    assert torch.equal(own["head.dense.weight"], source["head.dense.weight"])
    first = build.create(Cross(start="teacher", pooling="first", max_tokens=20), tmp_path, 8)
    assert isinstance(first.network, CrossEncoder), "a head of another shape starts anew"
    folder = build.create(Cross(start=str(tmp_path), max_tokens=20), None, 9)
    assert torch.equal(folder.network.state_dict()["head.out.weight"], source["head.out.weight"])


def test_the_head_of_a_published_cross_encoder_is_used(tiny_start: Path, tmp_path: Path) -> None:
    for file in tiny_start.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    head = {"pooler.dense.weight": (16, 16), "pooler.dense.bias": (16,), "classifier.weight": (1, 16)}
    given = {name: torch.randn(size) for name, size in {**head, "classifier.bias": (1,)}.items()}
    save_file({**load_file(tmp_path / "model.safetensors"), **given}, tmp_path / "model.safetensors")
    made = build.create(Cross(start=str(tmp_path), pooling="first", max_tokens=20), None, 0).network.state_dict()
    assert torch.equal(made["head.dense.weight"], given["pooler.dense.weight"])
    assert torch.equal(made["head.out.weight"], given["classifier.weight"])


def test_a_published_cross_encoder_scores_as_transformers_does(tiny_start: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    stated = json.loads((tiny_start / "config.json").read_text())
    settings = transformers.BertConfig(**{**stated, "num_labels": 1})
    torch.manual_seed(0)
    theirs = transformers.BertForSequenceClassification(settings).eval()
    theirs.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((tiny_start / "tokenizer.json").read_bytes())
    made = build.create(Cross(start=str(tmp_path), pooling="first", max_tokens=60), None, 0)
    made.network.eval()
    feed = made.network.feed(made.tokenizer, pairs(made))
    row = feed.inputs(np.array([9]))
    place = torch.arange(len(row["ids_S"]))
    with torch.inference_mode():
        expected = theirs(row["ids_S"][None], token_type_ids=(place >= row["second_B"]).long()[None]).logits[0]
        torch.testing.assert_close(made.network(**row).logits, expected, atol=1e-6, rtol=1e-4)


def test_both_sides_are_the_mean_states_of_each_text() -> None:
    states = torch.randn(3, 9, 4, generator=torch.Generator().manual_seed(0))
    length, second = [9, 6, 4], [4, 3, 2]
    mask = torch.arange(9) < torch.tensor(length)[:, None]
    found = both_sides(states, mask, torch.tensor(second))
    for row in range(3):
        # [CLS] query [SEP] product [SEP]: the first text without both of its marks, the second with the last.
        u = states[row, 1 : second[row] - 1].sum(0)
        v = states[row, second[row] : length[row]].sum(0)
        expected = torch.cat([u / u.norm() if second[row] > 2 else torch.zeros(4), v / v.norm()])
        torch.testing.assert_close(found[row], expected)


def test_a_sides_head_starts_as_the_cosine_of_both_sides(make: Make, tiny_start: Path) -> None:
    model = build.create(Cross(start=str(tiny_start), max_tokens=20), None, 0)
    model.network.eval()
    feed = model.network.feed(model.tokenizer, pairs(model))
    with torch.inference_mode():
        signals = model.network(**feed.inputs(np.arange(len(feed))))
    cosine = (signals.features["pooled"][:, :16] * signals.features["pooled"][:, 16:]).sum(-1)
    assert np.corrcoef(cosine.numpy(), signals.logits.numpy())[0, 1] > 0.9


def test_gradients_reach_every_weight_that_a_score_depends_on(make: Make) -> None:
    for kind in KINDS:
        network = make(kind).network.train()
        feed = network.feed(make(kind).tokenizer, pairs(make(kind)))
        network(**feed.inputs(np.arange(len(feed)))).logits.square().sum().backward()
        idle = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        # Scores of all-position embeddings, unused tokens and a dot head's own constants may lie idle; towers may not.
        assert not [n for n in idle if "project" in n or "layers" in n or "head" in n], kind


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        (Cross(start="teacher"), "start: teacher"),
        (Towers(query=Static(start="teacher")), "start: teacher"),
    ],
)
def test_a_model_that_cannot_be_made_says_why(wanted: Cross | Towers, fault: str, tiny_start: Path) -> None:
    with pytest.raises(ConfigError, match=fault):
        build.create(wanted, None, 0)


@pytest.mark.parametrize("kind", [Cross, Transformer, TextEncoder])
def test_heads_of_random_weights_divide_the_width(kind: type) -> None:
    with pytest.raises(ConfigError, match="heads: 3 does not divide width 10; use a divisor of the width"):
        config.build(kind, {"start": None, "width": 10, "heads": 3})
    assert config.build(kind, {"width": 10, "heads": 3}).heads == 3, "a start says its own size"


def test_more_tokens_than_positions_are_refused(tiny_start: Path) -> None:
    with pytest.raises(ConfigError, match="max_tokens: 65 is more than the start's 64 positions"):
        build.create(Cross(start=str(tiny_start), max_tokens=65), None, 0)
    tower = Transformer(start=str(tiny_start), max_tokens=65)
    with pytest.raises(ConfigError, match="use at most 64"):
        build.create(Towers(query=tower, product=tower), None, 0)


def test_towers_of_two_tokenizers_are_refused(tiny_start: Path, tmp_path: Path) -> None:
    for file in tiny_start.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    stated = json.loads((tmp_path / "tokenizer.json").read_text())
    names = list(stated["model"]["vocab"])
    swapped = {names[-1]: names[-2], names[-2]: names[-1]}
    stated["model"]["vocab"] = {swapped.get(k, k): v for k, v in stated["model"]["vocab"].items()}
    (tmp_path / "tokenizer.json").write_text(json.dumps(stated))
    with pytest.raises(ConfigError, match="different tokenizers"):
        build.create(Towers(query=Static(start=str(tiny_start)), product=Static(start=str(tmp_path))), None, 0)
