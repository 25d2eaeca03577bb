"""A pipeline of functions, which the SDK makes as it is created: `lambda_steps.py SCRIPT ARCHIVE`."""

import json
import sys

import sagemaker
from sagemaker.lambda_helper import Lambda
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionEquals
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.workflow.parameters import ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.steps import CacheConfig

script, archive = sys.argv[1:]
session = PipelineSession()
role = sagemaker.get_execution_role()
common = {"execution_role_arn": role, "session": session, "runtime": "python3.11", "timeout": 30}
words = ParameterString(name="Words", default_value="one two three")


def integer(name):
    return LambdaOutput(output_name=name, output_type=LambdaOutputTypeEnum.Integer)


count = LambdaStep(
    name="Count", inputs={"words": words}, outputs=[integer("count")],
    lambda_func=Lambda(function_name="count-words", script=script, handler="count.handler", **common),
    cache_config=CacheConfig(enable_caching=True, expire_after="P1D"),
)
double = LambdaStep(
    name="Double", inputs={"count": count.properties.Outputs["count"]}, outputs=[integer("twice")],
    lambda_func=Lambda(function_name="double", zipped_code_dir=archive, handler="double.handler", **common),
)
check = ConditionStep(
    name="Check", conditions=[ConditionEquals(left=double.properties.Outputs["twice"], right=6)],
    if_steps=[], else_steps=[FailStep(name="Wrong", error_message="not six")],
)
pipeline = Pipeline(name="counting", parameters=[words], steps=[count, double, check], sagemaker_session=session)
pipeline.upsert(role_arn=role)
first = pipeline.start()
first.wait(delay=1, max_attempts=120)
steps = {step["StepName"]: step for step in first.list_steps()}
told = {"first": first.arn, "steps": {name: step["StepStatus"] for name, step in steps.items()}}
told["twice"] = steps["Double"]["Metadata"]["Lambda"]["OutputParameters"]
second = pipeline.start()
second.wait(delay=1, max_attempts=120)
[hit] = [step["CacheHitResult"] for step in second.list_steps() if "CacheHitResult" in step]
told["hit"] = hit["SourcePipelineExecutionArn"]
third = pipeline.start(parameters={"Words": "a b c d e"})
try:
    third.wait(delay=1, max_attempts=120)
except Exception:
    told["reason"] = third.describe()["FailureReason"]
print(json.dumps(told))
