"""Tuning jobs by plain boto3: requests as the SDKs send them."""

import json

from kit import platform, work

ENDS = {"Completed", "Failed", "Stopped"}


def numbers(name, low, high, scaling="Auto"):
    return {"Name": name, "MinValue": str(low), "MaxValue": str(high), "ScalingType": scaling}


def choices(name, *values):
    return {"Name": name, "Values": list(values)}


def request(server, name, script, *, jobs=None, parallel=2, strategy="Random", kind="Minimize", ranges, **config):
    """The input of a Create whose training jobs run `script`, which prints `loss=…;`."""
    place = f"{name}/source/sourcedir.tar.gz"
    work.put(server, place, work.packed(train__py=script))
    limits = {"MaxParallelTrainingJobs": parallel}
    if jobs is not None:
        limits["MaxNumberOfTrainingJobs"] = jobs
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": strategy, "ResourceLimits": limits, "ParameterRanges": ranges,
            "HyperParameterTuningJobObjective": {"Type": kind, "MetricName": "loss"},
            "TrainingJobEarlyStoppingType": "Off",
        } | config,
        "TrainingJobDefinition": {
            "StaticHyperParameters": {
                "sagemaker_program": '"train.py"',
                "sagemaker_submit_directory": json.dumps(f"s3://data/{place}"),
                "rounds": "3",
            },
            "AlgorithmSpecification": {
                "TrainingImage": work.PYTHON, "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([-0-9.e]+);"}],
            },
            "RoleArn": platform.ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://data/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            "Environment": {"BESSEMER_CORES": "1", "BESSEMER_MEMORY": "256MiB"},
        },
    }


def create(server, name, script, **options):
    """Creates a tuning job; says its ARN."""
    client = server.client("sagemaker")
    created = client.create_hyper_parameter_tuning_job(**request(server, name, script, **options))
    return created["HyperParameterTuningJobArn"]


def described(server, name):
    return server.client("sagemaker").describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def training_jobs(server, name, **options):
    pages = server.client("sagemaker").get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    pages = pages.paginate(HyperParameterTuningJobName=name, PaginationConfig={"PageSize": 3}, **options)
    return [job for page in pages for job in page["TrainingJobSummaries"]]


def ended(server, name, ends="Completed", seconds=180):
    """What Describe says of a tuning job when it has ended."""
    def has_ended():
        found = described(server, name)
        return found if found["HyperParameterTuningJobStatus"] in ENDS else None

    found = work.until(has_ended, f"end of {name}", seconds)
    reasons = [job.get("FailureReason") for job in training_jobs(server, name)]
    assert found["HyperParameterTuningJobStatus"] == ends, (found.get("FailureReason"), reasons)
    return found
