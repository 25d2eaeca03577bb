"""Executions that are stopped, tried again, of selected steps and side by side: `pipeline_ends.py SOURCE`."""

import json
import sys
import time

import sagemaker
from botocore.exceptions import ClientError
from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.workflow.parallelism_config import ParallelismConfiguration
from sagemaker.workflow.parameters import ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.retry import StepExceptionTypeEnum, StepRetryPolicy
from sagemaker.workflow.selective_execution_config import SelectiveExecutionConfig
from sagemaker.workflow.steps import ProcessingStep
from sagemaker.workflow.triggers import PipelineSchedule

(source,) = sys.argv[1:]
session, role = PipelineSession(), sagemaker.get_execution_role()
client = session.sagemaker_client
count = ParameterString(name="Count", default_value="4")
processor = ScriptProcessor(
    image_uri="python:3.11", command=["python3"], role=role, instance_count=1, instance_type="ml.m5.large",
    sagemaker_session=session, env={"BESSEMER_CORES": "1", "BESSEMER_MEMORY": "256MiB"},
)
retries = [StepRetryPolicy(exception_types=[StepExceptionTypeEnum.THROTTLING], max_attempts=2)]
prepare = ProcessingStep(
    name="Prepare", retry_policies=retries,
    step_args=processor.run(
        code=f"{source}/count.py", arguments=["--count", count],
        outputs=[ProcessingOutput(output_name="numbers", source="/opt/ml/processing/numbers")],
    ),
)
numbers = ProcessingInput(
    source=prepare.properties.ProcessingOutputConfig.Outputs["numbers"].S3Output.S3Uri,
    destination="/opt/ml/processing/numbers",
)
measure = ProcessingStep(
    name="Measure",
    step_args=processor.run(
        code=f"{source}/measure.py", inputs=[numbers],
        outputs=[ProcessingOutput(output_name="report", source="/opt/ml/processing/report")],
    ),
)
endless = ProcessingStep(
    name="Endless", step_args=processor.run(code=f"{source}/endless.py"), depends_on=[prepare]
)


def statuses(execution):
    return {step["StepName"]: step["StepStatus"] for step in execution.list_steps()}


def until(execution, status, step=None):
    while True:
        now = statuses(execution).get(step) if step else execution.describe()["PipelineExecutionStatus"]
        if now == status:
            return
        time.sleep(0.3)


told = {}
pipeline = Pipeline(name="stopped", parameters=[count], steps=[prepare, endless], sagemaker_session=session)
pipeline.upsert(role_arn=role, parallelism_config=ParallelismConfiguration(max_parallel_execution_steps=2))
told["parallelism"] = pipeline.describe()["ParallelismConfiguration"]
stopped = pipeline.start()
until(stopped, "Executing", "Endless")
stopped.stop()
until(stopped, "Stopped")
told["stopped"] = statuses(stopped)
client.update_pipeline_execution(
    PipelineExecutionArn=stopped.arn, PipelineExecutionDisplayName="late", PipelineExecutionDescription="told after"
)
client.retry_pipeline_execution(PipelineExecutionArn=stopped.arn, ClientRequestToken="retry-" + "x" * 32)
until(stopped, "Executing", "Endless")
stopped.stop()
until(stopped, "Stopped")
described = stopped.describe()
told["updated"] = [described["PipelineExecutionDisplayName"], described["PipelineExecutionDescription"]]
told["attempts"] = {step["StepName"]: step["AttemptCount"] for step in stopped.list_steps()}

pipeline = Pipeline(name="selected", parameters=[count], steps=[prepare, measure], sagemaker_session=session)
pipeline.upsert(role_arn=role)
first = pipeline.start(
    parameters={"Count": "6"}, parallelism_config=ParallelismConfiguration(max_parallel_execution_steps=1)
)
first.wait(delay=1, max_attempts=200)
told["one_by_one"] = first.describe()["ParallelismConfiguration"]
selective = pipeline.start(
    parameters=pipeline.build_parameters_from_execution(first.arn),
    selective_execution_config=SelectiveExecutionConfig(selected_steps=["Measure"]),
)
selective.wait(delay=1, max_attempts=200)
told["selected"] = {
    step["StepName"]: step.get("SelectiveExecutionResult", {}).get("SourcePipelineExecutionArn") == first.arn
    for step in selective.list_steps()
}
told["given"] = selective.list_parameters()["PipelineParameters"]
told["versions"] = len(pipeline.list_pipeline_versions()["PipelineVersionSummaries"])
try:
    pipeline.put_triggers([PipelineSchedule(name="daily", cron="0 18 * * ? *")], role_arn=role)
except ClientError as error:
    told["triggers"] = [error.response["Error"]["Code"], error.response["Error"]["Message"]]
print(json.dumps(told))
