"""A server that is killed at random moments under a mixed load, and an oracle that stands outside.

The oracle knows what calls were acknowledged, and which rows each job was given. What it holds the
server to is in docs/guarantees.md."""

import contextlib
import itertools
import json
import os
import random
import signal
import threading
import time
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from kit import platform, work

FILES, ROWS = 3, 400
POISONED = {7, 150, 399}
AT_ONCE = 4
PART = 5 << 20
PATIENCE = 60
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


class Client(threading.Thread):
    """A client that repeats each call until the server has answered it."""

    def __init__(self, torture, calls):
        super().__init__(daemon=True)
        self.torture, self.calls = torture, calls
        self.random = random.Random(f"{torture.seed} {calls.__name__}")
        self.clients = {}

    def run(self):
        try:
            for number in itertools.count():
                if self.torture.ended.is_set():
                    return
                self.calls(self, number)
        except Exception as error:  # noqa: BLE001 - the test reports it
            self.torture.wrong.append(f"{self.calls.__name__}: {error!r}")

    def call(self, service, operation, taken=(), **arguments):
        """The answer, however often the server dies meanwhile; `taken` are the codes that say that
        an earlier try was carried out."""
        tries = 0
        while True:
            tries += 1
            try:
                return getattr(self.client(service), operation)(**arguments)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if code in taken and tries > 1:
                    return None
                if status < 500:
                    raise
            except BotoCoreError:
                pass
            time.sleep(0.02)

    def client(self, service):
        if service not in self.clients:
            torture = self.torture
            self.clients[service] = boto3.client(
                service, endpoint_url=torture.server.address, region_name=platform.REGION,
                aws_access_key_id=torture.key["id"], aws_secret_access_key=torture.key["secret"],
                config=Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=10),
            )
        return self.clients[service]


class Torture:
    def __init__(self, folder, booster, seed, kills):
        self.seed, self.kills, self.booster = seed, kills, booster
        self.random = random.Random(seed)
        self.ended = threading.Event()
        self.wrong = []  # what must not be
        # What was acknowledged.
        self.jobs, self.stops, self.tags = {}, set(), {}
        self.scripts, self.trainings = [], []
        self.objects, self.counters, self.events = {}, {}, []
        self.seen = {}
        self.server = platform.Platform(folder)
        self.restarts = []

    def run(self):
        """Kills the server `kills` times; returns what happened, for the report."""
        self.server.start()
        self.server.listen = self.server.address.removeprefix("http://")
        self.key = self.server.key()
        self.prepare()
        all_work = (jobs, scripts, trainings, stops, objects, counters, parts, events)
        clients = [Client(self, calls) for calls in all_work]
        watcher = threading.Thread(target=self.watch, daemon=True)
        for thread in [*clients, watcher]:
            thread.start()
        try:
            for _ in range(self.kills):
                time.sleep(self.random.choice([0.05, 0.3, 0.6, 1.2]) * self.random.random())
                self.kill(with_children=self.random.random() < 0.3)
                if self.wrong:
                    break
        finally:
            self.ended.set()
            for thread in [*clients, watcher]:
                thread.join(PATIENCE)
        self.check()
        states = [self.state(name) for name in self.jobs]
        return {
            "seed": self.seed, "kills": self.kills, "jobs": {s: states.count(s) for s in FINAL},
            "scripts": len(self.scripts), "trainings": len(self.trainings), "objects": len(self.objects), "events": len(self.events), "files_seen": len(self.seen),
            "slowest_restart": round(max(self.restarts), 3),
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

    def kill(self, with_children):
        server = self.server
        children = set()
        if with_children:
            alive = {server.process.pid, *server.attempts(), *sandboxes(server.folder)}
            children = set().union(alive, *map(descendants, alive)) - {server.process.pid}
        server.process.send_signal(signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        server.process.wait(30)
        server.log.close()
        begin = time.monotonic()
        server.start()
        self.restarts.append(time.monotonic() - begin)

    # What readers see

    def watch(self):
        """Looks at the jobs' outputs as files, without pause: each must be whole from the first."""
        while not self.ended.is_set():
            self.look()
            time.sleep(0.01)

    def look(self):
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
        begin, left = time.monotonic(), [*self.jobs, *self.scripts, *self.trainings]
        state = {name: self.script_state for name in self.scripts}
        state |= {name: self.training_state for name in self.trainings}
        while left := [name for name in left if state.get(name, self.state)(name) not in FINAL]:
            if time.monotonic() - begin > PATIENCE:
                whys = [self.server.run("jobs", "why", name).stdout.strip() for name in left]
                self.wrong.append(f"stuck {PATIENCE} s after the last restart: {left} {whys}")
                return
            time.sleep(0.1)
        self.look()
        for name in self.jobs:
            self.check_job(name)
        for name in self.scripts:
            self.check_program(name, self.script_state(name), self.outputs_of_script)
        for name in self.trainings:
            self.check_program(name, self.training_state(name), self.outputs_of_training)
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

    def check_program(self, name, state, outputs):
        """That user code ran no more often than attempts were made, and its result is there once."""
        told = json.loads(self.server.run("jobs", "show", name, "--json").stdout)
        ends = [entry for entry in told["history"] if entry["state"] in ("succeeded", "failed", "stopped")]
        if len(ends) != 1:
            self.wrong.append(f"{name} ended {len(ends)} times")
        runs = self.server.run("logs", name, "--grep", "^it runs$").stdout.count("it runs")
        if runs > told["attempts_made"]:
            self.wrong.append(f"{name} ran {runs} times in {told['attempts_made']} attempts")
        if state == "Stopped" and name not in self.stops:
            self.wrong.append(f"{name} was stopped by nobody")
        # It may be given up when nothing but kills ended all its attempts.
        if state == "Failed" and (told["class"], told["attempts_made"]) != ("infrastructure", 3):
            self.wrong.append(f"{name} failed: {told['message']}")
        if state == "Completed" and outputs(name).decode().split() != [str(row) for row in range(ROWS)]:
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


def jobs(client, number):
    torture = client.torture
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
    # No more at once than the machine gets through.
    while not torture.ended.is_set():
        listed = client.call("sagemaker", "list_transform_jobs", StatusEquals="InProgress")
        if len(listed["TransformJobSummaries"]) < AT_ONCE:
            return
        time.sleep(0.05)


def scripts(client, number):
    torture = client.torture
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
    while not torture.ended.is_set():
        listed = client.call("sagemaker", "list_processing_jobs", StatusEquals="InProgress")
        if len(listed["ProcessingJobSummaries"]) < 2:
            return
        time.sleep(0.05)


def trainings(client, number):
    torture = client.torture
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
    while not torture.ended.is_set():
        listed = client.call("sagemaker", "list_training_jobs", StatusEquals="InProgress")
        if len(listed["TrainingJobSummaries"]) < 2:
            return
        time.sleep(0.05)


def stops(client, number):
    torture = client.torture
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
    client.torture.objects[key] = (size, letter)
    time.sleep(0.02)


def counters(client, number):
    key = f"counters/{number % 5}"
    client.call("s3", "put_object", Bucket="data", Key=key, Body=str(number).encode())
    client.torture.counters[key] = number
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
    client.torture.objects[key["Key"]] = (PART + 10, b"p")
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
    client.torture.events.append(text)
    time.sleep(0.02)


def sandboxes(folder):
    """The supervisors of user code, which note their numbers."""
    # Folders go away meanwhile, which `os.walk` takes as it is.
    noted = (Path(at) / "process.json" for at, _, files in os.walk(folder / "runs") if "process.json" in files)
    for path in noted:
        with contextlib.suppress(OSError, ValueError, KeyError):
            note = json.loads(path.read_text())
            with open(f"/proc/{note['pid']}/stat") as file:
                started = int(file.read().rpartition(")")[2].split()[19])
            if started == note["start_time"]:  # else the number is another's by now
                yield note["pid"]


def descendants(root):
    """The processes that `root` has started, and those that they have."""
    children = {}
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            with open(f"/proc/{int(entry)}/stat") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry))
    found, todo = set(), [root]
    while todo:
        for child in children.get(todo.pop(), []):
            found.add(child)
            todo.append(child)
    return found
