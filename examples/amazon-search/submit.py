"""Submits training jobs and forgets them: a launcher of thousands, in plain boto3.

Nothing is kept here. A launcher that was ended is started again with the same `--run`: jobs that are there
are left alone.
"""

import argparse
import collections
import json
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

BUCKET = "search-training"
ROLE = "arn:aws:iam::000000000000:role/search-training"
# What is trained, and by whom.
MODELS = [("query-rank", "relevance"), ("click-rate", "ads"), ("typo-fix", "spelling")]
# Of twenty jobs, those that don't just learn; `train.py` does what it is told here.
MIX = {3: "diverges", 6: "recovers", 9: "hangs", 12: "grows", 15: "swells", 18: "has-no-image"}
# Refusals that pass.
BUSY = {"ThrottlingException", "ResourceLimitExceeded", "CapacityError", "ServiceUnavailable"}

sagemaker, s3 = boto3.client("sagemaker"), boto3.client("s3")


def request(run, index):
    """The Create call of a job."""
    name, team = MODELS[index % len(MODELS)]
    does = MIX.get(index % 20, "learns")
    code = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/code/", "S3DataDistributionType": "FullyReplicated"}
    job = f"{name}-{run}-{index:04}"
    return {
        "TrainingJobName": job,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": "search/trainer:7" if does == "has-no-image" else "python:3.11",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/train.py"],
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
        },
        "HyperParameters": {"does": does, "seed": str(index), "learning_rate": "0.1"},
        "InputDataConfig": [{"ChannelName": "code", "DataSource": {"S3DataSource": code}}],
        "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/checkpoints/{job}"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 1 if does == "hangs" else 3600},
        "Environment": {"BESSEMER_CORES": "1", "BESSEMER_MEMORY": "256MiB"},
        "Tags": [
            {"Key": "team", "Value": team},
            {"Key": "name", "Value": name},
            {"Key": "retry", "Value": {"recovers": "errors", "grows": "memory"}.get(does, "usual")},
        ],
    }


def submit(job):
    """Creates a job, however long there is no room for it; says what it took."""
    refused = collections.Counter()
    while True:
        try:
            sagemaker.create_training_job(**job)
            return "submitted", refused
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ResourceInUse":
                return "already there", refused
            if code not in BUSY:
                raise
            refused[code] += 1
            time.sleep(random.uniform(0.5, 1) * min(0.1 * 2 ** sum(refused.values()), 5))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--jobs", type=int, default=1000, help="how many [default: 1000]")
    options.add_argument("--run", default=time.strftime("%m%d-%H%M"), help="part of every job's name [default: now]")
    chosen = options.parse_args()

    try:
        s3.create_bucket(Bucket=BUCKET)
    except s3.exceptions.BucketAlreadyOwnedByYou:
        pass
    s3.upload_file(Path(__file__).with_name("train.py"), BUCKET, "code/train.py")
    print(f"the run is {chosen.run}", file=sys.stderr)
    began = time.monotonic()
    ends, refused = collections.Counter(), collections.Counter()
    with ThreadPoolExecutor(8) as threads:
        for end, refusals in threads.map(submit, (request(chosen.run, index) for index in range(chosen.jobs))):
            ends[end] += 1
            refused += refusals
    seconds = round(time.monotonic() - began, 1)
    print(json.dumps({"run": chosen.run, **ends, "refused_and_tried_again": refused, "seconds": seconds}))


main()
