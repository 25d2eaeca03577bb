"""A DAG that makes a compute environment, and runs jobs of Batch that it waits for and does not."""

import datetime

from airflow import DAG
from airflow.providers.amazon.aws.operators.batch import (
    BatchCreateComputeEnvironmentOperator,
    BatchOperator,
)
from airflow.providers.amazon.aws.sensors.batch import (
    BatchComputeEnvironmentSensor,
    BatchJobQueueSensor,
    BatchSensor,
)

COPY = {"from": "s3://lake/batch/in.txt", "to": "s3://lake/batch/out.txt"}


def dag(name):
    return DAG(name, schedule=None, start_date=datetime.datetime(2024, 1, 1))


with dag("batch"):
    environment = BatchCreateComputeEnvironmentOperator(
        task_id="environment",
        compute_environment_name="fargate",
        environment_type="MANAGED",
        state="ENABLED",
        compute_resources={
            "type": "FARGATE", "maxvCpus": 8, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"],
        },
    )
    valid = BatchComputeEnvironmentSensor(
        task_id="valid", compute_environment="fargate", poke_interval=1
    )
    queue = BatchJobQueueSensor(task_id="queue", job_queue="airflow", poke_interval=1)
    waits = BatchOperator(
        task_id="waits", job_name="copy", job_queue="airflow", job_definition="copy",
        parameters=COPY, poll_interval=1,
    )
    starts = BatchOperator(
        task_id="starts", job_name="many", job_queue="airflow", job_definition="says",
        array_properties={"size": 3}, container_overrides={"command": ["echo", "many"]},
        wait_for_completion=False,
    )
    ended = BatchSensor(task_id="ended", job_id="{{ ti.xcom_pull('starts') }}", poke_interval=1)
    environment >> valid >> queue >> waits >> starts >> ended

with dag("batch_failing"):
    BatchOperator(
        task_id="fails", job_name="fails", job_queue="airflow", job_definition="says",
        container_overrides={"command": ["false"]}, poll_interval=1,
    )
