"""Tuning jobs, driven by boto3: random and grid searches, their ends, and kills of the server."""

import math
import random
import time

import pytest
from botocore.exceptions import ClientError

from kit import pipelines, platform, tuning, work

# The loss is least at 3; whatever else is known of the job is told.
SQUARE = """
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument("-x", type=float)
parser.add_argument("--kind", default="a")
parser.add_argument("--rounds", type=int)
arguments = parser.parse_args()
loss = (arguments.x - 3) ** 2 + (10 if arguments.kind == "b" else 0)
for round in range(arguments.rounds):
    print(f"loss={loss + arguments.rounds - 1 - round};", flush=True)
open(os.environ["SM_MODEL_DIR"] + "/x", "w").write(str(arguments.x))
"""
ENDLESS = "import time\nprint('loss=1;', flush=True)\ntime.sleep(600)"
X = {"ContinuousParameterRanges": [tuning.numbers("x", 0, 10)]}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("tuning") / "data") as server:
        work.make_bucket(server)
        yield server


def test_a_random_search_finds_the_best_training_job(server):
    ranges = X | {"CategoricalParameterRanges": [tuning.choices("kind", "a", "b")]}
    tags = [{"Key": "team", "Value": "search"}]
    request = tuning.request(server, "squares", SQUARE, jobs=5, parallel=2, ranges=ranges, RandomSeed=7)
    arn = server.client("sagemaker").create_hyper_parameter_tuning_job(**request, Tags=tags)
    arn = arn["HyperParameterTuningJobArn"]
    assert arn.endswith(":hyper-parameter-tuning-job/squares")
    found = tuning.ended(server, "squares")
    config = request["HyperParameterTuningJobConfig"]
    assert found["HyperParameterTuningJobConfig"] == config and found["HyperParameterTuningJobArn"] == arn
    assert found["TrainingJobStatusCounters"] == {
        "Completed": 5, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 0, "Stopped": 0,
    }
    assert found["ObjectiveStatusCounters"] == {"Succeeded": 5, "Pending": 0, "Failed": 0}
    assert found["HyperParameterTuningEndTime"] >= found["CreationTime"]
    jobs = tuning.training_jobs(server, "squares")
    assert [job["TrainingJobName"].rsplit("-", 1)[0] for job in jobs] == [f"squares-{n:03}" for n in range(1, 6)]
    losses = {}
    for job in jobs:
        tuned = job["TunedHyperParameters"]
        loss = (float(tuned["x"]) - 3) ** 2 + (10 if tuned["kind"] == "b" else 0)
        metric = job["FinalHyperParameterTuningJobObjectiveMetric"]
        assert metric["MetricName"] == "loss" and math.isclose(metric["Value"], loss, rel_tol=1e-4)
        losses[job["TrainingJobName"]] = loss
    best = min(losses, key=losses.get)
    assert found["BestTrainingJob"]["TrainingJobName"] == best
    ordered = tuning.training_jobs(server, "squares", SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    assert [job["TrainingJobName"] for job in ordered] == sorted(losses, key=losses.get, reverse=True)
    trained = work.trained(server, best)
    assert trained["TuningJobArn"] == arn
    assert trained["HyperParameters"]["_tuning_objective_metric"] == "loss"
    assert server.client("sagemaker").list_tags(ResourceArn=trained["TrainingJobArn"])["Tags"] == tags
    assert server.client("sagemaker").list_tags(ResourceArn=arn)["Tags"] == tags
    assert work.unpacked(work.read(server, f"out/{best}/output/model.tar.gz"))["x"]


def test_the_same_seed_tries_the_same(server):
    tried = []
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        tuning.create(server, name, SQUARE, jobs=2, ranges=X, RandomSeed=seed)
        tuning.ended(server, name)
        tried.append([job["TunedHyperParameters"] for job in tuning.training_jobs(server, name)])
    assert tried[0] == tried[1] != tried[2]


def test_a_grid_search_tries_every_combination(server):
    ranges = {"CategoricalParameterRanges": [tuning.choices("x", "1", "2", "3"), tuning.choices("kind", "a", "b")]}
    tuning.create(server, "grid", SQUARE, strategy="Grid", parallel=3, kind="Maximize", ranges=ranges)
    found = tuning.ended(server, "grid")
    tried = [job["TunedHyperParameters"] for job in tuning.training_jobs(server, "grid")]
    assert sorted((one["x"], one["kind"]) for one in tried) == [(x, kind) for x in "123" for kind in "ab"]
    assert found["BestTrainingJob"]["TunedHyperParameters"] == {"x": "1", "kind": "b"}


def test_what_can_not_be_searched_is_refused(server):
    client = server.client("sagemaker")

    def refused(change=None, code="ValidationException", **options):
        request = tuning.request(server, "refused", SQUARE, **({"jobs": 2, "ranges": X} | options)) | (change or {})
        with pytest.raises(ClientError) as error:
            client.create_hyper_parameter_tuning_job(**request)
        assert error.value.response["Error"]["Code"] == code
        return error.value.response["Error"]["Message"]

    assert "Bayesian is not supported by Bessemer; use Random or Grid" in refused(strategy="Bayesian")
    assert "CategoricalParameterRanges only" in refused(strategy="Grid")
    assert "Autotune" in refused({"Autotune": {"Mode": "Enabled"}})
    parents = [{"HyperParameterTuningJobName": "squares"}]
    warm = {"ParentHyperParameterTuningJobs": parents, "WarmStartType": "TransferLearning"}
    assert "WarmStartConfig" in refused({"WarmStartConfig": warm})
    backwards = {"IntegerParameterRanges": [tuning.numbers("x", 5, 1)]}
    assert "MinValue is above" in refused(ranges=backwards)
    definition = tuning.request(server, "refused", SQUARE, jobs=1, ranges=X)["TrainingJobDefinition"]
    for_pipe = definition | {"AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "Pipe"}}
    assert "Pipe" in refused({"TrainingJobDefinition": for_pipe})
    with pytest.raises(ClientError) as error:
        tuning.described(server, "refused")
    assert error.value.response["Error"]["Code"] == "ResourceNotFound"


def test_searches_without_a_result_say_why(server):
    tuning.create(server, "failing", "raise SystemExit('no luck')", jobs=20, parallel=3, ranges=X)
    reason = tuning.ended(server, "failing", "Failed")["FailureReason"]
    assert "No training job succeeded after" in reason
    assert 5 <= len(tuning.training_jobs(server, "failing")) <= 7
    tuning.create(server, "silent", "pass", jobs=2, ranges=X)
    assert "No objective metrics found" in tuning.ended(server, "silent", "Failed")["FailureReason"]


def test_a_search_ends_when_it_has_what_it_sought(server):
    near = {"ContinuousParameterRanges": [tuning.numbers("x", 2.9, 3.1)]}
    criteria = {"TargetObjectiveMetricValue": 0.5}
    tuning.create(
        server, "enough", SQUARE, jobs=50, parallel=1, ranges=near, TuningJobCompletionCriteria=criteria
    )
    tuning.ended(server, "enough")
    assert len(tuning.training_jobs(server, "enough")) == 1


def test_searches_are_stopped_listed_and_deleted(server):
    client = server.client("sagemaker")
    name = {"HyperParameterTuningJobName": "endless"}
    tuning.create(server, "endless", ENDLESS, jobs=9, parallel=2, ranges=X)
    work.until(lambda: len(tuning.training_jobs(server, "endless")) == 2, "training jobs")
    with pytest.raises(ClientError) as error:
        tuning.create(server, "endless", ENDLESS, jobs=9, ranges=X)
    assert error.value.response["Error"]["Code"] == "ResourceInUse"
    with pytest.raises(ClientError) as error:
        client.delete_hyper_parameter_tuning_job(**name)
    assert "before it has ended" in str(error.value)
    client.stop_hyper_parameter_tuning_job(**name)
    counters = tuning.ended(server, "endless", "Stopped")["TrainingJobStatusCounters"]
    assert counters["Stopped"] == 2 and counters["InProgress"] == 0
    with pytest.raises(ClientError) as error:
        client.stop_hyper_parameter_tuning_job(**name)
    assert "is in status Stopped" in str(error.value)
    # Of two at least, on pages of one.
    tuning.create(server, "quick", SQUARE, jobs=1, ranges=X)
    tuning.ended(server, "quick")
    for sort in ("Name", "Status", "CreationTime"):
        pages = client.get_paginator("list_hyper_parameter_tuning_jobs").paginate(
            SortBy=sort, SortOrder="Ascending", PaginationConfig={"PageSize": 1}
        )
        listed = [job["HyperParameterTuningJobName"] for page in pages for job in page["HyperParameterTuningJobSummaries"]]
        assert len(listed) == len(set(listed)) and {"endless", "quick"} <= set(listed)
        if sort == "Name":
            assert listed == sorted(listed)
    stopped = client.list_hyper_parameter_tuning_jobs(StatusEquals="Stopped", NameContains="endl")
    (summary,) = stopped["HyperParameterTuningJobSummaries"]
    assert summary["Strategy"] == "Random" and summary["ResourceLimits"]["MaxNumberOfTrainingJobs"] == 9
    client.delete_hyper_parameter_tuning_job(**name)
    with pytest.raises(ClientError) as error:
        client.delete_hyper_parameter_tuning_job(**name)
    assert error.value.response["Error"]["Code"] == "ResourceNotFound"
    # What it made stays, and another of its name is another search.
    made = client.list_training_jobs(NameContains="endless-")["TrainingJobSummaries"]
    tuning.create(server, "endless", SQUARE, jobs=1, ranges=X)
    tuning.ended(server, "endless")
    (job,) = tuning.training_jobs(server, "endless")
    assert len(made) == 2 and job["TrainingJobName"] not in [known["TrainingJobName"] for known in made]


def test_a_tuning_step_hands_on_its_best_models(server):
    once = tuning.request(server, "in-a-pipeline", SQUARE, jobs=3, ranges=X)
    del once["HyperParameterTuningJobName"]
    tune = {"Name": "Tune_it", "Type": "Tuning", "Arguments": once, "CacheConfig": {"Enabled": True}}
    names = [pipelines.get(f"Steps.Tune_it.TrainingJobSummaries[{place}].TrainingJobName") for place in (0, 1)]
    said = pipelines.fail("Say", pipelines.join(" ", *names, pipelines.get("Steps.Tune_it.BestTrainingJob.TrainingJobName")))
    pipelines.create(server, "tuned", tune, said)
    execution = pipelines.start(server, "tuned")
    reason = pipelines.ended(server, execution, "Failed")["FailureReason"]
    step = pipelines.steps(server, execution)["Tune_it"]
    name = step["Metadata"]["TuningJob"]["Arn"].rsplit("/", 1)[1]
    ordered = tuning.training_jobs(server, name, SortBy="FinalObjectiveMetricValue")
    first, second = (job["TrainingJobName"] for job in ordered[:2])
    assert f"{first} {second} {first}" in reason
    again = pipelines.start(server, "tuned")
    pipelines.ended(server, again, "Failed")
    cached = pipelines.steps(server, again)["Tune_it"]["CacheHitResult"]
    assert cached == {"SourcePipelineExecutionArn": execution}
    wrong = pipelines.fail("Say", pipelines.get("Steps.Tune_it.ModelArtifacts.S3ModelArtifacts"))
    with pytest.raises(ClientError) as error:
        pipelines.create(server, "mistaken", tune, wrong)
    assert "of type Tuning and has no `ModelArtifacts`" in str(error.value)


def test_a_stopped_pipeline_stops_its_search(server):
    once = tuning.request(server, "stopped-step", ENDLESS, jobs=4, ranges=X)
    del once["HyperParameterTuningJobName"]
    pipelines.create(server, "searching", {"Name": "Tune", "Type": "Tuning", "Arguments": once})
    execution = pipelines.start(server, "searching")
    pipelines.until_status(server, execution, "Tune", "Executing")
    server.client("sagemaker").stop_pipeline_execution(PipelineExecutionArn=execution)
    pipelines.ended(server, execution, "Stopped")
    name = pipelines.steps(server, execution)["Tune"]["Metadata"]["TuningJob"]["Arn"].rsplit("/", 1)[1]
    assert tuning.described(server, name)["HyperParameterTuningJobStatus"] == "Stopped"


def test_a_killed_server_goes_on_with_its_searches_and_doubles_none(tmp_path):
    with platform.running(tmp_path / "data") as server:
        work.make_bucket(server)
        # The next server is where programs know the last.
        server.listen = server.address.removeprefix("http://")
        # Each run of a training job's program leaves a file.
        script = SQUARE + """
import boto3, uuid
boto3.client("s3").put_object(Bucket="data", Key=f"ran/{os.environ['TRAINING_JOB_NAME']}/{uuid.uuid4()}", Body=b"")
"""
        ranges = {"CategoricalParameterRanges": [tuning.choices("x", *map(str, range(10)))]}
        tuning.create(server, "killed", script, strategy="Grid", parallel=2, ranges=ranges)
        chance = random.Random(5)
        for _ in range(6):
            time.sleep(chance.random())
            server.restart()
        tuning.ended(server, "killed")
        jobs = tuning.training_jobs(server, "killed")
        assert [job.get("FailureReason") for job in jobs] == [None] * 10
        assert sorted(job["TunedHyperParameters"]["x"] for job in jobs) == sorted(map(str, range(10)))
        ran = [key.split("/")[1] for key in work.keys(server, "ran/")]
        assert sorted(ran) == sorted(job["TrainingJobName"] for job in jobs)
