"""A DAG that runs a pipeline of SageMaker's and waits for it, and one that stops another."""

import datetime

from airflow import DAG
from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerStartPipelineOperator,
    SageMakerStopPipelineOperator,
)
from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerPipelineSensor

with DAG("pipelines", schedule=None, start_date=datetime.datetime(2024, 1, 1)):
    runs = SageMakerStartPipelineOperator(
        task_id="runs", pipeline_name="quick", pipeline_params={"Why": "airflow"}, wait_for_completion=True,
        check_interval=1,
    )
    waits = SageMakerPipelineSensor(task_id="waits", pipeline_exec_arn=runs.output, poke_interval=1)
    starts = SageMakerStartPipelineOperator(task_id="starts", pipeline_name="endless")
    stops = SageMakerStopPipelineOperator(
        task_id="stops", pipeline_exec_arn=starts.output, wait_for_completion=True, check_interval=1
    )
    waits >> starts
