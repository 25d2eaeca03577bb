"""A pipeline of two processing steps and a condition on a report: `pipeline.py SOURCE`."""

import json
import sys

import sagemaker
from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionLessThanOrEqualTo
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.functions import Join, JsonGet
from sagemaker.workflow.parameters import ParameterFloat, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.steps import CacheConfig, ProcessingStep

(source,) = sys.argv[1:]
session = PipelineSession()
limit = ParameterFloat(name="Limit", default_value=10.0)
instance = ParameterString(name="Instance", default_value="ml.m5.large", enum_values=["ml.m5.large", "ml.t3.medium"])
processor = ScriptProcessor(
    image_uri="python:3.11", command=["python3"], role=sagemaker.get_execution_role(), instance_count=1,
    instance_type=instance, sagemaker_session=session, env={"BESSEMER_CORES": "1", "BESSEMER_MEMORY": "256MiB"},
)
cache = CacheConfig(enable_caching=True, expire_after="P30D")
prepare = ProcessingStep(
    name="Prepare", cache_config=cache,
    step_args=processor.run(
        code=f"{source}/count.py", arguments=["--count", "4"],
        outputs=[ProcessingOutput(output_name="numbers", source="/opt/ml/processing/numbers")],
    ),
)
report = PropertyFile(name="Report", output_name="report", path="report.json")
measure = ProcessingStep(
    name="Measure", cache_config=cache, property_files=[report],
    step_args=processor.run(
        code=f"{source}/measure.py",
        inputs=[ProcessingInput(
            source=prepare.properties.ProcessingOutputConfig.Outputs["numbers"].S3Output.S3Uri,
            destination="/opt/ml/processing/numbers",
        )],
        outputs=[ProcessingOutput(output_name="report", source="/opt/ml/processing/report")],
    ),
)
small = ConditionLessThanOrEqualTo(
    left=JsonGet(step_name=measure.name, property_file=report, json_path="total.value"), right=limit
)
check = ConditionStep(
    name="Check", conditions=[small], if_steps=[],
    else_steps=[FailStep(name="TooLarge", error_message=Join(on=" ", values=["total above", limit]))],
)
pipeline = Pipeline(
    name="measuring", parameters=[limit, instance], steps=[prepare, measure, check], sagemaker_session=session
)
role = sagemaker.get_execution_role()
told = {"created": pipeline.upsert(role_arn=role)["PipelineArn"]}
told["updated"] = pipeline.upsert(role_arn=role, tags=[{"Key": "team", "Value": "search"}])["PipelineArn"]
first = pipeline.start(execution_display_name="first")
first.wait(delay=1, max_attempts=120)
told["status"] = first.describe()["PipelineExecutionStatus"]
told["steps"] = {step["StepName"]: step["StepStatus"] for step in first.list_steps()}
again = pipeline.start(parameters={"Limit": 5.0})
try:
    again.wait(delay=1, max_attempts=120)
except Exception as error:
    told["error"] = type(error).__name__
told["reason"] = again.describe()["FailureReason"]
hits = [step for step in again.list_steps() if "CacheHitResult" in step]
told["hits"] = sorted(step["StepName"] for step in hits)
told["source"] = {step["CacheHitResult"]["SourcePipelineExecutionArn"] for step in hits} == {first.arn}
told["parameters"] = again.list_parameters()["PipelineParameters"]
told["executions"] = len(pipeline.list_executions()["PipelineExecutionSummaries"])
pipeline.delete()
print(json.dumps(told))
