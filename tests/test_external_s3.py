"""An S3 elsewhere in place of the server's own buckets: jobs of all kinds read from it and write to it,
over kills of the server and with the store down. The stores are another `bessemer serve` and moto."""

import contextlib
import json
import os
import signal

import boto3
import pytest
from botocore.exceptions import ClientError

from kit import cli, platform, servers, work
from kit.transforms import Transforms


class Elsewhere(platform.Platform):
    """A server whose objects are in `store`: the variables of a client of that."""

    def __init__(self, folder, store, job_key):
        env = {
            "STORE_ID": store["AWS_ACCESS_KEY_ID"], "STORE_SECRET": store["AWS_SECRET_ACCESS_KEY"],
            "JOBS_ID": job_key[0],
        }
        folder.mkdir()
        secret = folder.parent / f"{folder.name}.secret"
        secret.write_text(job_key[1] + "\n")
        settings = folder / "bessemer.toml"
        settings.write_text(f"""
[storage]
endpoint = "{store["AWS_ENDPOINT_URL"]}"
access_key_id_env = "STORE_ID"
secret_access_key_env = "STORE_SECRET"
job_access_key_id_env = "JOBS_ID"
job_secret_access_key_file = "{secret}"

[[retries]]
attempts = 2
backoff = "100ms"
""")
        super().__init__(folder, env=env)
        self.store = store

    def client(self, service, key=None, **settings):
        if service != "s3":
            return super().client(service, key, **settings)
        return boto3.client(
            "s3", endpoint_url=self.store["AWS_ENDPOINT_URL"], region_name="us-east-1",
            aws_access_key_id=self.store["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.store["AWS_SECRET_ACCESS_KEY"],
        )

    def run(self, *arguments, **options):
        return cli.run(
            *arguments, env=self.env | {"BESSEMER_DATA_DIR": str(self.folder)}, **options
        )


@contextlib.contextmanager
def over(folder, store, job_key):
    server = Elsewhere(folder, store, job_key).start()
    try:
        yield server
    finally:
        if server.process.poll() is None:
            assert server.stop() == 0


def variables(store):
    key = store.key()
    return {
        "AWS_ENDPOINT_URL": store.address,
        "AWS_ACCESS_KEY_ID": key["id"],
        "AWS_SECRET_ACCESS_KEY": key["secret"],
    }


@contextlib.contextmanager
def over_bessemer(folder):
    """A server over another, which keeps its address when it is started again."""
    with platform.running(folder / "store", keeps_address=True) as store:
        store.run("keys", "create")
        jobs = json.loads((store.folder / "keys.json").read_text())["keys"][-1]
        with over(folder / "data", variables(store), (jobs["id"], jobs["secret"])) as server:
            server.client("s3").create_bucket(Bucket="data")
            yield server, store


@pytest.fixture(scope="module", params=["bessemer", "moto"])
def server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    with contextlib.ExitStack() as stack:
        if request.param == "bessemer":
            server, _ = stack.enter_context(over_bessemer(folder))
        else:
            store = stack.enter_context(servers.object_store())
            server = stack.enter_context(over(folder / "data", store, ("jobs", "jobs-secret")))
            server.client("s3").create_bucket(Bucket="data")
        yield server


def test_a_transform_job_reads_and_writes_there(server, booster):
    model, _ = booster
    jobs = Transforms(server)
    jobs.put(**{"model.json": model.read_bytes()})
    jobs.sagemaker.create_model(
        ModelName="booster", ExecutionRoleArn=platform.ROLE,
        PrimaryContainer={"Image": "any", "ModelDataUrl": "s3://data/model.json"},
    )
    rows = "1,2,3,4\n5,6,7,8\n"
    inputs = {"a.csv": rows, "deep/b.csv": rows * 500_000}
    jobs.put(**{"in/scores/": ""})
    jobs.run("scores", "booster", inputs=inputs)
    outputs = jobs.outputs("scores")
    assert {name: text.count("\n") for name, text in outputs.items()} == {
        "a.csv.out": 2, "deep/b.csv.out": 1_000_000,
    }
    assert outputs["deep/b.csv.out"].startswith(outputs["a.csv.out"])


def test_a_models_code_comes_from_there(server):
    jobs = Transforms(server)
    code = {"inference.py": """
def model_fn(folder):
    return open(folder + "/word").read()

def transform_fn(model, body, content_type, accept):
    return model + body, accept
"""}
    jobs.model("words", {"word": "so "}, code=code)
    jobs.run("said", "words", inputs={"x": "it is\n"})
    assert jobs.outputs("said") == {"x.out": "so it is\n"}


def test_a_training_job_reads_and_writes_there(server):
    script = """
import boto3, os, pathlib
data = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
sizes = {str(path.relative_to(data)): path.stat().st_size for path in data.rglob("*") if path.is_file()}
assert sizes == {"small": 1, "deep/large": 3_000_000}, sizes
(data / "small").write_text("changed")
checkpoint = pathlib.Path("/opt/ml/checkpoints/step")
checkpoint.write_text(checkpoint.read_text() + "+1")
pathlib.Path("/opt/ml/model/weights").write_bytes(b"w" * 20_000_000)
s3 = boto3.client("s3")
assert s3.meta.endpoint_url != os.environ["AWS_ENDPOINT_URL"]
s3.put_object(Bucket="data", Key="by-the-program", Body=b"1")
print("jobs:", len(boto3.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]))
"""
    work.put(server, "train/small", "s")
    work.put(server, "train/deep/large", b"l" * 3_000_000)
    work.put(server, "checkpoints/step", "3")
    work.training(
        server, "fit", script, InputDataConfig=[work.channel("train", "train")],
        CheckpointConfig={"S3Uri": "s3://data/checkpoints"},
    )
    described = work.trained(server, "fit")
    assert described["ModelArtifacts"]["S3ModelArtifacts"] == "s3://data/out/fit/output/model.tar.gz"
    model = work.unpacked(work.read(server, "out/fit/output/model.tar.gz"))
    assert model == {"weights": b"w" * 20_000_000}
    assert work.read(server, "checkpoints/step") == b"3+1"
    assert work.read(server, "train/small") == b"s"
    assert work.exists(server, "by-the-program")
    assert work.wait_for_line(server, "training", "fit", "jobs: 1")


def test_a_processing_job_reads_and_writes_there(server):
    script = """
import pathlib
base = pathlib.Path("/opt/ml/processing")
(base / "stream/first").write_text("1")
(base / "end/deep").mkdir()
(base / "end/deep/all").write_text("".join(path.read_text() for path in sorted((base / "in").iterdir())))
"""
    for name in ("1", "2", "3"):
        work.put(server, f"listed/{name}", name)
    work.put(server, "manifest", json.dumps([{"prefix": "s3://data/listed/"}, "1", "3"]))
    outputs = [work.output("end", "processed/end"), work.output("stream", "processed/stream", "Continuous")]
    work.processing(
        server, "make", script, ProcessingInputs=[work.source("in", "manifest", S3DataType="ManifestFile")],
        ProcessingOutputConfig={"Outputs": outputs},
    )
    work.processed(server, "make")
    assert work.keys(server, "processed") == ["processed/end/deep/all", "processed/stream/first"]
    assert work.read(server, "processed/end/deep/all") == b"13"


def test_what_is_not_there_is_the_requests_fault(server):
    work.training(server, "no-input", "", InputDataConfig=[work.channel("train", "none/")])
    reason = work.trained(server, "no-input", "Failed")["FailureReason"]
    assert reason.startswith("ClientError: Data download failed: No S3 objects found"), reason
    work.training(
        server, "no-bucket", "", OutputDataConfig={"S3OutputPath": "s3://no-such-bucket/out"},
    )
    reason = work.trained(server, "no-bucket", "Failed")["FailureReason"]
    assert "no-such-bucket" in reason and reason.startswith("ClientError: "), reason


def test_the_servers_own_s3_says_where_objects_are(server):
    own = platform.Platform.client(server, "s3")
    for call in (own.list_buckets, lambda: own.put_object(Bucket="data", Key="k", Body=b"")):
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == "InvalidRequest"
        assert f"they are at {server.store['AWS_ENDPOINT_URL']}." in str(refused.value)
    assert not (server.folder / "buckets").exists()


def test_clients_are_pointed_to_both_with_one_key(server):
    script = """
import boto3
boto3.client("s3").put_object(Bucket="data", Key="by-exec", Body=b"x")
print(boto3.client("sts").get_caller_identity()["Account"], boto3.client("sagemaker").list_models()["Models"] != [])
"""
    told = server.run("exec", "--", cli.PYTHON, "-c", script)
    assert told.stdout.startswith("000000000000")
    assert work.exists(server, "by-exec")
    printed = server.run("env").stdout
    assert f"export AWS_ENDPOINT_URL_S3='{server.store['AWS_ENDPOINT_URL']}'" in printed
    assert f"export AWS_ENDPOINT_URL='{server.address}'" in printed
    wrong = dict(server.key(), id=server.store["AWS_ACCESS_KEY_ID"])
    with pytest.raises(ClientError, match="SignatureDoesNotMatch|InvalidSignature|signature"):
        server.client("sagemaker", wrong).list_models()


def test_the_stores_secret_is_kept_nowhere(tmp_path):
    with over_bessemer(tmp_path) as (server, _):
        work.training(server, "quick", "print('x')")
        work.trained(server, "quick")
        server.stop()
        secrets = [server.store["AWS_SECRET_ACCESS_KEY"], (tmp_path / "data.secret").read_text().strip()]
        for folder, _, names in os.walk(server.folder):
            for name in names:
                content = open(os.path.join(folder, name), "rb").read()
                assert not any(secret.encode() in content for secret in secrets), name
        assert not any(secret in server.said.read_text() for secret in secrets)


def waiting_job(server, name):
    """A training job that waits for [`go`]."""
    script = """
import pathlib, time
print("waits", flush=True)
while not pathlib.Path("/opt/ml/code/go").exists():
    time.sleep(0.02)
pathlib.Path("/opt/ml/model/weights").write_bytes(b"w" * 30_000_000)
with open("/opt/ml/output/data/runs", "a") as runs:
    runs.write("ran")
"""
    work.training(server, name, script, OutputDataConfig={
        "S3OutputPath": "s3://data/out", "CompressionType": "NONE",
    })
    work.wait_for_line(server, "training", name, "waits")


def go(server):
    [code] = server.folder.glob("runs/*/*/algo-1/ml/code")
    (code / "go").write_text("")


def status(server, name):
    return server.client("sagemaker").describe_training_job(TrainingJobName=name)["SecondaryStatus"]


def check_whole(server, name):
    work.trained(server, name)
    weights = work.read(server, f"out/{name}/output/model/weights")
    assert weights == b"w" * 30_000_000
    runs = work.unpacked(work.read(server, f"out/{name}/output/output.tar.gz"))
    assert runs == {"runs": b"ran"}
    shown = server.run("jobs", "show", name, "--json").stdout
    assert len(json.loads(shown)["attempts"]) == 1


def test_a_kill_while_outputs_are_sent(tmp_path):
    with over_bessemer(tmp_path) as (server, store):
        waiting_job(server, "killed")
        server.restart()
        # The store holds its breath, so that the kill is in the middle of the upload.
        store.process.send_signal(signal.SIGSTOP)
        go(server)
        work.until(lambda: status(server, "killed") == "Uploading", "upload")
        server.stop(signal.SIGKILL)
        store.process.send_signal(signal.SIGCONT)
        assert not work.exists(server, "out/killed/output/model/weights")
        server.start()
        check_whole(server, "killed")


def test_results_wait_for_a_store_that_is_down(tmp_path):
    with over_bessemer(tmp_path) as (server, store):
        waiting_job(server, "patient")
        assert store.stop() == 0
        go(server)
        work.until(lambda: status(server, "patient") == "Uploading", "upload")
        store.start()
        check_whole(server, "patient")


def test_a_job_fails_after_its_attempts_if_the_store_stays_down(tmp_path):
    with over_bessemer(tmp_path) as (server, store):
        work.training(server, "first", "print(1)")
        work.trained(server, "first")
        assert store.stop() == 0
        client = server.client("sagemaker")
        request = client.describe_training_job(TrainingJobName="first")
        kept = (
            "AlgorithmSpecification", "RoleArn", "OutputDataConfig", "ResourceConfig",
            "StoppingCondition", "HyperParameters",
        )
        client.create_training_job(TrainingJobName="down", **{name: request[name] for name in kept})
        described = work.trained(server, "down", "Failed")
        reason = described["FailureReason"]
        assert reason.startswith("InternalServerError: "), reason
        assert f"{server.store['AWS_ENDPOINT_URL']} can't be reached" in reason
        why = server.run("jobs", "why", "down").stdout
        assert "infrastructure" in why.lower(), why
        store.start()
