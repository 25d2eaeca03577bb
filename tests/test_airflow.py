"""Airflow's operators and sensors for SageMaker and Batch, unmodified, under `bessemer exec`."""

import contextlib
import io
import json
import os
import sqlite3
import tarfile

import numpy as np
import pytest

from kit import cli, clients, models, pipelines, platform, work
from kit.batch import Batch


class Airflow:
    """A server of Bessemer's, and an Airflow whose tasks talk to it."""

    def __init__(self, server, home):
        self.server, self.home = server, home
        self.settings = {
            "BESSEMER_DATA_DIR": str(server.folder),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(clients.SCRIPTS / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }

    def run(self, *arguments, **options):
        command = [os.environ[clients.AIRFLOW], "-W", "ignore", "-m", "airflow", *arguments]
        return cli.run("exec", "--", *command, env=self.settings, timeout=280, **options)

    def states(self):
        """How the tasks of all runs ended."""
        with contextlib.closing(sqlite3.connect(self.home / "airflow.db")) as database:
            return dict(database.execute("select dag_id || '.' || task_id, state from task_instance"))


@pytest.fixture(scope="module")
def airflow(tmp_path_factory, booster):
    folder = tmp_path_factory.mktemp("airflow")
    with platform.running(folder / "data") as server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": platform.REGION})
        s3.put_object(Bucket="lake", Key="model.tar.gz", Body=models.archive(booster[0]))
        airflow = Airflow(server, folder / "home")
        airflow.run("db", "migrate")
        yield airflow


def put(airflow, key, text):
    airflow.server.client("s3").put_object(Bucket="lake", Key=key, Body=text.encode())


def test_operators_and_sensor_run_jobs(airflow, booster):
    features = models.rows(30)
    halves = {"day": features[:20], "night": features[20:]}
    for name, rows in halves.items():
        put(airflow, f"{name}/rows.csv", models.csv_of(rows))
    airflow.run("dags", "test", "scoring")
    states = airflow.states()
    assert [states[f"scoring.{task}"] for task in ("model", "waits", "starts", "ended")] == ["success"] * 4
    listed = airflow.server.client("sagemaker").list_transform_jobs(SortOrder="Ascending")
    names = [job["TransformJobName"] for job in listed["TransformJobSummaries"]]
    assert names[0] == "scoring" and names[1].startswith("scoring-")
    for name, rows in halves.items():
        key = f"scores/{name}/rows.csv.out"
        body = airflow.server.client("s3").get_object(Bucket="lake", Key=key)["Body"].read()
        answers = np.array(body.split(), dtype=np.float32)
        np.testing.assert_allclose(answers, models.booster_answers(booster[1], rows), rtol=1e-6)


def test_a_sensor_tells_why_a_job_failed(airflow):
    airflow.server.client("sagemaker").create_model(
        ModelName="damaged", ExecutionRoleArn=platform.ROLE,
        PrimaryContainer={"Image": "xgboost", "ModelDataUrl": "s3://lake/model.tar.gz"},
    )
    put(airflow, "wrong/rows.csv", "1,2,3,4\n1,two,3,4\n")
    ran = airflow.run("dags", "test", "failing", expect=1)
    states = airflow.states()
    assert (states["failing.fails"], states["failing.ended"]) == ("success", "failed")
    reason = "s3://lake/wrong/rows.csv: row 1 (from 0)"
    assert f"job failed for the following reason: ClientError: 1 of 1 files failed; {reason}" in ran.stdout + ran.stderr


def test_processing_and_training_operators_run_jobs(airflow):
    for name in ("clean.py", "add.py"):
        put(airflow, f"code/{name}", (clients.SCRIPTS / "source" / name).read_text())
    put(airflow, "numbers/a.txt", "1\n2\n")
    put(airflow, "numbers/b.txt", "3\n")
    ran = airflow.run("dags", "test", "training")
    states = airflow.states()
    assert (states["training.clean"], states["training.train"]) == ("success", "success")
    assert "3 numbers" in ran.stdout + ran.stderr
    read = clients.read(airflow.server, "s3://lake/models/sum/output/model.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(read)) as archive:
        assert archive.extractfile("sum.txt").read() == b"18"


def test_a_function_is_made_and_called_by_operators(airflow):
    airflow.run("dags", "test", "calling")
    states = airflow.states()
    assert [states[f"calling.{task}"] for task in ("create", "active", "call", "later")] == ["success"] * 4
    logs = airflow.server.client("logs")
    said = {"called with {'numbers': [1, 2, 3]}", "called with {'numbers': [4]}"}
    work.until(lambda: said <= {
        event["message"] for event in logs.filter_log_events(logGroupName="/aws/lambda/sums")["events"]
    })
    airflow.run("dags", "test", "failing_call", expect=1)
    assert airflow.states()["failing_call.fails"] == "failed"


def test_batch_operators_and_sensors_run_jobs(airflow):
    batch = Batch(airflow.server, "airflow").make()
    batch.define("says", "echo", "hello")
    batch.define("copy", "s3", "cp", "Ref::from", "Ref::to", image="public.ecr.aws/aws-cli/aws-cli:latest")
    put(airflow, "batch/in.txt", "content")
    airflow.run("dags", "test", "batch")
    states = airflow.states()
    tasks = ("environment", "valid", "queue", "waits", "starts", "ended")
    assert [states[f"batch.{task}"] for task in tasks] == ["success"] * len(tasks)
    assert clients.read(airflow.server, "s3://lake/batch/out.txt") == b"content"
    [environment] = batch.client.describe_compute_environments(computeEnvironments=["fargate"])["computeEnvironments"]
    assert environment["computeResources"]["type"] == "FARGATE"
    airflow.run("dags", "test", "batch_failing", expect=1)
    assert airflow.states()["batch_failing.fails"] == "failed"


def test_a_message_goes_from_operator_to_sensor(airflow):
    sqs = airflow.server.client("sqs")
    url = sqs.create_queue(QueueName="airflow")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody='{"kind": "other"}')
    airflow.run("dags", "test", "queues", "--conf", json.dumps({"queue": url}))
    states = airflow.states()
    assert (states["queues.tells"], states["queues.hears"]) == ("success", "success")
    # The sensor has deleted what it waited for, and the rest is still there.
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    assert sorted(left.values()) == ["0", "1"]


def test_operators_and_sensor_run_and_stop_pipelines(airflow):
    why = {"Name": "Why", "Type": "String"}
    yes = pipelines.condition("Yes", [pipelines.compare("Equals", pipelines.get("Parameters.Why"), "airflow")])
    pipelines.create(airflow.server, "quick", yes, parameters=[why])
    work.make_bucket(airflow.server)
    endless = pipelines.processing(airflow.server, "Endless", "import time; time.sleep(600)")
    pipelines.create(airflow.server, "endless", endless)
    airflow.run("dags", "test", "pipelines")
    states = airflow.states()
    assert [states[f"pipelines.{task}"] for task in ("runs", "waits", "starts", "stops")] == ["success"] * 4
    for name, ends in (("quick", "Succeeded"), ("endless", "Stopped")):
        listed = airflow.server.client("sagemaker").list_pipeline_executions(PipelineName=name)
        statuses = [one["PipelineExecutionStatus"] for one in listed["PipelineExecutionSummaries"]]
        assert statuses == [ends]
