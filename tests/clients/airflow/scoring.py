"""A DAG as a team has it: a model, a transform that waits, and one that a sensor waits for."""

import datetime

from airflow import DAG
from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerModelOperator,
    SageMakerTransformOperator,
)
from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerTransformSensor

ROLE = "arn:aws:iam::123456789012:role/scoring"


def transform(source, model="churn"):
    """The settings of a job. They hold text where SageMaker wants numbers: the operator converts."""
    return {
        "TransformJobName": "scoring",
        "ModelName": model,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://lake/{source}/"}},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": f"s3://lake/scores/{source}", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": "1"},
        "MaxPayloadInMB": "6",
        "MaxConcurrentTransforms": "2",
        "BatchStrategy": "MultiRecord",
    }


def dag(name):
    return DAG(name, schedule=None, start_date=datetime.datetime(2024, 1, 1))


with dag("scoring"):
    model = SageMakerModelOperator(
        task_id="model",
        config={
            "ModelName": "churn",
            "ExecutionRoleArn": ROLE,
            "PrimaryContainer": {"Image": "xgboost", "ModelDataUrl": "s3://lake/model.tar.gz"},
        },
    )
    waits = SageMakerTransformOperator(task_id="waits", config=transform("day"), check_interval=1)
    # The name is taken: the operator learns that by a Describe, and puts a time behind it.
    starts = SageMakerTransformOperator(
        task_id="starts", config=transform("night"), wait_for_completion=False
    )
    ended = SageMakerTransformSensor(
        task_id="ended",
        job_name="{{ ti.xcom_pull('starts')['Transform']['TransformJobName'] }}",
        poke_interval=1,
    )
    model >> waits >> starts >> ended

with dag("failing"):
    SageMakerTransformOperator(
        task_id="fails", config=transform("wrong", "damaged"), wait_for_completion=False
    ) >> SageMakerTransformSensor(
        task_id="ended",
        job_name="{{ ti.xcom_pull('fails')['Transform']['TransformJobName'] }}",
        poke_interval=1,
    )
