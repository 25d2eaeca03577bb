"""Training and processing jobs by plain boto3: requests as the SDKs send them."""

import io
import json
import tarfile
import time

from botocore.exceptions import ClientError, WaiterError

from kit import platform

ECR = "246618743249.dkr.ecr.eu-central-1.amazonaws.com"
SKLEARN = f"{ECR}/sagemaker-scikit-learn:1.2-1-cpu-py3"
XGBOOST = f"{ECR}/sagemaker-xgboost:1.7-1"
PYTHON = "python:3.11"
QUICK = {"Delay": 0.1, "MaxAttempts": 3000}


def make_bucket(server):
    location = {"LocationConstraint": platform.REGION}
    server.client("s3").create_bucket(Bucket="data", CreateBucketConfiguration=location)


def put(server, key, body):
    body = body.encode() if isinstance(body, str) else body
    server.client("s3").put_object(Bucket="data", Key=key, Body=body)


def read(server, key):
    return server.client("s3").get_object(Bucket="data", Key=key)["Body"].read()


def keys(server, prefix):
    listed = server.client("s3").list_objects_v2(Bucket="data", Prefix=prefix)
    return [entry["Key"] for entry in listed.get("Contents", [])]


def exists(server, key):
    try:
        server.client("s3").head_object(Bucket="data", Key=key)
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 404
        return False
    return True


def packed(**files):
    """A tar.gz of texts; `__` in a name stands for a dot."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name.replace("__", "."))
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return archive.getvalue()


def unpacked(body):
    """The files of a tar.gz."""
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}


def channel(name, prefix, **source):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://data/{prefix}"} | source
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def training(server, name, script=None, *, image=SKLEARN, files=None, instances=1, **changes):
    """Creates a training job whose source is `script`, and says its name."""
    hyperparameters = dict(changes.pop("HyperParameters", {}))
    algorithm = {"TrainingImage": image, "TrainingInputMode": "File"}
    algorithm |= changes.pop("AlgorithmSpecification", {})
    if script is not None:
        put(server, f"{name}/source/sourcedir.tar.gz", packed(train__py=script, **(files or {})))
        hyperparameters |= {
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": json.dumps(f"s3://data/{name}/source/sourcedir.tar.gz"),
            "sagemaker_container_log_level": "20",
            "sagemaker_job_name": json.dumps(name),
            "sagemaker_region": json.dumps(platform.REGION),
        }
    request = {
        "TrainingJobName": name,
        "AlgorithmSpecification": algorithm,
        "RoleArn": platform.ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://data/out"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large", "InstanceCount": instances, "VolumeSizeInGB": 5,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "HyperParameters": hyperparameters,
    }
    server.client("sagemaker").create_training_job(**(request | changes))
    return name


def trained(server, name, ends="Completed"):
    """What Describe says of a training job when it has ended."""
    return _ended(server, "training", "TrainingJob", name, ends)


def processing(server, name, script, *arguments, image=PYTHON, instances=1, **changes):
    """Creates a processing job that runs `script`, and says its name."""
    put(server, f"{name}/input/code/run.py", script)
    code = {
        "InputName": "code", "AppManaged": False,
        "S3Input": {
            "S3Uri": f"s3://data/{name}/input/code/run.py",
            "LocalPath": "/opt/ml/processing/input/code", "S3DataType": "S3Prefix",
            "S3InputMode": "File", "S3DataDistributionType": "FullyReplicated",
            "S3CompressionType": "None",
        },
    }
    application = {
        "ImageUri": image,
        "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/run.py"],
    }
    if arguments:
        application["ContainerArguments"] = list(arguments)
    request = {
        "ProcessingJobName": name,
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": "ml.m5.large", "InstanceCount": instances, "VolumeSizeInGB": 5,
            }
        },
        "AppSpecification": application | changes.pop("AppSpecification", {}),
        "RoleArn": platform.ROLE,
        "ProcessingInputs": [*changes.pop("ProcessingInputs", []), code],
    }
    server.client("sagemaker").create_processing_job(**(request | changes))
    return name


def source(name, prefix, folder=None, **s3):
    path = f"/opt/ml/processing/{folder or name}"
    usual = {
        "S3Uri": f"s3://data/{prefix}", "LocalPath": path, "S3DataType": "S3Prefix",
        "S3InputMode": "File",
    }
    return {"InputName": name, "S3Input": usual | s3}


def output(name, prefix, mode="EndOfJob"):
    s3 = {
        "S3Uri": f"s3://data/{prefix}", "LocalPath": f"/opt/ml/processing/{name}",
        "S3UploadMode": mode,
    }
    return {"OutputName": name, "S3Output": s3}


def processed(server, name, ends="Completed"):
    """What Describe says of a processing job when it has ended."""
    return _ended(server, "processing", "ProcessingJob", name, ends)


def _ended(server, kind, member, name, ends):
    client = server.client("sagemaker")
    try:
        waiter = client.get_waiter(f"{kind}_job_completed_or_stopped")
        waiter.wait(WaiterConfig=QUICK, **{f"{member}Name": name})
    except WaiterError as error:
        assert "terminal failure" in str(error)
    described = getattr(client, f"describe_{kind}_job")(**{f"{member}Name": name})
    lines = log(server, kind, name)
    assert described[f"{member}Status"] == ends, (described.get("FailureReason"), lines[-20:])
    return described


def log(server, kind, name, host="algo-1"):
    """The lines that an instance wrote."""
    group = f"/aws/sagemaker/{kind.capitalize()}Jobs"
    client = server.client("logs")
    try:
        streams = client.describe_log_streams(
            logGroupName=group, logStreamNamePrefix=f"{name}/{host}-"
        )["logStreams"]
    except client.exceptions.ResourceNotFoundException:
        return []
    return [
        event["message"] for stream in streams for event in client.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
        )["events"]
    ]


def until(condition, what="what was waited for", seconds=120):
    """Waits until `condition` is true, and says what it was."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.02)
    return found


def wait_for_line(server, kind, name, text, host="algo-1"):
    def said():
        return [line for line in log(server, kind, name, host) if text in line]

    return until(said, f"`{text}` in {log(server, kind, name, host)[-20:]}")


def left_over(server):
    """Folders and access keys of jobs."""
    folders = [str(path) for path in (server.folder / "runs").rglob("*")]
    ring = json.loads((server.folder / "keys.json").read_text())["keys"]
    return folders + [key["job"] for key in ring if key.get("job")]
