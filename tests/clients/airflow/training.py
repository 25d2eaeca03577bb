"""A DAG that cleans data by a processing job and trains on it."""

import datetime

from airflow import DAG
from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerProcessingOperator,
    SageMakerTrainingOperator,
)

ROLE = "arn:aws:iam::123456789012:role/training"
IMAGE = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


def channel(name, uri):
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def mount(name, uri, folder):
    given = {"S3Uri": uri, "LocalPath": folder, "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": name, "S3Input": given}


with DAG("training", schedule=None, start_date=datetime.datetime(2024, 1, 1)):
    clean = SageMakerProcessingOperator(
        task_id="clean",
        check_interval=1,
        config={
            "ProcessingJobName": "clean",
            "RoleArn": ROLE,
            "AppSpecification": {
                "ImageUri": IMAGE,
                "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/clean.py"],
                "ContainerArguments": ["--factor", "3"],
            },
            "ProcessingInputs": [
                mount("code", "s3://lake/code/", "/opt/ml/processing/input/code"),
                mount("data", "s3://lake/numbers/", "/opt/ml/processing/input/data"),
            ],
            "ProcessingOutputConfig": {"Outputs": [{
                "OutputName": "clean",
                "S3Output": {
                    "S3Uri": "s3://lake/clean", "LocalPath": "/opt/ml/processing/output", "S3UploadMode": "EndOfJob",
                },
            }]},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": "1", "InstanceType": "ml.m5.large", "VolumeSizeInGB": "1"},
            },
        },
    )
    train = SageMakerTrainingOperator(
        task_id="train",
        check_interval=1,
        print_log=True,
        config={
            "TrainingJobName": "sum",
            "RoleArn": ROLE,
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/add.py"],
            },
            "InputDataConfig": [channel("code", "s3://lake/code/"), channel("clean", "s3://lake/clean/")],
            "OutputDataConfig": {"S3OutputPath": "s3://lake/models"},
            "ResourceConfig": {"InstanceCount": "1", "InstanceType": "ml.m5.large", "VolumeSizeInGB": "1"},
            "StoppingCondition": {"MaxRuntimeInSeconds": "600"},
        },
    )
    clean >> train
