"""Functions and queues: event source mappings, destinations and dead letters, driven by boto3."""

import json
import signal

import pytest
from botocore.exceptions import ClientError

from kit import functions, platform, work

ACCOUNT = "000000000000"

# Puts what it was called with into a bucket, one object a call.
KEEPS = """
import boto3, json
s3 = boto3.client("s3")
def handler(event, context):
    bodies = [record["body"] for record in event["Records"]]
    s3.put_object(Bucket="seen", Key=f"{context.function_name}/{context.aws_request_id}", Body=json.dumps(event).encode())
    failed = [record for record in event["Records"] if "poison" in record["body"]]
    if failed and %s:
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in failed]}
    if failed:
        raise ValueError("poison")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lambda-queues") / "data"
    folder.mkdir()
    (folder / "bessemer.toml").write_text('[functions]\nretry_delays = ["50ms"]\n')
    with platform.running(folder) as server:
        prepare(server)
        yield server


def prepare(server):
    server.client("s3").create_bucket(
        Bucket="seen", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
    )


def queue(server, name, **attributes):
    """A queue's URL and ARN."""
    url = server.client("sqs").create_queue(QueueName=name, Attributes={"VisibilityTimeout": "30"} | attributes)["QueueUrl"]
    return url, f"arn:aws:sqs:{platform.REGION}:{ACCOUNT}:{name}"


def function(server, name, code=KEEPS % False, **settings):
    client = server.client("lambda")
    functions.create(client, name, code, **({"Timeout": 20, "MemorySize": 256} | settings))
    return client


def events(server, name):
    """What the calls of a function were given."""
    s3 = server.client("s3")
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket="seen", Prefix=f"{name}/").get("Contents", [])]
    return [json.loads(s3.get_object(Bucket="seen", Key=key)["Body"].read()) for key in keys]


def bodies(server, name):
    return sorted(record["body"] for event in events(server, name) for record in event["Records"])


def is_empty(server, url):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = server.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return [found[name] for name in names] == ["0", "0"]


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_messages_go_to_a_function_and_are_deleted(server):
    url, arn = queue(server, "plain")
    client = function(server, "plain")
    made = client.create_event_source_mapping(EventSourceArn=arn, FunctionName="plain", BatchSize=5)
    assert (made["BatchSize"], made["State"], made["EventSourceArn"]) == (5, "Creating", arn)
    uuid = made["UUID"]
    assert client.get_event_source_mapping(UUID=uuid)["State"] == "Enabled"
    sqs = server.client("sqs")
    attribute = {"colour": {"DataType": "String", "StringValue": "blue"}}
    sent = sqs.send_message(QueueUrl=url, MessageBody="first", MessageAttributes=attribute)
    work.until(lambda: events(server, "plain"))
    work.until(lambda: is_empty(server, url))
    [event] = events(server, "plain")
    [record] = event["Records"]
    assert record["messageId"] == sent["MessageId"] and record["md5OfBody"] == sent["MD5OfMessageBody"]
    assert (record["eventSource"], record["eventSourceARN"], record["awsRegion"]) == ("aws:sqs", arn, platform.REGION)
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["messageAttributes"]["colour"]["stringValue"] == "blue"
    for batch in range(3):
        entries = [{"Id": str(number), "MessageBody": f"{batch}-{number}"} for number in range(10)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    work.until(lambda: len(bodies(server, "plain")) >= 31 and is_empty(server, url))
    assert bodies(server, "plain") == sorted(["first"] + [f"{batch}-{number}" for batch in range(3) for number in range(10)])
    assert max(len(event["Records"]) for event in events(server, "plain")) <= 5
    assert client.get_event_source_mapping(UUID=uuid)["LastProcessingResult"] == "OK"
    listed = client.list_event_source_mappings(FunctionName="plain")["EventSourceMappings"]
    assert [mapping["UUID"] for mapping in listed] == [uuid]
    assert client.list_event_source_mappings(EventSourceArn=arn + "x")["EventSourceMappings"] == []
    assert client.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    sqs.send_message(QueueUrl=url, MessageBody="too late")
    assert refused(client.get_event_source_mapping, UUID=uuid)[0] == "ResourceNotFoundException"
    assert len(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2)["Messages"]) == 1
    assert "too late" not in bodies(server, "plain")


@pytest.mark.parametrize("tells", [False, True], ids=["whole", "partial"])
def test_poison_goes_to_the_dead_letter_queue(server, tells):
    name = "tells" if tells else "raises"
    dead, dead_arn = queue(server, f"{name}-dead")
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": "2"})
    url, arn = queue(server, name, RedrivePolicy=policy, VisibilityTimeout="4")
    client = function(server, name, KEEPS % tells, Timeout=4)
    types = ["ReportBatchItemFailures"] if tells else []
    client.create_event_source_mapping(EventSourceArn=arn, FunctionName=name, FunctionResponseTypes=types, Enabled=True)
    sqs = server.client("sqs")
    entries = [{"Id": body, "MessageBody": body} for body in (["poison", "good", "well"] if tells else ["poison"])]
    sqs.send_message_batch(QueueUrl=url, Entries=entries)
    [letter] = work.until(lambda: sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=1).get("Messages"))
    assert letter["Body"] == "poison"
    work.until(lambda: is_empty(server, url))
    # A call that began late may still be under way when its message is a dead letter already.
    work.until(lambda: bodies(server, name).count("poison") == 2)
    if tells:
        seen = bodies(server, name)
        assert (seen.count("good"), seen.count("well")) == (1, 1)


def test_what_no_filter_wants_is_deleted(server):
    url, arn = queue(server, "filtered")
    client = function(server, "filtered")
    pattern = json.dumps({"body": {"kind": [{"prefix": "a"}], "n": [{"numeric": [">", 1]}]}})
    made = client.create_event_source_mapping(
        EventSourceArn=arn, FunctionName="filtered", FilterCriteria={"Filters": [{"Pattern": pattern}]},
    )
    assert made["FilterCriteria"] == {"Filters": [{"Pattern": pattern}]}
    wanted = [{"kind": "a", "n": 2}, {"kind": "ab", "n": 3}]
    others = [{"kind": "b", "n": 2}, {"kind": "a", "n": 1}, "text", 5]
    sqs = server.client("sqs")
    for message in [*others, *wanted]:
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(message))
    work.until(lambda: len(bodies(server, "filtered")) == 2 and is_empty(server, url))
    assert bodies(server, "filtered") == sorted(json.dumps(message) for message in wanted)


def test_a_mapping_is_disabled_changed_and_enabled(server):
    url, arn = queue(server, "switched")
    client = function(server, "switched")
    uuid = client.create_event_source_mapping(EventSourceArn=arn, FunctionName="switched", Enabled=False)["UUID"]
    assert client.get_event_source_mapping(UUID=uuid)["State"] == "Disabled"
    sqs = server.client("sqs")
    for number in range(25):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    changed = client.update_event_source_mapping(
        UUID=uuid, BatchSize=25, MaximumBatchingWindowInSeconds=5, ScalingConfig={"MaximumConcurrency": 2},
    )
    assert (changed["BatchSize"], changed["ScalingConfig"]) == (25, {"MaximumConcurrency": 2})
    assert events(server, "switched") == []
    assert client.update_event_source_mapping(UUID=uuid, Enabled=True)["State"] == "Enabling"
    work.until(lambda: is_empty(server, url))
    assert [len(event["Records"]) for event in events(server, "switched")] == [25]
    assert client.update_event_source_mapping(UUID=uuid, Enabled=False)["State"] == "Disabling"
    assert client.get_event_source_mapping(UUID=uuid)["State"] == "Disabled"


def test_a_first_in_first_out_queue_keeps_its_order(server):
    url, arn = queue(server, "line.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    client = function(server, "line", """
import boto3
s3 = boto3.client("s3")
def handler(event, context):
    for record in event["Records"]:
        s3.put_object(Bucket="seen", Key=f"line/{record['attributes']['ApproximateReceiveCount']}-{record['body']}", Body=b"{}")
        listed = s3.list_objects_v2(Bucket="seen", Prefix="line/")
        if len(listed["Contents"]) != int(record["body"]) + 1:
            raise ValueError("out of order")
""")
    client.create_event_source_mapping(EventSourceArn=arn, FunctionName="line", BatchSize=3)
    sqs = server.client("sqs")
    for number in range(9):
        sqs.send_message(QueueUrl=url, MessageBody=f"{number:02}", MessageGroupId="one")
    work.until(lambda: is_empty(server, url))
    listed = server.client("s3").list_objects_v2(Bucket="seen", Prefix="line/")["Contents"]
    assert [found["Key"] for found in listed] == [f"line/1-{number:02}" for number in range(9)]


def test_mappings_that_cannot_be_are_refused(server):
    _, arn = queue(server, "refused")
    _, short = queue(server, "short", VisibilityTimeout="5")
    client = function(server, "refused")
    create = client.create_event_source_mapping
    for arguments, reason in [
        ({"EventSourceArn": arn + "-gone"}, "NonExistentQueue"),
        ({"EventSourceArn": arn, "FunctionName": "gone"}, "Function does not exist"),
        ({"EventSourceArn": short}, "Queue visibility timeout: 5 seconds is less than Function timeout: 20 seconds"),
        ({"EventSourceArn": arn, "BatchSize": 11}, "Maximum batch window in seconds must be greater than 0"),
        ({"EventSourceArn": arn, "FilterCriteria": {"Filters": [{"Pattern": "{}"}]}}, "Invalid filter pattern"),
        ({"EventSourceArn": arn, "StartingPosition": "LATEST"}, "StartingPosition is not supported"),
        ({"EventSourceArn": f"arn:aws:kinesis:{platform.REGION}:{ACCOUNT}:stream/s"}, "not supported by Bessemer"),
    ]:
        code, message = refused(create, **({"FunctionName": "refused"} | arguments))
        assert code == "InvalidParameterValueException" and reason in message, (arguments, message)
    made = create(EventSourceArn=arn, FunctionName="refused", Enabled=False)
    code, message = refused(create, EventSourceArn=arn, FunctionName="refused")
    assert code == "ResourceConflictException" and message.endswith(made["UUID"])
    gone = "00000000-0000-0000-0000-000000000000"
    for call in (client.get_event_source_mapping, client.delete_event_source_mapping, client.update_event_source_mapping):
        assert refused(call, UUID=gone)[0] == "ResourceNotFoundException"


def test_queues_are_told_of_what_became_of_events(server):
    success, success_arn = queue(server, "success")
    dead, dead_arn = queue(server, "dead")
    client = function(server, "told", "def handler(event, context):\n    return {'n': 1 / event['n']}\n", DeadLetterConfig={"TargetArn": dead_arn})
    client.put_function_event_invoke_config(
        FunctionName="told", MaximumRetryAttempts=1, DestinationConfig={"OnSuccess": {"Destination": success_arn}},
    )
    sqs = server.client("sqs")
    good = functions.invoke(client, "told", {"n": 2}, InvocationType="Event")
    [message] = work.until(lambda: sqs.receive_message(QueueUrl=success, WaitTimeSeconds=1).get("Messages"))
    record = json.loads(message["Body"])
    assert record["requestContext"]["condition"] == "Success"
    assert record["requestContext"]["requestId"] == good["ResponseMetadata"]["RequestId"]
    assert (record["requestPayload"], record["responsePayload"]) == ({"n": 2}, {"n": 0.5})
    bad = functions.invoke(client, "told", {"n": 0}, InvocationType="Event")
    [letter] = work.until(
        lambda: sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=1, MessageAttributeNames=["All"]).get("Messages")
    )
    assert json.loads(letter["Body"]) == {"n": 0}
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert attributes == {
        "RequestID": bad["ResponseMetadata"]["RequestId"], "ErrorCode": "200", "ErrorMessage": "division by zero",
    }


def test_no_message_is_lost_when_the_server_is_killed(tmp_path):
    with platform.running(tmp_path / "data") as server:
        prepare(server)
        url, arn = queue(server, "killed", VisibilityTimeout="3")
        client = function(server, "killed", Timeout=3)
        client.create_event_source_mapping(EventSourceArn=arn, FunctionName="killed", BatchSize=2)
        sent = set()
        for round_ in range(3):
            for number in range(10):
                body = f"{round_}-{number}"
                server.client("sqs").send_message(QueueUrl=url, MessageBody=body)
                sent.add(body)
            server.restart(signal.SIGKILL)
            url = server.client("sqs").get_queue_url(QueueName="killed")["QueueUrl"]
        work.until(lambda: is_empty(server, url))
        assert set(bodies(server, "killed")) == sent
