"""Files of scores: every format reads the same, and every fault is named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shopstill.core.errors import DataError
from shopstill.data.chunk import query_ids
from shopstill.teach.scores_file import match, scores_file, unmatched

ROWS = [("q1", "p1", 2.5), ("q1", "00123", -1.0), ("查询", "p1", 0.125)]


def _write(folder: Path, suffix: str, rows=ROWS) -> Path:
    path = folder / f"scores{suffix}"
    if suffix == ".parquet":
        query, product, score = zip(*rows, strict=True)
        pq.write_table(
            pa.table({"query_id": query, "product_id": product, "score": score, "extra": [0] * len(rows)}), path
        )
        return path
    if suffix == ".jsonl":
        lines = [json.dumps({"query_id": q, "product_id": p, "score": s}) for q, p, s in rows]
    elif suffix in (".csv", ".tsv"):
        mark = "\t" if suffix == ".tsv" else ","
        lines = [mark.join(["product_id", "score", "query_id"]), *[mark.join([p, str(s), q]) for q, p, s in rows]]
    else:
        lines = [f"{q} Q0 {p} {n} {s} tag" for n, (q, p, s) in enumerate(rows, start=1)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv", ".tsv", ".run", ".trec", ".txt"])
def test_every_format_reads_the_same(tmp_path: Path, suffix: str) -> None:
    table = scores_file(_write(tmp_path, suffix))
    assert list(zip(*table.to_pydict().values(), strict=True)) == ROWS


def test_columns_may_have_other_names_and_ids_may_be_numbers(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    pq.write_table(pa.table({"q": [7], "doc": ["a"], "logit": pa.array([1], pa.int8())}), path)
    assert scores_file(path, query="q", product="doc", score="logit").to_pylist() == [
        {"query_id": "7", "product_id": "a", "score": 1.0}
    ]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_a_query_may_be_named_by_its_text_as_in_judgments(tmp_path: Path, suffix: str) -> None:
    path = _write(tmp_path, suffix, [("red  mug", "p1", 2.0), ("查询", "p2", 1.0)])
    if suffix == ".parquet":
        pq.write_table(pq.read_table(path).rename_columns(["query", "product_id", "score", "extra"]), path)
    else:
        path.write_text(path.read_text(encoding="utf-8").replace("query_id", "query"), encoding="utf-8")
    named = query_ids(pa.array(["red mug", "查询"])).to_pylist()
    assert scores_file(path).column("query_id").to_pylist() == named


def test_a_blank_text_is_no_query(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("query,product_id,score\n ,p,1\n")
    with pytest.raises(DataError, match="line 2: query: ' ': must be a text that is not blank"):
        scores_file(tmp_path / "s.csv")


def test_a_text_of_digits_may_be_a_number(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"query": 501, "product_id": "p", "score": 1}\n')
    pq.write_table(pa.table({"query": [501], "product_id": ["p"], "score": [1.0]}), tmp_path / "s.parquet")
    for name in ("s.jsonl", "s.parquet"):
        assert scores_file(tmp_path / name).column("query_id").to_pylist() == query_ids(pa.array(["501"])).to_pylist()


def test_a_contradiction_names_the_query_as_the_file_does(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("query,product_id,score\nblue,p,1\nred mug,p,1\nred  mug,p,2\n")
    told = "line 4: score 2 for query 'red  mug' and product 'p' differs from the one in line 3"
    with pytest.raises(DataError, match=told):
        scores_file(tmp_path / "s.csv")


@pytest.mark.parametrize(
    ("column", "ours", "told"),
    [
        (
            "query",
            query_ids(pa.array(["red mug"]))[0].as_py(),
            "file names query 'RED MUG' .* run 'red mug' .*, case and",
        ),
        ("query", "7", "file names query 'RED MUG' .*; its queries have ids of their own: name query_id in place of"),
        ("query_id", "7", "file names query_id 'RED MUG' and product_id 'p', the run '7' and 'p1'; use the ids of"),
    ],
)
def test_scores_of_no_pair_are_told_as_the_file_names_them(tmp_path: Path, column: str, ours: str, told: str) -> None:
    (tmp_path / "s.csv").write_text(f"{column},product_id,score\nRED MUG,p,1\n")
    with_text = {"query_id": ours, "query": "red mug", "product_id": "p1"}
    assert re.search(told, unmatched(tmp_path / "s.csv", with_text))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("s.csv", "query_id,product_id,score\nq,p,1\nq,r,high\n", r"s.csv: line 3: score: 'high'"),
        ("s.csv", "query_id,product_id,score\nq,p,nan\n", r"line 2: score: 'nan': must be a finite number"),
        ("s.csv", "query_id,product_id,score\nq,p,1e39\n", r"line 2: score"),
        ("s.csv", "query_id,product_id,score\nq,p\n", r"line 2: score: None"),
        ("s.csv", "query_id,product_id,score\nq,,1\n", r"line 2: product_id: ''"),
        ("s.csv", "query_id,product_id,scores\nq,p,1\n", r"no column 'score': did you mean 'scores'"),
        ("s.jsonl", '{"query_id":"q","product_id":"p","score":1}\n\n{"query_id":', r"line 3: .*not JSON"),
        ("s.jsonl", '{"query_id":"q","product_id":"p","score":Infinity}\n', r"line 1: score: inf"),
        ("s.jsonl", '{"query_id":"q","product":"p","score":1}\n', r"no field 'product_id'"),
        ("s.jsonl", '{"query_id":1.5,"product_id":"p","score":1}\n', r"line 1: query_id: 1.5"),
        ("s.jsonl", "[1]\n", r"line 1: '\[1\]': must be a JSON object"),
        ("s.jsonl", '{"query":true,"product_id":"p","score":1}\n', r"line 1: query: True: must be a text"),
        ("s.jsonl", '{"query":"\\ud800","product_id":"p","score":1}\n', r"line 1: query: '\\ud800': broken encoding"),
        ("s.run", "q Q0 p 1 2.5 tag\nq Q0 p2 2 tag\n", r"line 2: .*has 5 fields; a TREC run has six"),
        ("s.run", "", r"holds no scores"),
        ("s.xlsx", "x", r"cannot end in '.xlsx'"),
        ("s.parquet", "PAR1 not really", r"not a Parquet file"),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=says):
        scores_file(tmp_path / name)


def test_broken_encoding_and_an_absent_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "s.run").write_bytes(b"q Q0 p 1 2 t\n\xff\xfe Q0 p 1 2 t\n")
    with pytest.raises(DataError, match="not UTF-8"):
        scores_file(tmp_path / "s.run")
    for content, told in (
        (b"query,product_id,score\nq,p,1\ncaf\xe9,p,1\n", r"s\.csv: line 3: query: 'caf\\udce9': is not UTF-8"),
        (b"query,product_id,scor\xe9\nq,p,1\n", r"s\.csv: line 1: header: 'scor.*: is not UTF-8"),
    ):
        (tmp_path / "s.csv").write_bytes(content)
        with pytest.raises(DataError, match=told):
            scores_file(tmp_path / "s.csv")
    texts = pa.array([b"caf\xe9"]).view(pa.string())
    pq.write_table(pa.table({"query": texts, "product_id": ["p"], "score": [1.0]}), tmp_path / "s.parquet")
    with pytest.raises(DataError, match=r"s\.parquet: rows 1 to 1: a text among them is not UTF-8"):
        scores_file(tmp_path / "s.parquet")
    with pytest.raises(DataError, match="no such file"):
        scores_file(tmp_path / "t.run")


def test_a_repeat_counts_once_and_a_contradiction_is_refused(tmp_path: Path) -> None:
    assert scores_file(_write(tmp_path, ".jsonl", [*ROWS, ROWS[0]])).num_rows == len(ROWS)
    with pytest.raises(
        DataError, match=r"line 4: score 9 for query 'q1' and product 'p1' differs from the one in line 1"
    ):
        scores_file(_write(tmp_path, ".run", [*ROWS, ("q1", "p1", 9.0)]))


def test_scores_are_matched_with_wanted_pairs(tmp_path: Path) -> None:
    scores = scores_file(_write(tmp_path, ".csv"))
    wanted = pa.table({"query_id": ["查询", "q1", "q1", "zz"], "product_id": ["p1", "nope", "00123", "p1"]})
    values, coverage = match(scores, wanted)
    assert np.array_equal(values, np.float32([0.125, np.nan, -1, np.nan]), equal_nan=True)
    assert (coverage.wanted, coverage.found, coverage.unused, coverage.share) == (4, 2, 1, 0.5)
    values, coverage = match(scores.slice(0, 0), wanted)
    assert np.isnan(values).all()
    assert coverage.found == 0
