"""Pipelines' Lambda steps: functions, called by executions."""

import signal

import pytest

from kit import clients, functions, pipelines, platform, work
from kit.pipelines import get

ACCOUNT = "000000000000"

# What it does is up to its event. Each call is an object of the bucket.
CODE = """
import boto3, time
s3 = boto3.client("s3")
def handler(event, context):
    prefix = f"calls/{event.get('id')}/"
    known = s3.list_objects_v2(Bucket="data", Prefix=prefix)["KeyCount"]
    s3.put_object(Bucket="data", Key=f"{prefix}{known}-{context.aws_request_id}", Body=b"")
    if known < event.get("fails", 0):
        raise ValueError(f"call {known} of {event['id']}")
    until = event.get("until")
    while until and not s3.list_objects_v2(Bucket="data", Prefix=until)["KeyCount"]:
        time.sleep(0.05)
    return event.get("answer")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("pipeline-functions") / "data") as server:
        prepare(server)
        yield server


def prepare(server):
    work.make_bucket(server)
    functions.create(server.client("lambda"), "work", CODE, Timeout=60, MemorySize=256)


def arn(name):
    return f"arn:aws:lambda:{platform.REGION}:{ACCOUNT}:function:{name}"


def step(name, arguments, outputs=(), function="work", **members):
    declared = [{"OutputName": output, "OutputType": kind} for output, kind in dict(outputs).items()]
    return {
        "Name": name, "Type": "Lambda", "Arguments": arguments, "FunctionArn": arn(function),
        "OutputParameters": declared, **members,
    }


def run(server, name, *steps, ends="Succeeded", **request):
    pipelines.create(server, name, *steps, **request)
    execution = pipelines.start(server, name)
    return execution, pipelines.ended(server, execution, ends)


def calls(server, id):
    """The request ids of the calls with this id, the first one first."""
    return [key.rsplit("/", 1)[1].split("-", 1)[1] for key in sorted(work.keys(server, f"calls/{id}/"))]


def test_what_a_function_answers_is_of_use_to_others(server):
    answer = {"text": get("Parameters.Text"), "count": 3, "share": 0.25, "done": True, "more": [1, 2]}
    outputs = {"text": "String", "count": "Integer", "share": "Float", "done": "Boolean"}
    first = step("First", {"id": "first", "answer": answer}, outputs)
    of_first = {name: get(f"Steps.First.OutputParameters['{name}']") for name in outputs}
    second = step("Second", {"id": "second", "answer": {"told": pipelines.join("-", *of_first.values())}}, {"told": "String"})
    above = pipelines.compare("GreaterThan", of_first["count"], 2)
    said = pipelines.join(" ", "told", get("Steps.Second.OutputParameters['told']"))
    check = pipelines.condition("Check", [above], [pipelines.fail("Enough", said)])
    parameters = [{"Name": "Text", "Type": "String", "DefaultValue": "größe"}]
    execution, found = run(server, "answers", first, second, check, parameters=parameters, ends="Failed")
    assert "Step `Enough`: told größe-3-0.25-" in found["FailureReason"]
    listed = pipelines.steps(server, execution)
    assert listed["First"]["Metadata"]["Lambda"] == {
        "Arn": arn("work"),
        "OutputParameters": [
            {"Name": "text", "Value": "größe"}, {"Name": "count", "Value": "3"},
            {"Name": "share", "Value": "0.25"}, {"Name": "done", "Value": "true"},
        ],
    }
    assert [len(calls(server, id)) for id in ("first", "second")] == [1, 1]


@pytest.mark.parametrize("arguments, members, reason", [
    ({"fails": 9}, {}, "failed: ValueError: call 0 of raises"),
    ({"answer": {"m": "5"}}, {}, "returned is wrong: output parameter `n` is missing"),
    ({"answer": "text"}, {}, "returned is wrong: output parameter `n` is missing"),
    ({"answer": {"n": "five"}}, {}, "output parameter `n` must be of type Integer, not `five`"),
    ({}, {"FunctionArn": arn("nobody")}, "Failed to invoke " + arn("nobody") + ": Function not found"),
    ({"until": "go/never"}, {"FunctionArn": arn("hasty")}, "Sandbox.Timedout: "),
    ({"until": "go/step-timeout", "BESSEMER_STEP_TIMEOUT": "1"}, {}, "it took longer than 1 s"),
], ids=["raises", "missing", "no-object", "type", "unknown", "timeout", "step-timeout"])
def test_a_function_that_fails_fails_its_step(server, request, arguments, members, reason):
    name = request.node.callspec.id
    if name == "timeout":
        functions.create(server.client("lambda"), "hasty", CODE, Timeout=2, MemorySize=256)
    fails = step("Call", {"id": name} | arguments, {"n": "Integer"}, **members)
    execution, found = run(server, name, fails, ends="Failed")
    assert reason in found["FailureReason"]
    assert reason in pipelines.steps(server, execution)["Call"]["FailureReason"]
    # So that the one that nobody waits for ends.
    work.put(server, f"go/{name}", "")


def test_a_step_is_tried_again_by_its_policies(server):
    policy = {"ExceptionType": ["Step.FAILURE"], "IntervalSeconds": 0, "MaxAttempts": 3}
    by_policy = step("ByPolicy", {"id": "policy", "fails": 2}, RetryPolicies=[policy])
    by_setting = step("BySetting", {"id": "setting", "fails": 1, "BESSEMER_STEP_RETRIES": 1})
    execution, _ = run(server, "retried", by_policy, by_setting)
    listed = pipelines.steps(server, execution)
    assert [listed[name]["AttemptCount"] for name in ("ByPolicy", "BySetting")] == [3, 2]
    assert len(set(calls(server, "policy"))) == 3 and len(set(calls(server, "setting"))) == 2
    other = {"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 3}
    execution, _ = run(server, "not-retried", step("Call", {"id": "other", "fails": 1}, RetryPolicies=[other]), ends="Failed")
    assert pipelines.steps(server, execution)["Call"]["AttemptCount"] == 1


def test_a_function_without_a_place_is_called_when_there_is_one(server):
    client = server.client("lambda")
    functions.create(client, "busy", CODE, Timeout=60, MemorySize=256)
    client.put_function_concurrency(FunctionName="busy", ReservedConcurrentExecutions=0)
    policy = {"ExceptionType": ["Step.THROTTLING"], "IntervalSeconds": 0.1, "BackoffRate": 1, "MaxAttempts": 100_000}
    pipelines.create(server, "throttled", step("Call", {"id": "busy"}, function="busy", RetryPolicies=[policy]))
    execution = pipelines.start(server, "throttled")
    work.until(lambda: pipelines.steps(server, execution).get("Call", {}).get("AttemptCount", 0) > 2, "retries")
    assert calls(server, "busy") == []
    client.delete_function_concurrency(FunctionName="busy")
    pipelines.ended(server, execution)
    assert len(calls(server, "busy")) == 1


def test_a_function_whose_time_is_up_is_called_again(server):
    functions.create(server.client("lambda"), "late", CODE, Timeout=2, MemorySize=256)
    policy = {"ExceptionType": ["Step.TIMEOUT"], "IntervalSeconds": 0, "MaxAttempts": 100}
    pipelines.create(server, "late", step("Call", {"id": "late", "until": "go/late"}, function="late", RetryPolicies=[policy]))
    execution = pipelines.start(server, "late")
    work.until(lambda: pipelines.steps(server, execution).get("Call", {}).get("AttemptCount", 0) > 1, "retry")
    work.put(server, "go/late", "")
    pipelines.ended(server, execution)


def test_a_stop_waits_for_the_function(server):
    pipelines.create(server, "stopped", step("Call", {"id": "stopped", "until": "go/stopped"}), step("Next", {}, DependsOn=["Call"]))
    execution = pipelines.start(server, "stopped")
    work.until(lambda: calls(server, "stopped"), "call")
    server.client("sagemaker").stop_pipeline_execution(PipelineExecutionArn=execution)
    assert pipelines.described(server, execution)["PipelineExecutionStatus"] == "Stopping"
    assert pipelines.statuses(server, execution) == {"Call": "Stopping"}
    work.put(server, "go/stopped", "")
    pipelines.ended(server, execution, "Stopped")
    assert pipelines.statuses(server, execution) == {"Call": "Succeeded"}


def test_a_killed_server_calls_the_function_again(tmp_path):
    with platform.running(tmp_path / "data") as server:
        prepare(server)
        pipelines.create(
            server, "killed", step("Before", {"id": "before"}),
            step("Call", {"id": "call", "until": "go/on", "answer": {"n": 1}}, {"n": "Integer"}, DependsOn=["Before"]),
        )
        execution, stopped = (pipelines.start(server, "killed") for _ in range(2))
        for kill in range(2):
            work.until(lambda: len(calls(server, "call")) >= 2 * (kill + 1) - kill, "calls")
            if kill == 0:
                server.client("sagemaker").stop_pipeline_execution(PipelineExecutionArn=stopped)
            server.restart(signal.SIGKILL)
        # Its function ended with the server.
        pipelines.ended(server, stopped, "Stopped")
        work.put(server, "go/on", "")
        pipelines.ended(server, execution)
        assert len(calls(server, "before")) == 2
        listed = pipelines.steps(server, execution)
        assert listed["Call"]["AttemptCount"] == 1
        assert listed["Call"]["Metadata"]["Lambda"]["OutputParameters"] == [{"Name": "n", "Value": "1"}]
        # The same id says that it is the same call.
        assert len(set(calls(server, "call"))) == 2


def test_the_sdk_makes_and_calls_functions(server, tmp_path):
    script, archive = tmp_path / "count.py", tmp_path / "code.zip"
    script.write_text("def handler(event, context):\n    return {'count': len(event['words'].split()), 'body': 'x'}\n")
    double = "def handler(event, context):\n    if event['count'] > 4:\n        raise OverflowError('too many')\n    return {'twice': 2 * event['count']}\n"
    archive.write_bytes(functions.archive({"double.py": double}))
    told = clients.told(clients.run(server, clients.SDK_V2, "sdk_v2/lambda_steps.py", script, archive))
    assert told["steps"] == {"Count": "Succeeded", "Double": "Succeeded", "Check": "Succeeded"}
    assert told["twice"] == [{"Name": "twice", "Value": "6"}]
    assert told["hit"] == told["first"]
    assert "Step `Double`" in told["reason"] and "OverflowError: too many" in told["reason"]
