"""SageMaker Pipelines, driven by boto3: definitions, executions, conditions, caching, retries, stops, and
kills of the server."""

import contextlib
import io
import json
import random
import re
import signal
import sqlite3
import time
from xml.etree import ElementTree

import numpy as np
import pytest
from botocore.exceptions import ClientError

from kit import models, pipelines, platform, work
from kit.pipelines import get

NOTHING = "pass"
FAILS = "import sys; sys.exit('no luck today')"
ENDLESS = "import time\nprint('running', flush=True)\ntime.sleep(600)"

SCORES = """
import json, sys
open("/opt/ml/processing/report/report.json", "w").write(
    json.dumps({"metrics": [{"mse": float(sys.argv[1])}], "a b": {"ok": True}})
)
"""

COPIES = """
import pathlib, sys
for file in pathlib.Path("/opt/ml/processing/input").rglob("*.json"):
    text = file.read_text()
    pathlib.Path("/opt/ml/processing/copy").mkdir(exist_ok=True)
    pathlib.Path("/opt/ml/processing/copy/copied.json").write_text(text)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("pipelines") / "data") as server:
        work.make_bucket(server)
        yield server


def scoring(server):
    """Two processing steps and a condition on what the second one read from the first."""
    report = {"PropertyFileName": "Report", "OutputName": "report", "FilePath": "report.json"}
    score = pipelines.processing(
        server, "Score", SCORES, pipelines.join("", get("Parameters.Mse")),
        outputs=[pipelines.output("report")], PropertyFiles=[report],
    )
    copied = get("Steps.Score.ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri")
    copy = pipelines.processing(
        server, "Copy", COPIES, inputs=[pipelines.source("input", copied)], outputs=[pipelines.output("copy")]
    )
    mse = pipelines.json_get("Score", "Report", "metrics[0].mse")
    limit = get("Parameters.Limit")
    message = pipelines.join(" ", "mse above", limit, "in", get("Execution.PipelineName"))
    check = pipelines.condition(
        "Check", [pipelines.compare("LessThanOrEqualTo", mse, limit)],
        [pipelines.processing(server, "Good", NOTHING)], [pipelines.fail("Bad", message)], DependsOn=["Copy"],
    )
    return [score, copy, check]


LIMITS = [
    {"Name": "Mse", "Type": "Float", "DefaultValue": 3.5},
    {"Name": "Limit", "Type": "Float", "DefaultValue": 6.0},
]


def test_steps_follow_each_other_and_a_condition_decides(server):
    arn = pipelines.create(server, "scoring", *scoring(server), parameters=LIMITS)
    client = server.client("sagemaker")
    known = client.describe_pipeline(PipelineName="scoring")
    assert known["PipelineArn"] == arn and known["PipelineStatus"] == "Active"
    execution = pipelines.start(
        server, "scoring", PipelineExecutionDisplayName="daily", PipelineExecutionDescription="x"
    )
    found = pipelines.ended(server, execution)
    assert found["PipelineExecutionDisplayName"] == "daily" and found["PipelineExecutionDescription"] == "x"
    id = execution.rsplit("/", 1)[1]
    assert found["PipelineExperimentConfig"] == {"ExperimentName": "scoring", "TrialName": id}
    steps = pipelines.steps(server, execution)
    assert list(steps) == ["Good", "Check", "Copy", "Score"]
    assert {step["StepStatus"] for step in steps.values()} == {"Succeeded"}
    assert steps["Check"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    job = steps["Copy"]["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[1]
    assert job.startswith(f"pipelines-{id}-Copy-")
    assert client.describe_processing_job(ProcessingJobName=job)["ProcessingJobStatus"] == "Completed"
    assert json.loads(work.read(server, f"runs/{id}/copy/copied.json"))["metrics"] == [{"mse": 3.5}]


def test_the_other_branch_fails_with_its_words(server):
    pipelines.create(server, "failing", *scoring(server), parameters=LIMITS)
    execution = pipelines.start(server, "failing", parameters={"Mse": 7})
    found = pipelines.ended(server, execution, "Failed")
    assert "Step failure: One or multiple steps failed." in found["FailureReason"]
    assert "mse above 6.0 in failing" in found["FailureReason"]
    steps = pipelines.steps(server, execution)
    assert set(steps) == {"Score", "Copy", "Check", "Bad"}
    assert steps["Check"]["Metadata"] == {"Condition": {"Outcome": "False"}}
    assert steps["Bad"]["Metadata"] == {"Fail": {"ErrorMessage": "mse above 6.0 in failing"}}
    client = server.client("sagemaker")
    given = client.list_pipeline_parameters_for_execution(PipelineExecutionArn=execution)
    assert given["PipelineParameters"] == [{"Name": "Limit", "Value": "6.0"}, {"Name": "Mse", "Value": "7.0"}]
    text = client.describe_pipeline_definition_for_execution(PipelineExecutionArn=execution)
    assert json.loads(text["PipelineDefinition"])["Parameters"] == LIMITS


def refused(call, code="ValidationException", **request):
    with pytest.raises(ClientError) as error:
        call(**request)
    assert error.value.response["Error"]["Code"] == code
    return error.value.response["Error"]["Message"]


def test_all_that_is_wrong_is_told_at_creation(server):
    client = server.client("sagemaker")
    wrong = pipelines.definition(
        {"Name": "A", "Type": "EMR", "Arguments": {}},
        {"Name": "B", "Type": "Training", "DependsOn": ["Z"], "Arguments": {"X": get("Parameters.Nope")}},
    )
    request = {"PipelineName": "wrong", "RoleArn": platform.ROLE}
    message = refused(client.create_pipeline, PipelineDefinition=wrong, **request)
    assert "step `A`: steps of type EMR are not supported by Bessemer" in message
    assert "step `B`: it depends on `Z`" in message and "parameter `Nope`" in message
    assert "no valid JSON" in refused(client.create_pipeline, PipelineDefinition="{", **request)
    assert "must be given" in refused(client.create_pipeline, **request)
    refused(client.describe_pipeline, "ResourceNotFound", PipelineName="wrong")


def test_pipelines_are_updated_listed_tagged_and_deleted(server):
    client = server.client("sagemaker")
    first = pipelines.definition(pipelines.fail("F", "one"))
    work.put(server, "definitions/two.json", pipelines.definition(pipelines.fail("F", "two")))
    request = {"PipelineName": "kept", "RoleArn": platform.ROLE, "PipelineDefinition": first}
    token = "t" * 32
    tags = [{"Key": "team", "Value": "search"}]
    arn = client.create_pipeline(**request, ClientRequestToken=token, Tags=tags)["PipelineArn"]
    assert client.create_pipeline(**request, ClientRequestToken=token)["PipelineArn"] == arn
    assert "already exists" in refused(client.create_pipeline, **request)
    assert client.list_tags(ResourceArn=arn)["Tags"] == tags
    place = {"Bucket": "data", "ObjectKey": "definitions/two.json"}
    updated = client.update_pipeline(
        PipelineName="kept", PipelineDefinitionS3Location=place, PipelineDescription="second",
        ParallelismConfiguration={"MaxParallelExecutionSteps": 3},
    )
    assert updated["PipelineVersionId"] == 2
    found = client.describe_pipeline(PipelineName=arn)
    assert "two" in found["PipelineDefinition"] and found["PipelineDescription"] == "second"
    assert found["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 3}
    assert client.describe_pipeline(PipelineName="kept", PipelineVersionId=1)["PipelineDefinition"] == first
    client.update_pipeline_version(
        PipelineArn=arn, PipelineVersionId=1, PipelineVersionDescription="old",
        PipelineVersionAliasOperations={"Add": ["stable"]},
    )
    versions = client.list_pipeline_versions(PipelineName="kept")["PipelineVersionSummaries"]
    assert [version["PipelineVersionId"] for version in versions] == [2, 1]
    assert versions[1]["PipelineVersionAliases"] == ["stable"]
    listed = client.list_pipelines(PipelineNamePrefix="kep")["PipelineSummaries"]
    assert [pipeline["PipelineName"] for pipeline in listed] == ["kept"]
    started = client.start_pipeline_execution(
        PipelineName="kept", PipelineVersionAlias="stable", ClientRequestToken=token
    )["PipelineExecutionArn"]
    again = client.start_pipeline_execution(PipelineName="kept", ClientRequestToken=token)
    assert again["PipelineExecutionArn"] == started
    found = pipelines.ended(server, started, "Failed")
    assert found["PipelineVersionId"] == 1 and "Step `F`: one" in found["FailureReason"]
    listed = client.list_pipeline_executions(PipelineName="kept")["PipelineExecutionSummaries"]
    assert [execution["PipelineExecutionStatus"] for execution in listed] == ["Failed"]
    client.update_pipeline_execution(PipelineExecutionArn=started, PipelineExecutionDisplayName="named")
    assert pipelines.described(server, started)["PipelineExecutionDisplayName"] == "named"
    assert client.delete_pipeline(PipelineName="kept")["PipelineArn"] == arn
    refused(client.describe_pipeline, "ResourceNotFound", PipelineName="kept")
    refused(client.describe_pipeline_execution, "ResourceNotFound", PipelineExecutionArn=started)


def test_parameters_are_checked_all_at_once(server):
    parameters = [
        {"Name": "Needed", "Type": "String"}, {"Name": "Count", "Type": "Integer", "DefaultValue": 1},
        {"Name": "Kind", "Type": "String", "DefaultValue": "a", "EnumValues": ["a", "b"]},
    ]
    pipelines.create(server, "asked", pipelines.fail("F", get("Parameters.Needed")), parameters=parameters)
    given = [{"Name": "Count", "Value": "x"}, {"Name": "Kind", "Value": "c"}, {"Name": "Nope", "Value": "1"}]
    start = server.client("sagemaker").start_pipeline_execution
    message = refused(start, PipelineName="asked", PipelineParameters=given)
    for problem in ("`Count` must be of type Integer", "`Kind` must be one of a, b", "no parameter `Nope`",
                    "parameter `Needed` has no value"):
        assert problem in message
    refused(start, "ResourceNotFound", PipelineName="nowhere")


def test_a_failure_lets_others_end_and_a_retry_goes_on_from_it(server):
    script = """
import os, sys, boto3
s3 = boto3.client("s3")
listed = s3.list_objects_v2(Bucket="data", Prefix="flaky/")["KeyCount"]
s3.put_object(Bucket="data", Key=f"flaky/{listed}", Body=b"")
sys.exit("not yet" if listed == 0 else None)
"""
    first = pipelines.processing(server, "First", NOTHING)
    flaky = pipelines.processing(server, "Flaky", script, DependsOn=["First"])
    last = pipelines.processing(server, "Last", NOTHING, DependsOn=["Flaky"])
    pipelines.create(server, "flaky", first, flaky, last)
    execution = pipelines.start(server, "flaky")
    found = pipelines.ended(server, execution, "Failed")
    assert "Step `Flaky`: AlgorithmError: " in found["FailureReason"] and "not yet" in found["FailureReason"]
    before = pipelines.steps(server, execution)
    assert set(before) == {"First", "Flaky"}
    client = server.client("sagemaker")
    client.retry_pipeline_execution(PipelineExecutionArn=execution)
    pipelines.ended(server, execution)
    after = pipelines.steps(server, execution)
    assert after["First"] == before["First"] and after["Flaky"]["AttemptCount"] == 2
    assert set(after) == {"First", "Flaky", "Last"}
    assert "Succeeded" in refused(client.retry_pipeline_execution, PipelineExecutionArn=execution)
    assert "Succeeded" in refused(client.stop_pipeline_execution, PipelineExecutionArn=execution)


def test_a_stop_stops_what_runs_and_begins_no_more(server):
    endless = pipelines.processing(server, "Endless", ENDLESS)
    after = pipelines.processing(server, "After", NOTHING, DependsOn=["Endless"])
    pipelines.create(server, "endless", endless, after)
    execution = pipelines.start(server, "endless")
    pipelines.until_status(server, execution, "Endless", "Executing")
    client = server.client("sagemaker")
    assert "running" in refused(client.delete_pipeline, "ConflictException", PipelineName="endless")
    client.stop_pipeline_execution(PipelineExecutionArn=execution)
    pipelines.ended(server, execution, "Stopped")
    assert pipelines.statuses(server, execution) == {"Endless": "Stopped"}
    client.retry_pipeline_execution(PipelineExecutionArn=execution)
    pipelines.until_status(server, execution, "Endless", "Executing")
    client.stop_pipeline_execution(PipelineExecutionArn=execution)
    pipelines.ended(server, execution, "Stopped")


def test_steps_run_side_by_side_up_to_the_limit(server):
    meets = """
import boto3, os, time
s3 = boto3.client("s3")
s3.put_object(Bucket="data", Key="meeting/" + os.environ["WHO"], Body=b"")
while s3.list_objects_v2(Bucket="data", Prefix="meeting/")["KeyCount"] < 2:
    time.sleep(0.05)
"""
    both = [pipelines.processing(server, who, meets, environment={"WHO": who}) for who in ("One", "Other")]
    pipelines.create(server, "meeting", *both)
    pipelines.ended(server, pipelines.start(server, "meeting"))
    apart = [pipelines.processing(server, f"S{index}", NOTHING) for index in range(3)]
    pipelines.create(server, "apart", *apart)
    limit = {"MaxParallelExecutionSteps": 1}
    execution = pipelines.start(server, "apart", ParallelismConfiguration=limit)
    assert pipelines.ended(server, execution)["ParallelismConfiguration"] == limit
    times = sorted((step["StartTime"], step["EndTime"]) for step in pipelines.steps(server, execution).values())
    assert times[0][1] <= times[1][0] and times[1][1] <= times[2][0]


def test_results_are_used_again_until_they_expire(server):
    argument = pipelines.join("", get("Parameters.A"))
    parameters = [{"Name": "A", "Type": "Integer", "DefaultValue": 1}]

    def cached(expiry):
        cache = {"Enabled": True, "ExpireAfter": expiry}
        outputs = [pipelines.output("o")]
        return pipelines.processing(server, "Cached", NOTHING, argument, outputs=outputs, CacheConfig=cache)

    pipelines.create(server, "cached", cached("P1D"), parameters=parameters)

    def run(**parameters):
        execution = pipelines.start(server, "cached", parameters=parameters)
        pipelines.ended(server, execution)
        hit = pipelines.steps(server, execution)["Cached"].get("CacheHitResult", {})
        return execution, hit.get("SourcePipelineExecutionArn")

    first, hit = run()
    assert hit is None
    assert run()[1] == first
    assert run(A=2)[1] is None
    definition = pipelines.definition(cached("PT1S"), parameters=parameters)
    server.client("sagemaker").update_pipeline(PipelineName="cached", PipelineDefinition=definition)
    work.until(lambda: run()[1] is None, "run without the expired result")


def test_selected_steps_build_on_an_earlier_execution(server):
    pipelines.create(server, "selective", *scoring(server), parameters=LIMITS)
    first = pipelines.start(server, "selective")
    pipelines.ended(server, first)
    config = {"SourcePipelineExecutionArn": first, "SelectedSteps": [{"StepName": "Copy"}]}
    execution = pipelines.start(server, "selective", SelectiveExecutionConfig=config)
    found = pipelines.ended(server, execution)
    assert found["SelectiveExecutionConfig"] == config
    steps = pipelines.steps(server, execution)
    assert steps["Score"]["SelectiveExecutionResult"] == {"SourcePipelineExecutionArn": first}
    assert steps["Copy"]["Metadata"] != pipelines.steps(server, first)["Copy"]["Metadata"]
    assert set(steps) == {"Score", "Copy"}
    client = server.client("sagemaker")
    wrong = {"SourcePipelineExecutionArn": execution, "SelectedSteps": [{"StepName": "Good"}]}
    message = refused(client.start_pipeline_execution, PipelineName="selective", SelectiveExecutionConfig=wrong)
    assert "`Check`, which did not succeed" in message


def test_a_step_and_an_execution_have_time_limits(server):
    slow = pipelines.processing(server, "Slow", ENDLESS, environment={"BESSEMER_STEP_TIMEOUT": "1"})
    pipelines.create(server, "slow", slow)
    found = pipelines.ended(server, pipelines.start(server, "slow"), "Failed")
    assert "took longer than it may (BESSEMER_STEP_TIMEOUT)" in found["FailureReason"]
    limit = [{"Name": "BESSEMER_TIMEOUT", "Type": "Integer", "DefaultValue": 600}]
    pipelines.create(server, "late", pipelines.processing(server, "Slow", ENDLESS), parameters=limit)
    found = pipelines.ended(server, pipelines.start(server, "late", parameters={"BESSEMER_TIMEOUT": 1}), "Failed")
    assert found["FailureReason"] == "The execution took longer than 1 s (BESSEMER_TIMEOUT)"


def test_a_model_is_registered_created_and_scores(server, booster):
    work.put(server, "models/model.tar.gz", models.archive(booster[0], "xgboost-model"))
    features = models.rows(20)
    work.put(server, "scoring/rows.csv", models.csv_of(features))
    container = {"Image": work.XGBOOST, "ModelDataUrl": "s3://data/models/model.tar.gz"}
    specification = {
        "Containers": [container], "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    register = {"Name": "Register-RegisterModel", "Type": "RegisterModel", "Arguments": {
        "ModelPackageGroupName": "boosters", "InferenceSpecification": specification,
        "ModelMetrics": {"Bias": {}}, "ModelApprovalStatus": "PendingManualApproval",
        "SkipModelValidation": "None",
    }}
    create = {"Name": "Make-CreateModel", "Type": "Model", "Arguments": {
        "ExecutionRoleArn": platform.ROLE,
        "PrimaryContainer": {"ModelPackageName": get("Steps.Register-RegisterModel.ModelPackageArn")},
    }}
    transform = {"Name": "Score", "Type": "Transform", "Arguments": {
        "ModelName": get("Steps.Make-CreateModel.ModelName"),
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/scoring/"}},
            "ContentType": "text/csv", "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": "s3://data/scored", "Accept": "text/csv", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }}
    pipelines.create(server, "scores", register, create, transform)
    execution = pipelines.start(server, "scores")
    pipelines.ended(server, execution)
    scores = np.loadtxt(io.BytesIO(work.read(server, "scored/rows.csv.out")), dtype=np.float32)
    np.testing.assert_allclose(scores, models.booster_answers(booster[1], features), rtol=1e-6)
    steps = pipelines.steps(server, execution)
    package = steps["Register-RegisterModel"]["Metadata"]["RegisterModel"]["Arn"]
    assert package.endswith(":model-package/boosters/1")
    client = server.client("sagemaker")
    known = client.describe_model_package(ModelPackageName=package)
    assert known["ModelPackageVersion"] == 1 and known["ModelApprovalStatus"] == "PendingManualApproval"
    client.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    approved = client.list_model_packages(ModelPackageGroupName="boosters", ModelApprovalStatus="Approved")
    assert [one["ModelPackageArn"] for one in approved["ModelPackageSummaryList"]] == [package]
    refused(client.delete_model_package_group, "ConflictException", ModelPackageGroupName="boosters")
    client.delete_model_package(ModelPackageName=package)
    client.delete_model_package_group(ModelPackageGroupName="boosters")
    assert "does not exist" in refused(client.describe_model_package, ModelPackageName=package)


def test_events_of_every_change_are_told(server):
    pipelines.create(server, "telling", pipelines.processing(server, "Only", NOTHING))
    execution = pipelines.start(server, "telling", PipelineExecutionDisplayName="shown")
    pipelines.ended(server, execution)
    with contextlib.closing(sqlite3.connect(f"file:{server.folder}/bessemer.db?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT body FROM outbox WHERE subject = ? ORDER BY seq", [execution])
        events = [json.loads(body) for (body,) in rows]
    assert {event["source"] for event in events} == {"aws.sagemaker"}
    of_execution = [
        event["detail"] for event in events
        if event["detail-type"] == "SageMaker Model Building Pipeline Execution Status Change"
    ]
    assert [detail["currentPipelineExecutionStatus"] for detail in of_execution] == ["Executing", "Succeeded"]
    assert of_execution[1]["previousPipelineExecutionStatus"] == "Executing"
    assert of_execution[0]["pipelineExecutionDisplayName"] == "shown"
    of_step = [
        event["detail"] for event in events
        if event["detail-type"] == "SageMaker Model Building Pipeline Execution Step Status Change"
    ]
    assert [detail["currentStepStatus"] for detail in of_step] == ["Starting", "Executing", "Succeeded"]
    assert of_step[2]["metadata"]["processingJob"]["arn"].startswith("arn:aws:sagemaker:")


def test_a_killed_server_loses_and_doubles_no_step(tmp_path):
    """Each step notes that it ran; the server is killed again and again while they do."""
    script = """
import boto3, sys, time, uuid
time.sleep(0.15)
boto3.client("s3").put_object(Bucket="data", Key=f"ran/{sys.argv[1]}/{uuid.uuid4()}", Body=b"")
"""
    # The address of before is what steps know.
    with platform.running(tmp_path / "data", keeps_address=True) as server:
        work.make_bucket(server)
        names = [f"S{index}" for index in range(8)]
        steps = [
            pipelines.processing(server, name, script, name, DependsOn=names[max(0, index - 2) : index])
            for index, name in enumerate(names)
        ]
        pipelines.create(server, "killed", *steps)
        executions = [pipelines.start(server, "killed") for _ in range(2)]
        random.seed(7)
        for _ in range(8):
            work.until(lambda: any(pipelines.statuses(server, arn) for arn in executions), "step")
            time.sleep(random.uniform(0, 0.3))
            server.restart(signal.SIGKILL)
        for execution in executions:
            pipelines.ended(server, execution)
            steps = pipelines.steps(server, execution)
            assert set(steps) == set(names)
            assert {step["AttemptCount"] for step in steps.values()} == {1}
        jobs = server.client("sagemaker").list_processing_jobs(MaxResults=100)["ProcessingJobSummaries"]
        assert len(jobs) == 2 * len(names)
        assert {job["ProcessingJobStatus"] for job in jobs} == {"Completed"}
        for name in names:
            assert len(work.keys(server, f"ran/{name}/")) == 2, name


def callback(server, name, queue, outputs=(), **arguments):
    url = server.client("sqs").create_queue(QueueName=queue)["QueueUrl"]
    declared = [{"OutputName": output, "OutputType": kind} for output, kind in dict(outputs).items()]
    return url, {
        "Name": name, "Type": "Callback", "Arguments": arguments, "SqsQueueUrl": url, "OutputParameters": declared,
    }


def test_a_callback_is_sent_waited_for_and_answered(server):
    outputs = {"status": "String", "count": "Integer"}
    url, wait = callback(server, "Wait", "callbacks", outputs, ids=get("Parameters.Ids"), kind="x")
    above = pipelines.compare("GreaterThan", get("Steps.Wait.OutputParameters['count']"), 2)
    check = pipelines.condition("Check", [above])
    pipelines.create(
        server, "calling", wait, check, parameters=[{"Name": "Ids", "Type": "String", "DefaultValue": "a,b"}]
    )
    execution = pipelines.start(server, "calling")
    told = pipelines.message(server, url)
    assert told["arguments"] == {"ids": "a,b", "kind": "x"} and told["pipelineExecutionArn"] == execution
    client = server.client("sagemaker")
    pipelines.until_status(server, execution, "Wait", "Executing")
    metadata = pipelines.steps(server, execution)["Wait"]["Metadata"]["Callback"]
    assert metadata["CallbackToken"] == told["token"] and metadata["SqsQueueUrl"] == url
    given = [{"Name": "status", "Value": "done"}, {"Name": "count", "Value": "3"}]
    succeed = client.send_pipeline_execution_step_success
    assert "`count` is missing" in refused(succeed, CallbackToken=told["token"], OutputParameters=given[:1])
    answered = succeed(CallbackToken=told["token"], OutputParameters=given)
    assert answered["PipelineExecutionArn"] == execution
    pipelines.ended(server, execution)
    steps = pipelines.steps(server, execution)
    assert steps["Wait"]["Metadata"]["Callback"]["OutputParameters"] == given
    assert steps["Check"]["Metadata"]["Condition"]["Outcome"] == "True"
    refused(succeed, "ResourceNotFound", CallbackToken=told["token"], OutputParameters=given)


def test_a_callback_fails_and_is_stopped_by_its_answer(server):
    url, wait = callback(server, "Wait", "answers")
    pipelines.create(server, "answered", wait)
    client = server.client("sagemaker")
    execution = pipelines.start(server, "answered")
    token = pipelines.message(server, url)["token"]
    client.send_pipeline_execution_step_failure(CallbackToken=token, FailureReason="batch job 7 failed")
    assert "Step `Wait`: batch job 7 failed" in pipelines.ended(server, execution, "Failed")["FailureReason"]
    execution = pipelines.start(server, "answered")
    first = pipelines.message(server, url)
    assert first["status"] == "Executing"
    pipelines.until_status(server, execution, "Wait", "Executing")
    client.stop_pipeline_execution(PipelineExecutionArn=execution)
    assert pipelines.message(server, url) == first | {"status": "Stopping"}
    assert pipelines.described(server, execution)["PipelineExecutionStatus"] == "Stopping"
    client.send_pipeline_execution_step_failure(CallbackToken=first["token"])
    pipelines.ended(server, execution, "Stopped")


def test_a_callback_has_a_time_limit_a_heartbeat_and_retries(server):
    url, wait = callback(
        server, "Wait", "silent", BESSEMER_STEP_HEARTBEAT="1", BESSEMER_STEP_RETRIES="1", what="work"
    )
    pipelines.create(server, "silent", wait)
    client = server.client("sagemaker")
    execution = pipelines.start(server, "silent")
    first, second = pipelines.message(server, url), pipelines.message(server, url)
    assert first["arguments"] == second["arguments"] == {"what": "work"}
    assert first["token"] != second["token"]
    beat = [{"Name": "BESSEMER_HEARTBEAT", "Value": ""}]
    for _ in range(8):
        client.send_pipeline_execution_step_success(CallbackToken=second["token"], OutputParameters=beat)
        time.sleep(0.2)
    assert pipelines.statuses(server, execution) == {"Wait": "Executing"}
    found = pipelines.ended(server, execution, "Failed")
    assert "no heartbeat came for 1 s" in found["FailureReason"]
    assert pipelines.steps(server, execution)["Wait"]["AttemptCount"] == 2
    _, late = callback(server, "Late", "silent", BESSEMER_STEP_TIMEOUT="1")
    pipelines.create(server, "late-call", late)
    found = pipelines.ended(server, pipelines.start(server, "late-call"), "Failed")
    assert "it took longer than 1 s" in found["FailureReason"]


def test_a_callback_outlives_a_kill(tmp_path):
    with platform.running(tmp_path / "data") as server:
        url, wait = callback(server, "Wait", "kept", {"x": "String"})
        pipelines.create(server, "kept", wait)
        execution = pipelines.start(server, "kept")
        server.restart(signal.SIGKILL)
        url = server.client("sqs").get_queue_url(QueueName="kept")["QueueUrl"]
        token = pipelines.message(server, url)["token"]
        given = [{"Name": "x", "Value": "y"}]
        server.client("sagemaker").send_pipeline_execution_step_success(
            CallbackToken=token, OutputParameters=given
        )
        server.restart(signal.SIGKILL)
        pipelines.ended(server, execution)


def test_the_command_line_runs_shows_and_draws_pipelines(server, tmp_path):
    file = tmp_path / "by_hand.json"
    above = pipelines.compare("GreaterThan", get("Parameters.N"), 2)
    steps = [
        pipelines.processing(server, "Work", NOTHING),
        pipelines.condition("Large", [above], [pipelines.fail("Stop", "too large")], DependsOn=["Work"]),
    ]
    parameters = [{"Name": "N", "Type": "Integer", "DefaultValue": 1}]
    file.write_text(pipelines.definition(*steps, parameters=parameters))
    ran = server.run("pipeline", "run", file, "--wait")
    assert "Succeeded  Large  " in ran.stdout and "Succeeded  by-hand/" in ran.stdout
    failed = server.run("pipeline", "run", "by-hand", "--parameter", "N=3", "--wait", expect=10)
    assert "Failed     Stop" in failed.stdout and "too large" in failed.stdout
    assert "It failed." in server.run("pipeline", "why", "by-hand").stdout
    shown = json.loads(server.run("pipeline", "show", "by-hand", "--json").stdout)
    assert [step["StepName"] for step in shown["Steps"]] == ["Work", "Large", "Stop"]
    listed = [line.split()[0] for line in server.run("pipeline", "ls", "by-hand").stdout.splitlines()]
    assert listed == ["Failed", "Succeeded"]
    assert "by-hand" in server.run("pipeline", "ls").stdout
    drawn = server.run("pipeline", "graph", "by-hand").stdout
    assert drawn.startswith("flowchart TD") and "s1 -->|true| s2" in drawn
    assert '"Work" -> "Large"' in server.run("pipeline", "graph", file, "--format", "dot").stdout
    parameters[0]["DefaultValue"] = 5
    file.write_text(pipelines.definition(*steps, parameters=parameters))
    server.run("pipeline", "run", file, "--wait", expect=10)
    differs = server.run("pipeline", "diff", "by-hand", "1").stdout
    assert differs == "~ parameter N\n    DefaultValue: 1 -> 5\n"
    server.run("pipeline", "retry", "by-hand")
    assert server.run("pipeline", "watch", "by-hand", expect=10).stdout.endswith("too large\n")
    server.run("pipeline", "show", "nowhere", expect=3)


def planned(server, *arguments):
    """The steps of a plan by name."""
    plan = json.loads(server.run("pipeline", "plan", *arguments, "--json").stdout)
    return {step.pop("StepName"): step for step in plan["Steps"]}


def test_a_plan_says_what_would_run_and_what_is_cached(server, tmp_path):
    cache = {"CacheConfig": {"Enabled": True}}
    score, copy, check = (step | cache for step in scoring(server))
    del check["CacheConfig"]
    file = tmp_path / "foreseen.json"
    file.write_text(pipelines.definition(score, copy, check, parameters=LIMITS))
    before = planned(server, file)
    assert list(before) == ["Score", "Copy", "Check", "Good", "Bad"]
    assert {name: step["Prospect"] for name, step in before.items()} == {
        "Score": "Runs", "Copy": "RunsUnlessCached", "Check": "Unknown", "Good": "Unknown", "Bad": "Unknown",
    }
    assert "`Score`" in before["Copy"]["Reason"] and "`Check`" in before["Good"]["Reason"]
    assert "foreseen" not in server.run("pipeline", "ls").stdout.split()
    execution = json.loads(server.run("pipeline", "run", file, "--json").stdout)["PipelineExecutionArn"]
    pipelines.ended(server, execution)
    after = planned(server, "foreseen")
    for step in ("Score", "Copy"):
        assert after[step]["Prospect"] == "Cached" and after[step]["SourcePipelineExecutionArn"] == execution
    assert after["Check"]["Outcome"] == "True"
    assert after["Good"]["Prospect"] == "Runs" and after["Bad"]["Prospect"] == "Skipped"
    place = "foreseen/" + execution.rsplit("/", 1)[1]
    said = server.run("pipeline", "plan", file, "-p", "Limit=1").stdout
    assert said == (
        f"cached     Score  from {place}\ncached     Copy  from {place}\nfalse      Check\n"
        "skipped    Good  it is for `Check` being true\nfails      Bad  mse above 1.0 in foreseen\n"
    )
    assert planned(server, file, "-p", "Mse=4")["Score"]["Prospect"] == "Runs"
    assert "`Limit` must be of type Float" in server.run("pipeline", "plan", file, "-p", "Limit=x", expect=3).stderr
    server.run("pipeline", "plan", "nowhere", expect=3)


def test_a_drawing_has_all_steps_and_arrows_apart(server, tmp_path):
    wide = [pipelines.processing(server, f"Wide-{index}", NOTHING) for index in range(5)]
    last = pipelines.processing(server, "Last", NOTHING, DependsOn=["Wide-0", "Wide-4", "Good"])
    above = pipelines.compare("GreaterThan", 1, 2)
    check = pipelines.condition("Check", [above], [pipelines.fail("Stop", "x")], [
        pipelines.processing(server, "Good", NOTHING),
    ], DependsOn=["Wide-2"])
    file = tmp_path / "drawn.json"
    file.write_text(pipelines.definition(*wide, check, last))
    drawing = ElementTree.fromstring(server.run("pipeline", "graph", file, "--format", "svg").stdout)
    tag = "{http://www.w3.org/2000/svg}"
    boxes = [[float(box.get(side)) for side in ("x", "y", "width", "height")] for box in drawing.iter(tag + "rect") if box.get("x")]
    names = [text.text for text in drawing.iter(tag + "text") if not text.get("class")]
    assert names == [f"Wide-{index}" for index in range(5)] + ["Check", "Stop", "Good", "Last"]
    width, height = float(drawing.get("width")), float(drawing.get("height"))
    for index, (x, y, w, h) in enumerate(boxes):
        assert 0 <= x and x + w <= width and 0 <= y and y + h <= height, names[index]
        for other_x, other_y, other_w, other_h in boxes[:index]:
            is_apart = x + w <= other_x or other_x + other_w <= x or y + h <= other_y or other_y + other_h <= y
            assert is_apart, names[index]
    tops = dict(zip(names, (box[1] for box in boxes)))
    assert tops["Wide-2"] < tops["Check"] < tops["Good"] < tops["Last"]
    arrows = [path.get("d") for path in drawing.iter(tag + "path") if path.get("class") == "arrow"]
    assert len(arrows) == 6
    for arrow in arrows:
        heights = [float(place.split()[1]) for place in re.findall(r"[-\d.]+ [-\d.]+", arrow)]
        assert heights == sorted(heights), "arrows lead down"
    labels = [text.text for text in drawing.iter(tag + "text") if text.get("class") == "label"]
    assert sorted(labels) == ["false", "true"]


def test_a_python_file_defines_a_pipeline(server, tmp_path):
    file = tmp_path / "by_dict.py"
    text = pipelines.definition(pipelines.fail("Stop", pipelines.join(" ", "not", get("Parameters.Why"))), parameters=[
        {"Name": "Why", "Type": "String", "DefaultValue": "today"},
    ])
    file.write_text(f"import helper\nprint('a word')\npipeline = helper.given({text!r})\n")
    (tmp_path / "helper.py").write_text("import json\ngiven = json.loads\n")
    ran = server.run("pipeline", "run", file, "-p", "Why=now", "--wait", expect=10)
    assert "not now" in ran.stdout and "by-dict/" in ran.stdout
    assert "a word" in ran.stderr and "a word" not in ran.stdout
    assert server.run("pipeline", "plan", file).stdout == "fails      Stop  not today\n"
    file.write_text("if __name__ == '__main__':\n    pipeline = {}\n")
    assert "has no `pipeline`" in server.run("pipeline", "run", file, expect=3).stderr
    file.write_text("raise KeyError('a fault of mine')\n")
    assert "a fault of mine" in server.run("pipeline", "graph", file, expect=3).stderr
    assert "no-python" in server.run("pipeline", "graph", file, "--python", "no-python", expect=4).stderr
    server.run("pipeline", "run", tmp_path / "nothing.py", expect=4)
