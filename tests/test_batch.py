"""AWS Batch, driven by boto3: what describes jobs, jobs to their ends, retries, arrays, dependencies,
cancelling, and kills of the server."""

import pytest
from botocore.exceptions import ClientError

from kit import platform, work
from kit.batch import Batch, value_of

TOLD = """
import json, os, sys
print(json.dumps({"arguments": sys.argv[1:], "environment": dict(os.environ)}))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("batch") / "data") as server:
        work.make_bucket(server)
        yield server
        # Whatever happened above, nothing stays.
        work.until(lambda: not work.left_over(server), f"end of {work.left_over(server)}")


@pytest.fixture(scope="module")
def batch(server):
    return Batch(server).make()


def refused(call, **members):
    with pytest.raises(ClientError) as error:
        call(**members)
    assert error.value.response["Error"]["Code"] == "ClientException"
    return error.value.response["Error"]["Message"]


def test_a_job_runs_and_is_told_of_as_batch_does(batch):
    arn = batch.define("hello", "python", "-c", "print('hello')")
    job = batch.run("hello")
    assert (job["status"], job["statusReason"]) == ("SUCCEEDED", "Essential container in task exited")
    assert job["jobArn"].endswith(f":job/{job['jobId']}")
    assert job["jobQueue"].endswith(":job-queue/queue") and job["jobDefinition"] == arn
    assert job["createdAt"] <= job["startedAt"] <= job["stoppedAt"]
    container = job["container"]
    assert container["exitCode"] == 0 and "reason" not in container
    stream = container["logStreamName"]
    assert stream.startswith("hello/default/")
    assert batch.lines(stream)[-1] == "hello"
    [attempt] = job["attempts"]
    assert attempt["container"]["logStreamName"] == stream
    assert attempt["container"]["exitCode"] == 0
    assert attempt["statusReason"] == "Essential container in task exited"


def test_a_job_that_fails_has_its_exit_code(batch):
    batch.define("fails", "python", "-c", "import sys; sys.exit(3)")
    job = batch.run("fails")
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 3)
    assert job["statusReason"] == "Essential container in task exited"
    assert not job["isCancelled"] and not job["isTerminated"]


def test_overrides_and_parameters_go_before_the_definition(batch):
    batch.define(
        "told", "python", "-c", TOLD, "Ref::input", "--to=Ref::output",
        parameters={"input": "default", "output": "none"},
        container={"environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
    )
    job = batch.run("told", parameters={"output": "s3://b/out"}, containerOverrides={
        "environment": [{"name": "B", "value": "3"}],
        "resourceRequirements": [{"type": "MEMORY", "value": "300"}],
    })
    told = value_of(batch.lines(job["container"]["logStreamName"]))
    assert told["arguments"] == ["default", "--to=s3://b/out"]
    environment = told["environment"]
    assert (environment["A"], environment["B"]) == ("1", "3")
    assert environment["AWS_BATCH_JOB_ID"] == job["jobId"]
    assert environment["AWS_BATCH_JOB_ATTEMPT"] == "1"
    assert environment["AWS_BATCH_JQ_NAME"] == "queue"
    assert environment["AWS_BATCH_CE_NAME"] == "machine"
    assert "AWS_BATCH_JOB_ARRAY_INDEX" not in environment
    asked = {one["type"]: one["value"] for one in job["container"]["resourceRequirements"]}
    assert asked == {"VCPU": "1", "MEMORY": "300"}
    assert job["parameters"] == {"input": "default", "output": "s3://b/out"}
