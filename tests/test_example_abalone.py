"""`examples/abalone`: prepare, train, evaluate, condition, register, transform; the second time from the cache."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from kit import clients, platform

PIPELINE = Path(__file__).parents[1] / "examples" / "abalone" / "pipeline.py"
JOBS = ["AbalonePrepare", "AbaloneTrain", "AbaloneEvaluate", "AbaloneTransform"]
MADE = ["AbaloneCheck", "AbaloneCreate-CreateModel", "AbaloneRegister-RegisterModel"]


def run(server, *arguments):
    return clients.told(clients.run(server, clients.SDK_V2, PIPELINE, *arguments))


def table(server, uri):
    return np.loadtxt(io.BytesIO(clients.read(server, uri)), delimiter=",", ndmin=2)


def jobs(server):
    client = server.client("sagemaker")
    kinds = ("processing", "training", "transform")
    listed = {kind: getattr(client, f"list_{kind}_jobs")(MaxResults=100) for kind in kinds}
    return {kind: len(listed[kind][f"{kind.capitalize()}JobSummaries"]) for kind in kinds}


def outputs(server, step):
    """Where the outputs of a processing step are."""
    name = step["metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[1]
    described = server.client("sagemaker").describe_processing_job(ProcessingJobName=name)
    listed = described["ProcessingOutputConfig"]["Outputs"]
    return {output["OutputName"]: output["S3Output"]["S3Uri"] for output in listed}


def packages(server):
    listed = server.client("sagemaker").list_model_packages(ModelPackageGroupName="Abalone")
    return sorted(one["ModelPackageVersion"] for one in listed["ModelPackageSummaryList"])


def test_a_model_is_trained_judged_registered_and_scores_and_nothing_runs_twice(tmp_path):
    with platform.running(tmp_path / "data") as server:
        first = run(server)
        assert first["status"] == "Succeeded", first["reason"]
        steps = first["steps"]
        assert sorted(steps) == sorted(JOBS + MADE)
        assert {step["status"] for step in steps.values()} == {"Succeeded"}
        assert {step["cached"] for step in steps.values()} == {None}
        assert steps["AbaloneCheck"]["metadata"] == {"Condition": {"Outcome": "True"}}
        assert jobs(server) == {"processing": 2, "training": 1, "transform": 1}

        # What was scored is as far off as the evaluation said, by itself, of the same rows.
        report = json.loads(
            clients.read(server, outputs(server, steps["AbaloneEvaluate"])["evaluation"] + "/evaluation.json")
        )
        told = report["regression_metrics"]["mse"]["value"]
        rings = table(server, outputs(server, steps["AbalonePrepare"])["test"] + "/test.csv")[:, 0]
        scores = table(server, first["scores"])[:, 0]
        assert len(scores) == 45
        assert np.mean((scores - rings) ** 2) == pytest.approx(told, rel=1e-4)
        assert told < np.var(rings)

        client = server.client("sagemaker")
        arn = steps["AbaloneRegister-RegisterModel"]["metadata"]["RegisterModel"]["Arn"]
        package = client.describe_model_package(ModelPackageName=arn)
        assert (package["ModelPackageVersion"], package["ModelApprovalStatus"]) == (1, "PendingManualApproval")
        statistics = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
        assert json.loads(clients.read(server, statistics)) == report

        # The same pipeline, built again: no job runs. Models are made and registered anew, as on AWS.
        second = run(server)
        assert second["status"] == "Succeeded", second["reason"]
        cached = {name: step["cached"] for name, step in second["steps"].items()}
        assert cached == dict.fromkeys(JOBS, first["execution"]) | dict.fromkeys(MADE)
        assert jobs(server) == {"processing": 2, "training": 1, "transform": 1}
        assert packages(server) == [1, 2]

        # A model that is not good enough is not registered.
        third = run(server, "--limit", "0.5")
        assert third["status"] == "Failed" and "Execution failed due to MSE > 0.5" in third["reason"]
        assert sorted(third["steps"]) == sorted([*JOBS[:3], "AbaloneCheck", "AbaloneFail"])
        assert packages(server) == [1, 2]
