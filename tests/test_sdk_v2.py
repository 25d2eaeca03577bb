"""Version 2 of SageMaker's Python SDK, unmodified, under `bessemer exec`."""

import io
import os
import shutil
import tarfile

import numpy as np
import pytest

from kit import clients, functions, models, platform


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
    assert "wrong.csv: row 1 (from 0): " in told["failure"]["message"]
    assert told["stopped"] == "Stopped"


def labelled(tmp_path, count=200):
    """Rows with a label in front, as a file of CSV."""
    features = models.rows(count)
    text = models.csv_of(np.column_stack([features[:, 0] > 0, features]))
    return write(tmp_path / "train.csv", text)


def test_estimators_train_stop_and_fail(server, tmp_path):
    ran = clients.run(
        server, clients.SDK_V2, "sdk_v2/training.py", labelled(tmp_path), clients.SCRIPTS / "source"
    )
    told = clients.told(ran)
    assert told["stopped"] == "Stopped"
    assert "the labels are all the same" in told["failure"]
    assert told["trained"] == "Completed"
    (metric,) = told["metrics"]
    assert metric["MetricName"] == "accuracy" and metric["Value"] > 0.9
    # What the script printed, by the SDK's own way to the logs.
    assert "penalty l2, accuracy=" in ran.stdout
    assert told["strength"] == "0.5"
    assert told["model"].endswith(f"{told['job']}/output/model.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(clients.read(server, told["model"]))) as archive:
        assert "model.joblib" in archive.getnames()


def test_trained_models_score(server, tmp_path):
    features = models.rows(30, seed=9)
    score = write(tmp_path / "rows.csv", models.csv_of(features))
    source = clients.SCRIPTS / "source"
    ran = clients.run(server, clients.SDK_V2, "sdk_v2/scoring.py", labelled(tmp_path), score, source)
    told = clients.told(ran)
    assert sorted(told) == ["algorithm", "script", "sklearn", "xgboost"]
    by_model = {}
    for name, uri in told.items():
        answers = np.array(clients.read(server, uri).split(), dtype=np.float32)
        assert ((answers > 0.5) == (features[:, 0] > 0)).mean() > 0.9, name
        by_model[name] = answers
    # The same booster by its own script and by the image's.
    np.testing.assert_allclose(by_model["xgboost"], by_model["script"], rtol=1e-5)


def test_processors_run_scripts(server, tmp_path):
    numbers = write(tmp_path / "numbers.txt", "1\n2\n3\n")
    source = clients.SCRIPTS / "source"
    ran = clients.run(server, clients.SDK_V2, "sdk_v2/processing.py", numbers, source)
    for factor, (name, one) in enumerate(clients.told(ran).items(), start=2):
        assert one["status"] == "Completed", name
        output = clients.read(server, one["output"] + "/numbers.txt").split()
        assert [int(number) for number in output] == [factor, 2 * factor, 3 * factor]
    assert "numbers.txt: 3 numbers" in ran.stdout


def test_the_helper_of_functions_makes_changes_and_calls_one(server, tmp_path):
    code = "import os\ndef handler(event, context):\n    return [{0}, event, os.environ.get('WHO')]\n"
    script, changed = tmp_path / "function.py", tmp_path / "changed" / "function.py"
    changed.parent.mkdir()
    write(script, code.format(1))
    write(changed, code.format(2))
    archive = tmp_path / "code.zip"
    archive.write_bytes(functions.archive({"function.py": code.format(3)}))
    told = clients.told(clients.run(server, clients.SDK_V2, "sdk_v2/functions.py", script, changed, archive))
    assert told["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:helper"
    assert told["answers"][:3] == [[number, {}, "helper"] for number in (1, 2, 3)]
    assert "ResourceNotFoundException" in told["answers"][3]


def test_a_pipeline_is_upserted_run_cached_and_told_of(server):
    told = clients.told(clients.run(server, clients.SDK_V2, "sdk_v2/pipeline.py", clients.SCRIPTS / "source"))
    assert told["created"] == told["updated"]
    assert told["status"] == "Succeeded"
    assert told["steps"] == {"Prepare": "Succeeded", "Measure": "Succeeded", "Check": "Succeeded"}
    assert told["error"] == "WaiterError" and "total above 5.0" in told["reason"]
    assert told["hits"] == ["Measure", "Prepare"] and told["source"]
    assert {"Name": "Limit", "Value": "5.0"} in told["parameters"]
    assert told["executions"] == 2


def test_a_pipeline_of_functions_hands_on_what_they_return(server):
    told = clients.told(clients.run(server, clients.SDK_V2, "sdk_v2/step_functions.py"))
    assert told["status"] == "Succeeded", told["reason"]
    assert told["steps"] == dict.fromkeys(["make", "weigh", "tell", "is_large"], "Succeeded")
    assert told["rows"] == [0, 1, 4, 9, 16]
    assert told["weighed"] == {"sum": 60.0, "largest": 16, "of": told["id"]}
    assert told["told"] == "65.0"
    assert "no luck with seven" in told["failure"]
    unfinished = "Unable to retrieve step output as the step fails is not in Completed status."
    assert told["raised"] == f"RemoteFunctionError: {unfinished}"


def test_a_pipeline_is_stopped_tried_again_and_run_in_part(server):
    told = clients.told(clients.run(server, clients.SDK_V2, "sdk_v2/pipeline_ends.py", clients.SCRIPTS / "source"))
    assert told["parallelism"] == {"MaxParallelExecutionSteps": 2}
    assert told["stopped"] == {"Prepare": "Succeeded", "Endless": "Stopped"}
    assert told["updated"] == ["late", "told after"]
    assert told["attempts"] == {"Prepare": 1, "Endless": 2}
    assert told["one_by_one"] == {"MaxParallelExecutionSteps": 1}
    assert told["selected"] == {"Prepare": True, "Measure": False}
    assert told["given"] == [{"Name": "Count", "Value": "6"}]
    # Schedules are not there yet.
    code, message = told["triggers"]
    assert code == "NotImplemented" and "scheduler" in message.lower()


def test_a_pipeline_packs_a_script_with_the_model_that_it_has_trained(server, tmp_path):
    features = models.rows(30, seed=9)
    score = write(tmp_path / "rows.csv", models.csv_of(features))
    # The SDK writes into it.
    source = shutil.copytree(clients.SCRIPTS / "source", tmp_path / "source")
    told = clients.told(clients.run(server, clients.SDK_V2, "sdk_v2/repacked.py", labelled(tmp_path), score, source))
    assert told["status"] == "Succeeded", told["reason"]
    packing = ["Create-RepackModel-0", "Register-RepackModel-0"]
    assert told["steps"] == sorted([*packing, "Create-CreateModel", "Register-RegisterModel", "Score", "Train"])
    answers = np.array(clients.read(server, told["scores"]).split(), dtype=np.float32)
    assert ((answers > 0.5) == (features[:, 0] > 0)).mean() > 0.9


def test_a_file_with_a_pipeline_is_planned_and_run(server):
    file, python = clients.SCRIPTS / "sdk_v2" / "defined.py", os.environ[clients.SDK_V2]
    said = server.run("pipeline", "plan", file, "--python", python, timeout=570)
    assert [line.split() for line in said.stdout.splitlines()[:2]] == [["run", "Count"], ["false", "Check"]]
    ran = server.run("pipeline", "run", file, "--python", python, "--wait", timeout=570)
    assert "Succeeded  defined-in-a-file/" in ran.stdout
    failed = server.run("pipeline", "run", "defined-in-a-file", "-p", "Numbers=6", "--wait", expect=10)
    assert "too many" in failed.stdout


def test_a_tuner_searches_alone_and_in_a_pipeline(server, tmp_path):
    source = clients.SCRIPTS / "source"
    told = clients.told(clients.run(server, clients.SDK_V2, "sdk_v2/tuning.py", labelled(tmp_path), source))
    assert told["status"] == "Completed"
    assert told["best"] == told["by_table"] == told["attached"] and told["best"].startswith(told["name"])
    assert len(told["values"]) == 3 and all(value > 0.5 for value in told["values"])
    assert {"strength", "penalty-name", "TrainingElapsedTimeSeconds"} <= set(told["columns"])
    assert 1e-6 <= float(told["strength"]) <= 10
    assert "use Random or Grid" in told["refused"]
    assert told["steps"] == {"Tune": "Succeeded", "Say": "Failed"}
    assert clients.read(server, told["said"])
