"""AWS Batch, driven by boto3: what describes jobs, jobs to their ends, retries, arrays, dependencies,
cancelling, and kills of the server."""

import json
import random
import time

import pytest
from botocore.exceptions import ClientError

from kit import platform, work
from kit.batch import Batch, value_of

TOLD = """
import json, os, sys
print(json.dumps({"arguments": sys.argv[1:], "environment": dict(os.environ)}))
"""

INDEX = "import os; print(os.environ['AWS_BATCH_JOB_ARRAY_INDEX'])"
ODD = "import os, sys; sys.exit(int(os.environ['AWS_BATCH_JOB_ARRAY_INDEX']) % 2)"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("batch") / "data") as server:
        work.make_bucket(server)
        yield server
        # Whatever happened above, nothing stays.
        work.until(lambda: not work.left_over(server), f"end of {work.left_over(server)}")


@pytest.fixture(scope="module")
def batch(server):
    batch = Batch(server).make()
    batch.define("hello", "python", "-c", "print('hello')")
    batch.define("fails", "python", "-c", "import sys; sys.exit(3)")
    batch.define("sleeps", "sleep", "1000")
    batch.define("index", "python", "-c", INDEX)
    batch.define("odd", "python", "-c", ODD)
    return batch


def refused(call, **members):
    with pytest.raises(ClientError) as error:
        call(**members)
    assert error.value.response["Error"]["Code"] == "ClientException"
    return error.value.response["Error"]["Message"]


def test_a_job_runs_and_is_told_of_as_batch_does(batch):
    job = batch.run("hello")
    assert (job["status"], job["statusReason"]) == ("SUCCEEDED", "Essential container in task exited")
    assert job["jobArn"].endswith(f":job/{job['jobId']}")
    assert job["jobQueue"].endswith(":job-queue/queue") and job["jobDefinition"].endswith(":job-definition/hello:1")
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


def test_overrides_in_their_older_form_are_requirements(batch):
    old = {"image": "python:3.11", "command": ["true"], "vcpus": 1, "memory": 128}
    batch.client.register_job_definition(
        jobDefinitionName="old", type="container", containerProperties=old
    )
    job = batch.run("old", containerOverrides={"memory": 200, "command": ["false"]})
    assert (job["status"], job["container"]["command"]) == ("FAILED", ["false"])
    assert {"type": "MEMORY", "value": "200"} in job["container"]["resourceRequirements"]


# Ends with the code that the attempt's number stands for.
CODES = "import os, sys; sys.exit([0, 7, 1, 0][int(os.environ['AWS_BATCH_JOB_ATTEMPT'])])"


def codes(job):
    return [attempt["container"].get("exitCode") for attempt in job["attempts"]]


def test_failed_attempts_are_followed_by_others(batch):
    batch.define("codes", "python", "-c", CODES)
    job = batch.run("codes", retryStrategy={"attempts": 3})
    assert (job["status"], codes(job)) == ("SUCCEEDED", [7, 1, 0])
    streams = [attempt["container"]["logStreamName"] for attempt in job["attempts"]]
    assert len(set(streams)) == 3 and job["container"]["logStreamName"] == streams[-1]
    assert codes(batch.run("codes")) == [7], "one attempt is usual"


def test_rules_say_which_ends_are_followed(batch):
    rules = [
        {"onExitCode": "7", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ]
    batch.define("ruled", "python", "-c", CODES, retryStrategy={"attempts": 5, "evaluateOnExit": rules})
    job = batch.run("ruled")
    assert (job["status"], codes(job)) == ("FAILED", [7, 1])
    assert job["retryStrategy"] == {"attempts": 5, "evaluateOnExit": rules}
    exits = [{"onStatusReason": "Essential container*", "onExitCode": "7", "action": "EXIT"}]
    job = batch.run("ruled", retryStrategy={"attempts": 5, "evaluateOnExit": exits})
    assert codes(job) == [7]


def test_a_job_that_takes_too_long_is_ended_and_not_tried_again(batch):
    batch.define("slow", "sleep", "1000", timeout={"attemptDurationSeconds": 1})
    job = batch.run("slow", retryStrategy={"attempts": 3})
    assert (job["status"], job["statusReason"]) == ("FAILED", "Job attempt duration exceeded timeout")
    assert len(job["attempts"]) == 1


def test_a_container_that_takes_too_much_memory_is_killed(batch):
    batch.define("greedy", "python", "-c", "x = bytearray(1 << 30); print(len(x))", memory="64")
    job = batch.run("greedy")
    assert job["status"] == "FAILED"
    assert (job["container"]["exitCode"], job["container"]["reason"].split(":")[0]) in (
        (137, "OutOfMemoryError"), (1, ""),
    )


def test_an_image_that_stands_for_nothing_fails_the_job(batch):
    batch.define("unknown", "true", image="local/none:1")
    job = batch.run("unknown")
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert "local/none:1" in job["container"]["reason"]
    assert "exitCode" not in job["container"]


def test_a_job_that_runs_is_terminated_but_not_cancelled(batch):
    job = batch.submit("sleeps")
    batch.until(job, "RUNNING")
    batch.client.cancel_job(jobId=job, reason="too late")
    assert batch.status(job) == "RUNNING"
    batch.client.terminate_job(jobId=job, reason="not needed")
    ended = batch.ended(job)
    assert (ended["status"], ended["statusReason"]) == ("FAILED", "not needed")
    assert ended["isTerminated"] and not ended["isCancelled"]
    assert ended["container"]["exitCode"] in (143, 137)
    batch.client.terminate_job(jobId=job, reason="again")
    assert batch.describe(job)["statusReason"] == "not needed"
    batch.client.cancel_job(jobId="00000000-0000-4000-8000-000000000000", reason="none is no error")


def test_a_job_that_waits_is_cancelled(batch):
    first = batch.submit("sleeps", containerOverrides={"command": ["sleep", "1000"]})
    waits = batch.submit("hello", dependsOn=[{"jobId": first}])
    assert batch.status(waits) == "PENDING"
    batch.client.cancel_job(jobId=waits, reason="changed my mind")
    job = batch.describe(waits)
    assert (job["status"], job["statusReason"]) == ("FAILED", "changed my mind")
    assert job["isCancelled"] and job["attempts"] == [] and "startedAt" not in job
    batch.client.terminate_job(jobId=first, reason="done")
    batch.ended(first)


def test_jobs_wait_for_those_that_they_depend_on(batch):
    gate = "import os, sys, boto3; boto3.client('s3').head_object(Bucket='data', Key=sys.argv[1])"
    batch.define("gate", "python", "-c", gate, "Ref::key")
    write = "import sys, boto3; boto3.client('s3').put_object(Bucket='data', Key=sys.argv[1], Body=b'x')"
    batch.define("write", "python", "-c", write, "Ref::key")
    first = batch.submit("write", parameters={"key": "gate/a"})
    second = batch.submit("write", parameters={"key": "gate/b"}, dependsOn=[{"jobId": first}])
    third = batch.submit(
        "gate", parameters={"key": "gate/b"}, dependsOn=[{"jobId": first}, {"jobId": second}]
    )
    done = batch.ended(third)
    assert done["status"] == "SUCCEEDED"
    assert done["dependsOn"] == [{"jobId": first}, {"jobId": second}]
    assert done["startedAt"] >= batch.describe(second)["stoppedAt"]
    # What it depends on has ended already.
    assert batch.run("hello", dependsOn=[{"jobId": third}])["status"] == "SUCCEEDED"


def test_a_failure_fails_all_that_depends_on_it(batch):
    first = batch.submit("fails")
    second = batch.submit("hello", dependsOn=[{"jobId": first}])
    third = batch.submit("hello", dependsOn=[{"jobId": second}])
    for job in (second, third):
        ended = batch.ended(job)
        assert (ended["status"], ended["statusReason"]) == ("FAILED", "Dependent Job failed")
        assert ended["attempts"] == []
    late = batch.run("hello", dependsOn=[{"jobId": first}])
    assert late["statusReason"] == "Dependent Job failed"


def summary(job):
    return {status: n for status, n in job["arrayProperties"]["statusSummary"].items() if n}


def test_an_array_runs_a_job_for_each_place(batch):
    array = batch.submit("index", arrayProperties={"size": 5})
    ended = batch.ended(array)
    assert (ended["status"], summary(ended)) == ("SUCCEEDED", {"SUCCEEDED": 5})
    assert ended["arrayProperties"]["size"] == 5
    children = batch.list(arrayJobId=array, jobStatus="SUCCEEDED")
    assert [child["jobId"] for child in children] == [f"{array}:{place}" for place in range(5)]
    assert [child["arrayProperties"]["index"] for child in children] == [0, 1, 2, 3, 4]
    assert all(child["container"]["exitCode"] == 0 for child in children)
    child = batch.describe(f"{array}:3")
    assert batch.lines(child["container"]["logStreamName"])[-1] == "3"
    assert child["arrayProperties"] == {"index": 3}
    assert array in [job["jobId"] for job in batch.list(jobQueue="queue", jobStatus="SUCCEEDED")]
    assert ended["startedAt"] <= child["startedAt"] <= child["stoppedAt"] <= ended["stoppedAt"]


def test_an_array_fails_with_any_of_its_children_and_only_at_its_end(batch):
    ended = batch.run("odd", arrayProperties={"size": 4})
    assert (ended["status"], summary(ended)) == ("FAILED", {"SUCCEEDED": 2, "FAILED": 2})
    assert ended["statusReason"] == "Array Child Job failed"
    dependent = batch.run("hello", dependsOn=[{"jobId": ended["jobId"]}])
    assert dependent["statusReason"] == "Dependent Job failed"


def test_children_depend_on_their_like(batch):
    first = batch.submit("odd", arrayProperties={"size": 4})
    second = batch.submit(
        "index", arrayProperties={"size": 4}, dependsOn=[{"jobId": first, "type": "N_TO_N"}]
    )
    ended = batch.ended(second)
    assert (ended["status"], summary(ended)) == ("FAILED", {"SUCCEEDED": 2, "FAILED": 2})
    statuses = {
        child["arrayProperties"]["index"]: child.get("statusReason")
        for status in ("SUCCEEDED", "FAILED")
        for child in batch.list(arrayJobId=second, jobStatus=status)
    }
    good, bad = "Essential container in task exited", "Dependent Job failed"
    assert statuses == {0: good, 1: bad, 2: good, 3: bad}
    message = refused(
        batch.client.submit_job, jobName="j", jobQueue="queue", jobDefinition="index",
        arrayProperties={"size": 3}, dependsOn=[{"jobId": first, "type": "N_TO_N"}],
    )
    assert "same size" in message


def test_children_of_a_sequential_array_run_one_after_another(batch):
    array = batch.submit(
        "index", arrayProperties={"size": 4}, dependsOn=[{"type": "SEQUENTIAL"}]
    )
    assert batch.ended(array)["status"] == "SUCCEEDED"
    children = [batch.describe(f"{array}:{place}") for place in range(4)]
    for before, after in zip(children, children[1:]):
        assert before["stoppedAt"] <= after["startedAt"]


def test_an_array_is_terminated_with_all_its_children(batch):
    array = batch.submit("sleeps", arrayProperties={"size": 20})
    work.until(lambda: summary(batch.describe(array)).get("RUNNING", 0) > 0, "a child that runs")
    assert batch.status(array) == "PENDING"
    batch.client.terminate_job(jobId=array, reason="enough")
    ended = batch.ended(array)
    assert (ended["status"], ended["statusReason"]) == ("FAILED", "enough")
    assert summary(ended) == {"FAILED": 20}
    children = batch.list(arrayJobId=array, jobStatus="FAILED")
    assert {child["statusReason"] for child in children} == {"enough"}


def test_jobs_are_found_by_name_definition_and_time(batch):
    mark = batch.describe(batch.submit("hello", name="found-first"))["createdAt"]
    last = batch.submit("hello", name="Found-second")
    for job in (last,):
        batch.ended(job)

    def found(name, *values):
        filters = [{"name": name, "values": list(values)}]
        return {job["jobName"] for job in batch.list(jobQueue="queue", filters=filters)}

    assert found("JOB_NAME", "found-*") == {"found-first", "Found-second"}
    assert found("JOB_NAME", "found-first") == {"found-first"}
    assert "Found-second" in found("JOB_DEFINITION", "hello")
    assert "Found-second" in found("JOB_DEFINITION", "hello:1")
    assert found("JOB_DEFINITION", "hello:2") == set()
    assert found("AFTER_CREATED_AT", str(mark - 1)) >= {"found-first", "Found-second"}
    assert "Found-second" not in found("BEFORE_CREATED_AT", str(mark))
    pages = batch.client.get_paginator("list_jobs").paginate(
        jobQueue="queue", filters=[{"name": "JOB_NAME", "values": ["found-*"]}],
        PaginationConfig={"PageSize": 1},
    )
    assert [len(page["jobSummaryList"]) for page in pages] == [1, 1]
    assert refused(batch.client.list_jobs, jobQueue="none") == "JobQueue none does not exist"


def test_definitions_have_revisions(batch):
    first = batch.define("versions", "true", tags={"team": "a"}, propagateTags=True)
    second = batch.define("versions", "false")
    assert (first.rsplit(":", 1)[1], second.rsplit(":", 1)[1]) == ("1", "2")

    def revisions(**query):
        found = batch.client.describe_job_definitions(**query)["jobDefinitions"]
        return [(one["revision"], one["status"]) for one in found]

    both = [(2, "ACTIVE"), (1, "ACTIVE")]
    assert revisions(jobDefinitionName="versions", status="ACTIVE") == both
    assert revisions(jobDefinitions=["versions:1"]) == [(1, "ACTIVE")]
    assert batch.run("versions")["status"] == "FAILED", "the latest is meant"
    batch.client.deregister_job_definition(jobDefinition=second)
    assert revisions(jobDefinitionName="versions", status="INACTIVE") == [(2, "INACTIVE")]
    assert batch.run("versions")["status"] == "SUCCEEDED"
    submit = dict(jobName="j", jobQueue="queue", jobDefinition="versions:2")
    assert "does not exist" in refused(batch.client.submit_job, **submit)
    tagged = batch.run("versions:1", tags={"x": "y"}, propagateTags=True)
    assert tagged["tags"] == {"team": "a", "x": "y"}


def test_tags(batch):
    arn = batch.define("tagged", "true", tags={"a": "b"})
    batch.client.tag_resource(resourceArn=arn, tags={"c": "d"})
    batch.client.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert batch.client.list_tags_for_resource(resourceArn=arn)["tags"] == {"c": "d"}
    definition = batch.client.describe_job_definitions(jobDefinitions=["tagged"])["jobDefinitions"][0]
    assert definition["tags"] == {"c": "d"}
    job = batch.run("tagged", tags={})
    batch.client.tag_resource(resourceArn=job["jobArn"], tags={"e": "f"})
    assert batch.describe(job["jobId"])["tags"] == {"e": "f"}
    missing = arn.replace("tagged", "none")
    assert "does not exist" in refused(batch.client.list_tags_for_resource, resourceArn=missing)


def test_environments_and_queues_are_made_changed_and_deleted(batch):
    client = batch.client
    resources = {
        "type": "FARGATE", "maxvCpus": 8, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"],
    }
    made = client.create_compute_environment(
        computeEnvironmentName="managed", type="MANAGED", computeResources=resources, tags={"a": "b"}
    )
    [found] = client.describe_compute_environments(computeEnvironments=["managed"])["computeEnvironments"]
    assert (found["state"], found["status"], found["type"]) == ("ENABLED", "VALID", "MANAGED")
    assert found["computeResources"] == resources and found["tags"] == {"a": "b"}
    again = dict(computeEnvironmentName="managed", type="UNMANAGED")
    assert refused(client.create_compute_environment, **again) == "Object already exists"
    queue = client.create_job_queue(
        jobQueueName="other", priority=5,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": made["computeEnvironmentArn"]}],
    )["jobQueueArn"]
    client.update_job_queue(jobQueue="other", priority=7)
    [found] = client.describe_job_queues(jobQueues=[queue])["jobQueues"]
    assert (found["priority"], found["state"], found["status"]) == (7, "ENABLED", "VALID")
    delete = client.delete_compute_environment
    assert "DISABLED" in refused(delete, computeEnvironment="managed")
    client.update_compute_environment(
        computeEnvironment="managed", state="DISABLED", computeResources={"maxvCpus": 4}
    )
    [found] = client.describe_compute_environments(computeEnvironments=["managed"])["computeEnvironments"]
    assert (found["state"], found["computeResources"]["maxvCpus"]) == ("DISABLED", 4)
    assert "JobQueue relationship" in refused(delete, computeEnvironment="managed")
    held = batch.submit("sleeps", jobQueue="other")
    batch.until(held, "RUNNING")
    assert "DISABLED" in refused(client.delete_job_queue, jobQueue="other")
    client.update_job_queue(jobQueue="other", state="DISABLED")
    submit = dict(jobName="j", jobQueue="other", jobDefinition="hello")
    assert "ENABLED" in refused(client.submit_job, **submit)
    client.delete_job_queue(jobQueue="other")
    assert batch.ended(held)["statusReason"] == "Job Queue deleted"
    client.delete_compute_environment(computeEnvironment="managed")
    assert client.describe_job_queues(jobQueues=["other"])["jobQueues"] == []
    assert client.describe_compute_environments(computeEnvironments=["managed"])["computeEnvironments"] == []


def test_what_is_not_supported_is_refused(batch):
    container = {"image": "python:3.11", "vcpus": 1, "memory": 10}
    register = dict(jobDefinitionName="bad", type="container", containerProperties=container)
    for change, why in (
        ({"type": "multinode"}, "multinode"),
        ({"containerProperties": {**container, "privileged": True}}, "privileged"),
        ({"containerProperties": {"image": "x", "vcpus": 1}}, "MEMORY"),
        ({"eksProperties": {"podProperties": {"containers": [{"image": "x"}]}}}, "eksProperties"),
        ({"jobDefinitionName": "a b"}, "a b"),
    ):
        assert why in refused(batch.client.register_job_definition, **{**register, **change})
    submit = dict(jobName="j", jobQueue="queue", jobDefinition="hello")
    for change, why in (
        ({"jobDefinition": "none"}, "none"),
        ({"jobQueue": "none"}, "none"),
        ({"arrayProperties": {"size": 1}}, "Array size"),
        ({"dependsOn": [{"jobId": "none"}]}, "none"),
        ({"dependsOn": [{"type": "SEQUENTIAL"}]}, "array"),
        ({"nodeOverrides": {"numNodes": 2}}, "nodeOverrides"),
        ({"shareIdentifier": "a"}, "shareIdentifier"),
        ({"containerOverrides": {"environment": [{"name": "AWS_BATCH_X", "value": "1"}]}}, "AWS_BATCH"),
        ({"retryStrategy": {"attempts": 11}}, "attempts"),
    ):
        assert why in refused(batch.client.submit_job, **{**submit, **change})
    assert batch.client.describe_jobs(jobs=["none"])["jobs"] == []


def test_the_aws_cli_copies_objects(batch):
    work.put(batch.server, "cli/in.txt", "content")
    batch.define(
        "copy", "s3", "cp", "Ref::from", "Ref::to",
        image="public.ecr.aws/aws-cli/aws-cli:latest", platformCapabilities=["FARGATE"],
        container={
            "executionRoleArn": platform.ROLE, "jobRoleArn": platform.ROLE,
            "networkConfiguration": {"assignPublicIp": "ENABLED"},
            "fargatePlatformConfiguration": {"platformVersion": "LATEST"},
        },
    )
    job = batch.run("copy", parameters={"from": "s3://data/cli/in.txt", "to": "s3://data/cli/out.txt"})
    assert job["status"] == "SUCCEEDED", batch.lines(job["container"]["logStreamName"])
    assert work.read(batch.server, "cli/out.txt") == b"content"
    missing = {"from": "s3://data/cli/none", "to": "s3://data/cli/out.txt"}
    failed = batch.run("copy", parameters=missing)
    assert (failed["status"], failed["container"]["exitCode"]) == ("FAILED", 1)


def test_a_service_job_trains_as_sagemaker_does(batch):
    client, sagemaker = batch.client, batch.server.client("sagemaker")
    made = client.create_service_environment(
        serviceEnvironmentName="trainings", serviceEnvironmentType="SAGEMAKER_TRAINING",
        capacityLimits=[{"maxCapacity": 2, "capacityUnit": "NUM_INSTANCES"}],
    )
    [found] = client.describe_service_environments(serviceEnvironments=["trainings"])["serviceEnvironments"]
    assert (found["status"], found["state"]) == ("VALID", "ENABLED")
    client.create_job_queue(
        jobQueueName="trainings", priority=1, jobQueueType="SAGEMAKER_TRAINING",
        serviceEnvironmentOrder=[{"order": 1, "serviceEnvironment": made["serviceEnvironmentArn"]}],
    )

    def submit(name, *command):
        payload = {
            "TrainingJobName": name,
            "AlgorithmSpecification": {
                "TrainingImage": "python:3.11", "TrainingInputMode": "File", "ContainerEntrypoint": command,
            },
            "RoleArn": platform.ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://data/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        return client.submit_service_job(
            jobName=name, jobQueue="trainings", serviceJobType="SAGEMAKER_TRAINING",
            serviceRequestPayload=json.dumps(payload), retryStrategy={"attempts": 1}, tags={"a": "b"},
        )["jobId"]

    def described(job):
        return client.describe_service_job(jobId=job)

    job = submit("service", "sh", "-c", "echo model > /opt/ml/model/model.txt")
    work.until(lambda: described(job)["status"] in ("SUCCEEDED", "FAILED"), "end of the job")
    told = described(job)
    assert (told["status"], told["tags"]) == ("SUCCEEDED", {"a": "b"})
    training = sagemaker.describe_training_job(TrainingJobName="service")
    assert told["latestAttempt"]["serviceResourceId"]["value"] == training["TrainingJobArn"]
    assert training["TrainingJobStatus"] == "Completed"
    assert work.exists(batch.server, "out/service/output/model.tar.gz")

    long = submit("long", "sleep", "1000")
    work.until(lambda: described(long)["status"] == "RUNNING", "a job that runs")
    listed = client.list_service_jobs(jobQueue="trainings", jobStatus="RUNNING")["jobSummaryList"]
    assert [job["jobId"] for job in listed] == [long]
    client.terminate_service_job(jobId=long, reason="not needed")
    work.until(lambda: described(long)["status"] == "FAILED", "end of the job")
    assert described(long)["statusReason"] == "not needed" and described(long)["isTerminated"]
    message = refused(
        client.submit_service_job, jobName="j", jobQueue="trainings", serviceJobType="SAGEMAKER_TRAINING",
        serviceRequestPayload='{"TrainingJobName": "x"}',
    )
    assert "ValidationException" in message
    assert "SubmitServiceJob" in refused(
        batch.client.submit_job, jobName="j", jobQueue="trainings", jobDefinition="hello"
    )


def test_jobs_are_seen_on_the_command_line(batch):
    job = batch.run("hello", name="seen")["jobId"]
    assert "succeeded" in batch.server.run("jobs", "show", job).stdout
    assert "hello" in batch.server.run("logs", job).stdout


@pytest.fixture
def small(tmp_path):
    """A server for one job at a time, whose queue is held by one."""
    with platform.running(tmp_path / "data", "--cores", "1") as server:
        batch = Batch(server).make()
        batch.define("hello", "true")
        batch.define("sleeps", "sleep", "1000")
        yield batch


def order(batch, jobs):
    """Names by the order that they began in, when the one that holds the machine has ended."""
    started = {name: batch.ended(job)["startedAt"] for name, job in jobs.items()}
    return sorted(started, key=started.get)


def test_queues_of_higher_priority_go_first(small):
    small.make_queue("urgent", priority=10)
    holder = small.submit("sleeps")
    small.until(holder, "RUNNING")
    jobs = {"low": small.submit("hello"), "high": small.submit("hello", jobQueue="urgent")}
    assert {small.status(job) for job in jobs.values()} == {"RUNNABLE"}
    small.client.terminate_job(jobId=holder, reason="done")
    assert order(small, jobs) == ["high", "low"]


def test_a_policy_shares_a_queue_out(small):
    shares = [
        {"shareIdentifier": "heavy", "weightFactor": 0.25}, {"shareIdentifier": "light*", "weightFactor": 1},
    ]
    client = small.client
    policy = client.create_scheduling_policy(
        name="fair", fairsharePolicy={"shareDistribution": shares}, tags={"a": "b"}
    )["arn"]
    [found] = client.describe_scheduling_policies(arns=[policy])["schedulingPolicies"]
    assert found["fairsharePolicy"]["shareDistribution"] == shares and found["tags"] == {"a": "b"}
    assert client.list_scheduling_policies()["schedulingPolicies"] == [{"arn": policy}]
    small.make_queue("shared", schedulingPolicyArn=policy)
    submit = dict(jobName="j", jobQueue="shared", jobDefinition="hello")
    assert "shareIdentifier" in refused(client.submit_job, **submit)
    holder = small.submit("sleeps")
    small.until(holder, "RUNNING")
    jobs = {}
    for share in ("heavy", "light1"):
        for number in range(5):
            jobs[f"{share}-{number}"] = small.submit("hello", jobQueue="shared", shareIdentifier=share)
    first = small.submit(
        "hello", jobQueue="shared", shareIdentifier="heavy", schedulingPriorityOverride=99
    )
    client.terminate_job(jobId=holder, reason="done")
    jobs["first"] = first
    began = order(small, jobs)
    heavy = [name for name in began if not name.startswith("light")]
    assert heavy[0] == "first"
    # Of the first six, most are of the share with four times the weight.
    assert sum(name.startswith("light") for name in began[:6]) <= 2
    assert "JobQueue relationship" in refused(client.delete_scheduling_policy, arn=policy)
    client.update_job_queue(jobQueue="shared", state="DISABLED")
    client.delete_job_queue(jobQueue="shared")
    client.delete_scheduling_policy(arn=policy)
    assert client.list_scheduling_policies()["schedulingPolicies"] == []


ONCE = "import os, time; time.sleep(0.2); print('ran', os.environ['AWS_BATCH_JOB_ID'])"


def test_kills_of_the_server_lose_no_job_and_double_none(tmp_path):
    kills = random.Random(seed := random.randrange(1 << 32))
    with platform.running(tmp_path / "data") as server:
        batch = Batch(server).make()
        batch.define("once", "python", "-c", ONCE)
        batch.define("fails", "sh", "-c", "sleep 0.2; exit 1")
        submitted = {}

        def submit(name, **members):
            submitted[name] = Batch(server).submit(members.pop("definition", "once"), **members)
            return submitted[name]

        first = submit("first", arrayProperties={"size": 6})
        second = submit(
            "second", arrayProperties={"size": 6}, dependsOn=[{"jobId": first, "type": "N_TO_N"}]
        )
        submit("chain", arrayProperties={"size": 4}, dependsOn=[{"type": "SEQUENTIAL"}, {"jobId": first}])
        submit("last", dependsOn=[{"jobId": second}])
        fails = submit("fails", definition="fails")
        submit("doomed", dependsOn=[{"jobId": fails}])
        for _ in range(8):
            time.sleep(kills.random() * 0.6)  # a moment of the life of jobs
            server.restart()
        batch = Batch(server)
        ends = {name: batch.ended(job) for name, job in submitted.items()}
        statuses = {name: job["status"] for name, job in ends.items()}
        good = {name: "SUCCEEDED" for name in ("first", "second", "chain", "last")}
        assert statuses == {**good, "fails": "FAILED", "doomed": "FAILED"}, f"seed {seed}"
        assert ends["doomed"]["statusReason"] == "Dependent Job failed"
        sizes = {"first": 6, "second": 6, "chain": 4}
        ran = [f"{submitted[name]}:{place}" for name, size in sizes.items() for place in range(size)]
        for job in [*ran, submitted["last"]]:
            detail = batch.describe(job)
            assert (detail["status"], len(detail["attempts"])) == ("SUCCEEDED", 1), f"seed {seed}"
            lines = batch.lines(detail["container"]["logStreamName"])
            assert lines.count(f"ran {job}") == 1, f"seed {seed}: {lines}"
        for name, size in sizes.items():
            assert summary(ends[name]) == {"SUCCEEDED": size}


def test_an_array_of_ten_thousand_is_kept_and_ended(small):
    """Its children wait for one that holds the machine, so that only the keeping is done."""
    holder = small.submit("sleeps")
    small.until(holder, "RUNNING")
    array = small.submit("hello", arrayProperties={"size": 10_000})
    assert summary(small.describe(array)) == {"RUNNABLE": 10_000}
    assert len(small.list(arrayJobId=array, jobStatus="RUNNABLE")) == 10_000
    second = small.submit("hello", arrayProperties={"size": 500}, dependsOn=[{"jobId": array}])
    assert summary(small.describe(second)) == {"PENDING": 500}
    small.client.terminate_job(jobId=array, reason="enough")
    assert summary(small.ended(array)) == {"FAILED": 10_000}
    assert summary(small.ended(second)) == {"FAILED": 500}
    small.client.terminate_job(jobId=holder, reason="done")
    small.ended(holder)
