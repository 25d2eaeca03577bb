"""A DAG that tells of its work by a queue, and one part that waits for word of another."""

import datetime

from airflow import DAG
from airflow.providers.amazon.aws.operators.sqs import SqsPublishOperator
from airflow.providers.amazon.aws.sensors.sqs import SqsSensor

with DAG("queues", schedule=None, start_date=datetime.datetime(2024, 1, 1)):
    tells = SqsPublishOperator(
        task_id="tells",
        sqs_queue="{{ dag_run.conf['queue'] }}",
        message_content='{"kind": "done", "day": 1}',
        message_attributes={"team": {"DataType": "String", "StringValue": "search"}},
    )
    hears = SqsSensor(
        task_id="hears",
        sqs_queue="{{ dag_run.conf['queue'] }}",
        message_filtering="jsonpath",
        message_filtering_config="$.kind",
        message_filtering_match_values=["done"],
        poke_interval=1,
    )
    tells >> hears
