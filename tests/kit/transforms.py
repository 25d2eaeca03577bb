"""Transform jobs through boto3: models of scripts, jobs, what came of them."""

import io
import tarfile

import pytest

from kit import platform

QUICK = {"Delay": 0.1, "MaxAttempts": 3000}
ACCOUNT = "246618743249.dkr.ecr.us-west-2.amazonaws.com"
SKLEARN = f"{ACCOUNT}/sagemaker-scikit-learn:1.2-1-cpu-py3"
XGBOOST = f"{ACCOUNT}/sagemaker-xgboost:1.7-1"


def packed(files):
    """A tar.gz of `files`, by name."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


class Transforms:
    """A server with a bucket `data`."""

    def __init__(self, server):
        self.server = server
        self.s3, self.sagemaker = server.client("s3"), server.client("sagemaker")
        self.logs = server.client("logs")

    def put(self, **objects):
        for key, body in objects.items():
            self.s3.put_object(Bucket="data", Key=key, Body=body.encode() if isinstance(body, str) else body)

    def read(self, key):
        return self.s3.get_object(Bucket="data", Key=key)["Body"].read()

    def text(self, key):
        return self.read(key).decode()

    def keys(self, prefix):
        listed = self.s3.list_objects_v2(Bucket="data", Prefix=prefix)
        return [entry["Key"].removeprefix(prefix) for entry in listed.get("Contents", [])]

    def model(self, name, files, image=SKLEARN, code=None, isolated=False, **environment):
        """Creates a model of a `model.tar.gz`; with `code`, of a script in an archive of its own, as
        the SDK's `SKLearnModel` does."""
        self.put(**{f"models/{name}/model.tar.gz": packed(files)})
        if code:
            self.put(**{f"{name}/sourcedir.tar.gz": packed(code)})
            environment["SAGEMAKER_SUBMIT_DIRECTORY"] = f"s3://data/{name}/sourcedir.tar.gz"
            environment.setdefault("SAGEMAKER_PROGRAM", next(iter(code)))
        if "SAGEMAKER_PROGRAM" in environment:
            environment |= {"SAGEMAKER_CONTAINER_LOG_LEVEL": "20", "SAGEMAKER_REGION": platform.REGION}
        self.sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=platform.ROLE,
            EnableNetworkIsolation=isolated,
            PrimaryContainer={
                "Image": image,
                "ModelDataUrl": f"s3://data/models/{name}/model.tar.gz",
                "Environment": environment,
            },
        )
        return name

    def create(self, name, model, content_type="text/csv", split="Line", assemble="Line", accept=None, **changes):
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://data/in/{name}/"}}
        given = {"DataSource": source, "ContentType": content_type, "SplitType": split}
        output = {"S3OutputPath": f"s3://data/out/{name}", "AssembleWith": assemble}
        if accept:
            output["Accept"] = accept
        given |= changes.pop("TransformInput", {})
        request = {
            "TransformJobName": name,
            "ModelName": model,
            "TransformInput": given,
            "TransformOutput": output,
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        }
        self.sagemaker.create_transform_job(**(request | changes))

    def run(self, name, *arguments, inputs=None, ends="Completed", **changes):
        """Puts the inputs, creates a job, waits for its end and returns what Describe says."""
        self.put(**{f"in/{name}/{key}": body for key, body in (inputs or {}).items()})
        self.create(name, *arguments, **changes)
        return self.wait(name, ends)

    def wait(self, name, ends="Completed"):
        waiter = self.sagemaker.get_waiter("transform_job_completed_or_stopped")
        if ends == "Failed":
            with pytest.raises(Exception, match="terminal failure"):
                waiter.wait(WaiterConfig=QUICK, TransformJobName=name)
        else:
            waiter.wait(WaiterConfig=QUICK, TransformJobName=name)
        described = self.sagemaker.describe_transform_job(TransformJobName=name)
        assert described["TransformJobStatus"] == ends, described.get("FailureReason")
        return described

    def outputs(self, name):
        """The outputs of a job, by name."""
        prefix = f"out/{name}/"
        return {key: self.text(prefix + key) for key in self.keys(prefix)}

    def log(self, name, stream=""):
        """What is in the job's log streams whose names end so."""
        group = "/aws/sagemaker/TransformJobs"
        streams = self.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")
        lines = []
        for found in streams["logStreams"]:
            if found["logStreamName"].endswith(stream):
                events = self.logs.get_log_events(
                    logGroupName=group, logStreamName=found["logStreamName"], startFromHead=True
                )
                lines += [event["message"] for event in events["events"]]
        return "\n".join(lines)
