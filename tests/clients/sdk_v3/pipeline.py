"""A pipeline by the resources of version 3: created, run, retried, told of and deleted."""

import json
import uuid

import boto3
from sagemaker.core.resources import Pipeline, PipelineExecution

role = "arn:aws:iam::000000000000:role/bessemer"
definition = {
    "Version": "2020-12-01", "Metadata": {}, "MlflowConfig": None,
    "Parameters": [{"Name": "Why", "Type": "String", "DefaultValue": "no reason"}],
    "Steps": [{"Name": "Fails", "Type": "Fail", "Arguments": {"ErrorMessage": {"Get": "Parameters.Why"}}}],
}
pipeline = Pipeline.create(
    pipeline_name="third", client_request_token=uuid.uuid4().hex, role_arn=role,
    pipeline_definition=json.dumps(definition),
)
started = boto3.client("sagemaker").start_pipeline_execution(
    PipelineName="third", PipelineParameters=[{"Name": "Why", "Value": "of a test"}]
)
execution = PipelineExecution.get(pipeline_execution_arn=started["PipelineExecutionArn"])
execution.wait_for_status("Failed", poll=1)
told = {
    "status": pipeline.pipeline_status,
    "steps": {step.step_name: step.failure_reason for step in execution.get_all_steps()},
    "parameters": {one.name: one.value for one in execution.get_all_parameters()},
}
pipeline.delete(client_request_token=uuid.uuid4().hex)
told["left"] = [known.pipeline_name for known in Pipeline.get_all()]
print(json.dumps(told))
