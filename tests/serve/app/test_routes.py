"""What each route answers."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serve.app.conftest import Memory

from shopstill.core.hardware import cores

CHANGES = ["PUT /products/9", "DELETE /products/0", "POST /products", "POST /models", "POST /models/rollback"]
CHANGES += ["POST /models/one/activate", "DELETE /models/one"]
LINES = {"content-type": "application/x-ndjson"}


def titles(answer: Any) -> list[str]:
    return [hit["product"]["title"] for hit in answer.json()["hits"]]


def test_a_search_is_the_same_by_address_and_by_body(client: Any) -> None:
    by_body = client.post("/search", json={"query": "mug", "limit": 1, "offset": 1})
    by_address = client.get("/search?q=mug&limit=1&offset=1")
    assert by_body.status_code == by_address.status_code == 200
    assert by_body.json() == by_address.json()
    assert titles(by_body) == ["blue mug"]
    assert by_body.json()["total"] == 2


def test_an_address_spells_out_every_field_of_a_search(serve: Any, engine: Memory) -> None:
    seen: list[Any] = []
    found = engine.search
    engine.search = lambda asked: (seen.append(asked), found(asked))[1]  # type: ignore[method-assign]
    answer = serve().get(
        "/search?q=%E7%BA%A2%E8%89%B2&sort=price_asc&brand=A,B&brand=C&category=Home%20%3E%20Mugs&price_min=1&price_max=2.5"
        "&attr=size:a:b&attr=size:c&facets=brand,price&facets=size&legs=lexical&rerank=false&budget_ms=7&model=one&prefix=true"
    )
    assert titles(answer) == ["红色 杯子"]
    asked = seen[0]
    assert (asked.sort, asked.rerank, asked.budget_ms, asked.model, asked.prefix) == (
        "price_asc",
        False,
        7,
        "one",
        True,
    )
    assert (asked.filters.brand, asked.filters.category) == (("A,B", "C"), ("Home > Mugs",))
    assert (asked.filters.price_min, asked.filters.price_max) == (1, 2.5)
    assert asked.filters.attributes == {"size": ("a:b", "c")}
    assert (asked.facets, asked.legs) == (("brand", "price", "size"), ("lexical",))


def test_suggest_similar_and_products(client: Any) -> None:
    assert client.get("/suggest?q=blue").json()["suggestions"][0]["text"] == "blue mug"
    assert len(client.get("/similar/0?limit=2").json()["hits"]) == 2
    assert client.get("/products/0").json()["title"] == "red mug"
    assert client.get("/products/none").json()["error"]["kind"] == "unknown_product"


def test_a_product_with_any_id_is_put_found_and_deleted(client: Any, key: dict[str, str]) -> None:
    where = "/products/shop%2F%E7%BA%A2%20%0A%3F1"
    assert client.put(where, json={"title": "new mug"}, headers=key).json() == {"put": 1, "deleted": 0, "number": 1}
    assert client.get(where).json()["id"] == "shop/红 \n?1"
    assert client.delete(where, headers=key).json()["deleted"] == 1
    assert client.delete(where, headers=key).status_code == 404


def test_lines_put_and_delete_with_the_last_word_on_each_product(client: Any, key: dict[str, str]) -> None:
    lines = [
        '{"put": {"id": "7", "title": "a"}}',
        '{"id": "8", "title": "b"}',
        "",
        '{"delete": "7"}',
        '{ "delete":"0"}',
    ]
    done = client.post("/products", content="\r\n".join(lines), headers={**key, **LINES})
    assert done.json() == {"put": 1, "deleted": 1, "number": 1}
    assert [client.get(f"/products/{one}").status_code for one in (0, 7, 8)] == [404, 404, 200]


def test_faulty_lines_are_named_and_nothing_is_changed(client: Any, key: dict[str, str], engine: Memory) -> None:
    lines = ['{"id": "7", "title": "fine"}', '{"put": {"id": "8", "title": ""}}', "{", '{"delete": 3}', '{"pot": {}}']
    lines += ['{"id": "9", "title": "a", "price": NaN}', "[" * 5_000, '{"id": "\\ud800", "title": "a"}', "\x00", '"a"']
    lines += ['{"id": "9", "title": "a\\u0000b"}', '{"id": "9", "title": "a", "price": -1}']
    refused = client.post("/products", content="\n".join(lines), headers={**key, **LINES})
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert [fault["line"] for fault in error["faults"]] == list(range(2, 13))
    assert (error["line"], error["field"]) == (2, "put.title")
    assert "at least 1 character" in error["message"]
    assert "(given: -1)" in error["faults"][-1]["message"]
    assert "7" not in engine.stock
    assert engine.number == 0


@pytest.mark.parametrize("price", ["true", '"9.5"'])
def test_lines_take_no_more_than_a_put_does(client: Any, key: dict[str, str], price: str) -> None:
    body = f'"title": "a", "price": {price}}}'
    json = {**key, "content-type": "application/json"}
    assert client.put("/products/9", content=f"{{{body}", headers=json).status_code == 422
    lines = [f'{{"id": "9", {body}', f'{{"put": {{"id": "9", {body}}}', f'{{"id":\t"9", {body}']
    refused = client.post("/products", content="\n".join(lines), headers={**key, **LINES})
    assert refused.status_code == 422
    assert [fault["field"] for fault in refused.json()["error"]["faults"]] == ["price", "put.price", "price"]


def test_twenty_faulty_lines_are_enough(client: Any, key: dict[str, str]) -> None:
    refused = client.post("/products", content="{}\n" * 1_000, headers={**key, **LINES})
    assert len(refused.json()["error"]["faults"]) == 20
    assert client.post("/products", content="\n\n", headers={**key, **LINES}).status_code == 422


def test_a_full_disk_is_the_servers_fault(client: Any, key: dict[str, str]) -> None:
    assert client.put("/products/9", json={"title": "full disk"}, headers=key).status_code == 507


def test_rerank_answers_as_the_common_apis_do(client: Any) -> None:
    asked = {"query": "red mug", "documents": ["a pan", {"text": "a red mug", "id": "x"}, "a mug"], "max_chunks": 3}
    said = client.post("/rerank", json={**asked, "top_n": 2, "return_documents": True}).json()
    assert [result["index"] for result in said["results"]] == [1, 2]
    assert said["results"][0]["document"] == {"text": "a red mug", "id": "x"}
    assert said["model"] == "one"
    bare = client.post("/rerank", json={"query": "mug", "documents": ["a", "b"]}).json()["results"]
    assert bare == [{"index": 0, "relevance_score": 0.0}, {"index": 1, "relevance_score": 0.0}]
    of_stock = client.post("/rerank", json={"query": "blue", "ids": ["0", "1"]}).json()["results"]
    assert [result["document"]["id"] for result in of_stock] == ["1", "0"]


@pytest.mark.parametrize(
    "asked",
    [
        {"query": "a"},
        {"query": "a", "documents": [], "ids": ["0"]},
        {"query": "a", "documents": []},
        {"query": "a", "documents": ["b"] * 1_001},
        {"query": "a", "documents": ["b" * 20_001]},
        {"query": "a" * 513, "documents": ["b"]},
        {"query": "a", "documents": ["b"], "top_n": 0},
        {"query": "a", "documents": [{"id": "1"}]},
    ],
)
def test_rerank_names_what_is_wrong(client: Any, asked: dict[str, Any]) -> None:
    refused = client.post("/rerank", json=asked)
    assert refused.status_code == 422
    assert refused.json()["error"]["field"]


def test_embed_answers_as_the_common_apis_do(client: Any) -> None:
    said = client.post("/embed", json={"input": ["ab", "c"], "input_type": "query", "encoding_format": "float"}).json()
    assert [entry["embedding"] for entry in said["data"]] == [[2.0, 1.0], [1.0, 1.0]]
    assert client.post("/embed", json={"input": "abc"}).json()["data"][0]["embedding"] == [3.0, 0.0]
    assert client.post("/embed", json={"input": "a", "model": "none"}).json()["error"]["kind"] == "unknown_model"


def test_embed_writes_vectors_as_base64_where_that_is_asked_for(client: Any) -> None:
    asked = {"input": ["ab", "c"], "input_type": "query", "encoding_format": "base64"}
    said = client.post("/embed", json=asked).json()
    vectors = [np.frombuffer(base64.b64decode(entry["embedding"]), "<f4").tolist() for entry in said["data"]]
    assert vectors == [[2.0, 1.0], [1.0, 1.0]]
    refused = client.post("/embed", json={**asked, "encoding_format": "int8"})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "encoding_format")
    assert "'float' or 'base64' (given: int8)" in refused.json()["error"]["message"]


def test_embed_refuses_another_width(client: Any) -> None:
    assert len(client.post("/embed", json={"input": "ab", "dimensions": 2}).json()["data"][0]["embedding"]) == 2
    refused = client.post("/embed", json={"input": "ab", "dimensions": 256})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "dimensions")
    assert "256 are asked for, and 'one' has 2" in refused.json()["error"]["message"]
    assert client.post("/embed", json={"input": "ab", "dimensions": 0}).status_code == 422


def test_why_and_compare(client: Any, serve: Any, engine: Memory) -> None:
    assert client.get("/why?q=mug&id=0").json()["title"][0]["text"] == "red mug"
    assert client.get("/why?q=mug").json()["error"]["field"] == "id"
    engine.loaded.append("two")
    assert [side["model"] for side in client.get("/compare?q=mug&models=one,two").json()["sides"]] == ["one", "two"]
    assert client.get("/compare?q=mug&models=one").status_code == 422
    assert client.get("/compare?q=mug&models=one,none").status_code == 404


def test_a_model_is_loaded_activated_rolled_back_and_let_go(client: Any, key: dict[str, str]) -> None:
    def active() -> list[str]:
        return [model["name"] for model in client.get("/models").json()["models"] if model["active"]]

    assert client.post("/models/rollback", headers=key).status_code == 409
    loaded = client.post("/models", json={"name": "two", "path": "good"}, headers=key)
    assert (loaded.status_code, active()) == (200, ["one"])
    assert client.post("/models/two/activate", headers=key).json()["active"]
    assert active() == ["two"]
    assert client.delete("/models/two", headers=key).status_code == 409
    assert client.post("/models/rollback", headers=key).json()["name"] == "one"
    assert client.delete("/models/two", headers=key).json()["models"][0]["name"] == "one"
    assert client.post("/models/two/activate", headers=key).status_code == 404


@pytest.mark.parametrize(
    "path", ["..", "../outside", "link", "/etc", "good/../..", "", ".", "none", "a\u0000b", "g" * 600]
)
def test_no_model_is_loaded_from_outside_its_folder(client: Any, key: dict[str, str], path: str) -> None:
    refused = client.post("/models", json={"name": "two", "path": path}, headers=key)
    assert refused.status_code == 422
    assert refused.json()["error"]["field"] == "path"


def test_a_name_of_a_model_is_no_path(client: Any, key: dict[str, str]) -> None:
    for name in ("../one", ".hidden", "a/b", ""):
        assert client.post("/models", json={"name": name, "path": "good"}, headers=key).status_code == 422
    assert client.post("/models/%2e%2e/activate", headers=key).status_code == 404
    assert client.post(f"/models/{'a' * 129}/activate", headers=key).status_code == 422


def test_without_a_models_folder_nothing_is_loaded(serve: Any, key: dict[str, str]) -> None:
    refused = serve(models=None).post("/models", json={"name": "two", "path": "good"}, headers=key)
    assert refused.json()["error"]["kind"] == "no_models_folder"


def test_a_bundle_that_is_none_is_refused(client: Any, key: dict[str, str], models: Path) -> None:
    (models / "empty").mkdir()
    refused = client.post("/models", json={"name": "two", "path": "empty"}, headers=key)
    assert (refused.status_code, refused.json()["error"]["kind"]) == (422, "artifact")


def test_the_lab_tells_what_the_server_does(client: Any) -> None:
    for _ in range(5):
        client.get("/search?q=mug")
    said = client.get("/lab/state").json()
    assert said["now"]["answers"] == 5
    assert said["now"]["stages_ms"]["rerank"] == {"p50": 1.0, "p95": 1.0, "p99": 1.0}
    assert said["now"]["statuses"]["200"] >= 5
    assert said["facts"]["products"] == 4
    assert said["disagreement"]["model"] == "two"
    assert said["lanes"]["search"]["workers"] == cores()
    assert not said["report"]


def test_the_report_is_shown_in_a_sandbox(serve: Any, tmp_path: Path) -> None:
    assert serve().get("/lab/report").status_code == 404
    (tmp_path / "report.html").write_text("<p>kept 98%</p>")
    shown = serve(report=tmp_path / "report.html").get("/lab/report")
    assert shown.text == "<p>kept 98%</p>"
    assert "sandbox allow-scripts" in shown.headers["content-security-policy"]
    assert "allow-same-origin" not in shown.headers["content-security-policy"]


def test_health_readiness_and_metrics(client: Any) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready", "products": 4, "generation": "g1"}
    client.get("/search?q=mug")
    client.get("/nowhere")
    text = client.get("/metrics").text
    for line in (
        'shopstill_request_seconds_count{method="GET",route="/search"} 1.0',
        'shopstill_requests_total{method="GET",route="(none)",status="404"} 1.0',
        'shopstill_stage_seconds_count{stage="rerank"} 1.0',
        'shopstill_model_active{digest="d1",kind="towers",name="one"} 1.0',
        'shopstill_generation_info{generation="g1"} 1.0',
        'shopstill_shadow_agreement{measure="top10",slice="all"} 0.9',
        'shopstill_queue{lane="search"} 0.0',
        "shopstill_products 4.0",
    ):
        assert line in text, line


def test_metrics_can_be_closed(serve: Any, keys: Path) -> None:
    from shopstill.serve.app.keys import add_key

    client = serve(open_metrics=False)
    closed = ("/metrics", "/lab/state", "/lab/report")
    assert {client.get(path).status_code for path in closed} == {401}
    assert client.get("/healthz").status_code == 200
    headers = {"authorization": f"Bearer {add_key(keys, ['metrics'], 'prometheus')}"}
    assert client.get("/metrics", headers=headers).status_code == 200


def test_two_apps_have_metrics_of_their_own(serve: Any) -> None:
    one, other = serve(), serve()
    one.get("/search?q=mug")
    assert 'route="/search"' not in other.get("/metrics").text
    assert json.loads(other.get("/lab/state").content)["now"]["answers"] == 0
