"""Definitions of pipelines as SageMaker's SDKs wrote them, in `recorded/`, with scripts where they look for
them: they are checked, and run."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from kit import clients, functions, pipelines, platform, work

RECORDED = Path(__file__).parent / "recorded"

# What a definition's own images stand for; the one of Spark, too, is a Python here.
IMAGES = """
[[images]]
pattern = "local/img:*"
requirements = []

[[images]]
pattern = "*sagemaker-spark-processing:*"
requirements = ["boto3==1.44.5"]
"""

# The one script of three steps, which are told apart by what they are given.
PROCESS = """
import json, os, pathlib, shutil, sys, tarfile
folder = pathlib.Path("/opt/ml/processing")
if (folder / "model").exists():
    with tarfile.open(folder / "model" / "model.tar.gz") as archive:
        mse = json.load(archive.extractfile("measured.json"))["mse"]
    (folder / "evaluation").mkdir(exist_ok=True)
    report = {"regression_metrics": {"mse": {"value": mse}}}
    (folder / "evaluation" / "evaluation.json").write_text(json.dumps(report))
elif "--x" in sys.argv:
    import boto3
    bucket, prefix = sys.argv[sys.argv.index("--x") + 1].removeprefix("s3://").split("/", 1)
    s3 = boto3.client("s3")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
    host = json.load(open("/opt/ml/config/resourceconfig.json"))["current_host"]
    s3.put_object(Bucket=bucket, Key=f"post/{host}", Body=json.dumps(keys).encode())
else:
    for name in ("train", "test"):
        (folder / name).mkdir(exist_ok=True)
        shutil.copy(folder / "input" / "rows.csv", folder / name)
    (folder / "train" / "date.txt").write_text(sys.argv[sys.argv.index("--date") + 1])
"""

TRAIN = """
import argparse, json, os
import joblib
import numpy as np
from sklearn.linear_model import LinearRegression

def model_fn(folder):
    return joblib.load(os.path.join(folder, "model.joblib"))

def predict_fn(rows, model):
    return model.predict(rows[:, :-1])

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int)
    parser.add_argument("--date")
    arguments = parser.parse_args()
    channel = os.environ["SM_CHANNEL_TRAIN"]
    assert open(os.path.join(channel, "date.txt")).read() == arguments.date and arguments.n == 10
    rows = np.loadtxt(os.path.join(channel, "rows.csv"), delimiter=",")
    model = LinearRegression().fit(rows[:, :-1], rows[:, -1])
    folder = os.environ["SM_MODEL_DIR"]
    joblib.dump(model, os.path.join(folder, "model.joblib"))
    mse = float(np.mean((predict_fn(rows, model) - rows[:, -1]) ** 2))
    json.dump({"mse": mse}, open(os.path.join(folder, "measured.json"), "w"))
"""

SUBMIT = """
def handler(event, context):
    return {"statusCode": "200", "jobIds": f"{event['input_uri']} {event['max_jobs']}"}
"""

CODE = "kinto/code/a0a126f2d643e20e48a0e0644a184809fdd8110b2dbfa6c7eb06db25dcab5958/train.py"
CONFIGURATION = (
    "kinto/PostProc/input/conf/8d9afcb82d6d8c41fb9f45b6dc371700af3e34da53ad40b6ec6e4b71c0167d9c/configuration.json"
)
SOURCES = [
    "kinto/code/b9a479c95453cf9272f39f598efcce93cb383916ceda6da10686b0a310498840/sourcedir.tar.gz",
    "sagemaker-scikit-learn-2026-11-21-09-37-20-951/sourcedir.tar.gz",
]


@pytest.fixture
def server(tmp_path):
    settings = tmp_path / "bessemer.toml"
    settings.write_text(IMAGES)
    with platform.running(tmp_path / "data", "--config", settings) as server:
        location = {"LocationConstraint": platform.REGION}
        server.client("s3").create_bucket(Bucket="bkt", CreateBucketConfiguration=location)
        yield server


def put(server, key, body):
    body = body.encode() if isinstance(body, str) else body
    server.client("s3").put_object(Bucket="bkt", Key=key, Body=body)


def read(server, key):
    return server.client("s3").get_object(Bucket="bkt", Key=key)["Body"].read()


def definition(name):
    return json.loads((RECORDED / f"{name}.json").read_text())


def create(server, name, definition):
    server.client("sagemaker").create_pipeline(
        PipelineName=name, PipelineDefinition=json.dumps(definition), RoleArn=platform.ROLE
    )


def answer(server, url, *outputs):
    """Takes a callback's message, and says that its work is done."""
    told = pipelines.message(server, url)
    server.client("sagemaker").send_pipeline_execution_step_success(
        CallbackToken=told["token"],
        OutputParameters=[{"Name": name, "Value": value} for name, value in outputs],
    )
    return told


def step(steps, name):
    """A step of a definition, wherever it is nested."""
    for one in steps:
        nested = [branch for key in ("IfSteps", "ElseSteps") for branch in one.get("Arguments", {}).get(key, [])]
        if one["Name"] == name:
            return one
        if found := step(nested, name):
            return found
    return None


def kinto():
    """The definition of SDK v2, but for what is not there: the program of Spark's image."""
    whole = definition("pipeline_sdk_v2")
    step(whole["Steps"], "PostProc")["Arguments"]["AppSpecification"]["ContainerEntrypoint"][0] = "python3"
    return whole


def test_a_definition_of_sdk_v2_with_all_its_steps_runs(server):
    rows = np.random.default_rng(3).normal(size=(60, 3))
    rows[:, 2] = 2 * rows[:, 0] - rows[:, 1] + 0.1 * rows[:, 2]
    text = io.StringIO()
    np.savetxt(text, rows, delimiter=",", fmt="%.6f")
    put(server, "in/rows.csv", text.getvalue())
    put(server, CODE, PROCESS)
    put(server, CONFIGURATION, "[]")
    for source in SOURCES:
        put(server, source, work.packed(train__py=TRAIN))
    url = server.client("sqs").create_queue(QueueName="cbq")["QueueUrl"]
    functions.create(server.client("lambda"), "submit-batch", SUBMIT)
    create(server, "kinto", kinto())

    first = pipelines.start(server, "kinto", parameters={"TargetDate": "2026-01-01"})
    told = answer(server, url, ("job_status", "done"))
    assert told["arguments"] == {"job_ids": "s3://bkt/in/ 1"} and told["pipelineExecutionArn"] == first
    pipelines.ended(server, first, seconds=280)
    steps = pipelines.steps(server, first)
    made = ["MakeModel-CreateModel", "Register-RegisterModel", "CreateModelOld", "RegisterColl-RegisterModel"]
    ran = ["PreProc", "Train", "TrainEvaluation", "Predict", "PostProc"]
    assert sorted(steps) == sorted([*ran, *made, "Check", "SubmitBatch", "WaitBatch"])
    assert {one["StepStatus"] for one in steps.values()} == {"Succeeded"}
    scores = np.array(read(server, "pred/rows.csv.out").decode().split(), dtype=float)
    assert np.abs(scores - rows[:, 2]).max() < 0.5
    for host in ("algo-1", "algo-2"):
        assert json.loads(read(server, f"post/{host}")) == ["pred/rows.csv.out"]
    metadata = steps["WaitBatch"]["Metadata"]["Callback"]
    assert metadata["OutputParameters"] == [{"Name": "job_status", "Value": "done"}]
    packages = server.client("sagemaker").list_model_packages(ModelPackageGroupName="grp")
    assert len(packages["ModelPackageSummaryList"]) == 2

    # Another instance type, which is no other result; the condition on it does not hold.
    given = {"TargetDate": "2026-01-01", "Inst": "ml.m5.xlarge", "Fl": "false"}
    second = pipelines.start(server, "kinto", parameters=given)
    answer(server, url, ("job_status", "done"))
    found = pipelines.ended(server, second, "Failed", seconds=280)
    steps = pipelines.steps(server, second)
    hits = {name: one["CacheHitResult"] for name, one in steps.items() if "CacheHitResult" in one}
    source = {"SourcePipelineExecutionArn": first}
    assert hits == {"PreProc": source, "Train": source, "SubmitBatch": source}
    assert set(steps) == {"PreProc", "Train", "TrainEvaluation", "Check", "SubmitBatch", "WaitBatch", "Fail"}
    started = found["CreationTime"].strftime("%Y-%m-%dT")
    assert f"Step `Fail`: MSE above 6.0 {started}" in found["FailureReason"]


def test_a_definition_of_a_function_runs_and_leaves_what_it_returned(server):
    whole = definition("pipeline_function_step")
    arguments = whole["Steps"][0]["Arguments"]["AlgorithmSpecification"]["ContainerArguments"]
    folder = arguments[arguments.index("--func_step_s3_dir") + 1]
    clients.run(server, clients.SDK_V2, "sdk_v2/place_function.py", "s3://bkt/fnp", "fn", folder)
    create(server, "fnp", whole)
    execution = pipelines.start(server, "fnp")
    pipelines.ended(server, execution, seconds=280)
    id = execution.rsplit("/", 1)[1]
    shown = pipelines.steps(server, execution)["fn"]
    assert shown["StepDisplayName"] == "__main__.fn"
    job = shown["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1]
    assert f"called by {id}" in work.log(server, "training", job)
    metadata = json.loads(read(server, f"fnp/{id}/fn/results/metadata.json"))
    assert metadata["serialization_module"] == "cloudpickle"
    # The driver had nothing to install.
    assert not [line for line in work.log(server, "training", job) if "pip install" in line]


def test_a_definition_of_sdk_v3_fails_with_its_words(server):
    create(server, "v3p", definition("pipeline_sdk_v3"))
    execution = pipelines.start(server, "v3p", parameters={"a": "c"})
    found = pipelines.ended(server, execution, "Failed")
    assert "Step `F`: x" in found["FailureReason"]
    # Nothing begins after a failure.
    assert pipelines.statuses(server, execution) == {"F": "Failed"}
