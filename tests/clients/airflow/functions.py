"""A DAG that makes a function, waits until it can be called, and calls it."""

import datetime
import io
import json
import zipfile

from airflow import DAG
from airflow.providers.amazon.aws.operators.lambda_function import (
    LambdaCreateFunctionOperator,
    LambdaInvokeFunctionOperator,
)
from airflow.providers.amazon.aws.sensors.lambda_function import LambdaFunctionStateSensor

CODE = """
def handler(event, context):
    print("called with", event)
    if event.get("fail"):
        raise ValueError("told to")
    return {"sum": sum(event["numbers"])}
"""


def archive():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        zipped.writestr("main.py", CODE)
    return packed.getvalue()


def dag(name):
    return DAG(name, schedule=None, start_date=datetime.datetime(2024, 1, 1))


with dag("calling"):
    create = LambdaCreateFunctionOperator(
        task_id="create", function_name="sums", runtime="python3.11", role="arn:aws:iam::123456789012:role/x",
        handler="main.handler", code={"ZipFile": archive()}, waiter_delay=1,
    )
    active = LambdaFunctionStateSensor(task_id="active", function_name="sums", poke_interval=1)
    call = LambdaInvokeFunctionOperator(
        task_id="call", function_name="sums", payload=json.dumps({"numbers": [1, 2, 3]}), log_type="Tail",
    )
    later = LambdaInvokeFunctionOperator(
        task_id="later", function_name="sums", invocation_type="Event", payload=json.dumps({"numbers": [4]}),
    )
    create >> active >> call >> later

with dag("failing_call"):
    LambdaInvokeFunctionOperator(
        task_id="fails", function_name="sums", payload=json.dumps({"fail": True}), log_type="Tail",
    )
