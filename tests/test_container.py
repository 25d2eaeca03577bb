"""Servers that speak the container contract: formats, limits, and every way they fail."""

import json

import pytest

from kit import cli, files, servers, tables

# Retries are kept short: the tests mean them to fail.
BRIEF = ["--retries", "1", "--timeout", "5"]


def write(folder, count=400, poison=None, kind="jsonl"):
    return files.write(folder / f"rows.{kind}", tables.numbered(count, poison), kind)


def check(folder, count, bad, kind="jsonl"):
    """Every good row has its answer in place, the bad ones have none, and the rejects name them."""
    records = files.rows(folder / f"out/rows.{kind}")
    assert [record["id"] for record in records] == list(range(count))
    for record in records:
        wanted = None if record["id"] in bad else record["id"] / 2
        assert record["prediction"] == wanted, record
    found = files.rejects(folder / "out")
    assert [(reject["file"].split("/")[-1], reject["row"]) for reject in found] == [
        (f"rows.{kind}", row) for row in sorted(bad)
    ]
    return found


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_json_lines(kind, container, tmp_path):
    source = write(tmp_path, kind=kind)
    cli.transform(source, tmp_path / "out", "--endpoint", container)
    check(tmp_path, 400, [], kind)


@pytest.mark.parametrize("content", ["application/jsonlines", "application/json", "application/x-parquet"])
@pytest.mark.parametrize("gzip", [[], ["--gzip-bodies"]])
def test_content_types(content, gzip, container, tmp_path):
    source = write(tmp_path, kind="parquet")
    arguments = ["--endpoint", container, "--content-type", content, *gzip]
    cli.transform(source, tmp_path / "out", *arguments)
    check(tmp_path, 400, [], "parquet")


@pytest.mark.parametrize("accept", [[], ["--accept", "text/csv"]])
def test_csv_rows(accept, container, tmp_path):
    (tmp_path / "rows.csv").write_text("".join(f"{i},{i + 1}\n" for i in range(300)))
    arguments = ["--endpoint", container, "--content-type", "text/csv", "--csv-header", "no", *accept]
    cli.transform(tmp_path / "rows.csv", tmp_path / "out", *arguments)
    found = files.rows(tmp_path / "out/rows.csv", header=False)
    assert [[float(cell) for cell in row] for row in found] == [[i, i + 1, 2 * i + 1] for i in range(300)]


def test_raw_lines(container, tmp_path):
    (tmp_path / "rows.txt").write_text("a\n\nbcd\n")
    arguments = ["--endpoint", container, "--content-type", "text/plain", "--input-format", "lines",
                 "--output-format", "jsonl", "--join", "none"]
    cli.transform(tmp_path / "rows.txt", tmp_path / "out", *arguments)
    (path,) = files.outputs(tmp_path / "out").values()
    lengths = [json.loads(line) for line in path.read_text().splitlines()]
    assert [n["prediction"] if isinstance(n, dict) else n for n in lengths] == [1, 0, 3]


@pytest.mark.parametrize("content", ["application/jsonlines", "application/json"])
def test_one_record_a_call(content, container, tmp_path):
    source = write(tmp_path, 30)
    arguments = ["--endpoint", container, "--batch-strategy", "single", "--content-type", content]
    result = cli.transform(source, tmp_path / "out", *arguments)
    check(tmp_path, 30, [])
    assert result.summary["calls"]["total"] == 30


def test_server_sets_the_limits(tmp_path):
    parameters = {"MaxConcurrentTransforms": 2, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 1}
    with servers.container(PARAMETERS=json.dumps(parameters)) as address:
        result = cli.transform(write(tmp_path, 20), tmp_path / "out", "--endpoint", address)
    check(tmp_path, 20, [])
    assert result.summary["calls"]["total"] == 20
    assert result.summary["settings"]["max_concurrent"] <= 2


@pytest.mark.parametrize(("poison", "said"), [("fail", "no such x"), ("error", "internal trouble"), ("short", "")])
def test_rows_that_fail(poison, said, container, tmp_path):
    bad = [0, 7, 8, 255, 399]
    source = write(tmp_path, poison=dict.fromkeys(bad, poison))
    arguments = ["--endpoint", container, *BRIEF]
    result = cli.transform(source, tmp_path / "out", *arguments, expect=cli.REJECTED)
    for reject in check(tmp_path, 400, bad):
        assert said in reject["message"]
        assert json.loads(reject["record"])["id"] == reject["row"]
        assert reject["attempts"] >= 1
        assert reject["error_class"]
    assert (result.summary["status"], result.summary["rejected"]) == ("rejected", 5)
    assert result.summary["delivered"] == 395


def test_payload_limit_is_learned(tmp_path):
    """A server that takes no more than 2 kB a call, unknown to us."""
    with servers.container(MAX_BYTES=2_000) as address:
        result = cli.transform(write(tmp_path, 2_000), tmp_path / "out", "--endpoint", address)
    check(tmp_path, 2_000, [])
    assert result.summary["rejected"] == 0


def test_a_record_above_the_servers_limit(tmp_path):
    rows = tables.numbered(100).to_pylist()
    rows[42]["text"] = "x" * 5_000
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with servers.container(MAX_BYTES=2_000) as address:
        arguments = ["--endpoint", address, *BRIEF]
        cli.transform(tmp_path / "rows.jsonl", tmp_path / "out", *arguments, expect=cli.REJECTED)
    check(tmp_path, 100, [42])


def test_a_record_above_our_limit_is_never_sent(container, tmp_path):
    rows = tables.numbered(100).to_pylist()
    rows[42]["text"] = "x" * 5_000
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["--endpoint", container, "--max-payload", "2KB"]
    result = cli.transform(tmp_path / "rows.jsonl", tmp_path / "out", *arguments, expect=cli.REJECTED)
    check(tmp_path, 100, [42])
    assert result.summary["calls"]["isolating"] == 0


def test_busy_server_is_tried_again(tmp_path):
    with servers.container(BUSY=4) as address:
        # All four refusals may fall to one payload.
        arguments = ["--endpoint", address, "--retries", "8"]
        result = cli.transform(write(tmp_path), tmp_path / "out", *arguments)
    check(tmp_path, 400, [])
    assert result.summary["calls"]["retries"] >= 4


def test_a_row_that_hangs(container, tmp_path):
    source = write(tmp_path, 64, {33: "hang"})
    arguments = ["--endpoint", container, "--timeout", "1", "--retries", "0"]
    cli.transform(source, tmp_path / "out", *arguments, expect=cli.REJECTED)
    (reject,) = check(tmp_path, 64, [33])
    assert "time" in reject["error_class"] + reject["message"]


def test_serve(tmp_path):
    """Copies that we start, and end."""
    source = write(tmp_path, 2_000)
    result = cli.transform(source, tmp_path / "out", "--serve", servers.SERVE, "--copies", "2")
    check(tmp_path, 2_000, [])
    assert result.summary["settings"]["copies"] == 2


def test_a_row_that_kills_the_server(tmp_path):
    source = write(tmp_path, 16, {11: "die"})
    arguments = ["--serve", servers.SERVE, "--copies", "1", "--retries", "0", "--timeout", "20"]
    cli.transform(source, tmp_path / "out", *arguments, expect=cli.REJECTED)
    check(tmp_path, 16, [11])


def test_serve_that_never_answers(tmp_path):
    arguments = ["--serve", "echo no such module >&2; exit 1"]
    result = cli.transform(write(tmp_path), tmp_path / "out", *arguments, expect=None)
    assert result.code not in (cli.OK, cli.REJECTED)
    assert "no such module" in result.stderr


def test_unreachable_endpoint(tmp_path):
    arguments = ["--endpoint", f"http://127.0.0.1:{servers.free_port()}", "--retries", "0", "--timeout", "2"]
    result = cli.transform(write(tmp_path), tmp_path / "out", *arguments, expect=7)
    assert "127.0.0.1" in result.stderr


def test_filters(container, tmp_path):
    """DataProcessing as Batch Transform does it, for JSON."""
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"id": i, "in": {"f": [i, 1]}}) + "\n" for i in range(50))
    )
    base = ["--endpoint", container, "--input-filter", "$.in.f", "--join", "input"]
    cli.transform(tmp_path / "rows.jsonl", tmp_path / "a", *base, "--output-filter", "$['id','SageMakerOutput']")
    assert files.rows(tmp_path / "a/rows.jsonl") == [{"id": i, "SageMakerOutput": i + 1} for i in range(50)]


def test_filters_of_csv(container, tmp_path):
    (tmp_path / "rows.csv").write_text("".join(f"id{i},{i},1\n" for i in range(50)))
    arguments = ["--endpoint", container, "--content-type", "text/csv", "--csv-header", "no",
                 "--join", "input", "--input-filter", "$[1:]", "--output-filter", "$[0,-1]"]
    cli.transform(tmp_path / "rows.csv", tmp_path / "out", *arguments)
    found = files.rows(tmp_path / "out/rows.csv", header=False)
    assert [(row[0], float(row[1])) for row in found] == [(f"id{i}", i + 1.0) for i in range(50)]


def test_rejected_rows_can_be_dropped(container, tmp_path):
    source = write(tmp_path, poison={3: "fail"})
    arguments = ["--endpoint", container, "--rejected", "drop", *BRIEF]
    cli.transform(source, tmp_path / "out", *arguments, expect=cli.REJECTED)
    ids = [record["id"] for record in files.rows(tmp_path / "out/rows.jsonl")]
    assert ids == [i for i in range(400) if i != 3]
    assert [reject["row"] for reject in files.rejects(tmp_path / "out")] == [3]
