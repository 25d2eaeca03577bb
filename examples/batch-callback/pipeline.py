"""Submits jobs of Batch from a pipeline, waits for them by a callback, and goes on with what they have made."""

import argparse
import json
from pathlib import Path

import boto3
import sagemaker
from botocore.exceptions import WaiterError
from sagemaker.lambda_helper import Lambda
from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.workflow.callback_step import CallbackOutput, CallbackOutputTypeEnum, CallbackStep
from sagemaker.workflow.execution_variables import ExecutionVariables
from sagemaker.workflow.functions import Join
from sagemaker.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.workflow.parameters import ParameterInteger
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.steps import ProcessingStep

HERE = Path(__file__).parent

options = argparse.ArgumentParser(description=__doc__)
options.add_argument("--name", default="batch-callback", help="what `prepare.py` was given [default: batch-callback]")
options.add_argument("--parts", type=int, default=4, help="how many parts to copy, of 4 [default: 4]")
options = options.parse_args()
name = options.name

session = PipelineSession()
bucket, role = session.default_bucket(), sagemaker.get_execution_role()
parts = ParameterInteger(name="Parts", default_value=4)
run = ExecutionVariables.PIPELINE_EXECUTION_ID
target = Join(on="/", values=[f"s3://{bucket}/{name}/copied", run])

submit = LambdaStep(
    name="SubmitJobs",
    lambda_func=Lambda(
        function_name=f"{name}-submit", script=str(HERE / "submit_jobs.py"), handler="submit_jobs.handler",
        execution_role_arn=role, runtime="python3.11", timeout=60, memory_size=256, session=session,
    ),
    inputs={
        "parts": parts, "source": f"s3://{bucket}/{name}/raw", "target": target, "queue": name, "definition": name,
    },
    outputs=[
        LambdaOutput(output_name="job_ids", output_type=LambdaOutputTypeEnum.String),
        LambdaOutput(output_name="jobs", output_type=LambdaOutputTypeEnum.Integer),
    ],
)
wait = CallbackStep(
    name="WaitForJobs",
    sqs_queue_url=boto3.client("sqs").get_queue_url(QueueName=name)["QueueUrl"],
    inputs={"job_ids": submit.properties.Outputs["job_ids"], "target": target},
    outputs=[
        CallbackOutput(output_name="copied", output_type=CallbackOutputTypeEnum.String),
        CallbackOutput(output_name="jobs", output_type=CallbackOutputTypeEnum.Integer),
    ],
)
processor = ScriptProcessor(
    image_uri="python:3.11", command=["python3"], role=role, instance_count=1, instance_type="ml.t3.medium",
    sagemaker_session=session,
)
summarize = ProcessingStep(
    name="Summarize",
    step_args=processor.run(
        code=str(HERE / "summarize.py"),
        inputs=[ProcessingInput(source=wait.properties.Outputs["copied"], destination="/opt/ml/processing/copied")],
        outputs=[ProcessingOutput(
            output_name="summary", source="/opt/ml/processing/summary",
            destination=Join(on="/", values=[f"s3://{bucket}/{name}/summary", run]),
        )],
    ),
)
pipeline = Pipeline(name=name, parameters=[parts], steps=[submit, wait, summarize], sagemaker_session=session)
pipeline.upsert(role_arn=role)
execution = pipeline.start(parameters={"Parts": options.parts})
try:
    execution.wait(delay=2, max_attempts=600)
except WaiterError:
    pass
described = execution.describe()
told = {
    "execution": execution.arn,
    "status": described["PipelineExecutionStatus"],
    "steps": {step["StepName"]: step["StepStatus"] for step in execution.list_steps()},
}
if told["status"] == "Succeeded":
    key = f"{name}/summary/{execution.arn.rsplit('/', 1)[1]}/summary.json"
    told["summary"] = json.loads(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
else:
    told["reason"] = described.get("FailureReason")
print(json.dumps(told))
