"""Version 3 of SageMaker's Python SDK, unmodified, under `bessemer exec`."""

import io
import tarfile

import numpy as np
import pytest

from kit import clients, models, platform


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("sdk-v3") / "data") as server:
        yield server


def test_resources_make_find_and_follow_models_and_transforms(server, booster, tmp_path):
    archive, data, wrong = (tmp_path / name for name in ("model.tar.gz", "rows.csv", "wrong.csv"))
    features = models.rows(40)
    archive.write_bytes(models.archive(booster[0]))
    data.write_text(models.csv_of(features))
    wrong.write_text("1,2,3,4\n1,two,3,4\n")
    told = clients.told(clients.run(server, clients.SDK_V3, "sdk_v3/resources.py", archive, data, wrong))
    assert told["status"] == "Completed" and told["max_payload"] == 6
    assert told["listed"] == {"scoring": "Completed", "failing": "Failed"}
    assert "wrong.csv: row 1 (from 0): " in told["failure"]
    assert told["image"] == "xgboost" and told["models"] == []
    text = clients.read(server, f"{told['output']}/rows.csv.out")
    joined = np.loadtxt(io.BytesIO(text), delimiter=",", dtype=np.float32)
    np.testing.assert_array_equal(joined[:, :-1], features)
    np.testing.assert_allclose(joined[:, -1], models.booster_answers(booster[1], features), rtol=1e-6)
    tags = server.client("sagemaker").list_tags(ResourceArn=told["arn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "search"}]


def test_a_model_trainer_trains_and_tells_of_failures(server, tmp_path):
    features = models.rows(200)
    data = tmp_path / "train.csv"
    data.write_text(models.csv_of(np.column_stack([features[:, 0] > 0, features])))
    ran = clients.run(server, clients.SDK_V3, "sdk_v3/training.py", data, clients.SCRIPTS / "source")
    told = clients.told(ran)
    assert "the labels are all the same" in told["failure"]
    assert told["status"] == "Completed"
    assert told["secondary"][-1] == "Completed" and "Training" in told["secondary"]
    assert told["hyperparameters"] == {"strength": "0.5", "penalty-name": "l2"}
    with tarfile.open(fileobj=io.BytesIO(clients.read(server, told["model"]))) as archive:
        assert "model.joblib" in archive.getnames()


def test_a_pipeline_is_made_run_and_told_of(server):
    told = clients.told(clients.run(server, clients.SDK_V3, "sdk_v3/pipeline.py"))
    assert told == {
        "status": "Active", "steps": {"Fails": "of a test"}, "parameters": {"Why": "of a test"}, "left": [],
    }


def test_a_pipeline_of_the_workflow_modules_is_upserted_run_cached_and_told_of(server, tmp_path):
    features = models.rows(200)
    data = tmp_path / "train.csv"
    data.write_text(models.csv_of(np.column_stack([features[:, 0] > 0, features])))
    told = clients.told(clients.run(server, clients.SDK_V3, "sdk_v3/workflow.py", data, clients.SCRIPTS / "source"))
    assert told["created"] == told["updated"]
    assert told["status"] == "Succeeded"
    assert told["steps"] == dict.fromkeys(["Prepare", "Measure", "Check", "Train"], "Succeeded")
    job = server.client("sagemaker").describe_training_job(TrainingJobName=told["job"])
    with tarfile.open(fileobj=io.BytesIO(clients.read(server, job["ModelArtifacts"]["S3ModelArtifacts"]))) as archive:
        assert "model.joblib" in archive.getnames()
    assert told["error"] == "WaiterError" and "total above 5.0" in told["reason"]
    assert told["hits"] == ["Measure", "Prepare"]
    assert told["parameters"] == [{"Name": "Limit", "Value": "5.0"}]
    assert told["executions"] == 2
