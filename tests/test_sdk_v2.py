"""Version 2 of SageMaker's Python SDK, unmodified, under `bessemer exec`."""

import io

import numpy as np
import pytest

from kit import clients, models, platform


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("sdk-v2") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def archive(booster, tmp_path_factory):
    """The booster as a model.tar.gz, and the booster."""
    packed = tmp_path_factory.mktemp("packed") / "model.tar.gz"
    packed.write_bytes(models.archive(booster[0], "xgboost-model"))
    return packed, booster[1]


def write(path, text):
    path.write_text(text)
    return path


def test_a_session_knows_its_bucket_and_role(server):
    told = clients.told(clients.run(server, clients.SDK_V2, "sdk_v2/session.py"))
    bucket = "sagemaker-us-east-1-000000000000"
    assert told == {
        "bucket": bucket, "again": bucket, "role": platform.ROLE, "account": "000000000000",
        "uploaded": f"s3://{bucket}/scripts/session.py", "read": True,
    }


def test_a_transformer_scores_and_shows_the_logs(server, archive, tmp_path):
    features = models.rows(40)
    data = write(tmp_path / "rows.csv", models.csv_of(features))
    ran = clients.run(server, clients.SDK_V2, "sdk_v2/transform.py", archive[0], data)
    told = clients.told(ran)
    assert told["status"] == "Completed"
    assert told["attached"] == {
        "model": told["model"], "strategy": "MultiRecord", "max_payload": 6, "max_concurrent_transforms": 4,
        "accept": "text/csv", "instance_type": "ml.m5.large",
    }
    assert told["model"] not in str(server.client("sagemaker").list_models()["Models"])
    assert "40 records, 0 rejected" in ran.stdout
    joined = np.loadtxt(io.BytesIO(clients.read(server, told["scores"])), delimiter=",", dtype=np.float32)
    np.testing.assert_array_equal(joined[:, :-1], features)
    np.testing.assert_allclose(joined[:, -1], models.booster_answers(archive[1], features), rtol=1e-6)
    tags = server.client("sagemaker").list_tags(ResourceArn=told["arn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "search"}]


def test_a_transformer_tells_of_failures_and_stops(server, archive, tmp_path):
    wrong = write(tmp_path / "wrong.csv", "1,2,3,4\n1,two,3,4\n")
    long = write(tmp_path / "long.csv", models.csv_of(models.rows(2_000)) * 100)
    ran = clients.run(server, clients.SDK_V2, "sdk_v2/transform_ends.py", archive[0], wrong, long)
    told = clients.told(ran)
    assert told["failure"]["status"] == "Failed"
    assert "wrong.csv: record 2" in told["failure"]["message"]
    assert told["stopped"] == "Stopped"
