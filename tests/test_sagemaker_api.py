"""SageMaker's API of training and processing jobs, driven by boto3."""

import pytest
from botocore.exceptions import ClientError

from kit import platform

ACCOUNT = f"arn:aws:sagemaker:{platform.REGION}:000000000000"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("sagemaker") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    return server.client("sagemaker")


def training(name, **changes):
    whole = {
        "TrainingJobName": name,
        "RoleArn": platform.ROLE,
        "AlgorithmSpecification": {"TrainingImage": "no-such-image", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://data/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    return whole | changes


def processing(name, **changes):
    whole = {
        "ProcessingJobName": name,
        "RoleArn": platform.ROLE,
        "AppSpecification": {"ImageUri": "no-such-image", "ContainerEntrypoint": ["true"]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
        },
    }
    return whole | changes


def refusal(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def contains(whole, part):
    """Whether `whole` says all that `part` says."""
    if isinstance(part, dict):
        return all(name in whole and contains(whole[name], value) for name, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return whole == part


# What Create was given comes back


def test_a_training_job_tells_all_that_it_was_given(client):
    given = training(
        "train-echo",
        HyperParameters={"depth": "3"},
        InputDataConfig=[
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/in"}},
                "ContentType": "text/csv",
            }
        ],
        Environment={"A": "b"},
        RetryStrategy={"MaximumRetryAttempts": 2},
        VpcConfig={"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
    )
    arn = client.create_training_job(**given)["TrainingJobArn"]
    assert arn == f"{ACCOUNT}:training-job/train-echo"
    described = client.describe_training_job(TrainingJobName="train-echo")
    assert contains(described, given)
    assert described["TrainingJobArn"] == arn
    assert described["OutputDataConfig"]["KmsKeyId"] == ""
    assert described["EnableManagedSpotTraining"] is False
    source = described["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    assert source["S3DataDistributionType"] == "FullyReplicated"
    artifacts = described["ModelArtifacts"]["S3ModelArtifacts"]
    assert artifacts == "s3://data/models/train-echo/output/model.tar.gz"
    assert described["SecondaryStatusTransitions"][0]["Status"] == "Starting"


def test_a_processing_job_tells_all_that_it_was_given(client):
    given = processing(
        "process-echo",
        ProcessingInputs=[
            {
                "InputName": "code",
                "S3Input": {
                    "S3Uri": "s3://data/code", "LocalPath": "/opt/ml/processing/input", "S3DataType": "S3Prefix",
                },
            }
        ],
        ProcessingOutputConfig={
            "Outputs": [
                {
                    "OutputName": "out",
                    "S3Output": {
                        "S3Uri": "s3://data/out", "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        NetworkConfig={"EnableNetworkIsolation": True},
    )
    arn = client.create_processing_job(**given)["ProcessingJobArn"]
    assert arn == f"{ACCOUNT}:processing-job/process-echo"
    described = client.describe_processing_job(ProcessingJobName="process-echo")
    assert contains(described, given)
    assert described["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert described["ProcessingInputs"][0]["S3Input"]["S3InputMode"] == "File"
    assert described["ProcessingOutputConfig"]["KmsKeyId"] == ""


# What can't be


def test_names_are_taken_once(client):
    client.create_training_job(**training("taken"))
    code, message = refusal(client.create_training_job, **training("taken"))
    assert code == "ResourceInUse"
    assert message == (
        "Training job names must be unique within an AWS account and region, and a training job "
        f"with this name already exists ({ACCOUNT}:training-job/taken)"
    )
    client.create_processing_job(**processing("taken"))
    code, message = refusal(client.create_processing_job, **processing("taken"))
    assert code == "ResourceInUse"
    assert message == (
        "Job name must be unique within an AWS account and region, and a job with this name "
        f"already exists ({ACCOUNT}:processing-job/taken)"
    )


def test_what_is_not_there_is_refused_in_awss_words(client):
    missing = ("ValidationException", "Requested resource not found.")
    assert refusal(client.describe_training_job, TrainingJobName="nothing") == missing
    assert refusal(client.stop_training_job, TrainingJobName="nothing") == missing
    missing = ("ValidationException", "Could not find requested job with name: nothing")
    assert refusal(client.describe_processing_job, ProcessingJobName="nothing") == missing
    assert refusal(client.stop_processing_job, ProcessingJobName="nothing") == missing
