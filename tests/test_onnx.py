"""ONNX models answer what onnxruntime answers in Python."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kit import cli, files, models, tables

FEATURES = ",".join(tables.FEATURES)


def close(left, right):
    return np.allclose(np.asarray(left, dtype=np.float64), right, rtol=1e-6, atol=1e-6)


def scored(table, model, folder, *arguments, kind="parquet"):
    source = files.write(folder / f"rows.{kind}", table, kind)
    arguments = ["--model", model, "--output-format", "parquet", *arguments]
    cli.transform(source, folder / "out", *arguments)
    return pq.read_table(folder / "out/rows.parquet")


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_linear(kind, linear_model, tmp_path):
    table = tables.people(1_000)
    out = scored(table, linear_model, tmp_path, "--features", FEATURES, kind=kind)
    expected = models.onnx_answers(linear_model, {"input": tables.matrix(table)})["prediction"]
    assert pa.types.is_floating(out.schema.field("prediction").type)
    assert close(out["prediction"], expected[:, 0])


def test_features_in_the_order_of_the_columns(linear_model, tmp_path):
    """A model without names takes the columns in order if there are as many as it wants."""
    table = tables.people(50).select(tables.FEATURES)
    out = scored(table, linear_model, tmp_path)
    assert close(out["prediction"], tables.linear(table))


def test_mlp_gives_a_list_a_row(model_folder, tmp_path):
    path = models.save_mlp(model_folder / "mlp.onnx")
    rows = np.random.default_rng(4).normal(size=(1_000, 8)).astype(np.float32)
    table = pa.table({f"x{i}": rows[:, i] for i in range(8)})
    out = scored(table, path, tmp_path)
    expected = models.onnx_answers(path, {"input": rows})["scores"]
    kind = out.schema.field("scores").type
    assert pa.types.is_fixed_size_list(kind) and kind.list_size == 3
    assert close(out["scores"].to_pylist(), expected)


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_pipeline_of_text_and_numbers(kind, model_folder, tmp_path):
    path = models.save_pipeline(model_folder / f"pipeline-{kind}.onnx")
    table, _ = models.customers()
    out = scored(table, path, tmp_path, kind=kind)
    inputs = {name: table[name].to_numpy(zero_copy_only=False).reshape(-1, 1) for name in
              ("city", "plan", "age", "visits")}
    expected = models.onnx_answers(path, inputs)
    assert out["output_label"].to_pylist() == expected["output_label"].tolist()
    check_classes(out, expected["output_probability"], [0, 1])


def test_classes_named_by_text(model_folder, tmp_path):
    path = models.save_classifier(model_folder / "classes.onnx")
    table = tables.people(500)
    out = scored(table, path, tmp_path, "--features", FEATURES)
    expected = models.onnx_answers(path, {"X": tables.matrix(table)})
    assert out["output_label"].to_pylist() == expected["output_label"].tolist()
    check_classes(out, expected["output_probability"], ["ant", "bee", "cat", "dog"])


def check_classes(out, maps, classes):
    """One column a class, named after it."""
    for name in classes:
        (column,) = [c for c in out.column_names if c.endswith(f"_{name}") or c == str(name)]
        assert close(out[column], [answer[name] for answer in maps])


def test_classes_as_a_tensor(model_folder, tmp_path):
    path = models.save_classifier(model_folder / "tensor.onnx", zipmap=False)
    table = tables.people(500)
    out = scored(table, path, tmp_path, "--features", FEATURES, "--join", "none")
    expected = models.onnx_answers(path, {"X": tables.matrix(table)})
    assert out.column_names == ["label", "probabilities"]
    assert out["label"].to_pylist() == expected["label"].tolist()
    assert close(out["probabilities"].to_pylist(), expected["probabilities"])


def test_prefix(linear_model, tmp_path):
    table = tables.people(10)
    out = scored(table, linear_model, tmp_path, "--features", FEATURES, "--output-prefix", "out_")
    assert out.column_names[-1] == "out_prediction"


def test_nulls(linear_model, tmp_path):
    """A null feature is a reject; with `--nulls nan` it is a NaN."""
    table = tables.people(20)
    holes = pa.array([None if i in (3, 17) else float(i) for i in range(20)], pa.float32())
    table = table.set_column(table.column_names.index("f1"), "f1", holes)
    source = files.write(tmp_path / "rows.parquet", table, "parquet")
    arguments = ["--model", linear_model, "--features", FEATURES]
    result = cli.transform(source, tmp_path / "out", *arguments, expect=cli.REJECTED)
    assert [reject["row"] for reject in files.rejects(tmp_path / "out")] == [3, 17]
    assert result.summary["calls"]["isolating"] == 0
    out = pq.read_table(tmp_path / "out/rows.parquet")
    assert [i for i, value in enumerate(out["prediction"].to_pylist()) if value is None] == [3, 17]
    cli.transform(source, tmp_path / "nan", *arguments, "--nulls", "nan")
    filled = pq.read_table(tmp_path / "nan/rows.parquet")["prediction"].to_pylist()
    assert [i for i, value in enumerate(filled) if value != value] == [3, 17]


def test_missing_column_stops_before_any_work(model_folder, tmp_path):
    path = models.save_pipeline(model_folder / "missing.onnx")
    table, _ = models.customers()
    table = table.rename_columns(["id", "city", "plan", "aeg", "visits"])
    source = files.write(tmp_path / "rows.parquet", table, "parquet")
    result = cli.transform(source, tmp_path / "out", "--model", path, expect=cli.CONFIGURATION)
    assert "`age`" in result.stderr and "`aeg`" in result.stderr
    assert "hint:" in result.stderr
    assert not files.outputs(tmp_path / "out")


def test_column_that_cannot_be_converted(linear_model, tmp_path):
    source = files.write(tmp_path / "rows.parquet", tables.people(5), "parquet")
    arguments = ["--model", linear_model, "--features", "f0,f1,f2,day"]
    result = cli.transform(source, tmp_path / "out", *arguments, expect=cli.CONFIGURATION)
    assert "`day`" in result.stderr


def test_archive(linear_model, tmp_path):
    import tarfile

    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(linear_model, "model.onnx")
    table = tables.people(10).select(tables.FEATURES)
    out = scored(table, tmp_path / "model.tar.gz", tmp_path)
    assert close(out["prediction"], tables.linear(table))


def test_runtime_not_found(linear_model, tmp_path):
    """Without an ONNX Runtime the error says how to get one."""
    source = files.write(tmp_path / "rows.parquet", tables.people(5), "parquet")
    arguments = ["--model", linear_model, "--features", FEATURES]
    env = {"BESSEMER_ONNXRUNTIME": str(tmp_path / "nowhere.so"), "HOME": str(tmp_path)}
    result = cli.transform(source, tmp_path / "out", *arguments, expect=None, env=env)
    assert result.code in (cli.CONFIGURATION, cli.NOT_FOUND)
    assert "nowhere.so" in result.stderr


def test_payload_limit(model_folder, tmp_path):
    """A record of more bytes than a payload is a reject without a call, in process too."""
    path = models.save_pipeline(model_folder / "limited.onnx")
    table, _ = models.customers()
    cities = table["city"].to_pylist()
    cities[7] = "x" * 500
    table = table.set_column(table.column_names.index("city"), "city", pa.array(cities))
    source = files.write(tmp_path / "rows.parquet", table, "parquet")
    arguments = [source, tmp_path / "out", "--model", path, "--max-payload", "400"]
    result = cli.transform(*arguments, expect=cli.REJECTED)
    (reject,) = files.rejects(tmp_path / "out")
    assert (reject["row"], reject["error_class"], reject["attempts"]) == (7, "too_large", 0)
    assert "--max-payload" in reject["message"]
    calls, settings = result.summary["calls"], result.summary["settings"]
    # Each record has two numbers of 4 bytes and more, and two texts.
    assert calls["planned"] >= table.num_rows * 8 / 400 and calls["isolating"] == 0
    assert settings["max_payload"] == 400
    free = cli.transform(source, tmp_path / "free", "--model", path)
    assert free.summary["rejected"] == 0 and free.summary["settings"]["max_payload"] is None
