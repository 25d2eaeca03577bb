"""XGBoost's and LightGBM's own model files, against the libraries' own predictions."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kit import cli, files, models, tables


def with_holes(count=500):
    """Rows with missing values, as nulls."""
    table = tables.people(count)
    holes = pa.array([None if i % 7 == 0 else float(i % 11) for i in range(count)], pa.float32())
    return table.set_column(table.column_names.index("f1"), "f1", holes)


def scored(table, model, folder, *arguments):
    source = files.write(folder / "rows.parquet", table, "parquet")
    cli.transform(source, folder / "out", "--model", model, *arguments)
    out = pq.read_table(folder / "out/rows.parquet")
    return np.asarray(out[out.column_names[-1]].to_pylist(), dtype=np.float64)


def expected(booster, table, **options):
    import xgboost

    rows = np.column_stack([table[name].to_numpy(zero_copy_only=False) for name in tables.FEATURES])
    data = xgboost.DMatrix(rows.astype(np.float32), feature_names=tables.FEATURES)
    return booster.predict(data, **options)


@pytest.mark.parametrize("ending", ["json", "ubj"])
@pytest.mark.parametrize(
    ("objective", "classes"),
    [("binary:logistic", None), ("reg:squarederror", None), ("count:poisson", None), ("multi:softprob", 4)],
)
def test_xgboost(objective, classes, ending, tmp_path):
    booster = models.save_booster(tmp_path / f"model.{ending}", objective, classes)
    table = with_holes()
    found = scored(table, tmp_path / f"model.{ending}", tmp_path)
    assert np.allclose(found, expected(booster, table), rtol=1e-6, atol=1e-6)


def test_features_go_by_name(booster, tmp_path):
    path, model = booster
    table = with_holes()
    shuffled = table.select(["f3", "id", "f1", "f0", "name", "f2"])
    assert np.allclose(scored(shuffled, path, tmp_path), expected(model, table), rtol=1e-6, atol=1e-6)


def test_raw_score(booster, tmp_path):
    path, model = booster
    table = with_holes()
    found = scored(table, path, tmp_path, "--raw-score")
    assert np.allclose(found, expected(model, table, output_margin=True), rtol=1e-6, atol=1e-6)


def test_leaf_index(booster, tmp_path):
    path, model = booster
    table = with_holes()
    found = scored(table, path, tmp_path, "--leaf-index")
    assert (found == expected(model, table, pred_leaf=True)).all()


def test_lightgbm(tmp_path):
    import lightgbm

    table = with_holes(600)
    rows = np.column_stack([table[name].to_numpy(zero_copy_only=False) for name in tables.FEATURES])
    data = lightgbm.Dataset(rows, np.nan_to_num(rows[:, 1]) > rows[:, 0] * 3, feature_name=tables.FEATURES)
    settings = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 7}
    model = lightgbm.train(settings, data, 20)
    model.save_model(tmp_path / "model.txt")
    found = scored(table, tmp_path / "model.txt", tmp_path)
    assert np.allclose(found, model.predict(rows), rtol=1e-6, atol=1e-6)


def test_text_rows(booster, tmp_path):
    """JSON Lines: a null and text in a feature's place, and half a record."""
    path, model = booster
    (tmp_path / "rows.jsonl").write_text(
        '{"f0": 1, "f1": 2, "f2": 3, "f3": 4}\n'
        '{"f0": 1, "f1": null, "f2": 3, "f3": 4}\n'
        '{"f0": 1, "f1": "two", "f2": 3, "f3": 4}\n'
        '{"f0": 1, "f1": 2, "f2": 3\n'
    )
    cli.transform(tmp_path / "rows.jsonl", tmp_path / "out", "--model", path, expect=cli.REJECTED)
    assert [reject["row"] for reject in files.rejects(tmp_path / "out")] == [2, 3]


SPARSE = '{"f0": 1, "f1": 2, "f2": 3, "f3": 4}\n{"f0": 1, "f2": 3, "f3": 4}\n{"f0": 1, "f1": null, "f2": 3, "f3": 4}\n'


def test_a_record_that_lacks_a_feature(booster, tmp_path):
    """An absent member is a reject, a null is a missing value; `--nulls nan` takes both as one."""
    path, _ = booster
    (tmp_path / "rows.jsonl").write_text(SPARSE)
    arguments = [tmp_path / "rows.jsonl", tmp_path / "out", "--model", path]
    result = cli.transform(*arguments, expect=cli.REJECTED)
    (reject,) = files.rejects(tmp_path / "out")
    assert (reject["row"], reject["error_class"], reject["attempts"]) == (1, "missing_feature", 0)
    assert "`f1`" in reject["message"] and "`null`" in reject["message"]
    assert "--nulls nan" in reject["message"]
    assert result.summary["calls"]["isolating"] == 0
    found = [row["prediction"] for row in files.rows(tmp_path / "out/rows.jsonl")]
    cli.run("rejects", "replay", tmp_path / "out", "--nulls", "nan")
    replayed = [row["prediction"] for row in files.rows(tmp_path / "out/rows.jsonl")]
    assert found == [replayed[0], None, replayed[2]]
    assert replayed[1] == replayed[2]


def test_a_filtered_record_that_lacks_a_feature(booster, tmp_path):
    path, _ = booster
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"x": {line}}}\n' for line in SPARSE.splitlines()))
    arguments = [tmp_path / "rows.jsonl", tmp_path / "out", "--model", path, "--input-filter", "$.x"]
    cli.transform(*arguments, expect=cli.REJECTED)
    assert [reject["row"] for reject in files.rejects(tmp_path / "out")] == [1]
    cli.transform(*arguments, "--nulls", "nan", "--overwrite")
    assert not files.rejects(tmp_path / "out")
