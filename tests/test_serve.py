"""`bessemer serve`, driven by boto3: models, transform jobs, logs, keys, kills."""

import datetime
import io
import json
import os
import re
import signal
import tarfile
import urllib.error
import urllib.request

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from kit import cli, platform, tables

QUICK = {"Delay": 0.1, "MaxAttempts": 600}
ENDED = "transform_job_completed_or_stopped"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("serve") / "data") as server:
        server.client("s3").create_bucket(
            Bucket="data", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
        )
        yield server


@pytest.fixture(scope="module")
def model(server, booster):
    """A SageMaker model of the XGBoost booster."""
    path, _ = booster
    return create_model(server, "booster", path)


def archive(path, name=None):
    """A model.tar.gz that holds `path`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(path, name or path.name)
    return packed.getvalue()


def create_model(server, name, path, **environment):
    key = f"models/{name}/model.tar.gz"
    server.client("s3").put_object(Bucket="data", Key=key, Body=archive(path))
    container = {"Image": "image", "ModelDataUrl": f"s3://data/{key}"}
    if environment:
        container["Environment"] = environment
    server.client("sagemaker").create_model(
        ModelName=name, ExecutionRoleArn=platform.ROLE, PrimaryContainer=container
    )
    return name


def request(name, model, source, content_type="text/csv", **changes):
    whole = {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://data/{source}"}},
            "ContentType": content_type,
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": f"s3://data/out/{name}", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    return whole | changes


def transform(server, *arguments, ends="Completed", **changes):
    """Creates a job, waits for its end and returns what Describe says."""
    client = server.client("sagemaker")
    whole = request(*arguments, **changes)
    client.create_transform_job(**whole)
    name = {"TransformJobName": whole["TransformJobName"]}
    if ends == "Failed":
        with pytest.raises(Exception, match="terminal failure"):
            client.get_waiter(ENDED).wait(WaiterConfig=QUICK, **name)
    else:
        client.get_waiter(ENDED).wait(WaiterConfig=QUICK, **name)
    described = client.describe_transform_job(**name)
    assert described["TransformJobStatus"] == ends, described.get("FailureReason")
    return described


def put(server, key, body):
    body = body.encode() if isinstance(body, str) else body
    server.client("s3").put_object(Bucket="data", Key=key, Body=body)


def read(server, key):
    return server.client("s3").get_object(Bucket="data", Key=key)["Body"].read()


def keys(server, prefix):
    listed = server.client("s3").list_objects_v2(Bucket="data", Prefix=prefix)
    return [entry["Key"] for entry in listed.get("Contents", [])]


def csv_of(rows):
    return "".join(",".join(repr(float(value)) for value in row) + "\n" for row in rows)


def rows(count=50, seed=1):
    return tables.matrix(tables.people(count, seed=seed)).astype(np.float32)


def scores(booster, features):
    import xgboost

    return booster[1].predict(xgboost.DMatrix(features, feature_names=tables.FEATURES))


def floats(text):
    return np.array([float(line) for line in text.decode().split()], dtype=np.float32)


def refusal(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response
    return error["Error"]["Code"], error["Error"]["Message"], error["ResponseMetadata"]["HTTPStatusCode"]


# Who calls


def test_the_caller_has_a_role_that_iam_knows(server):
    arn = server.client("sts").get_caller_identity()["Arn"]
    assert re.fullmatch(r"arn:aws:sts::\d{12}:assumed-role/bessemer/AKIA\w+", arn)
    role = server.client("iam").get_role(RoleName="bessemer")["Role"]
    assert role["Arn"] == platform.ROLE
    simulated = server.client("iam").simulate_principal_policy(
        PolicySourceArn=role["Arn"], ActionNames=["s3:GetObject", "s3:PutObject"]
    )
    decisions = [result["EvalDecision"] for result in simulated["EvaluationResults"]]
    assert decisions == ["allowed", "allowed"]


def test_wrong_credentials_are_refused_by_every_service(server):
    unknown = {"id": "AKIANOBODY", "secret": "x"}
    forged = server.key() | {"secret": "x"}
    for key, codes in [
        (unknown, {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"}),
        (forged, {"InvalidSignatureException", "SignatureDoesNotMatch"}),
    ]:
        for service, operation in [
            ("sts", "get_caller_identity"), ("iam", "get_role"), ("sagemaker", "list_models"),
            ("logs", "describe_log_groups"), ("s3", "list_buckets"),
        ]:
            arguments = {"RoleName": "x"} if operation == "get_role" else {}
            code, _, status = refusal(getattr(server.client(service, key), operation), **arguments)
            assert code in codes and status in (400, 403), (service, code, status)


@pytest.mark.parametrize(
    "method, path, headers, body",
    [
        ("GET", "/", {}, None),
        ("GET", "/data", {}, None),
        ("PUT", "/data/key", {}, b"x"),
        ("DELETE", "/data/models/booster/model.tar.gz", {}, None),
        ("POST", "/", {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}, b"{}"),
        ("POST", "/", {"X-Amz-Target": "Logs_20140328.DescribeLogGroups"}, b"{}"),
        ("POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, b"Action=GetCallerIdentity&Version=2011-06-15"),
        ("POST", "/_bessemer/ListJobs", {"Content-Type": "application/json"}, b'{"limit": 1}'),
        ("POST", "/_bessemer/StopJob", {"Content-Type": "application/json"}, b'{"name": "x"}'),
        ("GET", "/2015-03-31/functions", {"Content-Type": "application/json"}, None),
    ],
)
def test_nothing_answers_without_credentials(server, method, path, headers, body):
    unsigned = urllib.request.Request(server.address + path, data=body, headers=headers, method=method)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(unsigned, timeout=10)
    assert refused.value.code in (400, 403)
    assert "html" not in refused.value.read().decode().lower()


def test_a_read_only_key_reads(server, model):
    made = json.loads(server.run("keys", "create", "--read-only", "--json").stdout)
    assert made["id"] in server.run("keys", "ls").stdout
    client = server.client("sagemaker", made)
    assert client.describe_model(ModelName=model)["ModelName"] == model
    code, message, _ = refusal(client.delete_model, ModelName=model)
    assert code == "AccessDeniedException" and "read-only" in message
    assert server.client("s3", made).list_buckets()["Buckets"]
    code, _, _ = refusal(server.client("s3", made).put_object, Bucket="data", Key="x", Body=b"x")
    assert code == "AccessDenied"
    server.run("keys", "delete", made["id"])
    assert refusal(client.list_models)[0] == "UnrecognizedClientException"


# What is not there


def test_what_is_not_there_is_said_in_the_services_form(server):
    code, message, status = refusal(server.client("sagemaker").list_endpoints)
    assert (code, status) == ("NotImplemented", 501) and "ListEndpoints" in message
    assert refusal(server.client("iam").list_users)[0] == "NotImplemented"
    assert refusal(server.client("dynamodb").list_tables)[0] == "NotImplemented"
    assert refusal(server.client("eks").list_clusters)[0] == "NotImplemented"


# Models and tags


def test_models_have_a_life(server, booster):
    client = server.client("sagemaker")
    path, _ = booster
    create_model(server, "life-1", path, A="b")
    described = client.describe_model(ModelName="life-1")
    assert described["PrimaryContainer"] == {
        "Image": "image", "Mode": "SingleModel", "Environment": {"A": "b"},
        "ModelDataUrl": "s3://data/models/life-1/model.tar.gz",
    }
    arn = described["ModelArn"]
    assert arn == f"arn:aws:sagemaker:{platform.REGION}:000000000000:model/life-1"
    code, message, _ = refusal(
        client.create_model, ModelName="life-1", PrimaryContainer={"Image": "other"}
    )
    assert code == "ValidationException" and "Cannot create already existing model" in message
    create_model(server, "life-2", path)
    listed = client.list_models(NameContains="life", SortBy="Name", SortOrder="Ascending")
    assert [entry["ModelName"] for entry in listed["Models"]] == ["life-1", "life-2"]
    client.delete_model(ModelName="life-1")
    code, message, _ = refusal(client.describe_model, ModelName="life-1")
    assert code == "ValidationException" and message == f'Could not find model "{arn}".'
    assert refusal(client.delete_model, ModelName="life-1")[0] == "ValidationException"


def test_tags_are_added_listed_and_deleted(server, model):
    client = server.client("sagemaker")
    arn = client.describe_model(ModelName=model)["ModelArn"]
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "a"}, {"Key": "x", "Value": ""}])
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "b"}])
    assert client.list_tags(ResourceArn=arn)["Tags"] == [
        {"Key": "team", "Value": "b"}, {"Key": "x", "Value": ""},
    ]
    client.delete_tags(ResourceArn=arn, TagKeys=["x"])
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "b"}]
    missing = arn.replace(model, "nothing")
    assert refusal(client.list_tags, ResourceArn=missing)[0] == "ValidationException"


# Transform jobs


def test_a_transform_job_scores_every_file_in_order(server, model, booster):
    wanted = {}
    for part in range(3):
        features = rows(40 + part, seed=part)
        put(server, f"plain/sub/{part}.csv", csv_of(features))
        wanted[f"out/plain/sub/{part}.csv.out"] = scores(booster, features)
    described = transform(server, "plain", model, "plain/")
    assert keys(server, "out/plain") == sorted(wanted)
    for key, expected in wanted.items():
        np.testing.assert_allclose(floats(read(server, key)), expected, rtol=1e-6)
    assert described["CreationTime"] <= described["TransformStartTime"] <= described["TransformEndTime"]


def test_describe_tells_all_that_create_was_given(server, model):
    put(server, "echo/a.csv", csv_of(rows(3)))
    given = request(
        "echo", model, "echo/",
        MaxConcurrentTransforms=2, MaxPayloadInMB=6, BatchStrategy="MultiRecord",
        Environment={"BESSEMER_MAX_REJECTS": "0", "OTHER": "x"},
        ModelClientConfig={"InvocationsTimeoutInSeconds": 60, "InvocationsMaxRetries": 1},
    )
    client = server.client("sagemaker")
    arn = client.create_transform_job(**given)["TransformJobArn"]
    assert arn == f"arn:aws:sagemaker:{platform.REGION}:000000000000:transform-job/echo"
    client.get_waiter(ENDED).wait(TransformJobName="echo", WaiterConfig=QUICK)
    described = client.describe_transform_job(TransformJobName="echo")
    given["TransformInput"]["CompressionType"] = "None"
    given["TransformOutput"]["KmsKeyId"] = ""
    for name, value in given.items():
        assert described[name] == value, name
    assert described["DataProcessing"] == {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
    code, message, _ = refusal(client.create_transform_job, **given)
    assert code == "ResourceInUse" and "already exists" in message


def test_json_lines_are_joined_as_sagemaker_joins(server, model, booster):
    features = rows(10)
    records = [dict(zip(tables.FEATURES, map(float, row))) | {"id": n} for n, row in enumerate(features)]
    put(server, "joined/a.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    transform(
        server, "joined", model, "joined/a.jsonl", "application/jsonlines",
        DataProcessing={"JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']"},
    )
    lines = [json.loads(line) for line in read(server, "out/joined/a.jsonl.out").splitlines()]
    assert [line["id"] for line in lines] == list(range(10))
    answers = [line["SageMakerOutput"] for line in lines]
    np.testing.assert_allclose(answers, scores(booster, features), rtol=1e-6)


def test_csv_is_joined_at_the_end_of_each_row(server, model, booster):
    features = rows(5)
    put(server, "appended.csv", csv_of(features))
    transform(server, "appended", model, "appended.csv", DataProcessing={"JoinSource": "Input"})
    lines = read(server, "out/appended/appended.csv.out").decode().splitlines()
    assert ["%s," % line.strip() for line in csv_of(features).splitlines()] == [
        line[: line.rindex(",") + 1] for line in lines
    ]
    answers = [float(line.rsplit(",", 1)[1]) for line in lines]
    np.testing.assert_allclose(answers, scores(booster, features), rtol=1e-6)


def test_filters_choose_the_cells_of_csv_rows(server, model, booster):
    features = rows(6)
    text = "".join(f"id-{n},{line}\n" for n, line in enumerate(csv_of(features).splitlines()))
    put(server, "filtered.csv", text)
    processing = {"InputFilter": "$[1:]", "OutputFilter": "$[0,-1]", "JoinSource": "Input"}
    transform(server, "filtered", model, "filtered.csv", DataProcessing=processing)
    lines = [line.split(",") for line in read(server, "out/filtered/filtered.csv.out").decode().splitlines()]
    assert [identity for identity, _ in lines] == [f"id-{n}" for n in range(6)]
    answers = [float(answer) for _, answer in lines]
    np.testing.assert_allclose(answers, scores(booster, features), rtol=1e-6)


def test_a_manifest_names_the_inputs(server, model):
    for name in ("a.csv", "b/c.csv", "left-out.csv"):
        put(server, f"listed/{name}", csv_of(rows(4)))
    put(server, "manifests/some.manifest", json.dumps([{"prefix": "s3://data/listed/"}, "a.csv", "b/c.csv"]))
    source = {"S3DataType": "ManifestFile", "S3Uri": "s3://data/manifests/some.manifest"}
    given = request("listed", model, "")["TransformInput"] | {"DataSource": {"S3DataSource": source}}
    transform(server, "listed", model, "", TransformInput=given)
    assert keys(server, "out/listed") == ["out/listed/a.csv.out", "out/listed/b/c.csv.out"]


def test_an_onnx_model_scores_parquet_to_parquet(server, linear_model):
    create_model(server, "linear", linear_model)
    table = tables.people(100)
    written = io.BytesIO()
    pq.write_table(table, written)
    put(server, "parquet/people.parquet", written.getvalue())
    environment = {
        "BESSEMER_OUTPUT_FORMAT": "parquet", "BESSEMER_JOIN": "input",
        "BESSEMER_FEATURES": ",".join(tables.FEATURES),
    }
    transform(server, "parquet", "linear", "parquet/", "application/x-parquet", Environment=environment)
    assert keys(server, "out/parquet") == ["out/parquet/people.parquet"]
    scored = pq.read_table(pa.BufferReader(read(server, "out/parquet/people.parquet")))
    assert scored.drop_columns(["prediction"]).equals(table)
    expected = tables.matrix(table) @ tables.WEIGHTS + tables.BIAS
    np.testing.assert_allclose(scored["prediction"].to_numpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_bad_record_fails_its_file_and_the_job_and_no_other_file(server, model):
    put(server, "bad/good.csv", csv_of(rows(5)))
    put(server, "bad/wrong.csv", csv_of(rows(2)) + "1,two,3,4\n" + csv_of(rows(2)))
    described = transform(server, "bad", model, "bad/", ends="Failed")
    reason = described["FailureReason"]
    assert "1 of 2 files failed" in reason and "s3://data/bad/wrong.csv: row 2 (from 0): " in reason
    assert keys(server, "out/bad") == ["out/bad/good.csv.out"]
    events = server.client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamNamePrefix="bad/", filterPattern="ClientError"
    )["events"]
    assert any("data/bad/wrong.csv: ClientError: 400" in event["message"] for event in events)


def test_rejects_are_isolated_where_the_job_says_so(server, model, booster):
    features = rows(4)
    put(server, "isolated/a.csv", csv_of(features[:2]) + "1,two,3,4\n" + csv_of(features[2:]))
    transform(server, "isolated", model, "isolated/", Environment={"BESSEMER_MAX_REJECTS": "1"})
    assert keys(server, "out/isolated") == ["out/isolated/_rejects/a.csv.parquet", "out/isolated/a.csv.out"]
    lines = read(server, "out/isolated/a.csv.out").decode().splitlines()
    assert len(lines) == 5 and lines[2].strip('"') == ""
    answers = [float(line) for line in lines[:2] + lines[3:]]
    np.testing.assert_allclose(answers, scores(booster, features), rtol=1e-6)
    rejects = pq.read_table(pa.BufferReader(read(server, "out/isolated/_rejects/a.csv.parquet")))
    assert rejects["row"].to_pylist() == [2]


@pytest.mark.parametrize(
    "name, changes, words",
    [
        ("no-input", {"source": "nothing-here/"}, "No S3 objects found"),
        ("no-script", {"program": "inference.py"}, "`inference.py`"),
        ("no-model", {"gone": True}, "there is no object"),
        ("no-type", {"content_type": "image/png"}, "`image/png`"),
    ],
)
def test_what_can_not_be_run_fails_with_a_reason(server, booster, name, changes, words):
    program = changes.get("program")
    create_model(server, name, booster[0], **({"SAGEMAKER_PROGRAM": program} if program else {}))
    if changes.get("gone"):
        server.client("s3").delete_object(Bucket="data", Key=f"models/{name}/model.tar.gz")
    put(server, "some/a.csv", csv_of(rows(2)))
    arguments = (name, name, changes.get("source", "some/"), changes.get("content_type", "text/csv"))
    described = transform(server, *arguments, ends="Failed")
    assert words in described["FailureReason"]
    history = json.loads(server.run("jobs", "show", name, "--json").stdout)
    assert [attempt["class"] for attempt in history["attempts"]] == ["invalid"]


def test_create_refuses_what_is_not_supported(server, model):
    client = server.client("sagemaker")

    def refused(**changes):
        code, message, _ = refusal(client.create_transform_job, **request("refused", model, "x/", **changes))
        assert code == "ValidationException"
        return message

    given = request("refused", model, "x/")["TransformInput"]
    source = {"S3DataSource": {"S3DataType": "AugmentedManifestFile", "S3Uri": "s3://data/x"}}
    assert "AugmentedManifestFile is not a compatible S3DataType" in refused(TransformInput=given | {"DataSource": source})
    assert "DataCaptureConfig" in refused(DataCaptureConfig={"DestinationS3Uri": "s3://data/c"})
    assert "cannot exceed 100 MB" in refused(MaxPayloadInMB=60, MaxConcurrentTransforms=2)
    assert "BESSEMER_MAX_REJECTS" in refused(Environment={"BESSEMER_MAX_REJECT": "1"})
    assert "Could not find model" in refused(ModelName="nothing")
    code, message, _ = refusal(client.describe_transform_job, TransformJobName="refused")
    assert code == "ValidationException" and "Could not find" in message


def test_lists_are_filtered_sorted_and_paged(server, model):
    put(server, "paged/a.csv", csv_of(rows(1)))
    names = [f"paged-{letter}" for letter in "bca"]
    for name in names:
        transform(server, name, model, "paged/")
    client = server.client("sagemaker")

    def listed(**filters):
        pages = client.get_paginator("list_transform_jobs").paginate(
            NameContains="paged", PaginationConfig={"PageSize": 2}, **filters
        )
        return [job["TransformJobName"] for page in pages for job in page["TransformJobSummaries"]]

    assert listed() == names[::-1]
    assert listed(SortOrder="Ascending") == names
    assert listed(SortBy="Name", SortOrder="Ascending") == sorted(names)
    assert listed(StatusEquals="Completed", SortBy="Status", SortOrder="Ascending") == names
    assert listed(StatusEquals="Failed") == []
    middle = client.describe_transform_job(TransformJobName=names[1])["CreationTime"]
    # Clients send whole seconds.
    hour = datetime.timedelta(hours=1)
    assert listed(CreationTimeAfter=middle - hour, LastModifiedTimeBefore=middle + hour) == names[::-1]
    assert listed(CreationTimeBefore=middle - hour) == listed(LastModifiedTimeAfter=middle + hour) == []
    code, message, _ = refusal(client.list_transform_jobs, NextToken="not-one")
    assert code == "ValidationException" and "NextToken" in message


# Logs


def test_a_jobs_log_is_read_to_its_end_and_no_further(server, model):
    put(server, "logged/a.csv", csv_of(rows(7)))
    transform(server, "logged", model, "logged/")
    logs = server.client("logs")
    group = {"logGroupName": "/aws/sagemaker/TransformJobs"}
    streams = logs.describe_log_streams(**group, logStreamNamePrefix="logged/", orderBy="LogStreamName", limit=1)
    stream = streams["logStreams"][0]["logStreamName"]
    assert re.fullmatch(r"logged/algo-1-\d+", stream)
    first = logs.get_log_events(**group, logStreamName=stream, startFromHead=True)
    assert any("a.csv: 7 records, 0 rejected" in event["message"] for event in first["events"])
    again = logs.get_log_events(**group, logStreamName=stream, nextToken=first["nextForwardToken"])
    assert again["events"] == [] and again["nextForwardToken"] == first["nextForwardToken"]
    code, _, _ = refusal(logs.get_log_events, logGroupName="/none", logStreamName="x")
    assert code == "ResourceNotFoundException"
    assert "7 records" in server.run("jobs", "logs", "logged").stdout


# The command line


def test_the_command_line_tells_of_jobs(server, model):
    put(server, "told/a.csv", csv_of(rows(1)))
    transform(server, "told-1", model, "told/")
    transform(server, "told-2", model, "nothing-told/", ends="Failed")
    listed = server.run("jobs", "ls", "--name", "told", "--json").events
    assert [(job["name"], job["phase"]) for job in listed] == [("told-2", "failed"), ("told-1", "completed")]
    assert "No S3 objects found" in server.run("jobs", "why", "told-2").stdout
    assert server.run("jobs", "wait", "told-1").code == 0
    assert server.run("jobs", "wait", "told-2", expect=10).code == 10
    assert server.run("jobs", "stop", "told-1", expect=3).code == 3
    assert server.run("jobs", "show", "no-such", expect=4).code == 4
    put(server, "nothing-told/a.csv", csv_of(rows(1)))
    server.run("jobs", "retry", "told-2")
    assert server.run("jobs", "wait", "told-2").code == 0
    figures = server.run("jobs", "stats", "--json").events
    told = next(group for group in figures if group["group"] == "told")
    assert (told["jobs"], told["succeeded"], told["retries"]) == (2, 2, 1)


def test_exec_points_clients_here(server):
    script = (
        "import boto3; print(boto3.client('sts').get_caller_identity()['Account'],"
        " boto3.client('sagemaker').list_models()['ResponseMetadata']['HTTPStatusCode'])"
    )
    ran = server.run("exec", "--", cli.PYTHON, "-W", "ignore", "-c", script)
    assert ran.stdout.split() == ["000000000000", "200"]
    # The SDK's own way to STS.
    script = (
        "import boto3; sts = boto3.client('sts', endpoint_url='https://sts.eu-west-1.amazonaws.com',"
        " region_name='eu-west-1'); print(sts.get_caller_identity()['Arn'])"
    )
    ran = server.run("exec", "--", cli.PYTHON, "-W", "ignore", "-c", script)
    assert "assumed-role/bessemer/" in ran.stdout
    lines = server.run("env").stdout
    assert f"export AWS_ENDPOINT_URL='{server.address}'" in lines
    assert server.run("exec", "--", "sh", "-c", "exit 42", expect=42).code == 42


def test_metrics_and_health_are_told(server, model):
    assert server.get("/healthz") == "ok\n"
    server.client("sagemaker").list_models()
    metrics = server.get("/metrics")
    assert re.search(r'bessemer_requests_total\{service="sagemaker",operation="ListModels",code="200"\} \d+', metrics)
    assert re.search(r'bessemer_request_duration_seconds_count\{service="sagemaker"\} \d+', metrics)
    assert re.search(r'bessemer_jobs\{kind="transform",phase="completed"\} \d+', metrics)
    for gauge in ["queue_jobs", "cores_free", "memory_free_bytes", "outbox_lag_events"]:
        assert re.search(rf"^bessemer_{gauge} \d+$", metrics, re.MULTILINE), gauge


# The server's life


def test_the_server_says_how_to_use_it_and_ends_cleanly(tmp_path):
    with platform.running(tmp_path / "data") as server:
        said = server.said.read_text()
        assert "made the access key AKIA" in said and "bessemer env" in said
        assert server.key()["secret"] not in said
        assert os.stat(server.folder / "keys.json").st_mode & 0o777 == 0o600
        second = cli.run("serve", "--data-dir", server.folder, "--listen", "127.0.0.1:0", expect=3)
        assert "in use by another process" in second.stderr
        key = server.key()
        assert server.stop() == 0
        server.start()
        assert server.key() == key
    refused = cli.run("serve", "--data-dir", tmp_path / "other", "--listen", "0.0.0.0:0", expect=2)
    assert "--insecure-listen" in refused.stderr


LONG_ROWS = 200_000


@pytest.fixture(scope="module")
def long_input(booster):
    """Rows that take a while, as one file's text, and their scores."""
    features = rows(2_000)
    repeated = LONG_ROWS // len(features)
    return csv_of(features) * repeated, np.tile(scores(booster, features), repeated)


def begun(server, name, model, text):
    """A job whose process runs."""
    put(server, f"{name}/a.csv", text)
    put(server, f"{name}/b.csv", text)
    client = server.client("sagemaker")
    client.create_transform_job(**request(name, model, f"{name}/"))
    while "TransformStartTime" not in client.describe_transform_job(TransformJobName=name):
        pass
    return client


def test_a_job_that_is_stopped_leaves_nothing(server, model, long_input):
    client = begun(server, "stopped", model, long_input[0])
    client.stop_transform_job(TransformJobName="stopped")
    client.get_waiter(ENDED).wait(TransformJobName="stopped", WaiterConfig=QUICK)
    described = client.describe_transform_job(TransformJobName="stopped")
    assert described["TransformJobStatus"] == "Stopped" and "FailureReason" not in described
    assert keys(server, "out/stopped") == [] and server.attempts() == []
    code, message, _ = refusal(client.stop_transform_job, TransformJobName="stopped")
    assert code == "ValidationException" and "Stopped" in message


@pytest.mark.parametrize("with_its_job", [False, True])
def test_a_killed_server_goes_on_with_its_jobs(tmp_path, booster, long_input, with_its_job):
    text, wanted = long_input
    with platform.running(tmp_path / "data") as server:
        server.client("s3").create_bucket(
            Bucket="data", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
        )
        create_model(server, "model", booster[0])
        begun(server, "killed", "model", text)
        (attempt,) = server.attempts()
        server.stop(signal.SIGKILL)
        if with_its_job:
            os.kill(attempt, signal.SIGKILL)
        server.start()
        client = server.client("sagemaker")
        client.get_waiter(ENDED).wait(TransformJobName="killed", WaiterConfig=QUICK)
        described = client.describe_transform_job(TransformJobName="killed")
        assert described["TransformJobStatus"] == "Completed"
        assert keys(server, "out/killed") == ["out/killed/a.csv.out", "out/killed/b.csv.out"]
        for key in keys(server, "out/killed"):
            np.testing.assert_allclose(floats(read(server, key)), wanted, rtol=1e-6)
        shown = json.loads(server.run("jobs", "show", "killed", "--json").stdout)
        events = [entry["event"] for entry in shown["history"]]
        assert events.count("ended") == 1 and shown["attempts_made"] == 1
        assert events.count("launched") == (2 if with_its_job else 1)
