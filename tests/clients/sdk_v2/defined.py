"""A pipeline that `bessemer pipeline run` takes from its file."""

from pathlib import Path

import sagemaker
from sagemaker.processing import ScriptProcessor
from sagemaker.workflow.conditions import ConditionGreaterThan
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.parameters import ParameterInteger
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.steps import ProcessingStep

session = PipelineSession()
numbers = ParameterInteger(name="Numbers", default_value=3)
processor = ScriptProcessor(
    image_uri="python:3.11", command=["python3"], role=sagemaker.get_execution_role(), instance_count=1,
    instance_type="ml.m5.large", sagemaker_session=session, env={"BESSEMER_CORES": "1", "BESSEMER_MEMORY": "256MiB"},
)
code = Path(__file__).parents[1] / "source" / "count.py"
counted = ProcessingStep(name="Count", step_args=processor.run(code=str(code), arguments=["--count", numbers.to_string()]))
check = ConditionStep(
    name="Check", conditions=[ConditionGreaterThan(left=numbers, right=5)], depends_on=[counted],
    if_steps=[FailStep(name="TooMany", error_message="too many")], else_steps=[],
)
pipeline = Pipeline(name="defined-in-a-file", parameters=[numbers], steps=[counted, check], sagemaker_session=session)
print("what a file prints is no answer")

if __name__ == "__main__":
    raise SystemExit("it is not run by itself")
