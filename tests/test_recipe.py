"""Recipes: read, checked, changed from the command line, and described by a schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from shopstill.core.config import build, plain
from shopstill.core.errors import ConfigError, DataError
from shopstill.models.families import starts
from shopstill.models.pretrained import IMAGES, PACKAGED
from shopstill.recipe import Recipe, ScoresTeacher, read, recipe_schema
from shopstill.recipe.check import check
from shopstill.recipe.parts import members

ROOT = Path(__file__).resolve().parent.parent
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
ELSEWHERE = {
    "zh-reviews": ("intfloat/multilingual-e5-small",),  # no package brings an encoder of Chinese
    "homedepot-find": (".",),  # the teacher of another recipe, as the test says where it lies
}
Values = Callable[..., dict[str, Any]]


@pytest.fixture
def file(tmp_path: Path, tiny_recipe: Values) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_recipe(tmp_path / "runs")), encoding="utf-8")
    return path


def _made(tiny_recipe: Values, **changes: Any) -> Recipe:
    return build(Recipe, tiny_recipe(Path("runs"), **changes))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_read_and_without_fault(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOPSTILL_E5", raising=False)
    monkeypatch.setenv("SHOPSTILL_TEACHER", ".")
    made = read(path)
    assert made.name == path.stem
    monkeypatch.setattr(type(made.shop.options), "sources", lambda self: [], raising=False)
    check(made)
    models = [student.model for student in made.students.values()]
    models += [member.model for member in members(made.teacher).values()]
    given = {None, "teacher", *PACKAGED, *IMAGES, *ELSEWHERE.get(path.stem, ())}
    for start in {start for model in models for start in starts(model)}:
        assert start in given, "a recipe that is shipped runs offline"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_schema_admits_every_recipe_and_refuses_a_typing_error(path: Path) -> None:
    schema = json.loads(json.dumps(recipe_schema()))
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert not list(_faults(schema, schema, values, ""))
    for wrong in ({"nmae": "x"}, {"seed": "one"}, {"teacher": {"kind": "crss"}}, {"shop": {"reader": "x"}}):
        assert list(_faults(schema, schema, {**values, **wrong}, "")), wrong


def test_plain_values_are_read_back_as_the_same_recipe(file: Path) -> None:
    made = read(file)
    assert build(Recipe, json.loads(json.dumps(plain(made)))) == made


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("seed=7", lambda r: r.seed == 7),
        ("students.fast.training.epochs=5", lambda r: r.students["fast"].training.epochs == 5),
        ("students.fast.objective.1.weight=0.5", lambda r: r.students["fast"].objective[1].weight == 0.5),
        ("students.exact.model.layers=[1, 2]", lambda r: r.students["exact"].model.layers == (1, 2)),
        ("teacher.training=null", lambda r: r.teacher.training is None),
        ("shop.products=300", lambda r: r.shop.options.products == 300),
        ("name=a=b", None),
    ],
)
def test_a_value_is_changed_from_the_command_line(file: Path, change: str, expected: Any) -> None:
    if expected is None:
        with pytest.raises(ConfigError, match=r"given: 'a=b'"):
            read(file, [change])
    else:
        assert expected(read(file, [change]))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("seed", "write it as key=value"),
        ("=3", "write it as key=value"),
        ("seed=[1", "not YAML"),
        ("students.fast.objective.7.weight=1", "use a number from 0 to 1"),
        ("seed.x=1", "lies inside 3"),
        ("judging.metric=[ndcg@5]", "did you mean 'metrics'"),
        ("students.fast.model.heads=1", "unknown key"),
        ("students.fast.model.query.kind=statik", "did you mean 'static'"),
        ("students.fast.training.epohs=1", "did you mean 'epochs'"),
        ("students.exact.objective.0.wieght=1", "did you mean 'weight'"),
        ("shop.reader=simulat", "did you mean 'simulate'"),
        ("shop.produts=300", "did you mean 'products'"),
    ],
)
def test_a_fault_is_answered_with_its_place_and_the_nearest(file: Path, change: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        read(file, [change])


def test_a_name_of_a_student_is_a_name_of_a_folder(tiny_recipe: Values) -> None:
    student = tiny_recipe(Path("runs"))["students"]["fast"]
    for name in ("../evil", "a/b", "A", "", ".hidden", "a b"):
        with pytest.raises(ConfigError, match="students"):
            _made(tiny_recipe, students={name: student})


def test_variables_of_the_environment_are_filled_in(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPSTILL_TEST", "/somewhere")
    assert read(file, ["runs=${SHOPSTILL_TEST}/runs"]).runs == Path("/somewhere/runs")
    monkeypatch.delenv("SHOPSTILL_TEST")
    assert read(file, ['runs="${SHOPSTILL_TEST:-other}/runs"']).runs == Path("other/runs")
    with pytest.raises(ConfigError, match="the environment has no SHOPSTILL_TEST; set it, or write"):
        read(file, ["runs=${SHOPSTILL_TEST}/runs"])


def test_what_is_no_recipe_is_refused(tmp_path: Path, file: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such recipe; did you mean .*tiny\.yaml"):
        read(tmp_path / "tinny.yaml")
    with pytest.raises(ConfigError, match="no such recipe"):
        read(tmp_path / "nowhere" / "tiny.yaml")
    with pytest.raises(ConfigError, match="no such recipe"):
        read(tmp_path)
    for text, fault in (("a: [", "not YAML"), ("- a", "holds list"), ("", "holds NoneType"), ("a: \ud800", "not YAML")):
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(ConfigError, match=fault):
            read(file)


def test_a_recipe_names_no_code(file: Path) -> None:
    for value in ("!!python/object/apply:os.system [true]", "!!python/name:os.system"):
        with pytest.raises(ConfigError):
            read(file, [f"name={value}"])
        file.write_text(f"name: {value}\n", encoding="utf-8")
        with pytest.raises(ConfigError, match="not YAML"):
            read(file)


def _student(values: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"fast": {**values["students"]["fast"], **changes}}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"objective": [{"loss": "soft_bec"}]}, r"students\.fast\.objective: .*did you mean 'soft_bce'"),
        ({"objective": [{"loss": "soft", "options": {"temprature": 2}}]}, "did you mean 'temperature'"),
        ({"objective": [{"loss": "soft", "options": {"temperature": -2}}]}, "temperature is -2"),
        ({"objective": [{"loss": "hint"}]}, "name which with tap"),
        ({"objective": [{"loss": "attention_relation", "tap": "x"}]}, "attention, which the label store lacks"),
        ({"twin": [{"loss": "margin_mse"}]}, r"students\.fast\.twin: margin_mse compares with a teacher"),
        ({"model": {"kind": "cross", "outputs": 4}}, r"students\.fast\.model\.outputs: 4"),
        ({"objective": [{"loss": "soft_bce", "across": True}]}, "soft_bce compares each row alone"),
        ({"objective": [{"loss": "listwise_kl", "across": True}]}, r"students\.fast\.objective: only cosines"),
    ],
)
def test_a_check_finds_what_reading_cannot(tiny_recipe: Values, changes: dict[str, Any], fault: str) -> None:
    check(_made(tiny_recipe))
    students = _student(tiny_recipe(Path("runs")), **changes)
    with pytest.raises(ConfigError, match=fault):
        check(_made(tiny_recipe, students=students))


def test_a_check_names_all_faults_at_once(tiny_recipe: Values) -> None:
    students = _student(tiny_recipe(Path("runs")), objective=[{"loss": "softt"}, {"loss": "bec"}])
    teacher = {"kind": "cross", "objective": [{"loss": "soft_bce"}], "model": {"start": "teacher"}}
    with pytest.raises(ConfigError) as caught:
        check(_made(tiny_recipe, students=students, teacher=teacher))
    places = sorted(line.split(": ")[0] for line in str(caught.value).splitlines())
    assert places == [*["students.fast.objective"] * 2, "teacher.model", "teacher.objective"]


@pytest.mark.parametrize("name", ["teacher", "bm25", "random"])
def test_a_student_may_not_take_the_name_of_another_model(tiny_recipe: Values, name: str) -> None:
    student = tiny_recipe(Path("runs"))["students"]["fast"]
    with pytest.raises(ConfigError, match=f"students.{name}: the name '{name}'"):
        check(_made(tiny_recipe, students={name: student}))


@pytest.mark.parametrize("name", ["teacher", "fast"])
def test_a_baseline_may_not_take_the_name_of_another_model(tiny_recipe: Values, name: str) -> None:
    model = tiny_recipe(Path("runs"))["students"]["fast"]["model"]
    baseline = {"model": model, "objective": [{"loss": "bce"}]}
    with pytest.raises(ConfigError, match=f"baselines.{name}: the name '{name}'"):
        check(_made(tiny_recipe, baselines={name: baseline}))


def test_a_baseline_has_no_teacher(tiny_recipe: Values) -> None:
    model = tiny_recipe(Path("runs"))["students"]["fast"]["model"]
    baseline = {"model": model, "objective": [{"loss": "soft_bce"}]}
    with pytest.raises(ConfigError, match=r"baselines.alone.objective: soft_bce compares with a teacher, but"):
        check(_made(tiny_recipe, baselines={"alone": baseline}))


def test_scores_made_elsewhere_must_be_there_and_have_no_weights(tiny_recipe: Values, tmp_path: Path) -> None:
    scores = {"kind": "scores", "path": str(tmp_path / "scores.csv")}
    only_fast = {"fast": tiny_recipe(tmp_path)["students"]["fast"]}
    made = _made(tiny_recipe, teacher=scores, students=only_fast)
    assert isinstance(made.teacher, ScoresTeacher)
    with pytest.raises(ConfigError, match=r"scores\.csv is no file"):
        check(made)
    (tmp_path / "scores.csv").write_text("query_id,product_id,score\n")
    check(made)
    with pytest.raises(ConfigError, match=r"students\.exact\.model: start 'teacher', but there is no teacher with"):
        check(_made(tiny_recipe, teacher=scores))


@pytest.mark.parametrize("start", ["runs/other/teach/members/0", "./weights", "~/weights", "/no/weights"])
def test_weights_that_are_not_there_are_named_before_anything_runs(tiny_recipe: Values, start: str) -> None:
    teacher = {"kind": "cross", "model": {"start": start}}
    with pytest.raises(ConfigError, match=rf"teacher\.model: start '{re.escape(start)}': there is no such folder"):
        check(_made(tiny_recipe, teacher=teacher))


def test_a_source_that_is_not_there_is_named_before_anything_runs(tiny_recipe: Values, tmp_path: Path) -> None:
    shop = {"reader": "homedepot", "path": str(tmp_path / "train.csv.zip")}
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "train.csv.zip"))):
        check(_made(tiny_recipe, shop=shop))


def test_faults_of_a_column_mapping_are_named_before_anything_runs(tiny_recipe: Values, tmp_path: Path) -> None:
    products = {"path": str(tmp_path / "p.csv"), "columns": {"product_id": "sku", "title": "name", "titel": "x"}}
    queries = {"path": str(tmp_path / "q.csv"), "columns": {"query_id": "id"}}
    with pytest.raises(ConfigError, match=r"products.columns.titel: .*'title'\?.*\nqueries.columns: lacks 'text'"):
        check(_made(tiny_recipe, shop={"reader": "columns", "products": products, "queries": queries}))
    del products["columns"]["titel"]
    (tmp_path / "p.csv").write_text("sku,title\n1,Mug\n")
    with pytest.raises(DataError, match=r"p.csv:1: the header lacks 'name'"):
        check(_made(tiny_recipe, shop={"reader": "columns", "products": products}))


_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def _faults(whole: dict[str, Any], place: dict[str, Any], value: Any, path: str) -> Any:
    """Where a value breaks a JSON schema, as far as our schemas use the language."""
    while "$ref" in place:
        place = whole["$defs"][place["$ref"].rsplit("/", 1)[1]]
    options = place.get("anyOf", place.get("oneOf"))
    if options and all(list(_faults(whole, option, value, path)) for option in options):
        yield f"{path}: none of the options"
    if "const" in place and value != place["const"]:
        yield f"{path}: not {place['const']}"
    if "enum" in place and value not in place["enum"]:
        yield f"{path}: not one of {place['enum']}"
    kind = _TYPES.get(place.get("type", ""), object)
    if not isinstance(value, kind) or (isinstance(value, bool) and place.get("type") in ("integer", "number")):
        yield f"{path}: not {place['type']}"
    elif isinstance(value, dict) and place.get("type") == "object":
        yield from _key_faults(whole, place, value, path)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _faults(whole, place.get("items", {}), item, f"{path}.{number}")


def _key_faults(whole: dict[str, Any], place: dict[str, Any], value: dict[str, Any], path: str) -> Any:
    yield from (f"{path}.{key}: missing" for key in place.get("required", []) if key not in value)
    for key, inner in value.items():
        patterns = [s for pattern, s in place.get("patternProperties", {}).items() if re.search(pattern, key)]
        found = place.get("properties", {}).get(key, patterns[0] if patterns else place.get("additionalProperties", {}))
        if found is False:
            yield f"{path}.{key}: unknown"
        elif isinstance(found, dict):
            yield from _faults(whole, found, inner, f"{path}.{key}")
