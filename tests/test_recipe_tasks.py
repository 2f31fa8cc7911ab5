"""What a recipe's task can learn, and what it says of what it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopstill.core.errors import ConfigError
from shopstill.pipeline import cross_validate
from shopstill.recipe import read
from shopstill.recipe.check import check

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (["students.small.model={kind: towers, query: {kind: static}, product: {kind: static}}"], "trains no 'towers'"),
        (["teacher={kind: cross}"], "teacher.model: sequential trains no 'cross'"),
        (
            ["students.small.twin=[{loss: bce}]"],
            r"students\.small\.twin: bce compares scores, but sequential has logits",
        ),
        (["teacher={kind: scores, path: scores.csv}"], "scores made elsewhere are of pairs"),
    ],
)
def test_a_task_names_what_it_cannot_learn(changes: list[str], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        check(read(ROOT / "recipes" / "sequential.yaml", changes))


@pytest.mark.parametrize(
    ("name", "usual"),
    [
        ("sequential", ("ndcg@10", "hr@10", "mrr")),
        ("categorise", ("accuracy", "macro_f1", "ece")),
        ("retrieval", ("ndcg@10", "recall@100", "mrr@10")),
        ("quickstart", ("ndcg@10", "spearman")),
    ],
)
def test_a_recipe_without_metrics_is_judged_by_those_of_its_task(name: str, usual: tuple[str, ...]) -> None:
    wanted = read(ROOT / "recipes" / f"{name}.yaml", ["judging={min_candidates: 3}"])
    assert (wanted.judging.metrics, wanted.judging.min_candidates) == (usual, 3)
    check(wanted)


@pytest.mark.parametrize(
    ("name", "metric", "fault"),
    [
        ("sequential", "spearman", r"sequential cannot measure spearman; use ndcg or .* or precision, such as ndcg@10"),
        ("sequential", "accuracy", "sequential cannot measure accuracy"),
        ("sequential", "query_spearman", "sequential cannot measure query_spearman"),
        ("categorise", "ndcg@10", "categorise cannot measure ndcg@10; use accuracy or macro_f1"),
        ("categorise", "rmse", "categorise cannot measure rmse"),
        ("retrieval", "spearman", "retrieval cannot measure spearman"),
        ("retrieval", "recall@500", "recall@500: retrieval ranks 100 at most; use recall@100 or less"),
        ("retrieval", "mrr", "mrr: retrieval ranks 100 at most; use mrr@100 or less"),
    ],
)
def test_a_metric_that_the_task_cannot_measure_is_refused(name: str, metric: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        check(read(ROOT / "recipes" / f"{name}.yaml", [f"judging.metrics=[{metric}]"]))


@pytest.mark.parametrize("name", ["sequential", "categorise"])
def test_folds_are_refused_where_a_task_has_none(name: str) -> None:
    wanted = read(ROOT / "recipes" / f"{name}.yaml", ["split.folds=3"])
    with pytest.raises(ConfigError, match=f"split.folds: {name} has no folds"):
        check(wanted)
    with pytest.raises(ConfigError, match=f"split.folds: {name} has no folds"):
        cross_validate(read(ROOT / "recipes" / f"{name}.yaml"), 2)


_MAPS = "pooled or map_2 or map_4 or map_8 or map_16 or map_32 or map"
_TOWERS = "{kind: towers, head: interaction, query: {kind: static}, product: {kind: static}}"


@pytest.mark.parametrize(
    ("name", "student", "term", "fault"),
    [
        ("sequential", "small", "{loss: hint, tap: hidden}", None),
        (
            "sequential",
            "small",
            "{loss: hint, tap: nonsense}",
            "the network that learns, a .*, has no feature 'nonsense'",
        ),
        (
            "sequential",
            "small",
            "{loss: hint, tap: nonsense}",
            "the teacher, a sasrec, .* but hidden; use one of these",
        ),
        ("resnet50", "mobilenet", "{loss: attention_transfer, tap: map_2:map_4}", None),
        (
            "resnet50",
            "mobilenet",
            "{loss: attention_transfer, tap: pooled}",
            "attention_transfer with tap 'pooled': it compares where networks look, .* such as tap: map, or the loss",
        ),
        (
            "resnet50",
            "mobilenet",
            "{loss: attention_transfer, tap: map_2:pooled}",
            "which their features map and map_N",
        ),
        ("sequential", "small", "{loss: attention_transfer, tap: hidden}", "or the loss hint for other features"),
        ("sequential", "small", "{loss: rkd_distance, tap: hidden}", None),
        (
            "resnet50",
            "mobilenet",
            "{loss: attention_transfer, tap: map_2}",
            "attention_transfer with tap 'map_2': the teacher, a resnet, has no feature 'map_2', but pooled",
        ),
        (
            "resnet50",
            "mobilenet",
            "{loss: hint, tap: hidden:pooled}",
            f"a mobilenet, has no feature 'hidden', but {_MAPS}",
        ),
        ("categorise", "picture", "{loss: hint, tap: map_32}", "learns, a small_cnn, has no feature 'map_32'"),
        ("categorise", "title", "{loss: hint, tap: pooled:text}", None),
        (
            "categorise",
            "title",
            "{loss: hint, tap: text}",
            "a bag, has no feature 'text', but pooled; use one of these",
        ),
        (
            "categorise",
            "title",
            "{loss: soft, tap: pooled}",
            "soft compares logits, which have no tap; leave tap 'pooled'",
        ),
    ],
)
def test_features_that_a_network_does_not_have_are_refused(
    name: str, student: str, term: str, fault: str | None
) -> None:
    changes = [f"students.{student}.objective=[{{loss: soft}}, {term}]", "shop={reader: simulate}"]
    wanted = read(ROOT / "recipes" / f"{name}.yaml", changes)
    if fault is None:
        check(wanted)
        return
    with pytest.raises(ConfigError, match=rf"students\.{student}\.objective: .*{fault}"):
        check(wanted)


@pytest.mark.parametrize(
    ("model", "tap", "fault"),
    [
        (_TOWERS, "hidden:pooled", None),
        (_TOWERS, "pooled", "learns, a towers, has no feature 'pooled', but query or product or hidden"),
        (_TOWERS.replace("interaction", "dot"), "hidden:pooled", "no feature 'hidden', but query or product; use one"),
        (_TOWERS, "hidden", "the teacher, a cross, has no feature 'hidden', but pooled"),
    ],
)
def test_features_of_towers_are_those_of_their_head(model: str, tap: str, fault: str | None) -> None:
    changes = [f"students={{fast: {{model: {model}, objective: [{{loss: hint, tap: {tap}}}]}}}}", "compress={}"]
    wanted = read(ROOT / "recipes" / "quickstart.yaml", changes)
    if fault is None:
        check(wanted)
        return
    with pytest.raises(ConfigError, match=fault):
        check(wanted)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            ["compress={a: {of: picture, passes: [recover], objective: [{loss: hint, tap: nonsense}]}}"],
            r"compress\.a\.objective: hint with tap 'nonsense': the network that learns, a small_cnn",
        ),
        (
            [
                "compress.a={of: picture, passes: [{kind: distil, model: {kind: bag}}]}",
                "compress.b={of: a, passes: [recover]}",
                "students.picture.objective=[{loss: attention_transfer, tap: map}]",
            ],
            r"compress\.b\.objective: attention_transfer with tap 'map': the network that learns, a bag",
        ),
        (
            [
                "compress={a: {of: picture, passes: [{kind: distil, model: {kind: small_cnn}}]}}",
                "students.picture.objective=[{loss: hint, tap: pooled}]",
            ],
            r"compress\.a\.passes\.0: distil: an assistant tells its logits alone, .* give compress\.a\.objective",
        ),
    ],
)
def test_features_that_a_chain_compares_are_there(changes: list[str], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        check(read(ROOT / "recipes" / "categorise.yaml", changes))


@pytest.mark.parametrize(
    ("name", "chains", "fault"),
    [
        (
            "categorise",
            "{a: {of: title, passes: [channels]}}",
            r"a\.passes\.0: channels works on convolutions, but a bag",
        ),
        (
            "categorise",
            "{a: {of: picture, passes: [int8_static]}, b: {of: picture, passes: [recover, vocabulary]}}",
            r"b\.passes\.1: vocabulary works on tokenizers, but a small_cnn .* alone; use channels or .*, or leave",
        ),
        (
            "categorise",
            "{a: {of: teacher, passes: [product_vectors]}}",
            r"a\.passes\.0: product_vectors works on products",
        ),
        ("categorise", "{a: {of: teacher, passes: [heads, channels, vocabulary, tables]}}", None),
        (
            "categorise",
            "{a: {of: teacher, passes: [{kind: distil, model: {kind: bag, tokens: false}}, vocabulary]}}",
            r"a\.passes\.1: vocabulary works on tokenizers, but a bag as configured has linear layers and tables",
        ),
        ("sequential", "{a: {of: small, passes: [heads]}}", r"a\.passes\.0: heads works on text transformers, but a"),
        ("sequential", "{a: {of: small, passes: [tables, int8_dynamic]}}", None),
        (
            "retrieval",
            "{a: {of: find, passes: [int8_dynamic]}}",
            r"int8_dynamic works on linear layers, but a towers",
        ),
    ],
)
def test_passes_that_have_nothing_to_do_on_a_model_are_refused(name: str, chains: str, fault: str | None) -> None:
    wanted = read(ROOT / "recipes" / f"{name}.yaml", [f"compress={chains}"])
    if fault is None:
        check(wanted)
        return
    with pytest.raises(ConfigError, match=fault):
        check(wanted)


def test_scores_made_elsewhere_have_no_features(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("query_id,product_id,score\n")
    student = f"{{fast: {{model: {_TOWERS}, objective: [{{loss: hint, tap: hidden}}]}}}}"
    changes = [f"students={student}", f"teacher={{kind: scores, path: {tmp_path / 's.csv'}}}", "compress={}"]
    with pytest.raises(ConfigError, match="hint taps features, but scores made elsewhere have none; leave it out"):
        check(read(ROOT / "recipes" / "quickstart.yaml", changes))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            ["task.augment.mixup=0.2"],
            r"^teacher\.model: 'both' reads texts too, .* but task\.augment\.mixup is 0\.2; set it to 0, or",
        ),
        (
            ["task.augment.mixup=0.2", "teacher.model={kind: resnet}", "students.picture.model={kind: both}"],
            r"^students\.picture\.model: 'both' reads texts too",
        ),
        (["task.augment.mixup=0.2", "teacher.model={kind: resnet}"], None),
        (["task.augment.flip=true"], None),
        (
            ["task.pictures=null", "teacher.model={kind: bag}"],
            r"^students\.picture\.model: 'small_cnn' reads pictures, but task\.pictures is null; give .* or use bag or",
        ),
        (
            ["task.pictures=null", "teacher.model={kind: bag}", "students.picture.model={kind: bag}"],
            None,
        ),
    ],
)
def test_pictures_and_texts_that_a_model_reads_are_there_and_can_be_mixed(
    changes: list[str], fault: str | None
) -> None:
    wanted = read(ROOT / "recipes" / "categorise.yaml", [*changes, "compress={}"])
    if fault is None:
        check(wanted)
        return
    with pytest.raises(ConfigError, match=fault):
        check(wanted)


@pytest.mark.parametrize("kind", ["text_encoder", "both, text: {kind: text_encoder"])
def test_heads_that_do_not_divide_a_width_are_refused(kind: str) -> None:
    student = f"{{kind: {kind}, start: null, width: 10, heads: 4{'}' * kind.count('{')}}}"
    with pytest.raises(ConfigError, match=r"students\.title\.model.*: heads: 4 does not divide width 10; use"):
        check(read(ROOT / "recipes" / "categorise.yaml", [f"students.title.model={student}"]))


def test_histories_have_no_publishers_sides() -> None:
    with pytest.raises(
        ConfigError, match=r"split\.publisher: true, but task\.parted parts histories, .*; set it to false"
    ):
        check(read(ROOT / "recipes" / "sequential.yaml", ["split.publisher=true"]))


def test_an_unknown_task_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"task 'sequental': did you mean 'sequential'"):
        read(ROOT / "recipes" / "sequential.yaml", ["task.kind=sequental"])
