"""A pipeline of functions, each with what others returned: `step_functions.py`."""

import json

import sagemaker
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionGreaterThan
from sagemaker.workflow.execution_variables import ExecutionVariables
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.function_step import step
from sagemaker.workflow.parameters import ParameterBoolean, ParameterFloat, ParameterInteger
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession

session = PipelineSession()
count = ParameterInteger(name="Count", default_value=5)
rate = ParameterFloat(name="Rate", default_value=0.5)
squares = ParameterBoolean(name="Squares", default_value=True)
job = {
    "image_uri": "python:3.11", "instance_type": "ml.m5.large",
    "environment_variables": {"BESSEMER_CORES": "1", "BESSEMER_MEMORY": "768MiB"},
}


class Table:
    """What only Python can hold: it is pickled by value, with its class."""

    def __init__(self, rows):
        self.rows = rows


@step(name="make", **job)
def make(count, squares, execution):
    return Table([row * row if squares else row for row in range(count)]), {"of": execution}


@step(name="weigh", **job)
def weigh(made, rate):
    table, facts = made
    return {"sum": rate * sum(table.rows), "largest": max(table.rows), "of": facts["of"]}


@step(name="tell", **job)
def tell(total, table, plus=0):
    print(f"told {total} of {len(table.rows)} rows")
    return f"{total + plus}"


@step(name="fails", **job)
def fails(text):
    raise ValueError(f"no luck with {text}")


made = make(count, squares, ExecutionVariables.PIPELINE_EXECUTION_ID)
weighed = weigh(made, rate)
told_text = tell(weighed["sum"], made[0], plus=count)
is_large = ConditionStep(
    name="is_large", conditions=[ConditionGreaterThan(left=weighed["largest"], right=30)],
    if_steps=[FailStep(name="TooLarge", error_message="too large")], else_steps=[],
)
pipeline = Pipeline(
    name="functions", parameters=[count, rate, squares], steps=[told_text, is_large], sagemaker_session=session
)
role = sagemaker.get_execution_role()
pipeline.upsert(role_arn=role)


def run(pipeline, **parameters):
    execution = pipeline.start(parameters=parameters)
    try:
        execution.wait(delay=1, max_attempts=250)
    except Exception as error:
        print(error)
    return execution


execution = run(pipeline, Rate=2.0)
described = execution.describe()
told = {
    "id": execution.arn.rsplit("/", 1)[1],
    "status": described["PipelineExecutionStatus"],
    "reason": described.get("FailureReason"),
    "steps": {one["StepName"]: one["StepStatus"] for one in execution.list_steps()},
    "rows": execution.result("make")[0].rows,
    "weighed": execution.result("weigh"),
    "told": execution.result("tell"),
}
failing = Pipeline(name="failing", steps=[fails("seven")], sagemaker_session=session)
failing.upsert(role_arn=role)
execution = run(failing)
told["failure"] = execution.describe()["FailureReason"]
try:
    execution.result("fails")
except Exception as error:
    told["raised"] = f"{type(error).__name__}: {error}"
print(json.dumps(told))
