"""Jobs, objects and log events on a server that is killed at random moments.

The oracle knows what calls were acknowledged, and which rows each job was given. What it holds the
server to is in docs/guarantees.md."""

import contextlib
import json
import random
import time

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from kit import platform, work
from kit.kills import Kills

FILES, ROWS = 3, 400
POISONED = {7, 150, 399}
AT_ONCE = 4
PART = 5 << 20
GROUP = "/torture"
# User code: it says that it runs, reads its input to the end, and writes what it read.
SCRIPT = """
import pathlib, time
print("it runs", flush=True)
rows = pathlib.Path("/opt/ml/processing/in/0.csv").read_text().splitlines()
time.sleep(0.3)
ids = [row.split(",")[0] for row in rows]
pathlib.Path("/opt/ml/processing/out/ids.txt").write_text(chr(10).join(ids))
"""
TRAINING = """
import pathlib, time
print("it runs", flush=True)
rows = pathlib.Path("/opt/ml/input/data/in/0.csv").read_text().splitlines()
time.sleep(0.3)
ids = [row.split(",")[0] for row in rows]
pathlib.Path("/opt/ml/model/ids.txt").write_text(chr(10).join(ids))
"""
FINAL = ("Completed", "Failed", "Stopped")


class Torture(Kills):
    """Transform, processing and training jobs, objects and log events."""

    def __init__(self, folder, booster, seed, kills):
        super().__init__(folder, seed, kills)
        self.booster = booster
        # What was acknowledged.
        self.jobs, self.stops, self.tags = {}, set(), {}
        self.scripts, self.trainings = [], []
        self.objects, self.counters, self.events = {}, {}, []
        self.seen = {}

    def calls(self):
        return jobs, scripts, trainings, stops, objects, counters, parts, events

    def report(self):
        states = [self.state(name) for name in self.jobs]
        return {
            "jobs": {state: states.count(state) for state in FINAL}, "scripts": len(self.scripts),
            "trainings": len(self.trainings), "objects": len(self.objects),
            "events": len(self.events), "files_seen": len(self.seen),
        }

    def prepare(self):
        s3, sagemaker = self.server.client("s3"), self.server.client("sagemaker")
        s3.create_bucket(
            Bucket="data", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
        )
        values = random.Random(self.seed)
        for part in range(FILES):
            rows = []
            for row in range(ROWS):
                cells = [f"{values.uniform(-2, 2):.4f}" for _ in range(4)]
                if row in POISONED:
                    cells[1] = "poison"
                rows.append(f"{part * ROWS + row},{','.join(cells)}\n")
            s3.put_object(Bucket="data", Key=f"in/{part}.csv", Body="".join(rows).encode())
        s3.put_object(Bucket="data", Key="model.json", Body=self.booster.read_bytes())
        sagemaker.create_model(
            ModelName="model", ExecutionRoleArn=platform.ROLE,
            PrimaryContainer={"Image": "any", "ModelDataUrl": "s3://data/model.json"},
        )
        self.server.client("logs").create_log_group(logGroupName=GROUP)
        s3.put_object(Bucket="data", Key="code/run.py", Body=SCRIPT.encode())
        s3.put_object(Bucket="data", Key="train/train.py", Body=TRAINING.encode())

    # What readers see

    def look(self):
        """Looks at the jobs' outputs as files: each must be whole from the first."""
        for path in (self.server.folder / "buckets/data/out").glob("*/*.out"):
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                identity = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
                known, text = self.seen.get(path, (None, None))
                if known == identity:
                    continue
                found = path.read_bytes().decode()
                self.check_rows(found, int(path.name[0]), f"{path}")
                # A kill while outputs are put into place leads to the same being put there again.
                if text not in (None, found):
                    self.wrong.append(f"{path} changed")
                self.seen[path] = (identity, found)

    def check_rows(self, text, part, what):
        """That an output has a line for each row, in order: its id and a score, or nothing if it
        was rejected."""
        lines = text.splitlines()
        wanted = [
            "" if row in POISONED else str(part * ROWS + row) for row in range(ROWS)
        ]
        found = [line.split(",")[0].strip('"') for line in lines]
        if not text.endswith("\n") or found != wanted:
            self.wrong.append(f"{what} is not whole: {len(lines)} lines")

    # The end

    def script_state(self, name):
        described = self.server.client("sagemaker").describe_processing_job(ProcessingJobName=name)
        return described["ProcessingJobStatus"]

    def training_state(self, name):
        described = self.server.client("sagemaker").describe_training_job(TrainingJobName=name)
        return described["TrainingJobStatus"]

    def state(self, name):
        described = self.server.client("sagemaker").describe_transform_job(TransformJobName=name)
        return described["TransformJobStatus"]

    def check(self):
        state = {name: self.script_state for name in self.scripts}
        state |= {name: self.training_state for name in self.trainings}
        names = [*self.jobs, *self.scripts, *self.trainings]
        if not self.all_end(names, lambda name: state.get(name, self.state)(name) in FINAL):
            return
        self.look()
        for name in self.jobs:
            self.check_job(name)
        for name in self.scripts:
            self.check_program(name, self.outputs_of_script)
        for name in self.trainings:
            self.check_program(name, self.outputs_of_training)
        self.check_objects()
        self.check_events()

    def check_job(self, name):
        sagemaker = self.server.client("sagemaker")
        described = sagemaker.describe_transform_job(TransformJobName=name)
        state = described["TransformJobStatus"]
        told = json.loads(self.server.run("jobs", "show", name, "--json").stdout)
        ends = [entry for entry in told["history"] if entry["state"] in ("succeeded", "failed", "stopped")]
        if len(ends) != 1:
            self.wrong.append(f"{name} ended {len(ends)} times")
        if state == "Stopped" and name not in self.stops:
            self.wrong.append(f"{name} was stopped by nobody")
        # It may be given up when nothing but kills ended all its attempts.
        if state == "Failed" and (told["class"], told["attempts_made"]) != ("infrastructure", 3):
            self.wrong.append(f"{name} failed: {described['FailureReason']}")
        tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(
            ResourceArn=described["TransformJobArn"])["Tags"]}
        if not self.tags.get(name, {}).items() <= tags.items():
            self.wrong.append(f"{name} lost tags: {tags}")
        if state == "Completed":
            self.check_outputs(name)

    def check_outputs(self, name):
        s3 = self.server.client("s3")
        found = []
        for part in range(FILES):
            output = s3.get_object(Bucket="data", Key=f"out/{name}/{part}.csv.out")["Body"].read()
            found += [line.split(",")[0] for line in output.decode().splitlines() if line.strip('"')]
            key = f"out/{name}/_rejects/{part}.csv.parquet"
            rejects = s3.get_object(Bucket="data", Key=key)["Body"].read()
            rows = pq.read_table(pa.BufferReader(rejects))["row"].to_pylist()
            found += [str(part * ROWS + row) for row in rows]
        if sorted(found, key=int) != [str(row) for row in range(FILES * ROWS)]:
            self.wrong.append(f"{name} has {len(found)} rows, {len(set(found))} of them different")

    def outputs_of_script(self, name):
        return self.read(f"scripts/{name}/ids.txt")

    def outputs_of_training(self, name):
        return work.unpacked(self.read(f"models/{name}/output/model.tar.gz"))["ids.txt"]

    def read(self, key):
        return self.server.client("s3").get_object(Bucket="data", Key=key)["Body"].read()

    def check_program(self, name, outputs):
        """That user code ran no more often than attempts were made, and its result is there once."""
        state = self.check_runs(name)["state"]
        if state == "stopped" and name not in self.stops:
            self.wrong.append(f"{name} was stopped by nobody")
        if state == "succeeded" and outputs(name).decode().split() != [str(row) for row in range(ROWS)]:
            self.wrong.append(f"{name} wrote something else")

    def check_objects(self):
        s3 = self.server.client("s3")
        for key, (size, letter) in self.objects.items():
            body = s3.get_object(Bucket="data", Key=key)["Body"].read()
            if body != letter * size:
                self.wrong.append(f"{key} is not what was put")
        for key, count in self.counters.items():
            found = int(s3.get_object(Bucket="data", Key=key)["Body"].read())
            if found != count:
                self.wrong.append(f"{key} is {found} and was last set to {count}")

    def check_events(self):
        pages = self.server.client("logs").get_paginator("filter_log_events").paginate(logGroupName=GROUP)
        found = {event["message"] for page in pages for event in page["events"]}
        if lost := [text for text in self.events if text not in found]:
            self.wrong.append(f"{len(lost)} of {len(self.events)} log events are lost")


# What clients do


def running(client, operation):
    """How many jobs run: clients submit no more at once than the machine gets through."""
    answer = client.call("sagemaker", operation, StatusEquals="InProgress")
    return sum(len(found) for found in answer.values() if isinstance(found, list))


def jobs(client, number):
    torture = client.trial
    name = f"job-{number}"
    client.call(
        "sagemaker", "create_transform_job", taken=["ResourceInUse"], TransformJobName=name,
        ModelName="model", BatchStrategy="MultiRecord",
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/in/"}},
            "ContentType": "text/csv", "SplitType": "Line",
        },
        TransformOutput={
            "S3OutputPath": f"s3://data/out/{name}", "AssembleWith": "Line", "Accept": "text/csv",
        },
        DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        Environment={"BESSEMER_MAX_REJECTS": "100"},
    )
    torture.jobs[name] = number
    described = client.call("sagemaker", "describe_transform_job", TransformJobName=name)
    tag = {"number": str(number)}
    client.call(
        "sagemaker", "add_tags", ResourceArn=described["TransformJobArn"],
        Tags=[{"Key": key, "Value": value} for key, value in tag.items()],
    )
    torture.tags[name] = tag
    client.wait_for(lambda: running(client, "list_transform_jobs") < AT_ONCE)


def scripts(client, number):
    torture = client.trial
    name = f"script-{number}"
    folder = "/opt/ml/processing"
    s3 = {"S3DataType": "S3Prefix", "S3InputMode": "File"}
    client.call(
        "sagemaker", "create_processing_job", taken=["ResourceInUse"], ProcessingJobName=name,
        ProcessingResources={"ClusterConfig": {
            "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5,
        }},
        AppSpecification={
            "ImageUri": "python:3.11", "ContainerEntrypoint": ["python3", f"{folder}/code/run.py"],
        },
        RoleArn=platform.ROLE,
        ProcessingInputs=[
            {"InputName": "code", "S3Input": s3 | {
                "S3Uri": "s3://data/code/", "LocalPath": f"{folder}/code"}},
            {"InputName": "in", "S3Input": s3 | {
                "S3Uri": "s3://data/in/0.csv", "LocalPath": f"{folder}/in"}},
        ],
        ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": {
            "S3Uri": f"s3://data/scripts/{name}", "LocalPath": f"{folder}/out",
            "S3UploadMode": "EndOfJob",
        }}]},
    )
    torture.scripts.append(name)
    client.wait_for(lambda: running(client, "list_processing_jobs") < 2)


def trainings(client, number):
    torture = client.trial
    name = f"training-{number}"
    client.call(
        "sagemaker", "create_training_job", taken=["ResourceInUse"], TrainingJobName=name,
        AlgorithmSpecification={
            "TrainingImage": "python:3.11", "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/train.py"],
        },
        RoleArn=platform.ROLE,
        InputDataConfig=[work.channel("code", "train/"), work.channel("in", "in/0.csv")],
        OutputDataConfig={"S3OutputPath": "s3://data/models"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        Environment={"BESSEMER_CORES": "1", "BESSEMER_MEMORY": "256MiB"},
    )
    torture.trainings.append(name)
    client.wait_for(lambda: running(client, "list_training_jobs") < 2)


def stops(client, number):
    torture = client.trial
    time.sleep(client.random.random())
    kind, names = client.random.choice([("transform", [*torture.jobs]), ("training", torture.trainings)])
    if not names or client.random.random() < 0.5 or names[-1] in torture.stops:
        return
    torture.stops.add(names[-1])
    with contextlib.suppress(ClientError):  # it has ended
        client.call(
            "sagemaker", f"stop_{kind}_job", **{f"{kind.capitalize()}JobName": names[-1]}
        )


def objects(client, number):
    key, size, letter = f"objects/{number}", client.random.choice([0, 10, 100_000]), b"abc"[number % 3 :][:1]
    client.call("s3", "put_object", Bucket="data", Key=key, Body=letter * size)
    client.trial.objects[key] = (size, letter)
    time.sleep(0.02)


def counters(client, number):
    key = f"counters/{number % 5}"
    client.call("s3", "put_object", Bucket="data", Key=key, Body=str(number).encode())
    client.trial.counters[key] = number
    time.sleep(0.02)


def parts(client, number):
    key = {"Bucket": "data", "Key": f"parts/{number}"}
    upload = client.call("s3", "create_multipart_upload", **key)["UploadId"]
    tags = []
    for part, size in [(1, PART), (2, 10)]:
        answer = client.call(
            "s3", "upload_part", **key, UploadId=upload, PartNumber=part, Body=b"p" * size
        )
        tags.append({"PartNumber": part, "ETag": answer["ETag"]})
    client.call(
        "s3", "complete_multipart_upload", taken=["NoSuchUpload"], **key, UploadId=upload,
        MultipartUpload={"Parts": tags},
    )
    client.trial.objects[key["Key"]] = (PART + 10, b"p")
    time.sleep(0.5)


def events(client, number):
    if number == 0:
        client.call(
            "logs", "create_log_stream", taken=["ResourceAlreadyExistsException"],
            logGroupName=GROUP, logStreamName="s",
        )
    text = f"event {number}"
    client.call(
        "logs", "put_log_events", logGroupName=GROUP, logStreamName="s",
        logEvents=[{"timestamp": int(time.time() * 1000), "message": text}],
    )
    client.trial.events.append(text)
    time.sleep(0.02)
