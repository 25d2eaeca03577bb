"""SageMaker Pipelines, driven by boto3: definitions, executions, conditions, caching, retries, stops, and
kills of the server."""

import json
import signal

import pytest
from botocore.exceptions import ClientError

from kit import pipelines, platform, work
from kit.pipelines import get

NOTHING = "pass"
FAILS = "import sys; sys.exit('no luck today')"
ENDLESS = "import time\nprint('running', flush=True)\ntime.sleep(600)"

SCORES = """
import json, sys
open("/opt/ml/processing/report/report.json", "w").write(
    json.dumps({"metrics": [{"mse": float(sys.argv[1])}], "a b": {"ok": True}})
)
"""

COPIES = """
import pathlib, sys
for file in pathlib.Path("/opt/ml/processing/input").rglob("*.json"):
    text = file.read_text()
    pathlib.Path("/opt/ml/processing/copy").mkdir(exist_ok=True)
    pathlib.Path("/opt/ml/processing/copy/copied.json").write_text(text)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("pipelines") / "data") as server:
        work.make_bucket(server)
        yield server


def scoring(server):
    """Two processing steps and a condition on what the second one read from the first."""
    report = {"PropertyFileName": "Report", "OutputName": "report", "FilePath": "report.json"}
    score = pipelines.processing(
        server, "Score", SCORES, pipelines.join("", get("Parameters.Mse")),
        outputs=[pipelines.output("report")], PropertyFiles=[report],
    )
    copied = get("Steps.Score.ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri")
    copy = pipelines.processing(
        server, "Copy", COPIES, inputs=[pipelines.source("input", copied)], outputs=[pipelines.output("copy")]
    )
    mse = pipelines.json_get("Score", "Report", "metrics[0].mse")
    limit = get("Parameters.Limit")
    message = pipelines.join(" ", "mse above", limit, "in", get("Execution.PipelineName"))
    check = pipelines.condition(
        "Check", [pipelines.compare("LessThanOrEqualTo", mse, limit)],
        [pipelines.processing(server, "Good", NOTHING)], [pipelines.fail("Bad", message)], DependsOn=["Copy"],
    )
    return [score, copy, check]


LIMITS = [
    {"Name": "Mse", "Type": "Float", "DefaultValue": 3.5},
    {"Name": "Limit", "Type": "Float", "DefaultValue": 6.0},
]


def test_steps_follow_each_other_and_a_condition_decides(server):
    arn = pipelines.create(server, "scoring", *scoring(server), parameters=LIMITS)
    client = server.client("sagemaker")
    known = client.describe_pipeline(PipelineName="scoring")
    assert known["PipelineArn"] == arn and known["PipelineStatus"] == "Active"
    execution = pipelines.start(
        server, "scoring", PipelineExecutionDisplayName="daily", PipelineExecutionDescription="x"
    )
    found = pipelines.ended(server, execution)
    assert found["PipelineExecutionDisplayName"] == "daily" and found["PipelineExecutionDescription"] == "x"
    id = execution.rsplit("/", 1)[1]
    assert found["PipelineExperimentConfig"] == {"ExperimentName": "scoring", "TrialName": id}
    steps = pipelines.steps(server, execution)
    assert list(steps) == ["Good", "Check", "Copy", "Score"]
    assert {step["StepStatus"] for step in steps.values()} == {"Succeeded"}
    assert steps["Check"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    job = steps["Copy"]["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[1]
    assert job.startswith(f"pipelines-{id}-Copy-")
    assert client.describe_processing_job(ProcessingJobName=job)["ProcessingJobStatus"] == "Completed"
    assert json.loads(work.read(server, f"runs/{id}/copy/copied.json"))["metrics"] == [{"mse": 3.5}]


def test_the_other_branch_fails_with_its_words(server):
    pipelines.create(server, "failing", *scoring(server), parameters=LIMITS)
    execution = pipelines.start(server, "failing", parameters={"Mse": 7})
    found = pipelines.ended(server, execution, "Failed")
    assert "Step failure: One or multiple steps failed." in found["FailureReason"]
    assert "mse above 6.0 in failing" in found["FailureReason"]
    steps = pipelines.steps(server, execution)
    assert set(steps) == {"Score", "Copy", "Check", "Bad"}
    assert steps["Check"]["Metadata"] == {"Condition": {"Outcome": "False"}}
    assert steps["Bad"]["Metadata"] == {"Fail": {"ErrorMessage": "mse above 6.0 in failing"}}
    client = server.client("sagemaker")
    given = client.list_pipeline_parameters_for_execution(PipelineExecutionArn=execution)
    assert given["PipelineParameters"] == [{"Name": "Limit", "Value": "6.0"}, {"Name": "Mse", "Value": "7.0"}]
    text = client.describe_pipeline_definition_for_execution(PipelineExecutionArn=execution)
    assert json.loads(text["PipelineDefinition"])["Parameters"] == LIMITS
