"""`examples/wix`: batch inference over Parquet in five steps, and in one call."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kit import clients, platform

EXAMPLES = Path(__file__).parents[1] / "examples"
BUCKET = "sagemaker-us-east-1-000000000000"
WRONG = [("2013-01", 17), ("2013-01", 1500), ("2013-03", 800)]


def run(server, script):
    return clients.run(server, clients.SDK_V2, EXAMPLES / "wix" / script)


def tables(server, prefix):
    s3 = server.client("s3")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]]
    read = {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}
    return {Path(key).stem: pq.read_table(pa.BufferReader(body)) for key, body in read.items()}


def expected(table):
    """XGBoost's own predictions; nothing for rows whose delay is no number."""
    import xgboost

    model = EXAMPLES / "flights" / "model.json"
    booster = xgboost.Booster(model_file=model)
    delays = [None if value in ("n/a", "soon", "?") else float(value) for value in table["dep_delay"].to_pylist()]
    at = table.schema.get_field_index("dep_delay")
    features = table.set_column(at, "dep_delay", pa.array(delays)).select(booster.feature_names)
    return booster.predict(xgboost.DMatrix(features.to_pandas().astype(np.float32)))


def check(scored, original):
    assert scored.drop_columns(["prediction"]).equals(original)
    known = pc.is_valid(scored["prediction"]).to_numpy()
    predictions = scored["prediction"].to_numpy()[known].astype(np.float32)
    np.testing.assert_allclose(predictions, expected(original)[known], rtol=1e-4, atol=1e-4)
    return np.flatnonzero(~known).tolist()


def test_five_steps_and_one_call_end_in_the_same_predictions(tmp_path):
    with platform.running(tmp_path / "data") as server:
        run(server, "prepare.py")
        original = tables(server, "flights/")
        assert sum(table.num_rows for table in original.values()) == 5_181

        wix = clients.told(run(server, "as_wix_does.py"))
        assert (wix["files"], wix["failed_files"], wix["retried_rows"]) == (54, 3, 300)
        assert len(wix["lost_rows"]) == 3

        said = run(server, "the_bessemer_way.py")
        wrong = [[f"{month}.parquet", row] for month, row in WRONG]
        assert clients.told(said)["lost_rows"] == wrong
        assert "2013-01.parquet, row 1500: column `dep_delay`: `soon` can't be converted" in said.stdout

        for prefix in ("scored-by-wix/", "scored/2013"):
            scored = tables(server, prefix)
            assert sorted(scored) == sorted(original)
            nulls = [(month, row) for month in sorted(scored) for row in check(scored[month], original[month])]
            assert nulls == WRONG
