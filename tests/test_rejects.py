"""Rejects: listed, replayed into place, limited."""

import json

import pyarrow.parquet as pq
import pytest

from kit import cli, files, servers, tables

GOOD = '{{"id": {0}, "f0": 1, "f1": 2, "f2": 3, "f3": {0}}}\n'
BRIEF = ["--retries", "0"]


@pytest.fixture
def damaged(tmp_path):
    """100 lines, of which 10 and 20 are cut off."""
    lines = [GOOD.format(i) for i in range(100)]
    lines[10] = lines[20] = '{"id": 10, "f0":\n'
    (tmp_path / "in").mkdir()
    (tmp_path / "in/rows.jsonl").write_text("".join(lines))
    return tmp_path / "in"


@pytest.mark.parametrize(
    ("limit", "code"), [("0", cli.REJECTED), ("1", cli.REJECTED), ("2", cli.OK), ("1%", cli.REJECTED), ("2%", cli.OK)]
)
def test_limits(limit, code, damaged, booster, tmp_path):
    arguments = ["--model", booster[0], "--max-rejects", limit]
    result = cli.transform(damaged, tmp_path / "out", *arguments, expect=code)
    assert len(files.rows(tmp_path / "out/rows.jsonl")) == 100
    assert result.summary["rejected"] == 2
    assert len(files.rejects(tmp_path / "out")) == 2
    assert (tmp_path / "out/_SUCCESS").exists()


def test_columns(damaged, booster, tmp_path):
    cli.transform(damaged, tmp_path / "out", "--model", booster[0], expect=cli.REJECTED)
    (path,) = (tmp_path / "out/_rejects").rglob("*.parquet")
    assert path.name == "rows.jsonl.parquet"
    table = pq.read_table(path)
    assert table.column_names == ["file", "row", "byte_offset", "error_class", "message", "attempts", "record"]
    assert [str(field.type) for field in table.schema] == [
        "string", "int64", "int64", "string", "string", "int32", "string",
    ]
    data = (damaged / "rows.jsonl").read_bytes()
    for reject in table.to_pylist():
        assert data[: reject["byte_offset"]].count(b"\n") == reject["row"]
        assert '{"id": 10' in reject["record"] or '{\\"id\\": 10' in reject["record"]


def test_listing(container, tmp_path):
    poison = {3: "fail", 5: "error", 9: "fail"}
    source = files.write(tmp_path / "rows.parquet", tables.numbered(50, poison), "parquet")
    arguments = ["--endpoint", container, *BRIEF]
    cli.transform(source, tmp_path / "out", *arguments, expect=cli.REJECTED)
    listed = cli.run("rejects", tmp_path / "out").stdout
    assert "no such x" in listed and "internal trouble" in listed and "rows.parquet" in listed
    records = [json.loads(line) for line in cli.run("rejects", tmp_path / "out", "--json").stdout.splitlines()]
    assert records
    one = cli.run("rejects", tmp_path / "out", "--samples", "1").stdout
    assert len(one) <= len(listed)


def test_listing_without_rejects(booster, tmp_path):
    (tmp_path / "rows.jsonl").write_text(GOOD.format(1))
    cli.transform(tmp_path / "rows.jsonl", tmp_path / "out", "--model", booster[0])
    assert "no" in cli.run("rejects", tmp_path / "out").stdout.lower()
    cli.run("rejects", tmp_path / "nowhere", expect=cli.NOT_FOUND)


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_replay(kind, container, tmp_path):
    """A first model fails on some rows; a second takes them all."""
    bad = {3: "fail", 60: "fail", 99: "fail"}
    for part, table in enumerate(files.split(tables.numbered(200, bad), 4)):
        files.write(tmp_path / f"in/part-{part}.{kind}", table, kind)
    handler = tmp_path / "handler.py"
    handler.write_text("def predict(batch: list[dict]) -> list:\n    return [-1.0 for _ in batch]\n")
    with servers.container() as address:
        arguments = ["--endpoint", address, "--content-type", "application/jsonlines", *BRIEF]
        cli.transform(tmp_path / "in", tmp_path / "out", *arguments, expect=cli.REJECTED)
    before = {name: path.read_bytes() for name, path in files.outputs(tmp_path / "out").items()}
    replay = ["rejects", "replay", tmp_path / "out", "--handler", handler, "--python", cli.PYTHON, "--json"]
    result = cli.run(*replay)
    assert result.summary["rejected"] == 0
    rows = [row for path in files.outputs(tmp_path / "out").values() for row in files.rows(path)]
    assert len(rows) == 200
    for index, row in enumerate(rows):
        assert float(row["prediction"]) == (-1.0 if index in bad else index / 2), index
    assert files.rejects(tmp_path / "out") == []
    after = {name: path.read_bytes() for name, path in files.outputs(tmp_path / "out").items()}
    untouched = [name for name in before if before[name] == after[name]]
    assert untouched == [f"part-2.{kind}", f"part-3.{kind}"]


def test_replay_that_fails_again(container, tmp_path):
    bad = {3: "fail", 5: "error"}
    source = files.write(tmp_path / "rows.parquet", tables.numbered(50, bad), "parquet")
    cli.transform(source, tmp_path / "out", "--endpoint", container, *BRIEF, expect=cli.REJECTED)
    before = (tmp_path / "out/rows.parquet").read_bytes()
    first = files.rejects(tmp_path / "out")
    cli.run("rejects", "replay", tmp_path / "out", "--json", expect=cli.REJECTED)
    assert [reject["row"] for reject in files.rejects(tmp_path / "out")] == [r["row"] for r in first]
    assert pq.read_table(tmp_path / "out/rows.parquet").num_rows == 50
    assert (tmp_path / "out/rows.parquet").read_bytes() == before
