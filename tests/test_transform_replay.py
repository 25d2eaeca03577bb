"""Replays of rejected records: another job scores them again, and what succeeds goes into its place in
the outputs of the first."""

import contextlib
import io
import json
import socket

import botocore
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kit import cli, models, platform
from kit.transforms import XGBOOST, Transforms

# Doubles numbers, and refuses those in LIMITS.
SCRIPT = """
import json

def model_fn(model_dir):
    return json.load(open(model_dir + "/limits.json"))

def input_fn(body, content_type):
    return [float(line) for line in body.splitlines()]

def predict_fn(data, limits):
    for number in data:
        if number in limits:
            raise ValueError("it is %d" % number)
    return [number * 2 for number in data]

def output_fn(prediction, accept):
    return "".join("%d\\n" % number for number in prediction), "text/csv"
"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("replays") / "data") as server:
        server.client("s3").create_bucket(
            Bucket="data", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
        )
        yield Transforms(server)


def refusing(jobs, name, *numbers):
    """A model that refuses these numbers."""
    return jobs.model(name, {"limits.json": json.dumps(numbers)}, code={"a.py": SCRIPT})


@pytest.fixture(scope="module")
def narrow(jobs):
    return refusing(jobs, "narrow", 3, 7, 12)


@pytest.fixture(scope="module")
def wider(jobs):
    return refusing(jobs, "wider", 7)


@pytest.fixture(scope="module")
def wide(jobs):
    return refusing(jobs, "wide")


def lines(*numbers):
    return "".join(f"{number}\n" for number in numbers)


INPUTS = {"a.csv": lines(*range(5)), "b/c.csv": lines(*range(5, 10)), "d.csv": lines(*range(10, 15)), "e.csv": lines(20)}
ALL = {f"{name}.out": [2 * int(number) for number in text.split()] for name, text in INPUTS.items()}


def rejecting(jobs, name, model, instances=1, limit="10", **changes):
    jobs.run(
        name, model, inputs=INPUTS, accept="text/csv", Environment={"BESSEMER_MAX_REJECTS": limit},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": instances}, **changes,
    )


def scored(jobs, name):
    """The numbers in a job's outputs; None in the place of a rejected record."""
    outputs = [key for key in jobs.keys(f"out/{name}/") if not key.startswith("_rejects/")]
    return {key: numbers(jobs.text(f"out/{name}/{key}")) for key in outputs}


def numbers(text):
    return [int(float(line)) if line.strip('"') else None for line in text.splitlines()]


def without(*numbers):
    return {name: [None if n // 2 in numbers else n for n in all] for name, all in ALL.items()}


def rejects(jobs, name):
    return [key for key in jobs.keys(f"out/{name}/") if key.startswith("_rejects/")]


def replay(jobs, *arguments, expect=0):
    return json.loads(jobs.server.run("rejects", "replay", *arguments, "--json", expect=expect).stdout)


@pytest.mark.parametrize("instances", [1, 2])
def test_what_now_succeeds_goes_into_its_place(jobs, narrow, wider, wide, instances):
    name = f"mended-{instances}"
    rejecting(jobs, name, narrow, instances)
    assert scored(jobs, name) == without(3, 7, 12)
    assert rejects(jobs, name) == [f"_rejects/{file}.parquet" for file in ("a.csv", "b/c.csv", "d.csv")]
    untouched = jobs.s3.head_object(Bucket="data", Key=f"out/{name}/e.csv.out")["ETag"]

    first = replay(jobs, name, "--model-name", wider)
    assert (first["replayed"], first["mended"], first["rejected"]) == (3, 2, 1)
    assert scored(jobs, name) == without(7)
    assert rejects(jobs, name) == ["_rejects/b/c.csv.parquet"]

    # Only what is still rejected is scored again.
    second = replay(jobs, name, "--model-name", wide, "--name", f"{name}-second")
    assert (second["job"], second["replayed"], second["mended"], second["rejected"]) == (f"{name}-second", 1, 1, 0)
    assert "1 of 1 rejected records are delivered now" in jobs.log(f"{name}-second")
    assert scored(jobs, name) == ALL and rejects(jobs, name) == []
    assert jobs.s3.head_object(Bucket="data", Key=f"out/{name}/e.csv.out")["ETag"] == untouched

    third = replay(jobs, name)
    assert (third["replayed"], third["rejected"]) == (0, 0)
    assert scored(jobs, name) == ALL


def test_a_replay_that_fails_again_changes_nothing(jobs, narrow):
    rejecting(jobs, "again", narrow)
    before = {key: jobs.read(f"out/again/{key}") for key in ALL}
    told = replay(jobs, "again")
    assert (told["replayed"], told["mended"], told["rejected"]) == (3, 0, 3)
    assert {key: jobs.read(f"out/again/{key}") for key in ALL} == before
    attempts = pq.read_table(io.BytesIO(jobs.read("out/again/_rejects/a.csv.parquet")))["attempts"].to_pylist()
    assert attempts[0] > 1
    # With a limit that they are over, the job fails, and what is mended stays.
    replay(jobs, "again", "--max-rejects", "2", "--name", "again-strict", expect=cli.REJECTED)
    described = jobs.sagemaker.describe_transform_job(TransformJobName="again-strict")
    assert described["TransformJobStatus"] == "Failed"
    assert "3 of 16 records were rejected" in described["FailureReason"]


def test_dropped_records_are_put_where_they_belong(jobs, narrow, wide):
    jobs.put(**{"in/dropped/a.csv": lines(1, 2, 3, 4, 7, 12, 13)})
    jobs.create(
        "dropped", narrow, accept="text/csv",
        Environment={"BESSEMER_MAX_REJECTS": "10", "BESSEMER_REJECTED": "drop"},
    )
    jobs.wait("dropped")
    assert scored(jobs, "dropped") == {"a.csv.out": [2, 4, 8, 26]}
    told = replay(jobs, "dropped", "--model-name", wide)
    assert told["mended"] == 3
    assert scored(jobs, "dropped") == {"a.csv.out": [2, 4, 6, 8, 14, 24, 26]}


def test_parquet_outputs_are_mended(jobs, narrow, wide):
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": [f"r{n}" for n in range(10)], "n": [float(n) for n in range(10)]}), sink)
    settings = {
        "BESSEMER_CONTENT_TYPE": "text/csv", "BESSEMER_FEATURES": "n", "BESSEMER_JOIN": "input",
        "BESSEMER_OUTPUT_FORMAT": "parquet", "BESSEMER_MAX_REJECTS": "50%",
    }
    jobs.run(
        "columns", narrow, "application/x-parquet", split="None", accept="text/csv",
        inputs={"rows.parquet": sink.getvalue()}, Environment=settings,
    )
    table = pq.read_table(io.BytesIO(jobs.read("out/columns/rows.parquet")))
    assert table["prediction"].to_pylist() == [None if n in (3, 7) else 2 * n for n in range(10)]
    assert replay(jobs, "columns", "--model-name", wide)["mended"] == 2
    mended = pq.read_table(io.BytesIO(jobs.read("out/columns/rows.parquet")))
    assert mended.schema == table.schema
    assert mended["prediction"].to_pylist() == [2 * n for n in range(10)]
    assert mended["id"].to_pylist() == table["id"].to_pylist()


def test_a_native_model_replays_too(jobs, booster):
    model = jobs.model("trees", {"xgboost-model": booster[0].read_bytes()}, image=XGBOOST)
    features = models.rows(6)
    rows = models.csv_of(features).splitlines(keepends=True)
    jobs.run(
        "native", model, inputs={"a.csv": rows[0] + "1,two,3,4\n" + "".join(rows[1:])},
        Environment={"BESSEMER_MAX_REJECTS": "1"},
    )
    told = replay(jobs, "native")
    assert (told["replayed"], told["mended"], told["rejected"]) == (1, 0, 1)
    found = jobs.text("out/native/a.csv.out").splitlines()
    assert found[1].strip('"') == ""
    answers = [float(line) for line in found[:1] + found[2:]]
    np.testing.assert_allclose(answers, models.booster_answers(booster[1], features), rtol=1e-6)


def test_boto3_replays_by_a_setting(jobs, narrow, wide):
    rejecting(jobs, "by-setting", narrow)
    described = jobs.sagemaker.describe_transform_job(TransformJobName="by-setting")
    request = {
        key: described[key]
        for key in ("TransformInput", "TransformOutput", "TransformResources", "DataProcessing", "Environment")
    }
    request["Environment"]["BESSEMER_REPLAY"] = "by-setting"
    jobs.sagemaker.create_transform_job(TransformJobName="by-setting-2", ModelName=wide, **request)
    jobs.wait("by-setting-2")
    assert scored(jobs, "by-setting") == ALL
    environment = jobs.sagemaker.describe_transform_job(TransformJobName="by-setting-2")["Environment"]
    assert environment == {"BESSEMER_MAX_REJECTS": "10", "BESSEMER_REPLAY": "by-setting"}

    def refused(**changes):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            jobs.sagemaker.create_transform_job(**({"TransformJobName": "no", "ModelName": wide} | request | changes))
        return error.value.response["Error"]

    other = {**request["TransformOutput"], "S3OutputPath": "s3://data/elsewhere"}
    assert "must have its TransformOutput" in refused(TransformOutput=other)["Message"]
    unknown = refused(Environment={"BESSEMER_REPLAY": "unknown"})
    assert unknown["Code"] == "ResourceNotFound" or "unknown" in unknown["Message"]
    jobs.run("strict", wide, inputs={"a.csv": "1\n"})
    assert "BESSEMER_MAX_REJECTS" in refused(Environment={"BESSEMER_REPLAY": "strict"})["Message"]


def test_inputs_must_be_what_they_were(jobs, narrow, wide):
    rejecting(jobs, "moved", narrow)
    before = scored(jobs, "moved")
    jobs.put(**{"in/moved/a.csv": lines(9, 8, 7, 6, 5)})
    failed = jobs.server.run("rejects", "replay", "moved", "--model-name", wide, expect=10)
    assert "`a.csv`" in failed.stderr and "has changed" in failed.stderr
    jobs.s3.delete_object(Bucket="data", Key="in/moved/a.csv")
    failed = jobs.server.run("rejects", "replay", "moved", "--name", "moved-2", "--model-name", wide, expect=10)
    assert "`a.csv`" in failed.stderr and "is gone" in failed.stderr
    assert scored(jobs, "moved") == before and len(rejects(jobs, "moved")) == 3


def test_a_jobs_rejects_are_listed(jobs, narrow):
    rejecting(jobs, "listed", narrow)
    text = jobs.server.run("rejects", "listed").stdout
    assert text.startswith("3 rejected, 1 reasons\n") and "ValueError: it is 3" in text
    found = [json.loads(line) for line in jobs.server.run("rejects", "listed", "--json").stdout.splitlines()]
    assert [(reject["file"], reject["row"]) for reject in found] == [("a.csv", 3), ("b/c.csv", 2), ("d.csv", 2)]
    key = jobs.server.key()
    access = {
        "AWS_ENDPOINT_URL": jobs.server.address, "AWS_REGION": platform.REGION,
        "AWS_ACCESS_KEY_ID": key["id"], "AWS_SECRET_ACCESS_KEY": key["secret"],
    }
    assert cli.run("rejects", "s3://data/out/listed", env=access).stdout == text
    nothing = jobs.server.run("rejects", "no-such-job", expect=cli.CONFIGURATION)
    assert "no-such-job" in nothing.stderr or "find" in nothing.stderr


# Waits in the middle of a call for a word of the test.
WAITING = SCRIPT.replace("import json", "import json\nimport socket").replace(
    "    for number in data:", """    with socket.create_connection(("127.0.0.1", PORT)) as test:
        test.recv(1)
    for number in data:""", 1,
)


def test_a_replay_outlives_its_server(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener, platform.running(tmp_path / "data") as server:
        listener.settimeout(60)
        server.client("s3").create_bucket(
            Bucket="data", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
        )
        before = Transforms(server)
        rejecting(before, "first", refusing(before, "narrow", 3, 7, 12), instances=2)
        code = {"a.py": WAITING.replace("PORT", str(listener.getsockname()[1]))}
        before.model("waiting", {"limits.json": "[7]"}, code=code)
        described = before.sagemaker.describe_transform_job(TransformJobName="first")
        request = {key: described[key] for key in ("TransformInput", "TransformOutput", "TransformResources")}
        environment = {"BESSEMER_MAX_REJECTS": "10", "BESSEMER_REPLAY": "first", "BESSEMER_COPIES": "1"}
        request |= {"ModelName": "waiting", "Environment": environment}
        before.sagemaker.create_transform_job(TransformJobName="replay", **request)
        with listener.accept()[0] as waiting:
            server.restart()
            after = Transforms(server)
            assert scored(after, "first") == without(3, 7, 12)
            waiting.send(b".")
            listener.settimeout(0.1)
            while after.sagemaker.describe_transform_job(TransformJobName="replay")["TransformJobStatus"] == "InProgress":
                with contextlib.suppress(TimeoutError):
                    with listener.accept()[0] as another:
                        another.send(b".")
        after.wait("replay")
        assert scored(after, "first") == without(7)
        assert rejects(after, "first") == ["_rejects/b/c.csv.parquet"]
