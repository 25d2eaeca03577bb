"""Pipelines by plain boto3: definitions as the SDKs write them, and executions that are followed."""

import json
import uuid

from kit import platform, work

ENDS = ("Succeeded", "Failed", "Stopped")


def get(path):
    """A reference."""
    return {"Get": path}


def join(on, *values):
    return {"Std:Join": {"On": on, "Values": list(values)}}


def json_get(step, file, path):
    return {"Std:JsonGet": {"PropertyFile": get(f"Steps.{step}.PropertyFiles.{file}"), "Path": path}}


def compare(kind, left, right):
    return {"Type": kind, "LeftValue": left, "RightValue": right}


def processing(server, name, script, *arguments, inputs=(), outputs=(), instance="ml.m5.large", **step):
    """A processing step that runs `script`, which is put where the SDK puts code."""
    key = f"code/{uuid.uuid5(uuid.NAMESPACE_OID, script).hex}/run.py"
    work.put(server, key, script)
    code = work.source("code", key, "input/code")
    cluster = {"InstanceType": instance, "InstanceCount": 1, "VolumeSizeInGB": 5}
    application = {
        "ImageUri": work.PYTHON,
        "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/run.py"],
    }
    if arguments:
        application["ContainerArguments"] = list(arguments)
    request = {
        "ProcessingResources": {"ClusterConfig": cluster},
        "AppSpecification": application,
        "RoleArn": platform.ROLE,
        "ProcessingInputs": [*inputs, code],
        # Small enough that the steps of a test don't wait for room.
        "Environment": {"BESSEMER_CORES": "1", "BESSEMER_MEMORY": "256MiB"} | step.pop("environment", {}),
    }
    if outputs:
        request["ProcessingOutputConfig"] = {"Outputs": list(outputs)}
    return {"Name": name, "Type": "Processing", "Arguments": request, **step}


def output(name, *place):
    """An output below the execution's own prefix, or at `place`."""
    uri = join("/", *place) if place else join("/", "s3://data/runs", get("Execution.PipelineExecutionId"), name)
    s3 = {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/{name}", "S3UploadMode": "EndOfJob"}
    return {"OutputName": name, "AppManaged": False, "S3Output": s3}


def source(name, uri):
    s3 = {
        "S3Uri": uri, "LocalPath": f"/opt/ml/processing/{name}", "S3DataType": "S3Prefix",
        "S3InputMode": "File",
    }
    return {"InputName": name, "AppManaged": False, "S3Input": s3}


def condition(name, conditions, if_steps=(), else_steps=(), **step):
    arguments = {
        "Conditions": list(conditions), "IfSteps": list(if_steps), "ElseSteps": list(else_steps),
    }
    return {"Name": name, "Type": "Condition", "Arguments": arguments, **step}


def fail(name, message, **step):
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}, **step}


def definition(*steps, parameters=()):
    return json.dumps({
        "Version": "2020-12-01", "Metadata": {}, "Parameters": list(parameters),
        "PipelineExperimentConfig": {
            "ExperimentName": get("Execution.PipelineName"),
            "TrialName": get("Execution.PipelineExecutionId"),
        },
        "Steps": list(steps),
    })


def create(server, name, *steps, parameters=(), **request):
    """Creates a pipeline; says its ARN."""
    client = server.client("sagemaker")
    text = definition(*steps, parameters=parameters)
    return client.create_pipeline(
        PipelineName=name, PipelineDefinition=text, RoleArn=platform.ROLE, **request
    )["PipelineArn"]


def start(server, name, *, parameters=None, **request):
    given = [{"Name": key, "Value": str(value)} for key, value in (parameters or {}).items()]
    if given:
        request["PipelineParameters"] = given
    started = server.client("sagemaker").start_pipeline_execution(PipelineName=name, **request)
    return started["PipelineExecutionArn"]


def described(server, arn):
    return server.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=arn)


def steps(server, arn):
    """The steps of an execution by name."""
    listed = server.client("sagemaker").list_pipeline_execution_steps(PipelineExecutionArn=arn)
    return {step["StepName"]: step for step in listed["PipelineExecutionSteps"]}


def statuses(server, arn):
    return {name: step["StepStatus"] for name, step in steps(server, arn).items()}


def ended(server, arn, ends="Succeeded", seconds=120):
    """What Describe says of an execution when it has ended."""
    def has_ended():
        found = described(server, arn)
        return found if found["PipelineExecutionStatus"] in ENDS else None

    found = work.until(has_ended, f"end of {arn}", seconds)
    shown = {name: (step["StepStatus"], step.get("FailureReason")) for name, step in steps(server, arn).items()}
    assert found["PipelineExecutionStatus"] == ends, (found.get("FailureReason"), shown)
    return found


def until_status(server, arn, step, status):
    work.until(lambda: statuses(server, arn).get(step) == status, f"{status} of {step}: {statuses(server, arn)}")


def message(server, url):
    """The next message of a queue, taken from it."""
    client = server.client("sqs")
    received = client.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"][0]
    client.delete_message(QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])
    return json.loads(received["Body"])
