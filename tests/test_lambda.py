"""Functions (Lambda), driven by boto3."""

import base64
import contextlib
import hashlib
import io
import json
import os
import re
import signal
import threading
import zipfile

import pytest
from botocore.exceptions import ClientError

from kit import functions, platform, work

ECHO = """
def handler(event, context):
    return event
"""

ACCOUNT = "000000000000"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lambda") / "data"
    folder.mkdir()
    (folder / "bessemer.toml").write_text('[functions]\nretry_delays = ["50ms", "50ms"]\n')
    with platform.running(folder) as server:
        server.client("s3").create_bucket(
            Bucket="code", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
        )
        yield server


@pytest.fixture(scope="module")
def client(server):
    return server.client("lambda")


def arn(name):
    return f"arn:aws:lambda:{platform.REGION}:{ACCOUNT}:function:{name}"


def code_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Message"]


def test_a_function_is_made_and_answers(client):
    code = """
import os, sys, json, boto3
def handler(event, context):
    print("hello from", context.function_name)
    return {
        "event": event, "name": context.function_name, "version": context.function_version,
        "arn": context.invoked_function_arn, "memory": context.memory_limit_in_mb,
        "id": context.aws_request_id, "left": context.get_remaining_time_in_millis(),
        "client": context.client_context.custom if context.client_context else None,
        "python": sys.version_info[:2], "path": sys.path[:3], "folder": os.getcwd(),
        "variables": {k: v for k, v in os.environ.items() if not k.endswith("_KEY")},
    }
"""
    created = functions.create(
        client, "first", code, Description="one", Timeout=7, MemorySize=256, Environment={"Variables": {"MINE": "größe"}},
        Tags={"team": "search"},
    )
    assert created["FunctionArn"] == arn("first")
    assert created["CodeSha256"] == base64.b64encode(hashlib.sha256(functions.archive({"main.py": code})).digest()).decode()
    shown = client.get_function(FunctionName="first")
    configuration = shown["Configuration"]
    assert (configuration["State"], configuration["LastUpdateStatus"]) == ("Active", "Successful")
    assert (configuration["Timeout"], configuration["MemorySize"], configuration["Version"]) == (7, 256, "$LATEST")
    assert shown["Tags"] == {"team": "search"}
    context = base64.b64encode(json.dumps({"custom": {"who": "mé"}}).encode()).decode()
    answer = functions.invoke(client, "first", {"a": [1, None]}, LogType="Tail", ClientContext=context)
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    told = answer["Payload"]
    assert told["event"] == {"a": [1, None]}
    assert (told["name"], told["version"], told["arn"]) == ("first", "$LATEST", arn("first"))
    assert (told["memory"], told["python"], told["folder"]) == ("256", [3, 11], "/var/task")
    assert told["id"] == answer["ResponseMetadata"]["RequestId"]
    assert 0 < told["left"] <= 7000
    assert told["client"] == {"who": "mé"}
    assert told["variables"]["MINE"] == "größe"
    assert told["variables"]["AWS_REGION"] == platform.REGION
    lines = functions.tail(answer).splitlines()
    request = told["id"]
    assert f"START RequestId: {request} Version: $LATEST" in lines
    assert "hello from first" in lines
    assert f"END RequestId: {request}" in lines
    report = re.fullmatch(
        rf"REPORT RequestId: {request}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 256 MB\t"
        r"Max Memory Used: (\d+) MB\tInit Duration: [\d.]+ ms\t", lines[-1],
    )
    assert report and 5 < int(report[1]) < 256


def test_a_function_error_is_told_as_aws_tells_it(client):
    functions.create(client, "fails", """
def deep(event):
    raise ValueError(f"no {event}")
def handler(event, context):
    deep(event)
""")
    answer = functions.invoke(client, "fails", "way", LogType="Tail")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    error = answer["Payload"]
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "no way")
    assert error["requestId"] == answer["ResponseMetadata"]["RequestId"]
    assert [re.search(r'File "(.*)", line (\d+), in (\w+)', frame).groups() for frame in error["stackTrace"]] == [
        ("/var/task/main.py", "5", "handler"), ("/var/task/main.py", "3", "deep"),
    ]
    assert "[ERROR] ValueError: no way" in functions.tail(answer)


def test_code_comes_from_an_object_too(client, server):
    server.client("s3").put_object(Bucket="code", Key="a b/code.zip", Body=functions.archive({"main.py": ECHO}))
    source = {"S3Bucket": "code", "S3Key": "a b/code.zip"}
    functions.create(client, "from-s3", ECHO, Code=source)
    assert functions.invoke(client, "from-s3", [1])["Payload"] == [1]
    wrong = {"S3Bucket": "code", "S3Key": "none.zip"}
    message = refused(client.update_function_code, FunctionName="from-s3", **wrong)
    assert "GetObject" in message and "none.zip" in message


def test_calls_of_what_is_not_there_or_wrong_are_refused_as_aws_does(client):
    functions.create(client, "strict", ECHO)
    gone = f"Function not found: {arn('gone')}"
    for call, arguments in [
        (client.get_function, {}), (client.invoke, {}), (client.delete_function, {}), (client.get_policy, {}),
        (client.get_function_configuration, {}), (client.publish_version, {}), (client.list_aliases, {}),
        (client.update_function_configuration, {"Timeout": 5}), (client.get_function_concurrency, {}),
        (client.update_function_code, {"ZipFile": functions.archive({"main.py": ECHO})}),
    ]:
        with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
            call(FunctionName="gone", **arguments)
        assert caught.value.response["Error"]["Message"] == gone, call
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    with pytest.raises(client.exceptions.ResourceConflictException) as caught:
        functions.create(client, "strict", ECHO)
    assert caught.value.response["Error"]["Message"] == "Function already exist: strict"
    assert code_of(client.invoke, FunctionName="strict", Payload=b"{1}") == "InvalidRequestContentException"
    large = json.dumps("x" * 6_291_460)
    assert code_of(client.invoke, FunctionName="strict", Payload=large) == "RequestTooLargeException"
    event = json.dumps("x" * 1_048_580)
    assert code_of(client.invoke, FunctionName="strict", Payload=event, InvocationType="Event") == "RequestTooLargeException"
    assert code_of(client.invoke, FunctionName="strict", Qualifier="7") == "ResourceNotFoundException"
    assert code_of(client.invoke, FunctionName="strict:1", Qualifier="2") == "InvalidParameterValueException"
    made = {"Role": platform.ROLE, "Handler": "main.handler", "Code": {"ZipFile": functions.archive({"main.py": ECHO})}}
    for changes, reason in [
        ({"Runtime": "nodejs20.x"}, "nodejs20.x is not supported"),
        ({"Runtime": "python3.11", "Code": {"ZipFile": b"no zip"}}, "Could not unzip uploaded file"),
        ({"Runtime": "python3.11", "Code": {"ImageUri": "x"}}, "ImageUri is not supported"),
        ({"Runtime": "python3.11", "Code": {}}, "Please provide a source"),
        ({"Runtime": "python3.11", "Layers": [f"arn:aws:lambda:{platform.REGION}:{ACCOUNT}:layer:none:1"]}, "does not exist"),
        ({"Runtime": "python3.11", "Environment": {"Variables": {"AWS_REGION": "x"}}}, "reserved keys"),
        ({"Runtime": "python3.11", "Environment": {"Variables": {"BIG": "x" * 4100}}}, "4096 bytes"),
        ({"Runtime": "python3.11", "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": []}}, "VpcConfig is not supported"),
        ({"Runtime": "python3.11", "DeadLetterConfig": {"TargetArn": f"arn:aws:sns:{platform.REGION}:{ACCOUNT}:t"}}, "not supported"),
    ]:
        message = refused(client.create_function, FunctionName="wrong", **(made | changes))
        assert reason in message, (changes, message)
    too_large = made | {"Runtime": "python3.11", "Timeout": 5, "MemorySize": 40_000}
    assert code_of(client.create_function, FunctionName="wrong", **too_large) == "ValidationException"
    assert code_of(client.get_function, FunctionName="wrong") == "ResourceNotFoundException"


def link(name, target):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info, target


@pytest.mark.parametrize("hostile, reason", [
    ([("../main.py", ECHO)], "leads out of the archive"),
    ([("/tmp/main.py", ECHO)], "is an absolute path"),
    ([link("main.py", "/etc/passwd")], "is a symbolic link"),
    ([("zeros", b"\0" * (100 << 20))], "times as large"),
], ids=["out", "absolute", "link", "bomb"])
def test_hostile_archives_are_refused(client, hostile, reason):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in hostile:
            zipped.writestr(name, content)
    message = refused(
        client.create_function, FunctionName="hostile", Runtime="python3.11", Role=platform.ROLE,
        Handler="main.handler", Code={"ZipFile": packed.getvalue()},
    )
    assert reason in message


def test_time_and_memory_end_a_function_and_the_next_one_is_well(client):
    functions.create(client, "bad", """
import os, sys, time
def handler(event, context):
    if event == "sleep":
        print("sleeping")
        time.sleep(60)
    if event == "eat":
        held = []
        while True:
            held.append(bytearray(10 << 20))
    if event == "exit":
        sys.exit(3)
    if event == "crash":
        os.abort()
    return "well"
""", Timeout=2)
    for event, kind, message in [
        ("sleep", "Sandbox.Timedout", "Task timed out after 2.00 seconds"),
        ("eat", "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"),
        ("exit", "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        ("crash", "Runtime.ExitError", "Runtime exited with error: signal: aborted"),
    ]:
        answer = functions.invoke(client, "bad", event, LogType="Tail")
        assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled"), event
        request = answer["ResponseMetadata"]["RequestId"]
        assert answer["Payload"] == {"errorType": kind, "errorMessage": f"RequestId: {request} Error: {message}"}
        if event == "sleep":
            assert "sleeping\n" in functions.tail(answer)
            assert f"{request} Task timed out after 2.00 seconds" in functions.tail(answer)
        assert functions.invoke(client, "bad", "be well")["Payload"] == "well"


@pytest.mark.parametrize("handler, code, kind, message", [
    ("main.handler", "import nothing_like_it", "Runtime.ImportModuleError", "Unable to import module 'main': No module named 'nothing_like_it'"),
    ("main.handler", "def handler(:", "Runtime.UserCodeSyntaxError", "Syntax error in module 'main'"),
    ("main.other", ECHO, "Runtime.HandlerNotFound", "Handler 'other' missing on module 'main'"),
    ("main", ECHO, "Runtime.MalformedHandlerName", "Bad handler 'main'"),
    ("main.handler", "raise ValueError('at once')", "ValueError", "at once"),
], ids=["module", "syntax", "handler", "malformed", "raises"])
def test_what_cannot_be_loaded_is_told(client, request, handler, code, kind, message):
    name = f"load-{request.node.callspec.id}"
    functions.create(client, name, code, Handler=handler)
    answer = functions.invoke(client, name, {})
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"]["errorType"] == kind
    assert answer["Payload"]["errorMessage"].startswith(message)
    functions.create(client, f"{name}-mended", ECHO)
    client.update_function_code(FunctionName=name, ZipFile=functions.archive({"main.py": ECHO}))
    client.update_function_configuration(FunctionName=name, Handler="main.handler")
    assert functions.invoke(client, name, 5)["Payload"] == 5


def test_a_process_is_used_again_and_each_invocation_has_one_of_its_own(client, server):
    functions.create(client, "many", """
import os, time
calls = 0
def handler(event, context):
    global calls
    calls += 1
    time.sleep(event)
    return [os.environ["AWS_LAMBDA_LOG_STREAM_NAME"], calls]
""", Timeout=30)
    first = functions.invoke(client, "many", 0)["Payload"]
    assert functions.invoke(client, "many", 0)["Payload"] == [first[0], 2]
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(functions.invoke(server.client("lambda"), "many", 3)["Payload"]))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({stream for stream, _ in answers}) == 3
    client.update_function_configuration(FunctionName="many", Description="new")
    assert functions.invoke(client, "many", 0)["Payload"][1] == 1


def test_reserved_concurrency_throttles(client, server):
    functions.create(client, "narrow", """
import time
def handler(event, context):
    time.sleep(event)
""", Timeout=30)
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName="narrow")
    put = client.put_function_concurrency(FunctionName="narrow", ReservedConcurrentExecutions=1)
    assert put["ReservedConcurrentExecutions"] == 1
    assert client.get_function(FunctionName="narrow")["Concurrency"] == {"ReservedConcurrentExecutions": 1}
    limits = client.get_account_settings()["AccountLimit"]
    assert limits["UnreservedConcurrentExecutions"] == limits["ConcurrentExecutions"] - 1

    def hold():
        own = server.client("lambda")
        while True:
            # One of the calls below may be there first.
            with contextlib.suppress(own.exceptions.TooManyRequestsException):
                return functions.invoke(own, "narrow", 8)

    slow = threading.Thread(target=hold)
    slow.start()

    def throttled():
        try:
            functions.invoke(client, "narrow", 0)
        except client.exceptions.TooManyRequestsException as error:
            return error.response
        return None

    told = work.until(throttled)
    slow.join()
    assert (told["Error"]["Message"], told["ResponseMetadata"]["HTTPStatusCode"]) == ("Rate Exceeded.", 429)
    assert told["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    client.put_function_concurrency(FunctionName="narrow", ReservedConcurrentExecutions=0)
    assert code_of(client.invoke, FunctionName="narrow") == "TooManyRequestsException"
    client.delete_function_concurrency(FunctionName="narrow")
    functions.invoke(client, "narrow", 0)
    assert code_of(client.put_function_concurrency, FunctionName="narrow", ReservedConcurrentExecutions=1000) == "InvalidParameterValueException"


def test_functions_reach_this_server_with_a_key_of_their_own(client, server):
    functions.create(client, "caller", """
import boto3
def handler(event, context):
    s3 = boto3.client("s3")
    s3.put_object(Bucket="code", Key=event["key"], Body=event["text"].encode())
    key = boto3.Session().get_credentials()
    return [s3.get_object(Bucket="code", Key=event["key"])["Body"].read().decode(), key.access_key, key.secret_key]
""", Timeout=30, MemorySize=256)
    text, key, secret = functions.invoke(client, "caller", {"key": "from/function", "text": "hello"})["Payload"]
    assert text == "hello"
    assert key != server.key()["id"]
    held = [server.said, *(path for path in server.folder.rglob("*") if path.is_file() and "logs" not in path.parts)]
    assert not [path for path in held if secret.encode() in path.read_bytes()]
    s3 = server.client("s3", {"id": key, "secret": secret})
    assert s3.get_object(Bucket="code", Key="from/function")["Body"].read() == b"hello"
    client.delete_function(FunctionName="caller")
    assert code_of(s3.get_object, Bucket="code", Key="from/function") == "InvalidAccessKeyId"


def test_what_a_function_writes_is_in_its_log_group(client, server):
    functions.create(client, "talks", """
import logging, sys
logging.getLogger().setLevel("INFO")
def handler(event, context):
    print("out", event)
    print("err", event, file=sys.stderr)
    logging.info("logged %s", event)
""")
    answer = functions.invoke(client, "talks", 1)
    functions.invoke(client, "talks", 2)
    logs = server.client("logs")
    events = logs.filter_log_events(logGroupName="/aws/lambda/talks")["events"]
    lines = [event["message"] for event in events]
    request = answer["ResponseMetadata"]["RequestId"]
    begin = lines.index(f"START RequestId: {request} Version: $LATEST")
    end = lines.index(f"END RequestId: {request}")
    assert set(lines[begin + 1 : begin + 3]) == {"out 1", "err 1"}
    assert re.fullmatch(rf"\[INFO\]\t\S+Z\t{request}\tlogged 1", lines[begin + 3])
    assert end == begin + 4 and lines[end + 1].startswith(f"REPORT RequestId: {request}\t")
    assert "out 2" in lines
    streams = logs.describe_log_streams(logGroupName="/aws/lambda/talks")["logStreams"]
    assert [bool(re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", s["logStreamName"])) for s in streams] == [True]


def test_large_results_pass_and_too_large_ones_are_told(client):
    functions.create(client, "large", "def handler(event, context):\n    return 'x' * event\n", MemorySize=512, Timeout=30)
    assert len(functions.invoke(client, "large", 6_000_000)["Payload"]) == 6_000_000
    answer = functions.invoke(client, "large", 6_400_000)
    assert answer["Payload"]["errorType"] == "Function.ResponseSizeTooLarge"
    assert "(6400002 bytes) exceeded maximum allowed payload size (6291556 bytes)" in answer["Payload"]["errorMessage"]
    assert functions.invoke(client, "large", 3)["Payload"] == "xxx"


def test_dry_runs_change_nothing(client):
    functions.create(client, "dry", "def handler(event, context):\n    open('/tmp/x', 'w')\n")
    answer = client.invoke(FunctionName="dry", InvocationType="DryRun")
    assert (answer["StatusCode"], answer["Payload"].read()) == (204, b"")
    before = client.get_function_configuration(FunctionName="dry")
    new = functions.archive({"main.py": ECHO})
    told = client.update_function_code(FunctionName="dry", ZipFile=new, DryRun=True)
    assert told["CodeSha256"] != before["CodeSha256"]
    assert client.get_function_configuration(FunctionName="dry")["CodeSha256"] == before["CodeSha256"]


def test_versions_stay_as_they_are(client):
    answers = "def handler(event, context):\n    return [{0}, context.function_version]\n"
    made = functions.create(client, "versions", answers.format(1), Publish=True)
    assert (made["Version"], made["FunctionArn"]) == ("1", arn("versions") + ":1")
    assert client.publish_version(FunctionName="versions")["Version"] == "1"
    updated = client.update_function_code(FunctionName="versions", ZipFile=functions.archive({"main.py": answers.format(2)}))
    assert updated["Version"] == "$LATEST"
    assert code_of(client.publish_version, FunctionName="versions", CodeSha256=made["CodeSha256"]) == "InvalidParameterValueException"
    assert code_of(client.publish_version, FunctionName="versions", RevisionId="old") == "PreconditionFailedException"
    second = client.publish_version(
        FunctionName="versions", CodeSha256=updated["CodeSha256"], RevisionId=updated["RevisionId"], Description="two",
    )
    assert (second["Version"], second["Description"]) == ("2", "two")
    for qualifier, expected in [("1", [1, "1"]), ("2", [2, "2"]), ("$LATEST", [2, "$LATEST"])]:
        answer = functions.invoke(client, "versions", Qualifier=qualifier)
        assert (answer["Payload"], answer["ExecutedVersion"]) == (expected, expected[1])
    assert functions.invoke(client, "versions:1")["Payload"] == [1, "1"]
    assert functions.invoke(client, arn("versions") + ":1")["Payload"] == [1, "1"]
    listed = [version["Version"] for version in client.list_versions_by_function(FunctionName="versions")["Versions"]]
    assert listed == ["$LATEST", "1", "2"]
    client.delete_function(FunctionName="versions", Qualifier="1")
    assert code_of(client.get_function, FunctionName="versions", Qualifier="1") == "ResourceNotFoundException"
    assert code_of(client.delete_function, FunctionName="versions", Qualifier="$LATEST") == "InvalidParameterValueException"
    third = client.update_function_code(FunctionName="versions", ZipFile=functions.archive({"main.py": answers.format(3)}), Publish=True)
    assert third["Version"] == "3"
    assert functions.invoke(client, "versions", Qualifier="2")["Payload"] == [2, "2"]


def test_aliases_lead_to_versions(client):
    answers = "def handler(event, context):\n    return [{0}, context.invoked_function_arn]\n"
    functions.create(client, "aliased", answers.format(1), Publish=True)
    client.update_function_code(FunctionName="aliased", ZipFile=functions.archive({"main.py": answers.format(2)}), Publish=True)
    made = client.create_alias(FunctionName="aliased", Name="live", FunctionVersion="1", Description="d")
    assert (made["AliasArn"], made["FunctionVersion"]) == (arn("aliased") + ":live", "1")
    answer = functions.invoke(client, "aliased", Qualifier="live")
    assert (answer["Payload"], answer["ExecutedVersion"]) == ([1, arn("aliased") + ":live"], "1")
    assert code_of(client.create_alias, FunctionName="aliased", Name="live", FunctionVersion="1") == "ResourceConflictException"
    assert code_of(client.create_alias, FunctionName="aliased", Name="other", FunctionVersion="9") == "ResourceNotFoundException"
    assert code_of(client.create_alias, FunctionName="aliased", Name="12", FunctionVersion="1") == "InvalidParameterValueException"
    assert code_of(client.update_alias, FunctionName="aliased", Name="live", RevisionId="old") == "PreconditionFailedException"
    routed = client.update_alias(
        FunctionName="aliased", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}}, RevisionId=made["RevisionId"],
    )
    assert routed["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.5}}
    seen = {functions.invoke(client, "aliased:live")["ExecutedVersion"] for _ in range(40)}
    assert seen == {"1", "2"}
    message = refused(client.delete_function, FunctionName="aliased", Qualifier="2")
    assert message == "Unable to delete version because the following aliases reference it: [live]"
    moved = client.update_alias(FunctionName="aliased", Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}})
    assert "RoutingConfig" not in moved
    assert client.get_alias(FunctionName="aliased", Name="live")["FunctionVersion"] == "2"
    assert [a["Name"] for a in client.list_aliases(FunctionName="aliased", FunctionVersion="2")["Aliases"]] == ["live"]
    assert client.list_aliases(FunctionName="aliased", FunctionVersion="1")["Aliases"] == []
    client.delete_alias(FunctionName="aliased", Name="live")
    client.delete_alias(FunctionName="aliased", Name="live")
    assert code_of(client.get_alias, FunctionName="aliased", Name="live") == "ResourceNotFoundException"


def test_layers_lie_under_opt(client):
    first = client.publish_layer_version(
        LayerName="tools", Content={"ZipFile": functions.archive({"python/shared.py": "value = 1\n", "data.txt": "one"})},
        CompatibleRuntimes=["python3.11"], Description="d", LicenseInfo="MIT",
    )
    layer = f"arn:aws:lambda:{platform.REGION}:{ACCOUNT}:layer:tools"
    assert (first["LayerArn"], first["LayerVersionArn"], first["Version"]) == (layer, f"{layer}:1", 1)
    second = client.publish_layer_version(LayerName="tools", Content={"ZipFile": functions.archive({"python/shared.py": "value = 2\n"})})
    other = client.publish_layer_version(LayerName="over", Content={"ZipFile": functions.archive({"data.txt": "over"})})
    functions.create(client, "layered", """
import shared
def handler(event, context):
    return [shared.value, open("/opt/data.txt").read()]
""", Layers=[first["LayerVersionArn"], other["LayerVersionArn"]])
    assert functions.invoke(client, "layered")["Payload"] == [1, "over"]
    client.delete_layer_version(LayerName="tools", VersionNumber=1)
    client.update_function_configuration(FunctionName="layered", MemorySize=256)
    assert functions.invoke(client, "layered")["Payload"] == [1, "over"]
    shown = client.update_function_configuration(FunctionName="layered", Layers=[f"{layer}:2", other["LayerVersionArn"]])
    assert [used["Arn"] for used in shown["Layers"]] == [f"{layer}:2", other["LayerVersionArn"]]
    assert functions.invoke(client, "layered")["Payload"] == [2, "over"]
    assert client.get_layer_version(LayerName="tools", VersionNumber=2)["Content"]["CodeSha256"] == second["Content"]["CodeSha256"]
    assert client.get_layer_version_by_arn(Arn=f"{layer}:2")["Version"] == 2
    assert code_of(client.get_layer_version, LayerName="tools", VersionNumber=1) == "ResourceNotFoundException"
    third = client.publish_layer_version(LayerName="tools", Content={"ZipFile": functions.archive({"a": "b"})}, CompatibleRuntimes=["python3.12"])
    assert third["Version"] == 3
    assert [v["Version"] for v in client.list_layer_versions(LayerName="tools")["LayerVersions"]] == [3, 2]
    listed = client.list_layers()["Layers"]
    assert [(l["LayerName"], l["LatestMatchingVersion"]["Version"]) for l in listed] == [("over", 1), ("tools", 3)]
    assert [l["LayerName"] for l in client.list_layers(CompatibleRuntime="python3.12")["Layers"]] == ["tools"]
    message = refused(client.update_function_configuration, FunctionName="layered", Layers=[f"{layer}:1"])
    assert message == f"Layer version {layer}:1 does not exist."


def test_settings_change_and_old_revisions_are_refused(client):
    made = functions.create(client, "changing", "import os\ndef handler(e, c):\n    return dict(os.environ)\n")
    changed = client.update_function_configuration(
        FunctionName="changing", Timeout=9, MemorySize=192, Description="d", Environment={"Variables": {"MINE": "1"}},
        RevisionId=made["RevisionId"], EphemeralStorage={"Size": 1024}, TracingConfig={"Mode": "Active"},
    )
    assert (changed["Timeout"], changed["MemorySize"], changed["Environment"]["Variables"]) == (9, 192, {"MINE": "1"})
    assert changed["RevisionId"] != made["RevisionId"]
    assert functions.invoke(client, "changing")["Payload"]["MINE"] == "1"
    code = functions.archive({"main.py": ECHO})
    for call, arguments in [(client.update_function_configuration, {"Timeout": 1}), (client.update_function_code, {"ZipFile": code})]:
        assert code_of(call, FunctionName="changing", RevisionId=made["RevisionId"], **arguments) == "PreconditionFailedException"
    assert client.get_function_configuration(FunctionName="changing")["Timeout"] == 9
    emptied = client.update_function_configuration(FunctionName="changing", Environment={"Variables": {}})
    assert "Environment" not in emptied


def test_policies_are_kept_and_shown(client):
    functions.create(client, "shared", ECHO)
    statement = {"StatementId": "s1", "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"}
    source = f"arn:aws:events:{platform.REGION}:{ACCOUNT}:rule/r"
    added = json.loads(client.add_permission(FunctionName="shared", SourceArn=source, **statement)["Statement"])
    assert added == {
        "Sid": "s1", "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "lambda:InvokeFunction",
        "Resource": arn("shared"), "Condition": {"ArnLike": {"AWS:SourceArn": source}},
    }
    assert code_of(client.add_permission, FunctionName="shared", **statement) == "ResourceConflictException"
    client.add_permission(FunctionName="shared", **(statement | {"StatementId": "s2", "Principal": "123456789012"}))
    policy = client.get_policy(FunctionName="shared")
    assert [s["Sid"] for s in json.loads(policy["Policy"])["Statement"]] == ["s1", "s2"]
    assert code_of(client.remove_permission, FunctionName="shared", StatementId="s1", RevisionId="old") == "PreconditionFailedException"
    client.remove_permission(FunctionName="shared", StatementId="s1", RevisionId=policy["RevisionId"])
    assert code_of(client.remove_permission, FunctionName="shared", StatementId="s1") == "ResourceNotFoundException"
    client.remove_permission(FunctionName="shared", StatementId="s2")
    assert code_of(client.get_policy, FunctionName="shared") == "ResourceNotFoundException"


def test_tags_and_lists(client):
    functions.create(client, "tagged", ECHO, Tags={"a": "1"})
    client.tag_resource(Resource=arn("tagged"), Tags={"b": "2"})
    assert client.list_tags(Resource=arn("tagged"))["Tags"] == {"a": "1", "b": "2"}
    client.untag_resource(Resource=arn("tagged"), TagKeys=["a"])
    assert client.get_function(FunctionName="tagged")["Tags"] == {"b": "2"}
    assert code_of(client.list_tags, Resource=arn("none")) == "ResourceNotFoundException"
    names = [f["FunctionName"] for page in client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}) for f in page["Functions"]]
    assert names == sorted(names) and "tagged" in names
    usage = client.get_account_settings()["AccountUsage"]
    assert usage["FunctionCount"] == len(names)
    client.delete_function(FunctionName="tagged")
    assert code_of(client.list_tags, Resource=arn("tagged")) == "ResourceNotFoundException"
    functions.create(client, "tagged", ECHO)
    assert client.list_tags(Resource=arn("tagged"))["Tags"] == {}


COUNTS = """
import boto3
def handler(event, context):
    boto3.client("s3").put_object(Bucket="code", Key=f"runs/{event['run']}/{context.aws_request_id}-{context.get_remaining_time_in_millis()}", Body=b"")
    if event.get("fails"):
        raise ValueError(event["run"])
    return "done"
"""


def runs(server, run):
    listed = server.client("s3").list_objects_v2(Bucket="code", Prefix=f"runs/{run}/")
    return [found["Key"].rsplit("/", 1)[1].rsplit("-", 1)[0] for found in listed.get("Contents", [])]


def test_events_run_later_and_again_when_they_fail(client, server):
    functions.create(client, "counts", COUNTS, Timeout=30, MemorySize=256)
    answer = functions.invoke(client, "counts", {"run": "once"}, InvocationType="Event")
    assert (answer["StatusCode"], answer["Payload"]) == (202, None)
    request = answer["ResponseMetadata"]["RequestId"]
    work.until(lambda: runs(server, "once"))
    functions.invoke(client, "counts", {"run": "fails", "fails": True}, InvocationType="Event")
    work.until(lambda: len(runs(server, "fails")) == 3)
    client.put_function_event_invoke_config(FunctionName="counts", MaximumRetryAttempts=0)
    functions.invoke(client, "counts", {"run": "never-again", "fails": True}, InvocationType="Event")
    work.until(lambda: runs(server, "never-again"))
    client.invoke_async(FunctionName="counts", InvokeArgs=b'{"run": "old-way"}')
    work.until(lambda: runs(server, "old-way"))
    assert (runs(server, "once"), len(set(runs(server, "fails"))), len(runs(server, "never-again"))) == ([request], 1, 1)


def test_event_configs_are_kept(client):
    functions.create(client, "configured", ECHO)
    assert code_of(client.get_function_event_invoke_config, FunctionName="configured") == "ResourceNotFoundException"
    assert code_of(client.put_function_event_invoke_config, FunctionName="configured") == "InvalidParameterValueException"
    target = {"OnSuccess": {"Destination": arn("configured")}}
    put = client.put_function_event_invoke_config(FunctionName="configured", MaximumEventAgeInSeconds=100, DestinationConfig=target)
    assert (put["MaximumEventAgeInSeconds"], put["FunctionArn"]) == (100, arn("configured") + ":$LATEST")
    updated = client.update_function_event_invoke_config(FunctionName="configured", MaximumRetryAttempts=1)
    assert (updated["MaximumEventAgeInSeconds"], updated["MaximumRetryAttempts"]) == (100, 1)
    got = client.get_function_event_invoke_config(FunctionName="configured")
    assert got["DestinationConfig"]["OnSuccess"]["Destination"] == arn("configured")
    replaced = client.put_function_event_invoke_config(FunctionName="configured", MaximumRetryAttempts=2)
    assert "MaximumEventAgeInSeconds" not in replaced
    assert len(client.list_function_event_invoke_configs(FunctionName="configured")["FunctionEventInvokeConfigs"]) == 1
    for destination in [f"arn:aws:sns:{platform.REGION}:{ACCOUNT}:t", arn("gone"), f"arn:aws:sqs:{platform.REGION}:{ACCOUNT}:gone"]:
        wrong = {"OnFailure": {"Destination": destination}}
        assert code_of(client.put_function_event_invoke_config, FunctionName="configured", DestinationConfig=wrong) == "InvalidParameterValueException"
    client.delete_function_event_invoke_config(FunctionName="configured")
    assert code_of(client.delete_function_event_invoke_config, FunctionName="configured") == "ResourceNotFoundException"


def test_a_function_is_told_of_anothers_failure(client, server):
    functions.create(client, "hears", """
import boto3, json
def handler(event, context):
    boto3.client("s3").put_object(Bucket="code", Key="heard", Body=json.dumps(event).encode())
""", Timeout=30, MemorySize=256)
    functions.create(client, "breaks", "def handler(event, context):\n    raise KeyError(event['a'])\n")
    client.put_function_event_invoke_config(
        FunctionName="breaks", MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": arn("hears")}},
    )
    sent = functions.invoke(client, "breaks", {"a": 1}, InvocationType="Event")
    s3 = server.client("s3")
    work.until(lambda: s3.list_objects_v2(Bucket="code", Prefix="heard").get("Contents"))
    record = json.loads(s3.get_object(Bucket="code", Key="heard")["Body"].read())
    context = record["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("RetriesExhausted", 2)
    assert (context["functionArn"], context["requestId"]) == (arn("breaks") + ":$LATEST", sent["ResponseMetadata"]["RequestId"])
    assert record["requestPayload"] == {"a": 1}
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    assert record["responsePayload"]["errorType"] == "KeyError"


def processes_of(name):
    """Numbers of the processes that run a function, as this machine's root sees them."""
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/environ", "rb") as environ:
                if f"AWS_LAMBDA_FUNCTION_NAME={name}".encode() in environ.read().split(b"\0"):
                    found.append(int(number))
        except OSError:
            pass
    return found


def test_a_killed_server_runs_what_it_accepted_and_leaves_no_process(tmp_path):
    with platform.running(tmp_path / "data") as server:
        client, s3 = server.client("lambda"), server.client("s3")
        s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": platform.REGION})
        functions.create(client, "killed", COUNTS.replace("def handler(event, context):", """
import time
def handler(event, context):
    time.sleep(0.2)"""), Timeout=30, MemorySize=256)
        client.publish_version(FunctionName="killed")
        accepted = set()
        for kill in range(3):
            for number in range(12):
                answer = functions.invoke(client, "killed", {"run": "r"}, InvocationType="Event")
                accepted.add(answer["ResponseMetadata"]["RequestId"])
            if kill == 0:
                work.until(lambda: processes_of("killed"))
            server.stop(signal.SIGKILL)
            work.until(lambda: not processes_of("killed"))
            server.start()
            client = server.client("lambda")
        work.until(lambda: set(runs(server, "r")) >= accepted)
        assert set(runs(server, "r")) == accepted
        assert [v["Version"] for v in client.list_versions_by_function(FunctionName="killed")["Versions"]] == ["$LATEST", "1"]
        assert functions.invoke(client, "killed", {"run": "s"})["Payload"] == "done"
        assert server.stop() == 0
        work.until(lambda: not processes_of("killed"))
        left = os.listdir(server.folder / "functions" / "processes")
        assert left == []
        server.start()


def test_a_function_reaches_nothing_of_others(client, server):
    functions.create(client, "victim", ECHO)
    functions.invoke(client, "victim", 1)
    [victim] = [number for number in processes_of("victim")][:1]
    functions.create(client, "spy", """
import os, socket, urllib.error, urllib.request
def reached(attempt):
    try:
        return attempt() is not False
    except (OSError, urllib.error.URLError):
        return False
def ask(name):
    port = os.environ["AWS_LAMBDA_RUNTIME_API"].rsplit(":", 1)[1]
    request = urllib.request.Request(f"http://127.0.0.1:{port}/2018-06-01/runtime/invocation/next", headers={"Host": name})
    urllib.request.urlopen(request, timeout=5)
def handler(event, context):
    data, victim, own = event["data"], event["victim"], os.getpid()
    attempts = {
        "database": lambda: open(f"{data}/bessemer.db", "rb").read(1),
        "keys": lambda: open(f"{data}/keys.json").read(1),
        "folders": lambda: os.listdir(f"{data}/functions/processes"),
        "code": lambda: open("/var/task/main.py", "a"),
        "environment": lambda: open(f"/proc/{victim}/environ").read(1),
        "signal": lambda: os.kill(victim, 9) if victim != own else False,
        "mount": lambda: os.chroot("/tmp"),
        "raw": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
        "next of nobody": lambda: ask("127.0.0.1"),
        "next of a guess": lambda: ask("r" + "0" * 32),
        "others": lambda: len([p for p in os.listdir("/proc") if p.isdigit() and int(p) not in (1, own)]) > 0,
        "outside": lambda: open(event["outside"]).read(1),
    }
    open("/tmp/own", "w").write("x")
    return {"uid": os.getuid(), "reached": [name for name, attempt in attempts.items() if reached(attempt)]}
""", Timeout=30)
    told = functions.invoke(client, "spy", {
        "data": str(server.folder), "victim": victim, "outside": __file__,
    })["Payload"]
    assert told["reached"] == []
    assert functions.invoke(client, "victim", 2)["Payload"] == 2


def test_what_fills_its_folder_is_ended(client):
    functions.create(client, "fills", """
def handler(event, context):
    with open("/tmp/large", "wb") as file:
        for _ in range(event):
            file.write(bytes(1 << 20))
    import time
    time.sleep(5 if event > 500 else 0)
    return "done"
""", Timeout=60)
    assert functions.invoke(client, "fills", 10)["Payload"] == "done"
    answer = functions.invoke(client, "fills", 700)
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"] != "done"
