"""Every input format to every output format, joined in every way; compression, layouts, manifests."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kit import cli, files, tables

KINDS = ["parquet", "jsonl", "csv"]
FEATURES = ",".join(tables.FEATURES)


@pytest.fixture(scope="module")
def people():
    return tables.people()


def score(source, output, model, *arguments, **options):
    arguments = ["--model", model, "--features", FEATURES, *arguments]
    return cli.transform(source, output, *arguments, **options)


def check_rows(found, table, columns):
    """`found` holds `columns` of `table` and the right prediction, row by row."""
    expected = table.select(columns).to_pylist()
    assert len(found) == len(expected)
    for record, wanted, prediction in zip(found, expected, tables.linear(table)):
        assert list(record) == [*columns, "prediction"]
        assert files.same(record["prediction"], float(prediction), 1e-5)
        for name, value in wanted.items():
            value = str(value).lower() if isinstance(value, bool) else value
            got = record[name]
            got = str(got).lower() if isinstance(got, bool) else got
            assert files.same(got, value), (name, got, value)


@pytest.mark.parametrize("join", ["input", "none", "id,name"])
@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", KINDS)
def test_matrix(source, target, join, people, linear_model, tmp_path):
    for part, table in enumerate(files.split(people, 2)):
        files.write(tmp_path / f"in/part-{part}.{source}", table, source)
    result = score(
        tmp_path / "in", tmp_path / "out", linear_model, "--join", join, "--output-format", target
    )
    columns = {"input": people.column_names, "none": [], "id,name": ["id", "name"]}[join]
    written = files.outputs(tmp_path / "out")
    assert list(written) == [f"part-0.{target}", f"part-1.{target}"]
    for path, table in zip(written.values(), files.split(people, 2)):
        check_rows(files.rows(path), table, columns)
    assert (tmp_path / "out/_SUCCESS").exists()
    assert not (tmp_path / "out/_rejects").exists()
    summary = result.summary
    assert (summary["status"], summary["rows"], summary["rejected"]) == ("succeeded", 257, 0)
    assert summary["delivered"] == 257
    assert summary["files"] == {"total": 2, "written": 2, "skipped": 0, "failed": []}


@pytest.mark.parametrize("kind", KINDS)
def test_default_is_the_inputs_format_joined(kind, people, linear_model, tmp_path):
    source = files.write(tmp_path / f"people.{kind}", people, kind)
    score(source, tmp_path / "out", linear_model)
    (path,) = files.outputs(tmp_path / "out").values()
    assert path.name == f"people.{kind}"
    check_rows(files.rows(path), people, people.column_names)


def test_parquet_columns_come_through_unchanged(people, linear_model, tmp_path):
    nested = people.append_column("tags", pa.array([[str(i), None] for i in range(257)]))
    nested = nested.append_column(
        "at", pa.array(range(257), pa.timestamp("us", tz="Europe/Berlin"))
    )
    nested = nested.append_column("kind", pa.array(["a", "b", None] * 85 + ["a", "b"]).dictionary_encode())
    nested = nested.append_column("nothing", pa.nulls(257))
    source = files.write(tmp_path / "people.parquet", nested, "parquet")
    score(source, tmp_path / "out", linear_model)
    out = pq.read_table(tmp_path / "out/people.parquet")
    assert out.drop_columns("prediction").equals(nested)
    assert out.schema.field("tags").type == nested.schema.field("tags").type


def test_json_lines_keep_their_text(people, linear_model, tmp_path):
    lines = [
        '{"f0": 1.0, "big": 12345678901234567890, "f1": 2,"f2":3e0 ,  "f3": 4.50, "π": "\\u00e9"}',
        '{"id":null,"f3":0,"f2":0,"f1":0,"f0":0,"nested":{"a":[1, 2,{"b":null}]}}',
    ]
    (tmp_path / "a.jsonl").write_text("".join(line + "\n" for line in lines))
    score(tmp_path / "a.jsonl", tmp_path / "out", linear_model)
    for line, out in zip(lines, (tmp_path / "out/a.jsonl").read_text().splitlines(), strict=True):
        assert out.startswith(line[:-1].rstrip())
        json.loads(out)


def test_csv_rows_keep_their_text(linear_model, tmp_path):
    text = 'id,"the, text",f0,f1,f2,f3\n007,"a ""b"", c",1.0,2,3e0,4.50\n8,"two\nlines",0,0,0,0\n'
    (tmp_path / "a.csv").write_text(text)
    score(tmp_path / "a.csv", tmp_path / "out", linear_model)
    out = (tmp_path / "out/a.csv").read_text()
    assert out.startswith('id,"the, text",f0,f1,f2,f3,prediction\n007,"a ""b"", c",1.0,2,3e0,4.50,')
    assert '\n8,"two\nlines",0,0,0,0,0.5' in out


@pytest.mark.parametrize("flag", [[], ["--csv-header", "no"]])
def test_csv_without_a_header(flag, people, linear_model, tmp_path):
    numbers = people.select(tables.FEATURES)
    source = files.write(tmp_path / "numbers.csv", numbers, "csv-bare")
    cli.transform(source, tmp_path / "out", "--model", linear_model, *flag)
    found = files.rows(tmp_path / "out/numbers.csv", header=False)
    assert len(found) == 257
    for row, prediction in zip(found, tables.linear(people)):
        assert len(row) == 5
        assert files.same(row[4], float(prediction), 1e-5)


def test_csv_header_can_be_claimed(linear_model, tmp_path):
    """A header that looks like data is one if the user says so."""
    (tmp_path / "a.csv").write_text("1,2,3,4\n1,1,1,1\n")
    arguments = ["--model", linear_model, "--csv-header", "yes", "--join", "none"]
    result = cli.transform(tmp_path / "a.csv", tmp_path / "out", *arguments)
    assert result.summary["rows"] == 1


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_compressed_text(kind, compression, people, linear_model, tmp_path):
    ending = {"gzip": "gz", "zstd": "zst"}[compression]
    source = files.write(tmp_path / f"people.{kind}.{ending}", people, kind, compression)
    score(source, tmp_path / "out", linear_model, "--join", "input")
    (path,) = files.outputs(tmp_path / "out").values()
    assert path.name == f"people.{kind}.{ending}"
    packed = files.plain_bytes(path) != path.read_bytes()
    assert packed, "a file named .gz or .zst is compressed"
    check_rows(files.rows(path), people, people.column_names)


@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
@pytest.mark.parametrize("kind", KINDS)
def test_told_by_content(kind, compression, people, linear_model, tmp_path):
    """The name says nothing here; CSV looks like any text, so that it has to be named."""
    source = files.write(tmp_path / "people", people, kind, compression if kind != "parquet" else None)
    flag = ["--input-format", "csv"] if kind == "csv" else []
    score(source, tmp_path / "out", linear_model, "--output-format", "parquet", *flag)
    (path,) = files.outputs(tmp_path / "out").values()
    assert pq.read_table(path).num_rows == 257


def test_text_of_no_known_format(linear_model, tmp_path):
    (tmp_path / "letter").write_text("Dear Sir or Madam\n")
    result = score(tmp_path / "letter", tmp_path / "out", linear_model, expect=cli.REJECTED)
    (failed,) = result.summary["files"]["failed"]
    assert "--input-format" in failed["error"]


def test_hive_layout_is_kept(people, linear_model, tmp_path):
    parts = files.split(people, 3)
    for month, table in enumerate(parts, 1):
        files.write(tmp_path / f"in/year=2024/month={month}/data.parquet", table, "parquet")
    files.write(tmp_path / "in/_hidden/data.parquet", parts[0], "parquet")
    (tmp_path / "in/_SUCCESS").touch()
    (tmp_path / "in/.ignored").write_text("x")
    score(tmp_path / "in", tmp_path / "out", linear_model)
    written = files.outputs(tmp_path / "out")
    assert list(written) == [f"year=2024/month={month}/data.parquet" for month in (1, 2, 3)]
    for path, table in zip(written.values(), parts):
        check_rows(files.rows(path), table, people.column_names)
    import duckdb

    hive = f"read_parquet('{tmp_path}/out/year=*/month=*/*.parquet', hive_partitioning=true)"
    assert duckdb.sql(f"select month, count(*) from {hive} group by 1 order by 1").fetchall() == [
        (month, table.num_rows) for month, table in enumerate(parts, 1)
    ]


def test_globs(people, linear_model, tmp_path):
    for name in ("a-1", "a-2", "b-1"):
        files.write(tmp_path / f"in/{name}.parquet", people, "parquet")
    score(str(tmp_path / "in/a-*.parquet"), tmp_path / "out", linear_model)
    assert list(files.outputs(tmp_path / "out")) == ["a-1.parquet", "a-2.parquet"]


def test_several_inputs(people, linear_model, tmp_path):
    sources = [files.write(tmp_path / f"{name}.{kind}", people, kind) for name, kind in
               [("a", "parquet"), ("b", "jsonl"), ("c", "csv")]]
    score(sources, tmp_path / "out", linear_model)
    assert list(files.outputs(tmp_path / "out")) == ["a.parquet", "b.jsonl", "c.csv"]


def test_manifest(people, linear_model, tmp_path):
    for name in ("a", "deep/b", "c"):
        files.write(tmp_path / f"data/{name}.parquet", people, "parquet")
    manifest = tmp_path / "input.manifest"
    manifest.write_text(json.dumps([{"prefix": f"{tmp_path}/data/"}, "a.parquet", "deep/b.parquet"]))
    score(manifest, tmp_path / "out", linear_model)
    assert list(files.outputs(tmp_path / "out")) == ["a.parquet", "deep/b.parquet"]


def test_empty_files(people, linear_model, tmp_path):
    files.write(tmp_path / "in/a.parquet", people.slice(0, 0), "parquet")
    (tmp_path / "in/b.jsonl").write_text("")
    (tmp_path / "in/c.csv").write_text(",".join(people.column_names) + "\n")
    files.write(tmp_path / "in/d.parquet", people, "parquet")
    result = score(tmp_path / "in", tmp_path / "out", linear_model)
    assert result.summary["rows"] == 257
    assert list(files.outputs(tmp_path / "out")) == ["a.parquet", "b.jsonl", "c.csv", "d.parquet"]
    assert pq.read_table(tmp_path / "out/a.parquet").column_names == [*people.column_names, "prediction"]


def test_other_readers_open_the_output(people, linear_model, tmp_path):
    import duckdb
    import polars

    source = files.write(tmp_path / "people.parquet", people, "parquet")
    score(source, tmp_path / "out", linear_model)
    path = tmp_path / "out/people.parquet"
    expected = float(tables.linear(people).sum())
    assert files.same(polars.read_parquet(path)["prediction"].sum(), expected, 1e-3)
    assert files.same(duckdb.sql(f"select sum(prediction) from '{path}'").fetchall()[0][0], expected, 1e-3)
