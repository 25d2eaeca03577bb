"""Input, output, manifests and resuming on an S3 server."""

import json
import uuid

import boto3
import pytest

from kit import cli, files, tables

PEOPLE = tables.people(200)


@pytest.fixture
def bucket(store):
    client = boto3.client(
        "s3",
        endpoint_url=store["AWS_ENDPOINT_URL"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    name = f"b-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    return Bucket(client, name, store)


class Bucket:
    def __init__(self, client, name, environment):
        self.client, self.name, self.environment = client, name, environment

    def put(self, key, data):
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def keys(self, prefix=""):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def visible(self, prefix):
        """Output objects below `prefix`, without markers and bookkeeping."""
        keys = (key.removeprefix(f"{prefix}/") for key in self.keys(f"{prefix}/"))
        return [key for key in keys if not key.startswith("_")]

    def fetch(self, prefix, folder):
        for key in self.keys(f"{prefix}/"):
            path = folder / key.removeprefix(f"{prefix}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            self.client.download_file(self.name, key, str(path))
        return folder

    def uri(self, key=""):
        return f"s3://{self.name}/{key}"

    def transform(self, source, output, model, *arguments, **options):
        arguments = ["--model", model, "--features", ",".join(tables.FEATURES), *arguments]
        return cli.transform(source, output, *arguments, env=self.environment, **options)


def check(folder, names):
    found = files.outputs(folder)
    assert list(found) == names
    for path in found.values():
        rows = files.rows(path)
        assert [int(row["id"]) for row in rows] == list(range(200))
        for row, prediction in zip(rows, tables.linear(PEOPLE)):
            assert files.same(row["prediction"], float(prediction), 1e-5)


def test_s3_to_s3(bucket, linear_model, tmp_path):
    for kind in ("parquet", "jsonl", "csv"):
        bucket.put(f"in/deep/people.{kind}", files.encode(PEOPLE, kind))
    bucket.put("in/_SUCCESS", b"")
    bucket.put("inner/other.jsonl", b"{}\n")
    bucket.transform(bucket.uri("in/"), bucket.uri("out"), linear_model)
    names = ["deep/people.csv", "deep/people.jsonl", "deep/people.parquet"]
    check(bucket.fetch("out", tmp_path / "out"), names)
    assert "out/_SUCCESS" in bucket.keys("out/")
    uploads = bucket.client.list_multipart_uploads(Bucket=bucket.name)
    assert not uploads.get("Uploads")


def test_s3_to_folder_and_back(bucket, linear_model, tmp_path):
    bucket.put("in/people.parquet", files.encode(PEOPLE, "parquet"))
    bucket.transform(bucket.uri("in"), tmp_path / "out", linear_model)
    check(tmp_path / "out", ["people.parquet"])
    bucket.transform(tmp_path / "out", bucket.uri("again"), linear_model, "--join", "id")
    check(bucket.fetch("again", tmp_path / "again"), ["people.parquet"])


def test_one_object(bucket, linear_model, tmp_path):
    bucket.put("in/people.jsonl", files.encode(PEOPLE, "jsonl"))
    bucket.transform(bucket.uri("in/people.jsonl"), tmp_path / "out", linear_model)
    check(tmp_path / "out", ["people.jsonl"])


def test_manifest(bucket, linear_model, tmp_path):
    for name in ("a", "b", "c"):
        bucket.put(f"in/{name}.parquet", files.encode(PEOPLE, "parquet"))
    manifest = json.dumps([{"prefix": bucket.uri("in/")}, "a.parquet", "c.parquet"])
    bucket.put("input.manifest", manifest.encode())
    bucket.transform(bucket.uri("input.manifest"), bucket.uri("out"), linear_model)
    check(bucket.fetch("out", tmp_path / "out"), ["a.parquet", "c.parquet"])


def test_large_object_in_parts(bucket, linear_model, tmp_path):
    """More than one part of a multipart upload."""
    table = tables.people(120_000)
    bucket.put("in/people.jsonl", files.encode(table, "jsonl"))
    bucket.transform(bucket.uri("in"), bucket.uri("out"), linear_model)
    lines = bucket.fetch("out", tmp_path / "out").joinpath("people.jsonl").read_text().splitlines()
    assert len(lines) == 120_000
    for at in (0, 78_901, 119_999):
        assert json.loads(lines[at])["id"] == at


def test_rejects_and_replay(bucket, linear_model, tmp_path):
    rows = [json.dumps(row, default=str) for row in PEOPLE.to_pylist()]
    rows[7] = '{"id": 7, "f0": "oops"'
    bucket.put("in/people.jsonl", "".join(row + "\n" for row in rows).encode())
    bucket.transform(bucket.uri("in"), bucket.uri("out"), linear_model, expect=cli.REJECTED)
    folder = bucket.fetch("out", tmp_path / "out")
    assert [(reject["row"]) for reject in files.rejects(folder)] == [7]
    listed = cli.run("rejects", bucket.uri("out"), "--json", env=bucket.environment)
    assert "people.jsonl" in listed.stdout


def test_resume(bucket, linear_model, tmp_path):
    import time

    for part in range(30):
        bucket.put(f"in/{part:02}.jsonl", files.encode(PEOPLE, "jsonl"))
    arguments = ["transform", bucket.uri("in"), "--output", bucket.uri("out"), "--json", "--model",
                 linear_model, "--features", ",".join(tables.FEATURES)]
    process = cli.start(*arguments, env=bucket.environment)
    deadline = time.monotonic() + 60
    while len(bucket.visible("out")) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    left = bucket.visible("out")
    assert "out/_SUCCESS" not in bucket.keys("out/") or len(left) == 30
    result = cli.run(*arguments, "--resume", env=bucket.environment)
    names = [f"{part:02}.jsonl" for part in range(30)]
    check(bucket.fetch("out", tmp_path / "out"), names)
    assert result.summary["files"]["skipped"] >= len(left) - 4
    assert result.summary["files"]["written"] + result.summary["files"]["skipped"] == 30


@pytest.mark.parametrize("uri", ["s3://no-such-bucket-here/in", "{bucket}in/nothing/"])
def test_nothing_there(uri, bucket, linear_model, tmp_path):
    source = uri.replace("{bucket}", bucket.uri())
    result = bucket.transform(source, tmp_path / "out", linear_model, expect=cli.NOT_FOUND)
    assert "s3://" in result.stderr
