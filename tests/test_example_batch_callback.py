"""`examples/batch-callback`: a pipeline whose work is done by jobs of Batch, through functions and a queue."""

import csv
import io
import json
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from kit import clients, pipelines, platform, work

EXAMPLE = Path(__file__).parents[1] / "examples" / "batch-callback"
BUCKET = "sagemaker-us-east-1-000000000000"
STEPS = ["SubmitJobs", "WaitForJobs", "Summarize"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    # The address of before is what functions and jobs know.
    with platform.running(tmp_path_factory.mktemp("batch-callback") / "data", keeps_address=True) as server:
        yield server


@pytest.fixture(scope="module")
def ran(server):
    """What the example says when all goes well."""
    assert run(server, "prepare.py")["parts"] == 4
    return run(server, "pipeline.py")


def run(server, script, *arguments):
    return clients.told(clients.run(server, clients.SDK_V2, EXAMPLE / script, *arguments))


def clicks(server, prefix):
    """The clicks by market below a prefix, and of how many files."""
    s3 = server.client("s3")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]]
    found = Counter()
    for key in keys:
        text = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()
        for row in csv.DictReader(io.StringIO(text)):
            found[row["market"]] += int(row["clicks"])
    return {"files": len(keys), "clicks": found}


def calls(server, name):
    """What the monitoring function has said to each message."""
    logs = server.client("logs")
    events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}-monitor")["events"]
    return [event["message"] for event in events]


def is_empty(server, name):
    sqs = server.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return set(found.values()) == {"0"}


def statuses(server, queue):
    pages = server.client("batch").get_paginator("list_jobs").paginate(
        jobQueue=queue, filters=[{"name": "JOB_NAME", "values": ["copy-*"]}]
    )
    return Counter((job["jobName"], job["status"]) for page in pages for job in page["jobSummaryList"])


def test_jobs_are_submitted_waited_for_and_summed_up(server, ran):
    assert (ran["status"], ran["steps"]) == ("Succeeded", dict.fromkeys(STEPS, "Succeeded"))
    id = ran["execution"].rsplit("/", 1)[1]
    assert ran["summary"] == clicks(server, f"batch-callback/copied/{id}/") == clicks(server, "batch-callback/raw/")
    # The message went back to the queue for as long as jobs ran.
    assert any("StillRunning" in line for line in calls(server, "batch-callback"))
    work.until(lambda: is_empty(server, "batch-callback"), "empty queue")


@pytest.mark.usefixtures("ran")
def test_a_job_that_fails_fails_the_pipeline_with_its_reason(server):
    # There is no fifth part.
    ran = run(server, "pipeline.py", "--parts", "5")
    assert (ran["status"], ran["steps"]) == ("Failed", {"SubmitJobs": "Succeeded", "WaitForJobs": "Failed"})
    reason = "Step `WaitForJobs`: 1 of 5 jobs failed: copy-4: Essential container in task exited (exit code 1)"
    assert reason in ran["reason"]
    work.until(lambda: is_empty(server, "batch-callback"), "empty queue")


def test_a_monitor_that_crashes_loses_nothing(server):
    run(server, "prepare.py", "--name", "crashing", "--crashes", "2")
    ran = run(server, "pipeline.py", "--name", "crashing")
    assert (ran["status"], ran["steps"]) == ("Succeeded", dict.fromkeys(STEPS, "Succeeded"))
    assert ran["summary"] == clicks(server, "crashing/raw/")
    crashes = [line for line in calls(server, "crashing") if "Error Type: Runtime.ExitError" in line]
    assert len(crashes) == 2, calls(server, "crashing")
    assert statuses(server, "crashing") == {(f"copy-{part}", "SUCCEEDED"): 1 for part in range(4)}
    work.until(lambda: is_empty(server, "crashing"), "empty queue")


@pytest.mark.usefixtures("ran")
def test_kills_of_the_server_lose_no_step_no_message_and_no_job(server):
    executions = [pipelines.start(server, "batch-callback") for _ in range(3)]
    random.seed(5)
    for _ in range(6):
        time.sleep(random.uniform(0, 2))
        server.restart(signal.SIGKILL)
    expected = clicks(server, "batch-callback/raw/")
    for execution in executions:
        pipelines.ended(server, execution)
        steps = pipelines.steps(server, execution)
        assert {name: step["AttemptCount"] for name, step in steps.items()} == dict.fromkeys(STEPS, 1)
        outputs = steps["SubmitJobs"]["Metadata"]["Lambda"]["OutputParameters"]
        ids = next(output["Value"] for output in outputs if output["Name"] == "job_ids").split(",")
        jobs = server.client("batch").describe_jobs(jobs=ids)["jobs"]
        assert [(job["jobName"], job["status"]) for job in jobs] == [(f"copy-{part}", "SUCCEEDED") for part in range(4)]
        id = execution.rsplit("/", 1)[1]
        summary = clients.read(server, f"s3://{BUCKET}/batch-callback/summary/{id}/summary.json")
        assert json.loads(summary) == clicks(server, f"batch-callback/copied/{id}/") == expected
    work.until(lambda: is_empty(server, "batch-callback"), "empty queue")
