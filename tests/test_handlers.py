"""Python handlers: the batch types, SageMaker's four functions, and every way they fail."""

import json
import textwrap

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kit import cli, files, tables

PYTHON = ["--python", cli.PYTHON]


def handler(folder, text):
    path = folder / "handler.py"
    path.write_text(textwrap.dedent(text))
    return path


def score(source, folder, path, *arguments, **options):
    return cli.transform(source, folder / "out", "--handler", path, *PYTHON, *arguments, **options)


PREDICTS = {
    "dataframe": """
        import pandas as pd

        def predict(batch: pd.DataFrame):
            return batch["x"] * 2
    """,
    "record_batch": """
        import pyarrow as pa
        import pyarrow.compute as pc

        def predict(batch: pa.RecordBatch) -> pa.Array:
            return pc.multiply(batch.column("x"), 2)
    """,
    "records": """
        def predict(batch: list[dict]) -> list:
            return [row["x"] * 2 for row in batch]
    """,
    "bare": """
        def predict(batch):
            return batch["x"] * 2
    """,
}


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("dataframe", "parquet"),
        ("dataframe", "jsonl"),
        ("dataframe", "csv"),
        ("record_batch", "parquet"),
        ("records", "jsonl"),
        ("records", "parquet"),
        ("bare", "parquet"),
    ],
)
def test_predict(form, kind, tmp_path):
    table = tables.numbered(500).drop_columns("poison")
    source = files.write(tmp_path / f"rows.{kind}", table, kind)
    score(source, tmp_path, handler(tmp_path, PREDICTS[form]))
    found = files.rows(tmp_path / f"out/rows.{kind}")
    assert [float(row["prediction"]) for row in found] == [i / 2 for i in range(500)]


def test_several_columns(tmp_path):
    path = handler(
        tmp_path,
        """
        import pandas as pd

        def predict(batch: pd.DataFrame):
            return pd.DataFrame({"double": batch["x"] * 2, "text": "n" + batch["id"].astype(str)})
        """,
    )
    source = files.write(tmp_path / "rows.parquet", tables.numbered(50), "parquet")
    score(source, tmp_path, path)
    out = pq.read_table(tmp_path / "out/rows.parquet")
    assert out["double"].to_pylist() == [i / 2 for i in range(50)]
    assert out["text"].to_pylist() == [f"n{i}" for i in range(50)]


SAGEMAKER = """
    import json
    import os

    def model_fn(model_dir):
        with open(os.path.join(model_dir, "factor.json")) as file:
            return json.load(file)

    def input_fn(body, content_type):
        assert content_type == "application/jsonlines", content_type
        text = body.decode() if isinstance(body, bytes) else body
        return [json.loads(line) for line in text.splitlines()]

    def predict_fn(rows, model):
        return [row["x"] * model for row in rows]

    def output_fn(answers, accept):
        return "".join(json.dumps(answer) + "\\n" for answer in answers), accept
"""


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_sagemaker_functions(kind, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/factor.json").write_text("2")
    source = files.write(tmp_path / f"rows.{kind}", tables.numbered(500), kind)
    score(source, tmp_path, handler(tmp_path, SAGEMAKER), "--model-dir", tmp_path / "model")
    found = files.rows(tmp_path / f"out/rows.{kind}")
    assert [row["prediction"] for row in found] == [i / 2 for i in range(500)]


def test_sagemaker_archive(tmp_path):
    """model.tar.gz with `code/inference.py`, as SageMaker packs it."""
    import tarfile

    (tmp_path / "m/code").mkdir(parents=True)
    (tmp_path / "m/factor.json").write_text("2")
    handler(tmp_path, SAGEMAKER).rename(tmp_path / "m/code/inference.py")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "m", ".")
    source = files.write(tmp_path / "rows.jsonl", tables.numbered(50), "jsonl")
    cli.transform(source, tmp_path / "out", "--model", tmp_path / "model.tar.gz", *PYTHON)
    found = files.rows(tmp_path / "out/rows.jsonl")
    assert [row["prediction"] for row in found] == [i / 2 for i in range(50)]


FAILING = """
    import os
    import signal
    import time

    def predict(batch: list[dict]) -> list:
        answers = []
        for row in batch:
            if row["poison"] == "fail":
                raise KeyError(f"unknown customer in row {row['id']}")
            if row["poison"] == "die":
                os.kill(os.getpid(), signal.SIGSEGV)
            if row["poison"] == "exit":
                os._exit(3)
            if row["poison"] == "hang":
                time.sleep(3600)
            if row["poison"] != "short":
                answers.append(row["x"] * 2)
        return answers
"""


@pytest.mark.parametrize("poison", ["fail", "die", "exit", "hang", "short"])
def test_rows_that_fail(poison, tmp_path):
    bad = [5, 19]
    source = files.write(tmp_path / "rows.parquet", tables.numbered(24, dict.fromkeys(bad, poison)), "parquet")
    arguments = ["--copies", "1", "--retries", "0", "--timeout", "1" if poison == "hang" else "20"]
    result = score(source, tmp_path, handler(tmp_path, FAILING), *arguments, expect=cli.REJECTED)
    found = files.rejects(tmp_path / "out")
    assert [reject["row"] for reject in found] == bad
    assert [json.loads(reject["record"])["id"] for reject in found] == bad
    if poison == "fail":
        assert "unknown customer in row 5" in found[0]["message"]
    answers = pq.read_table(tmp_path / "out/rows.parquet")["prediction"].to_pylist()
    assert answers == [None if i in bad else i / 2 for i in range(24)]
    assert result.summary["rejected"] == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def predict(batch:\n", "handler.py"),
        ("import no_such_package\n\ndef predict(batch): return batch\n", "no_such_package"),
        ("def guess(batch): return batch\n", "predict"),
    ],
)
def test_handlers_that_cannot_be_used(text, said, tmp_path):
    source = files.write(tmp_path / "rows.jsonl", tables.numbered(5), "jsonl")
    path = handler(tmp_path, text)
    result = score(source, tmp_path, path, expect=cli.CONFIGURATION)
    assert said in result.stderr
    assert not files.outputs(tmp_path / "out")


def test_prints_of_a_handler_do_no_harm(tmp_path):
    path = handler(
        tmp_path,
        """
        print("loading")

        def predict(batch: list[dict]) -> list:
            print("x" * 100_000)
            return [0 for _ in batch]
        """,
    )
    source = files.write(tmp_path / "rows.jsonl", tables.numbered(50), "jsonl")
    assert score(source, tmp_path, path).summary["delivered"] == 50


def test_output_schema(tmp_path):
    path = handler(
        tmp_path,
        """
        def predict(batch: list[dict]) -> list:
            return [{"prediction": row["x"], "tags": ["a", str(row["id"])]} for row in batch]
        """,
    )
    source = files.write(tmp_path / "rows.parquet", tables.numbered(5), "parquet")
    score(source, tmp_path, path, "--output-schema", "prediction: float32, tags: list<utf8>")
    out = pq.read_table(tmp_path / "out/rows.parquet")
    assert str(out.schema.field("prediction").type) == "float"
    assert out["tags"].to_pylist() == [["a", str(i)] for i in range(5)]


def test_requirements(tmp_path):
    """An environment of the handler's own."""
    (tmp_path / "requirements.txt").write_text("six==1.17.0\n")
    path = handler(
        tmp_path,
        """
        import sys

        import six

        def predict(batch: list[dict]) -> list:
            assert "pandas" not in sys.modules
            return [len(six.text_type(row["id"])) for row in batch]
        """,
    )
    source = files.write(tmp_path / "rows.jsonl", tables.numbered(20), "jsonl")
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    score(source, tmp_path, path, "--requirements", tmp_path / "requirements.txt", env=env)
    found = files.rows(tmp_path / "out/rows.jsonl")
    assert [row["prediction"] for row in found] == [1] * 10 + [2] * 10


def test_records_that_lack_members(tmp_path):
    """Whole records have no features to lack; `--features` names some."""
    path = handler(
        tmp_path,
        """
        def predict(batch: list[dict]) -> list:
            return [float(row["x"] is None) for row in batch]
        """,
    )
    (tmp_path / "rows.jsonl").write_text('{"x": 1, "y": 2}\n{"y": 2}\n{"x": null, "y": 2}\n')
    source = tmp_path / "rows.jsonl"
    score(source, tmp_path / "whole", path)
    found = [row["prediction"] for row in files.rows(tmp_path / "whole/out/rows.jsonl")]
    assert found == [0, 1, 1]
    score(source, tmp_path / "named", path, "--features", "x", expect=cli.REJECTED)
    assert [reject["row"] for reject in files.rejects(tmp_path / "named/out")] == [1]
    score(source, tmp_path / "nan", path, "--features", "x", "--nulls", "nan")
    found = [row["prediction"] for row in files.rows(tmp_path / "nan/out/rows.jsonl")]
    assert found == [0, 1, 1]


def test_a_record_above_the_limit(tmp_path):
    """Handlers are given columns: a record counts as the bytes of its values."""
    table = tables.numbered(50).drop_columns("poison")
    text = ["x" * 3_000 if i == 21 else "y" for i in range(50)]
    table = table.append_column("long", pa.array(text))
    source = files.write(tmp_path / "rows.parquet", table, "parquet")
    path = handler(tmp_path, PREDICTS["record_batch"])
    score(source, tmp_path, path, "--max-payload", "2KB", expect=cli.REJECTED)
    assert [(r["row"], r["error_class"]) for r in files.rejects(tmp_path / "out")] == [(21, "too_large")]
    found = pq.read_table(tmp_path / "out/rows.parquet")["prediction"].to_pylist()
    assert found == [None if i == 21 else i / 2 for i in range(50)]
