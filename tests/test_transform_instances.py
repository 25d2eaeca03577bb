"""Transform jobs on several instances: engines side by side, which share out the files."""

import json
import os
import signal
import socket

import numpy as np
import pytest

from kit import models, platform
from kit.transforms import XGBOOST, Transforms


def several(count):
    return {"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": count}}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("instances") / "data") as server:
        yield with_bucket(server)


def with_bucket(server):
    server.client("s3").create_bucket(
        Bucket="data", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
    )
    return Transforms(server)


@pytest.fixture(scope="module")
def trees(jobs, booster):
    return jobs.model("trees", {"xgboost-model": booster[0].read_bytes()}, image=XGBOOST)


@pytest.fixture(scope="module")
def features():
    return models.rows(5)


@pytest.fixture(scope="module")
def answers(booster, features):
    return models.booster_answers(booster[1], features)


def result(jobs, name):
    return json.loads(jobs.server.run("jobs", "show", name, "--json").stdout)["result"]


def numbers(text):
    return [float(line) if line.strip('"') else None for line in text.splitlines()]


# What scores a file is in the log of its instance.


def test_files_are_shared_out_by_key(jobs, trees, features, answers):
    names = ["a.csv", "b.csv", "c/d.csv", "e.csv", "f.csv"]
    jobs.run("shared", trees, inputs=dict.fromkeys(names, models.csv_of(features)), **several(3))
    outputs = jobs.outputs("shared")
    assert sorted(outputs) == [f"{name}.out" for name in names]
    for text in outputs.values():
        np.testing.assert_allclose(numbers(text), answers, rtol=1e-6)
    group = "/aws/sagemaker/TransformJobs"
    streams = jobs.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="shared/")["logStreams"]
    hosts = sorted(stream["logStreamName"] for stream in streams if not stream["logStreamName"].endswith("data-log"))
    assert [host.split("/")[1].rsplit("-", 1)[0] for host in hosts] == ["algo-1", "algo-2", "algo-3"]
    for index, host in enumerate(hosts):
        said = jobs.log("shared", host.split("/")[1])
        assert [name for name in names if f"{name}: 5 records" in said] == names[index::3]
    summary = result(jobs, "shared")
    assert (summary["status"], summary["rows"], summary["files"]["total"]) == ("succeeded", 25, 5)


def test_instances_without_a_file_are_not_started(jobs, trees, features):
    jobs.run("few", trees, inputs={"a.csv": models.csv_of(features)}, **several(20))
    assert jobs.keys("out/few/") == ["a.csv.out"]
    streams = jobs.logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamNamePrefix="few/"
    )["logStreams"]
    assert not [stream for stream in streams if "algo-2" in stream["logStreamName"]]


def test_a_bad_record_costs_its_file_and_no_other_on_any_instance(jobs, trees, features):
    good = models.csv_of(features)
    inputs = {"1.csv": good, "2.csv": good + "1,two,3,4\n", "3.csv": good, "4.csv": good}
    described = jobs.run("strict", trees, inputs=inputs, ends="Failed", **several(2))
    reason = described["FailureReason"]
    assert reason.startswith("ClientError: 1 of 4 files failed; s3://data/in/strict/2.csv: row 5 (from 0): ")
    assert sorted(jobs.outputs("strict")) == ["1.csv.out", "3.csv.out", "4.csv.out"]
    data_logs = {}
    for index in (1, 2):
        group = "/aws/sagemaker/TransformJobs"
        listed = jobs.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"strict/algo-{index}-")
        name = next(s["logStreamName"] for s in listed["logStreams"] if s["logStreamName"].endswith("data-log"))
        events = jobs.logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)["events"]
        data_logs[index] = "\n".join(event["message"] for event in events)
    assert "2.csv: ClientError: 400" in data_logs[2] and "2.csv" not in data_logs[1]
    assert all("MaxPayloadInMB=" in log for log in data_logs.values())


@pytest.mark.parametrize("limit, ends", [("2", "Completed"), ("20%", "Completed"), ("1", "Failed"), ("10%", "Failed")])
def test_rejects_are_limited_over_all_instances(jobs, trees, features, answers, limit, ends):
    """Two of twelve records, each an instance's only bad one."""
    bad = models.csv_of(features) + "1,two,3,4\n"
    name = f"limit-{limit.strip('%')}-{ends.lower()}"
    environment = {"BESSEMER_MAX_REJECTS": limit}
    described = jobs.run(
        name, trees, inputs={"a.csv": bad, "b.csv": bad}, ends=ends, Environment=environment, **several(2)
    )
    assert jobs.keys(f"out/{name}/") == ["_rejects/a.csv.parquet", "_rejects/b.csv.parquet", "a.csv.out", "b.csv.out"]
    for file in ("a", "b"):
        scored = numbers(jobs.text(f"out/{name}/{file}.csv.out"))
        assert scored[5] is None
        np.testing.assert_allclose(scored[:5], answers, rtol=1e-6)
    if ends == "Failed":
        assert "2 of 12 records were rejected" in described["FailureReason"]


# Models with code of their own: a sandbox an instance.

SCRIPT = """
import json

def model_fn(model_dir):
    return model_dir

def transform_fn(model, body, content_type, accept):
    with open(model + "/seen", "a") as file:
        file.write(body.strip())
    return json.dumps({"seen": open(model + "/seen").read()}), accept
"""


@pytest.mark.parametrize("packed", [True, False])
def test_each_instance_has_a_sandbox_and_a_model_of_its_own(jobs, packed):
    code = {"code": {"a.py": SCRIPT}} if packed else {"files": {"code/inference.py": SCRIPT}}
    name = f"sandboxes-{packed}".lower()
    model = jobs.model(name, code.pop("files", {"m": "x"}), **code)
    inputs = {"1": "a", "2": "b", "3": "c", "4": "d"}
    one = {"MaxConcurrentTransforms": 1, "Environment": {"BESSEMER_COPIES": "1"}}
    jobs.run(name, model, inputs=inputs, **one, **several(2))
    seen = {key: json.loads(text)["seen"] for key, text in jobs.outputs(name).items()}
    assert seen == {"1.out": "a", "3.out": "ac", "2.out": "b", "4.out": "bd"}


# Stops and kills

# Waits in the middle of a call for a word of the test.
WAITING = """
import socket

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    with socket.create_connection(("127.0.0.1", PORT)) as test:
        test.recv(1)
    return body, accept
"""


@pytest.fixture
def gate():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        yield listener, WAITING.replace("PORT", str(listener.getsockname()[1]))


def test_scripts_on_all_instances_outlive_their_server(tmp_path, gate):
    listener, script = gate
    with platform.running(tmp_path / "data") as server:
        before = with_bucket(server)
        model = before.model("kept", {"m": "x"}, code={"a.py": script})
        before.put(**{"in/kept/a": "1\n", "in/kept/b": "2\n"})
        before.create("kept", model, **several(2))
        with listener.accept()[0] as one, listener.accept()[0] as other:
            server.restart()
            after = Transforms(server)
            one.send(b".")
            other.send(b".")
            after.wait("kept")
        assert after.outputs("kept") == {"a.out": "1\n", "b.out": "2\n"}
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()  # nobody called a script again


def test_a_stop_ends_all_instances(jobs, gate):
    listener, script = gate
    model = jobs.model("stopped", {"m": "x"}, code={"a.py": script})
    jobs.put(**{"in/stopped/a": "1\n", "in/stopped/b": "2\n"})
    jobs.create("stopped", model, **several(2))
    with listener.accept()[0] as one, listener.accept()[0] as other:
        jobs.sagemaker.stop_transform_job(TransformJobName="stopped")
        jobs.wait("stopped", "Stopped")
        for waiting in (one, other):
            waiting.settimeout(60)
            assert waiting.recv(1) == b""
    assert jobs.keys("out/stopped/") == []


@pytest.mark.parametrize("ended", ["none", "one", "all"])
def test_a_killed_server_goes_on_with_all_engines(tmp_path, booster, ended):
    rows = models.rows(2_000)
    wanted = np.tile(models.booster_answers(booster[1], rows), 50)
    with platform.running(tmp_path / "data") as server:
        before = with_bucket(server)
        model = before.model("trees", {"xgboost-model": booster[0].read_bytes()}, image=XGBOOST)
        text = models.csv_of(rows) * 50
        before.put(**{f"in/killed/{name}.csv": text for name in "abcd"})
        before.create("killed", model, **several(2))
        while len(found := server.attempts()) < 2:
            pass
        # Recorded and let go, so that both would be found.
        while "TransformStartTime" not in before.sagemaker.describe_transform_job(TransformJobName="killed"):
            pass
        server.stop(signal.SIGKILL)
        for attempt in {"none": [], "one": found[:1], "all": found}[ended]:
            os.kill(attempt, signal.SIGKILL)
        server.start()
        after = Transforms(server)
        after.wait("killed")
        outputs = after.outputs("killed")
        assert sorted(outputs) == [f"{name}.csv.out" for name in "abcd"]
        for text in outputs.values():
            np.testing.assert_allclose(numbers(text), wanted, rtol=1e-6)
        assert result(after, "killed")["rows"] == 4 * len(wanted)
        assert json.loads(server.run("jobs", "show", "killed", "--json").stdout)["attempts_made"] == 1
