"""SQS by boto3: every operation with its errors, standard and FIFO, over kills of the server, and in
the query protocol of older clients."""

import contextlib
import hashlib
import json
import random
import sqlite3
import threading
import uuid

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from kit import clients, platform

DEAD = {"VisibilityTimeout": "0"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("sqs") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def sqs(server):
    return server.client("sqs", read_timeout=90)


def unique(end=""):
    return f"q-{uuid.uuid4().hex[:12]}{end}"


def queue(sqs, **attributes):
    return sqs.create_queue(QueueName=unique(), Attributes=attributes)["QueueUrl"]


def fifo(sqs, **attributes):
    return sqs.create_queue(
        QueueName=unique(".fifo"), Attributes={"FifoQueue": "true", **attributes}
    )["QueueUrl"]


def attribute(sqs, url, name):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name]).get("Attributes", {}).get(name)


def arn(sqs, url):
    return attribute(sqs, url, "QueueArn")


def receive(sqs, url, wait=0, **arguments):
    arguments = {"MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"], **arguments}
    return sqs.receive_message(QueueUrl=url, WaitTimeSeconds=wait, **arguments).get("Messages", [])


def bodies(messages):
    return [message["Body"] for message in messages]


def delete(sqs, url, *messages):
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def put(sqs, url, group, *texts):
    for text in texts:
        sqs.send_message(QueueUrl=url, MessageBody=text, MessageGroupId=group, MessageDeduplicationId=uuid.uuid4().hex)


def refusal(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    assert error.get("Type", "Sender") == "Sender"
    return error["Code"], error["Message"]


def counts(sqs, url):
    names = ["", "NotVisible", "Delayed"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return [int(found[f"ApproximateNumberOfMessages{name}"]) for name in names]


# Queues themselves


def test_a_queue_is_made_found_and_deleted(server, sqs):
    name = unique()
    made = sqs.create_queue(QueueName=name, tags={"team": "search"})["QueueUrl"]
    assert made == f"{server.address}/000000000000/{name}"
    assert sqs.get_queue_url(QueueName=name)["QueueUrl"] == made
    assert sqs.create_queue(QueueName=name)["QueueUrl"] == made
    assert sqs.list_queue_tags(QueueUrl=made)["Tags"] == {"team": "search"}
    assert sqs.list_queues(QueueNamePrefix=name)["QueueUrls"] == [made]
    sqs.send_message(QueueUrl=made, MessageBody="gone")
    sqs.delete_queue(QueueUrl=made)
    missing = ("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
    assert refusal(sqs.get_queue_url, QueueName=name) == missing
    assert refusal(sqs.delete_queue, QueueUrl=made) == missing
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.send_message(QueueUrl=made, MessageBody="x")
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix=name)
    # One of the same name has none of its messages or tags.
    assert sqs.create_queue(QueueName=name)["QueueUrl"] == made
    assert receive(sqs, made) == []
    assert "Tags" not in sqs.list_queue_tags(QueueUrl=made)


def test_a_queue_is_known_by_any_url(sqs):
    url = queue(sqs)
    name = url.rsplit("/", 1)[1]
    for other in (f"https://sqs.us-west-2.amazonaws.com/123456789012/{name}", f"http://elsewhere:1/0/{name}"):
        sqs.send_message(QueueUrl=other, MessageBody="x")
    assert len(receive(sqs, url)) == 2
    code, message = refusal(sqs.receive_message, QueueUrl=name)
    assert code == "InvalidAddress" and name in message


def test_create_again_needs_the_same_attributes(sqs):
    name = unique()
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    for same in ({}, {"VisibilityTimeout": "60"}, {"VisibilityTimeout": "60", "DelaySeconds": "0"}):
        assert sqs.create_queue(QueueName=name, Attributes=same)["QueueUrl"] == url
    assert refusal(sqs.create_queue, QueueName=name, Attributes={"VisibilityTimeout": "61"}) == (
        "QueueAlreadyExists",
        "A queue already exists with the same name and a different value for attribute VisibilityTimeout",
    )
    with pytest.raises(sqs.exceptions.QueueNameExists):
        sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "1"})


@pytest.mark.parametrize("name", ["", "a b", "q" * 81, "a.fifo", "päng"])
def test_names_that_are_none(sqs, name):
    code, message = refusal(sqs.create_queue, QueueName=name)
    assert code == "InvalidParameterValue"
    assert message == "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"


def test_fifo_names(sqs):
    code, message = refusal(sqs.create_queue, QueueName="plain", Attributes={"FifoQueue": "true"})
    assert code == "InvalidParameterValue" and "must end with .fifo suffix" in message


def test_queues_are_listed_by_pages(sqs):
    prefix = unique()
    urls = [sqs.create_queue(QueueName=f"{prefix}-{number}")["QueueUrl"] for number in range(5)]
    pages = [page.get("QueueUrls", []) for page in sqs.get_paginator("list_queues").paginate(
        QueueNamePrefix=prefix, PaginationConfig={"PageSize": 2},
    )]
    assert pages == [urls[:2], urls[2:4], urls[4:]]
    whole = sqs.list_queues(QueueNamePrefix=prefix)
    assert whole["QueueUrls"] == urls and "NextToken" not in whole
    assert refusal(sqs.list_queues, MaxResults=0)[0] == "InvalidParameterValue"
    assert refusal(sqs.list_queues, MaxResults=2, NextToken="?!")[0] == "InvalidParameterValue"


def test_attributes_are_what_they_are_if_nothing_is_said(sqs):
    before = platform.now() // 1000
    url = queue(sqs)
    name = url.rsplit("/", 1)[1]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    for moment in ("CreatedTimestamp", "LastModifiedTimestamp"):
        assert before <= int(found.pop(moment)) <= platform.now() // 1000
    assert found == {
        "QueueArn": f"arn:aws:sqs:{platform.REGION}:000000000000:{name}",
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "false",
        "VisibilityTimeout": "30",
    }
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url)
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    code = refusal(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Speed"])
    assert code == ("InvalidAttributeName", "Unknown Attribute Speed.")


def test_attributes_are_set(sqs):
    url = queue(sqs)
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    wanted = {
        "DelaySeconds": "7", "MaximumMessageSize": "2048", "MessageRetentionPeriod": "60",
        "ReceiveMessageWaitTimeSeconds": "20", "VisibilityTimeout": "43200", "Policy": policy,
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes=wanted)
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert {name: found[name] for name in wanted} == wanted
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    assert attribute(sqs, url, "Policy") is None
    for wrong, code, message in [
        ({"DelaySeconds": "901"}, "InvalidAttributeValue", "Invalid value for the parameter DelaySeconds."),
        ({"Policy": "no JSON"}, "InvalidAttributeValue", "Invalid value for the parameter Policy."),
        ({"Speed": "1"}, "InvalidAttributeName", "Unknown Attribute Speed."),
        ({"FifoQueue": "true"}, "InvalidAttributeName", "Unknown Attribute FifoQueue."),
        ({"KmsMasterKeyId": "alias/k"}, "InvalidAttributeValue",
         "Invalid value for the parameter KmsMasterKeyId. Reason: Bessemer does not encrypt queues."),
    ]:
        assert refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes=wrong) == (code, message)
        assert refusal(sqs.create_queue, QueueName=unique(), Attributes=wrong)[0] in (code, "InvalidParameterValue")


def test_tags(sqs):
    url = queue(sqs)
    sqs.tag_queue(QueueUrl=url, Tags={"a": "1", "b": "2"})
    sqs.tag_queue(QueueUrl=url, Tags={"b": "3", "c": ""})
    sqs.untag_queue(QueueUrl=url, TagKeys=["a", "none"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"b": "3", "c": ""}


def test_permissions_stand_in_the_policy(sqs):
    url = queue(sqs)
    sqs.add_permission(QueueUrl=url, Label="one", AWSAccountIds=["111111111111"], Actions=["SendMessage"])
    sqs.add_permission(QueueUrl=url, Label="two", AWSAccountIds=["111111111111", "2"], Actions=["*", "GetQueueUrl"])
    policy = json.loads(attribute(sqs, url, "Policy"))
    assert policy["Id"] == arn(sqs, url) + "/SQSDefaultPolicy"
    assert policy["Statement"] == [
        {"Sid": "one", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
         "Action": "SQS:SendMessage", "Resource": arn(sqs, url)},
        {"Sid": "two", "Effect": "Allow",
         "Principal": {"AWS": ["arn:aws:iam::111111111111:root", "arn:aws:iam::2:root"]},
         "Action": ["SQS:*", "SQS:GetQueueUrl"], "Resource": arn(sqs, url)},
    ]
    again = dict(QueueUrl=url, Label="one", AWSAccountIds=["1"], Actions=["SendMessage"])
    assert refusal(sqs.add_permission, **again) == (
        "InvalidParameterValue", "Value one for parameter Label is invalid. Reason: Already exists.")
    code, message = refusal(sqs.add_permission, **again | {"Label": "x", "Actions": ["PurgeQueue"]})
    assert code == "InvalidParameterValue" and "SQS:PurgeQueue" in message
    assert refusal(sqs.add_permission, **again | {"Label": "x", "Actions": []})[0] == "MissingParameter"
    sqs.remove_permission(QueueUrl=url, Label="one")
    sqs.remove_permission(QueueUrl=url, Label="two")
    assert attribute(sqs, url, "Policy") is None
    assert refusal(sqs.remove_permission, QueueUrl=url, Label="two") == (
        "InvalidParameterValue", "Value two for parameter Label is invalid. Reason: can't find label.")


# Messages


def test_a_message_is_sent_received_and_deleted(server, sqs):
    url = queue(sqs)
    before = platform.now()
    sent = sqs.send_message(QueueUrl=url, MessageBody="hällo\n<world> & \U0001F600")
    assert sent["MD5OfMessageBody"] == hashlib.md5("hällo\n<world> & \U0001F600".encode()).hexdigest()
    assert "SequenceNumber" not in sent
    assert counts(sqs, url) == [1, 0, 0]
    [message] = receive(sqs, url)
    assert message["Body"] == "hällo\n<world> & \U0001F600"
    assert message["MessageId"] == sent["MessageId"]
    told = message["Attributes"]
    assert before <= int(told["SentTimestamp"]) <= int(told["ApproximateFirstReceiveTimestamp"]) <= platform.now()
    assert told["ApproximateReceiveCount"] == "1"
    assert told["SenderId"] == server.key()["id"]
    assert set(told) == {"SentTimestamp", "ApproximateFirstReceiveTimestamp", "ApproximateReceiveCount", "SenderId"}
    assert receive(sqs, url) == [] and counts(sqs, url) == [0, 1, 0]
    delete(sqs, url, message)
    delete(sqs, url, message)
    assert counts(sqs, url) == [0, 0, 0]


def test_attributes_of_messages(sqs):
    url = queue(sqs, **DEAD)
    attributes = {
        "Text": {"DataType": "String", "StringValue": "a ä"},
        "Number.1": {"DataType": "Number.int", "StringValue": "-12.5"},
        "Bytes": {"DataType": "Binary.gif", "BinaryValue": b"\x00\xff\x01"},
    }
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    sent = sqs.send_message(
        QueueUrl=url, MessageBody="x", MessageAttributes=attributes, MessageSystemAttributes=trace,
    )
    assert "MD5OfMessageSystemAttributes" in sent
    # botocore checks the MD5s of what comes back.
    [message] = receive(sqs, url, MessageAttributeNames=["All"])
    assert message["MessageAttributes"] == attributes
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["Attributes"]["AWSTraceHeader"] == trace["AWSTraceHeader"]["StringValue"]
    for names, expected in [
        ([".*"], attributes), (["Te.*"], {"Text"}), (["Bytes", "none"], {"Bytes"}), (["none"], set()), ([], set()),
    ]:
        [message] = receive(sqs, url, MessageAttributeNames=names)
        assert set(message.get("MessageAttributes", {})) == set(expected)
        assert ("MD5OfMessageAttributes" in message) == bool(expected)
    [message] = receive(sqs, url, MessageSystemAttributeNames=[], AttributeNames=["SenderId"])
    assert set(message["Attributes"]) == {"SenderId"}
    [message] = receive(sqs, url, MessageSystemAttributeNames=[])
    assert "Attributes" not in message
    assert refusal(sqs.receive_message, QueueUrl=url, MessageSystemAttributeNames=["Speed"]) == (
        "InvalidAttributeName", "Unknown Attribute Speed.")


@pytest.mark.parametrize("name, attribute, part", [
    ("a b", {"DataType": "String", "StringValue": "x"}, "The message attribute name 'a b' is invalid."),
    ("AWS.x", {"DataType": "String", "StringValue": "x"}, "beginning with 'AWS.'"),
    ("a..b", {"DataType": "String", "StringValue": "x"}, "successive '.'"),
    ("a", {"DataType": "Thing", "StringValue": "x"}, "supported type prefixes: 'Binary', 'Number', 'String'."),
    ("a", {"DataType": "String", "StringValue": ""}, "must contain non-empty message attribute value"),
    ("a", {"DataType": "Binary", "StringValue": "x"}, "must contain non-empty message attribute value"),
    ("a", {"DataType": "Number", "StringValue": "x"}, "Can't cast the value of message (user) attribute 'a' to a number."),
])
def test_attributes_that_messages_can_not_have(sqs, name, attribute, part):
    code, message = refusal(
        sqs.send_message, QueueUrl=queue(sqs), MessageBody="x", MessageAttributes={name: attribute})
    assert code == "InvalidParameterValue" and part in message


def test_contents_that_messages_can_not_have(sqs):
    url = queue(sqs, MaximumMessageSize="1024")
    send = sqs.send_message
    assert refusal(send, QueueUrl=url, MessageBody="a\x00b")[0] == "InvalidMessageContents"
    assert refusal(send, QueueUrl=url, MessageBody="\ufffe")[0] == "InvalidMessageContents"
    assert refusal(send, QueueUrl=url, MessageBody="") == (
        "MissingParameter", "The request must contain the parameter MessageBody.")
    sqs.send_message(QueueUrl=url, MessageBody="x" * 1024)
    too_long = "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."
    assert refusal(send, QueueUrl=url, MessageBody="ä" * 513) == ("InvalidParameterValue", too_long)
    attributes = {"name": {"DataType": "String", "StringValue": "x" * 5}}
    assert refusal(send, QueueUrl=url, MessageBody="x" * 1010, MessageAttributes=attributes)[1] == too_long
    for delay in (-1, 901):
        assert refusal(send, QueueUrl=url, MessageBody="x", DelaySeconds=delay)[1] == (
            f"Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.")
    many = {f"a{number}": {"DataType": "String", "StringValue": "x"} for number in range(11)}
    assert refusal(send, QueueUrl=url, MessageBody="x", MessageAttributes=many)[0] == "InvalidParameterValue"
    code, message = refusal(send, QueueUrl=url, MessageBody="x", MessageDeduplicationId="d")
    assert code == "InvalidParameterValue" and "MessageDeduplicationId" in message


def test_a_message_of_a_megabyte(sqs):
    url = queue(sqs)
    body = "".join(random.Random(7).choices("abcdefgh \n", k=1 << 20))
    sqs.send_message(QueueUrl=url, MessageBody=body)
    assert bodies(receive(sqs, url)) == [body]
    assert "shorter than 1048576 bytes" in refusal(sqs.send_message, QueueUrl=url, MessageBody=body + "x")[1]


@pytest.mark.parametrize("arguments, part", [
    ({"MaxNumberOfMessages": 11}, "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."),
    ({"MaxNumberOfMessages": 0}, "Value 0 for parameter MaxNumberOfMessages"),
    ({"WaitTimeSeconds": 21}, "Value 21 for parameter WaitTimeSeconds is invalid."),
    ({"VisibilityTimeout": 43201}, "Value 43201 for parameter VisibilityTimeout is invalid."),
    ({"ReceiveRequestAttemptId": "a"}, "ReceiveRequestAttemptId"),
])
def test_receives_that_can_not_be(sqs, arguments, part):
    code, message = refusal(sqs.receive_message, QueueUrl=queue(sqs), **arguments)
    assert code == "InvalidParameterValue" and part in message


def test_a_message_comes_back_and_counts(sqs):
    url = queue(sqs, VisibilityTimeout="1")
    sqs.send_message(QueueUrl=url, MessageBody="again")
    [first] = receive(sqs, url)
    [second] = receive(sqs, url, wait=10)
    told = [message["Attributes"] for message in (first, second)]
    assert [one["ApproximateReceiveCount"] for one in told] == ["1", "2"]
    assert told[0]["ApproximateFirstReceiveTimestamp"] == told[1]["ApproximateFirstReceiveTimestamp"]
    assert first["ReceiptHandle"] != second["ReceiptHandle"]
    # The older handle says yes and does nothing.
    delete(sqs, url, first)
    [third] = receive(sqs, url, wait=10)
    # The last one deletes, though the message is visible again.
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"], VisibilityTimeout=0)
    delete(sqs, url, third)
    assert counts(sqs, url) == [0, 0, 0]


def test_visibility_is_changed(sqs):
    url = queue(sqs)
    change = sqs.change_message_visibility
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [message] = receive(sqs, url)
    handle = message["ReceiptHandle"]
    change(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    assert counts(sqs, url) == [1, 0, 0]
    not_in_flight = refusal(change, QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=5)
    assert not_in_flight[0] == "AWS.SimpleQueueService.MessageNotInflight"
    [again] = receive(sqs, url)
    reason = "Message does not exist or is not available for visibility timeout change."
    invalid = f"Value {handle} for parameter ReceiptHandle is invalid. Reason: {reason}"
    assert refusal(change, QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=5) == ("InvalidParameterValue", invalid)
    change(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"], VisibilityTimeout=1)
    [third] = receive(sqs, url, wait=10)
    for seconds in (-1, 43201):
        code, message = refusal(change, QueueUrl=url, ReceiptHandle=third["ReceiptHandle"], VisibilityTimeout=seconds)
        assert code == "InvalidParameterValue" and str(seconds) in message
    delete(sqs, url, third)
    assert refusal(change, QueueUrl=url, ReceiptHandle=third["ReceiptHandle"], VisibilityTimeout=5)[1].endswith(reason)


def test_receipt_handles_that_are_none(sqs):
    url, other = queue(sqs), queue(sqs)
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [message] = receive(sqs, url)
    for call, more in ((sqs.delete_message, {}), (sqs.change_message_visibility, {"VisibilityTimeout": 1})):
        for target, handle in ((url, "nonsense"), (other, message["ReceiptHandle"])):
            assert refusal(call, QueueUrl=target, ReceiptHandle=handle, **more) == (
                "ReceiptHandleIsInvalid", f'The input receipt handle "{handle}" is not a valid receipt handle.')


def test_delays(sqs):
    url = queue(sqs, DelaySeconds="900")
    sqs.send_message(QueueUrl=url, MessageBody="late")
    sqs.send_message(QueueUrl=url, MessageBody="now", DelaySeconds=0)
    sqs.send_message(QueueUrl=url, MessageBody="soon", DelaySeconds=1)
    assert counts(sqs, url) == [1, 0, 2]
    assert bodies(receive(sqs, url)) == ["now"]
    assert bodies(receive(sqs, url, wait=10)) == ["soon"]
    # A queue's delay is one of messages to come.
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0"})
    assert receive(sqs, url) == [] and counts(sqs, url) == [0, 2, 1]


def test_messages_past_their_retention_are_gone(server, sqs):
    """Retention is a minute at least: the messages are made older in the database."""
    url = queue(sqs, MessageRetentionPeriod="60")
    line = fifo(sqs, MessageRetentionPeriod="60")
    for number in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
        put(sqs, line, "a", str(number))
    [flying] = receive(sqs, url, MaxNumberOfMessages=1)
    with contextlib.closing(sqlite3.connect(server.folder / "bessemer.db", timeout=30)) as database, database:
        database.execute("update queue_messages set sent_at = sent_at - 61000")
    assert receive(sqs, url) == [] and receive(sqs, line) == []
    assert counts(sqs, url) == [0, 0, 0] and counts(sqs, line) == [0, 0, 0]
    delete(sqs, url, flying)


# Long polls


def polled(server, url, wait=20, **arguments):
    """A receive that waits, in a thread of its own; `join` gives its messages."""
    client = server.client("sqs", read_timeout=60)
    found = []

    class Poll(threading.Thread):
        def run(self):
            found.append(receive(client, url, wait=wait, **arguments))

        def join(self):
            super().join(45)
            return found[0]

    poll = Poll()
    poll.start()
    return poll


def waiting(server, count):
    """Waits until so many receives are under way."""
    wanted = f"bessemer_waiting_receives {count}"
    while wanted not in server.get("/metrics"):
        pass


def test_a_long_poll_is_woken_by_a_send(server, sqs):
    for url in (queue(sqs, ReceiveMessageWaitTimeSeconds="20"), fifo(sqs)):
        poll = polled(server, url)
        waiting(server, 1)
        put(sqs, url, "a", "wake up") if url.endswith(".fifo") else sqs.send_message(QueueUrl=url, MessageBody="wake up")
        assert bodies(poll.join()) == ["wake up"]


def test_each_send_wakes_one_poll(server, sqs):
    url = queue(sqs)
    polls = [polled(server, url, MaxNumberOfMessages=1) for _ in range(5)]
    waiting(server, 5)
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": str(n)} for n in range(5)])
    assert sorted(body for poll in polls for body in bodies(poll.join())) == list("01234")


def test_a_long_poll_is_woken_by_what_comes_back(server, sqs):
    url = queue(sqs)
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [message] = receive(sqs, url)
    poll = polled(server, url)
    waiting(server, 1)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    assert bodies(poll.join()) == ["x"]


def test_a_long_poll_is_woken_by_the_delete_that_frees_a_group(server, sqs):
    url = fifo(sqs)
    put(sqs, url, "a", "1", "2")
    [first] = receive(sqs, url, MaxNumberOfMessages=1)
    poll = polled(server, url)
    waiting(server, 1)
    delete(sqs, url, first)
    assert bodies(poll.join()) == ["2"]


def test_a_long_poll_ends_with_its_queue_and_empty_after_its_time(server, sqs):
    url = queue(sqs)
    assert receive(sqs, url, wait=1) == []
    client = server.client("sqs")
    refused = []
    thread = threading.Thread(target=lambda: refused.append(refusal(client.receive_message, QueueUrl=url, WaitTimeSeconds=20)))
    thread.start()
    waiting(server, 1)
    sqs.delete_queue(QueueUrl=url)
    thread.join(45)
    assert refused[0][0] == "AWS.SimpleQueueService.NonExistentQueue"


def test_the_server_ends_while_receives_wait(tmp_path):
    with platform.running(tmp_path / "data") as server:
        url = queue(server.client("sqs"))
        poll = polled(server, url)
        waiting(server, 1)
        assert server.stop() == 0
        assert poll.join() == []


# Batches


def test_batches(sqs):
    url = queue(sqs)
    entries = [{"Id": f"e{number}", "MessageBody": f"m{number}"} for number in range(10)]
    entries[3]["DelaySeconds"] = 1000
    entries[5]["MessageBody"] = "\x01"
    sent = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [entry["Id"] for entry in sent["Successful"]] == ["e0", "e1", "e2", "e4", "e6", "e7", "e8", "e9"]
    failed = {entry["Id"]: (entry["Code"], entry["SenderFault"]) for entry in sent["Failed"]}
    assert failed == {"e3": ("InvalidParameterValue", True), "e5": ("InvalidMessageContents", True)}
    messages = receive(sqs, url)
    assert bodies(messages) == ["m0", "m1", "m2", "m4", "m6", "m7", "m8", "m9"]
    assert [message["MessageId"] for message in messages] == [entry["MessageId"] for entry in sent["Successful"]]
    handles = [message["ReceiptHandle"] for message in messages]
    changes = [{"Id": str(n), "ReceiptHandle": handle, "VisibilityTimeout": 0} for n, handle in enumerate(handles[:2])]
    changed = sqs.change_message_visibility_batch(
        QueueUrl=url, Entries=[*changes, {"Id": "x", "ReceiptHandle": "x", "VisibilityTimeout": 0},
                               {"Id": "y", "ReceiptHandle": handles[2], "VisibilityTimeout": 99999}])
    assert [entry["Id"] for entry in changed["Successful"]] == ["0", "1"]
    assert [(entry["Id"], entry["Code"]) for entry in changed["Failed"]] == [
        ("x", "ReceiptHandleIsInvalid"), ("y", "InvalidParameterValue")]
    deleted = sqs.delete_message_batch(
        QueueUrl=url, Entries=[{"Id": "a", "ReceiptHandle": handles[4]}, {"Id": "b", "ReceiptHandle": "x"}])
    assert deleted["Successful"] == [{"Id": "a"}]
    assert [(entry["Id"], entry["Code"]) for entry in deleted["Failed"]] == [("b", "ReceiptHandleIsInvalid")]
    assert counts(sqs, url) == [2, 5, 0]


def batch_of(kind, entries):
    body = {"send": {"MessageBody": "x"}, "delete": {"ReceiptHandle": "x"},
            "change": {"ReceiptHandle": "x", "VisibilityTimeout": 1}}[kind]
    return [{"Id": entry, **body} for entry in entries]


@pytest.mark.parametrize("kind, entry", [
    ("send", "SendMessageBatchRequestEntry"), ("delete", "DeleteMessageBatchRequestEntry"),
    ("change", "ChangeMessageVisibilityBatchRequestEntry"),
])
def test_batches_that_are_wrong_as_a_whole(sqs, kind, entry):
    url = queue(sqs)
    call = {"send": sqs.send_message_batch, "delete": sqs.delete_message_batch,
            "change": sqs.change_message_visibility_batch}[kind]
    prefix = "AWS.SimpleQueueService."
    for ids, code, message in [
        ([], "EmptyBatchRequest", f"There should be at least one {entry} in the request."),
        ([str(n) for n in range(11)], "TooManyEntriesInBatchRequest",
         "Maximum number of entries per request are 10. You have sent 11."),
        (["a", "b", "a"], "BatchEntryIdsNotDistinct", "Id a repeated."),
        (["a b"], "InvalidBatchEntryId",
         "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
         "It can be at most 80 letters long."),
    ]:
        assert refusal(call, QueueUrl=url, Entries=batch_of(kind, ids)) == (prefix + code, message)


def test_a_batch_is_no_longer_than_a_message(sqs):
    url = queue(sqs)
    half = "x" * (1 << 19)
    entries = [{"Id": "1", "MessageBody": half}, {"Id": "2", "MessageBody": half}]
    assert len(sqs.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 2
    entries.append({"Id": "3", "MessageBody": "x"})
    assert refusal(sqs.send_message_batch, QueueUrl=url, Entries=entries) == (
        "AWS.SimpleQueueService.BatchRequestTooLong",
        "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.")
    assert counts(sqs, url)[0] == 2


def test_a_queue_is_purged(sqs):
    url, line = queue(sqs), fifo(sqs)
    for n in range(120):
        sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": f"{n} {i}"} for i in range(10)])
    receive(sqs, url)
    put(sqs, line, "a", "1", "2")
    receive(sqs, line, MaxNumberOfMessages=1)
    for one in (url, line):
        sqs.purge_queue(QueueUrl=one)
        assert counts(sqs, one) == [0, 0, 0]
    put(sqs, line, "a", "3")
    assert bodies(receive(sqs, line)) == ["3"]
    assert refusal(sqs.purge_queue, QueueUrl=url + "x")[0] == "AWS.SimpleQueueService.NonExistentQueue"


# FIFO


def test_a_group_keeps_its_order_and_waits_for_what_is_in_flight(sqs):
    url = fifo(sqs)
    put(sqs, url, "a", "a1", "a2", "a3")
    put(sqs, url, "b", "b1")
    [a1] = receive(sqs, url, MaxNumberOfMessages=1)
    assert a1["Body"] == "a1" and a1["Attributes"]["MessageGroupId"] == "a"
    [b1] = receive(sqs, url)
    assert b1["Body"] == "b1" and receive(sqs, url) == []
    delete(sqs, url, a1)
    both = receive(sqs, url)
    assert bodies(both) == ["a2", "a3"]
    numbers = [int(message["Attributes"]["SequenceNumber"]) for message in (a1, *both)]
    assert numbers == sorted(set(numbers))
    # The first comes back: the second is still in flight, and before it.
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=both[0]["ReceiptHandle"], VisibilityTimeout=0)
    assert receive(sqs, url) == []
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=both[1]["ReceiptHandle"], VisibilityTimeout=0)
    assert bodies(receive(sqs, url)) == ["a2", "a3"]


def test_what_was_sent_is_not_sent_again(sqs):
    url = fifo(sqs)
    def send(body, name, group="a"):
        return sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=name)
    first = send("one", "d")
    second = send("other", "d", "b")
    assert (first["MessageId"], first["SequenceNumber"]) == (second["MessageId"], second["SequenceNumber"])
    [message] = receive(sqs, url)
    assert message["Attributes"]["MessageDeduplicationId"] == "d"
    delete(sqs, url, message)
    send("one", "d")
    assert receive(sqs, url) == []
    by_content = fifo(sqs, ContentBasedDeduplication="true")
    for _ in range(2):
        sqs.send_message(QueueUrl=by_content, MessageBody="same", MessageGroupId="a")
    sqs.send_message(QueueUrl=by_content, MessageBody="same", MessageGroupId="a", MessageDeduplicationId="other")
    found = receive(sqs, by_content)
    assert bodies(found) == ["same", "same"]
    assert found[0]["Attributes"]["MessageDeduplicationId"] == hashlib.sha256(b"same").hexdigest()
    by_group = fifo(sqs, DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    for group in ("a", "a", "b"):
        sqs.send_message(QueueUrl=by_group, MessageBody=group, MessageGroupId=group, MessageDeduplicationId="d")
    assert sorted(bodies(receive(sqs, by_group))) == ["a", "b"]
    entries = [{"Id": str(n), "MessageBody": "x", "MessageGroupId": "z", "MessageDeduplicationId": "same"} for n in range(3)]
    sent = sqs.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]
    assert len({entry["MessageId"] for entry in sent}) == 1 and len(receive(sqs, url)) == 1


def test_attributes_of_fifo_queues(sqs):
    url = fifo(sqs)
    names = ["FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    assert [found[name] for name in names] == ["true", "false", "queue", "perQueue"]
    code, message = refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes={"FifoThroughputLimit": "perMessageGroupId"})
    assert code == "InvalidAttributeValue" and "DeduplicationScope" in message
    code, message = refusal(sqs.set_queue_attributes, QueueUrl=queue(sqs), Attributes={"DeduplicationScope": "queue"})
    assert code == "InvalidAttributeName" and "FifoQueue is set to true" in message


def test_what_fifo_queues_ask_for(sqs):
    url = fifo(sqs)
    call = {"QueueUrl": url, "MessageBody": "x"}
    assert refusal(sqs.send_message, **call) == (
        "MissingParameter", "The request must contain the parameter MessageGroupId.")
    assert refusal(sqs.send_message, **call, MessageGroupId="a") == (
        "InvalidParameterValue",
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
    whole = call | {"MessageGroupId": "a", "MessageDeduplicationId": "d"}
    assert refusal(sqs.send_message, **whole, DelaySeconds=2)[1] == (
        "Value 2 for parameter DelaySeconds is invalid. Reason: "
        "The request include parameter that is not valid for this queue type.")
    assert refusal(sqs.send_message, **whole | {"MessageGroupId": "a b"})[0] == "InvalidParameterValue"
    assert refusal(sqs.send_message, **whole | {"MessageDeduplicationId": "d" * 129})[0] == "InvalidParameterValue"


def test_an_expired_handle_does_not_delete_from_a_fifo_queue(sqs):
    url = fifo(sqs)
    put(sqs, url, "a", "1")
    [message] = receive(sqs, url, VisibilityTimeout=0)
    handle = message["ReceiptHandle"]
    assert refusal(sqs.delete_message, QueueUrl=url, ReceiptHandle=handle) == (
        "InvalidParameterValue",
        f"Value {handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.")
    [again] = receive(sqs, url)
    delete(sqs, url, again)
    delete(sqs, url, again)


def test_an_attempt_is_repeated(sqs):
    url = fifo(sqs)
    put(sqs, url, "a", "1", "2", "3")
    first = receive(sqs, url, MaxNumberOfMessages=2, ReceiveRequestAttemptId="try")
    again = receive(sqs, url, MaxNumberOfMessages=2, ReceiveRequestAttemptId="try")
    assert again == first and bodies(first) == ["1", "2"]
    assert receive(sqs, url, ReceiveRequestAttemptId="other") == []
    delete(sqs, url, first[0])
    assert receive(sqs, url, ReceiveRequestAttemptId="try") == []


def test_the_delay_of_a_fifo_queue_is_that_of_all_its_messages(sqs):
    url = fifo(sqs, DelaySeconds="900")
    put(sqs, url, "a", "1", "2")
    assert receive(sqs, url) == [] and counts(sqs, url) == [0, 0, 2]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0"})
    assert bodies(receive(sqs, url)) == ["1", "2"]


# Dead letters


def redrive(sqs, dead, most):
    return json.dumps({"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": most})


def test_messages_received_too_often_become_dead_letters(server, sqs):
    dead = queue(sqs)
    url = queue(sqs, RedrivePolicy=redrive(sqs, dead, 2), **DEAD)
    sent = sqs.send_message(
        QueueUrl=url, MessageBody="poison", MessageAttributes={"a": {"DataType": "String", "StringValue": "b"}})
    for count in ("1", "2"):
        assert receive(sqs, url)[0]["Attributes"]["ApproximateReceiveCount"] == count
    poll = polled(server, dead, MessageAttributeNames=["All"])
    waiting(server, 1)
    assert receive(sqs, url) == []
    [letter] = poll.join()
    assert (letter["Body"], letter["MessageId"]) == ("poison", sent["MessageId"])
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == arn(sqs, url)
    assert letter["Attributes"]["ApproximateReceiveCount"] == "3"
    assert letter["MessageAttributes"]["a"]["StringValue"] == "b"
    assert counts(sqs, url) == [0, 0, 0]
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]
    assert sqs.list_dead_letter_source_queues(QueueUrl=url)["queueUrls"] == []


def test_a_poison_message_does_not_hold_up_its_group(sqs):
    dead = fifo(sqs)
    url = fifo(sqs, RedrivePolicy=redrive(sqs, dead, 1), **DEAD)
    put(sqs, url, "a", "1", "2")
    assert bodies(receive(sqs, url, MaxNumberOfMessages=1)) == ["1"]
    assert bodies(receive(sqs, url, MaxNumberOfMessages=1)) == ["2"]
    assert receive(sqs, url) == []
    letters = receive(sqs, dead)
    assert bodies(letters) == ["1", "2"]
    assert {letter["Attributes"]["MessageGroupId"] for letter in letters} == {"a"}


def test_redrive_policies_that_can_not_be(sqs):
    dead, line, url = queue(sqs), fifo(sqs), queue(sqs)
    for policy, reason in [
        (redrive(sqs, line, 1), "Dead-letter queue must be same type of queue as the source."),
        (redrive(sqs, dead, 1).replace("q-", "none-"), "Dead letter target does not exist."),
        (redrive(sqs, dead, 1001), "Invalid value for maxReceiveCount: 1001, valid values are from 1 to 1000 both inclusive."),
        ("{}", "Redrive policy does not contain mandatory attribute: deadLetterTargetArn."),
        ("x", "Redrive policy is not a valid JSON map."),
    ]:
        code, message = refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes={"RedrivePolicy": policy})
        assert code == "InvalidParameterValue" and message.endswith(f"for parameter RedrivePolicy is invalid. Reason: {reason}")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": redrive(sqs, dead, "5")})
    assert json.loads(attribute(sqs, url, "RedrivePolicy"))["maxReceiveCount"] == 5
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": ""})
    assert attribute(sqs, url, "RedrivePolicy") is None
    for allow in ({"redrivePermission": "denyAll"}, {"redrivePermission": "byQueue", "sourceQueueArns": [arn(sqs, line)]}):
        sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": json.dumps(allow)})
        code, message = refusal(
            sqs.set_queue_attributes, QueueUrl=url, Attributes={"RedrivePolicy": redrive(sqs, dead, 1)})
        assert code == "InvalidParameterValue" and "RedriveAllowPolicy" in message
    allow = {"redrivePermission": "byQueue", "sourceQueueArns": [arn(sqs, url)]}
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": json.dumps(allow)})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": redrive(sqs, dead, 1)})
    code, _ = refusal(sqs.set_queue_attributes, QueueUrl=dead, Attributes={"RedriveAllowPolicy": '{"redrivePermission":"x"}'})
    assert code == "InvalidParameterValue"


def dead_letters(sqs, count, make=queue):
    """A source and its dead-letter queue, which holds `count` letters."""
    dead = make(sqs)
    url = make(sqs, RedrivePolicy=redrive(sqs, dead, 1), **DEAD)
    for number in range(count):
        if make is fifo:
            put(sqs, url, "a", str(number))
        else:
            sqs.send_message(QueueUrl=url, MessageBody=str(number))
    while sum(counts(sqs, url)):
        receive(sqs, url)
    return url, dead


def task_of(sqs, source, *ends):
    """The latest task of a source, once it has come to an end."""
    while True:
        [task] = sqs.list_message_move_tasks(SourceArn=source)["Results"]
        if task["Status"] in ends:
            return task


@pytest.mark.parametrize("make", [queue, fifo])
def test_dead_letters_go_back(server, sqs, make):
    url, dead = dead_letters(sqs, 12, make)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "30"})
    started = sqs.start_message_move_task(SourceArn=arn(sqs, dead))
    assert started["TaskHandle"]
    task = task_of(sqs, arn(sqs, dead), "COMPLETED", "FAILED")
    assert task.pop("StartedTimestamp") > 0
    assert task == {"Status": "COMPLETED", "SourceArn": arn(sqs, dead), "ApproximateNumberOfMessagesMoved": 12,
                    "ApproximateNumberOfMessagesToMove": 12}
    back = []
    while len(back) < 12:
        found = receive(sqs, url)
        assert {message["Attributes"]["ApproximateReceiveCount"] for message in found} == {"1"}
        assert all("DeadLetterQueueSourceArn" not in message["Attributes"] for message in found)
        back += found
        delete(sqs, url, *found)
    assert bodies(back) == [str(number) for number in range(12)]
    assert counts(sqs, dead) == [0, 0, 0]


def test_move_tasks_go_where_they_are_told_and_at_their_rate(server, sqs):
    url, dead = dead_letters(sqs, 3)
    other = queue(sqs)
    source = arn(sqs, dead)
    start = dict(SourceArn=source, DestinationArn=arn(sqs, other), MaxNumberOfMessagesPerSecond=1)
    handle = sqs.start_message_move_task(**start)["TaskHandle"]
    again = refusal(sqs.start_message_move_task, **start)
    assert again == ("InvalidParameterValue", "There is already a task running. Only one active task is allowed for a "
                     "source queue arn at a given time.")
    [task] = sqs.list_message_move_tasks(SourceArn=source, MaxResults=10)["Results"]
    assert (task["Status"], task["TaskHandle"], task["MaxNumberOfMessagesPerSecond"]) == ("RUNNING", handle, 1)
    moved = sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"]
    [task] = sqs.list_message_move_tasks(SourceArn=source)["Results"]
    assert task["Status"] == "CANCELLED" and task["ApproximateNumberOfMessagesMoved"] == moved < 3
    assert "TaskHandle" not in task
    assert refusal(sqs.cancel_message_move_task, TaskHandle=handle)[0] == "AWS.SimpleQueueService.UnsupportedOperation"
    sqs.start_message_move_task(SourceArn=source, DestinationArn=arn(sqs, other))
    assert task_of(sqs, source, "COMPLETED", "FAILED")["Status"] == "COMPLETED"
    assert counts(sqs, other) == [3, 0, 0] and counts(sqs, dead) == [0, 0, 0]
    assert len(sqs.list_message_move_tasks(SourceArn=source, MaxResults=10)["Results"]) == 2


def test_move_tasks_that_can_not_be(sqs):
    url, dead = dead_letters(sqs, 1)
    start = sqs.start_message_move_task
    assert refusal(start, SourceArn=arn(sqs, url)) == (
        "InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.")
    missing = "The resource that you specified for the {} parameter doesn't exist."
    none = arn(sqs, dead) + "x"
    assert refusal(start, SourceArn=none) == ("ResourceNotFoundException", missing.format("SourceArn"))
    assert refusal(start, SourceArn=arn(sqs, dead), DestinationArn=none) == (
        "ResourceNotFoundException", missing.format("DestinationArn"))
    assert refusal(start, SourceArn=arn(sqs, dead), MaxNumberOfMessagesPerSecond=501)[0] == "InvalidParameterValue"
    assert refusal(sqs.list_message_move_tasks, SourceArn=none)[0] == "ResourceNotFoundException"
    assert refusal(sqs.cancel_message_move_task, TaskHandle="x") == (
        "InvalidParameterValue", "Value for parameter TaskHandle is invalid.")
    # What was sent to the dead-letter queue itself has nowhere to go back to.
    sqs.purge_queue(QueueUrl=dead)
    sqs.send_message(QueueUrl=dead, MessageBody="own")
    start(SourceArn=arn(sqs, dead))
    task = task_of(sqs, arn(sqs, dead), "COMPLETED", "FAILED")
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    assert counts(sqs, dead) == [1, 0, 0]


# Access


def test_a_read_only_key_can_look_and_not_touch(server, sqs):
    made = json.loads(server.run("keys", "create", "--read-only", "--json").stdout)
    reader = server.client("sqs", made)
    url = queue(sqs)
    assert attribute(reader, url, "QueueArn")
    assert refusal(reader.send_message, QueueUrl=url, MessageBody="x")[0] == "AccessDeniedException"
    assert refusal(reader.receive_message, QueueUrl=url)[0] == "AccessDeniedException"


# Older clients


def test_clients_of_the_query_protocol(server):
    ran = clients.run(server, clients.QUERY, "query/queues.py")
    told = clients.told(ran)
    assert told["protocol"] == "query"
    assert told["messages"] == ["one", "two <&> ä", "three"]
    assert told["operations"] == told["done"]
    assert told["refusals"] == {
        "no_queue": ["AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist for this wsdl version.", 400],
        "taken": ["QueueAlreadyExists", "A queue already exists with the same name and a different value for attribute DelaySeconds", 400],
        "handle": ["ReceiptHandleIsInvalid", 'The input receipt handle "x" is not a valid receipt handle.', 404],
        "empty": ["AWS.SimpleQueueService.EmptyBatchRequest", "There should be at least one SendMessageBatchRequestEntry in the request.", 400],
        "number": ["InvalidParameterValue", "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", 400],
    }


# Kills


class Ledger:
    """What clients know: which messages they tried to send and to delete, and which of these calls were
    acknowledged."""

    def __init__(self):
        self.tried, self.sent, self.unsure, self.deleted = set(), {}, set(), set()
        self.wrong = []


def until_answered(call, ended):
    """Repeats a call until the server has answered it; `None` if the test is over."""
    while True:
        try:
            return call()
        except BotoCoreError:
            if ended.is_set():
                return None


def producer(server, url, ledger, groups, ended, seed):
    chance = random.Random(seed)
    number = 0
    while not ended.is_set():
        entries = []
        for index in range(chance.randint(1, 10)):
            body = f"{seed}-{number}"
            number += 1
            entry = {"Id": str(index), "MessageBody": body}
            if groups:
                entry |= {"MessageGroupId": f"{seed}-{chance.randrange(groups)}", "MessageDeduplicationId": body}
            entries.append(entry)
        ledger.tried.update(entry["MessageBody"] for entry in entries)
        client = server.client("sqs")
        answer = until_answered(lambda: client.send_message_batch(QueueUrl=url, Entries=entries), ended)
        for entry in (answer or {}).get("Successful", []):
            ledger.sent[entries[int(entry["Id"])]["MessageBody"]] = entry["MessageId"]


def consumer(server, url, ledger, ended, seed):
    chance = random.Random(seed)
    while not ended.is_set():
        client = server.client("sqs", read_timeout=10)
        answer = until_answered(
            lambda: client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1), ended)
        for message in (answer or {}).get("Messages", []):
            if message["Body"] in ledger.deleted:
                ledger.wrong.append(f"{message['Body']} was deleted, and came back")
            if chance.random() < 0.7:
                ledger.unsure.add(message["Body"])
                try:
                    done = until_answered(
                        lambda: client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"]), ended)
                except ClientError as error:
                    # A FIFO queue's handle, whose time was over when the server was there again.
                    assert "The receipt handle has expired" in str(error)
                    done = None
                if done is not None:
                    ledger.deleted.add(message["Body"])


@pytest.mark.parametrize("is_fifo", [False, True])
def test_no_message_is_lost_and_none_returns_over_kills(tmp_path, is_fifo):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    ledger, ended = Ledger(), threading.Event()
    with platform.running(tmp_path / "data", keeps_address=True) as server:
        sqs = server.client("sqs")
        url = (fifo if is_fifo else queue)(sqs, VisibilityTimeout="2")
        work = [
            threading.Thread(target=producer, args=(server, url, ledger, 3 if is_fifo else 0, ended, seed)),
            # One consumer: a standard queue may have given a message to two before either deletes it.
            threading.Thread(target=consumer, args=(server, url, ledger, ended, seed)),
        ]
        for thread in work:
            thread.start()
        for _ in range(8):
            aim = len(ledger.sent) + chance.randint(5, 60)
            while len(ledger.sent) < aim and work[0].is_alive():
                work[0].join(0.01)
            server.restart()
        ended.set()
        for thread in work:
            thread.join(60)
        assert ledger.wrong == []
        order = {}
        sqs = server.client("sqs", read_timeout=30)
        left = set(ledger.sent) - ledger.unsure
        found = set()
        while messages := receive(sqs, url, wait=5, VisibilityTimeout=600):
            for message in messages:
                assert message["Body"] not in ledger.deleted, f"seed {seed}"
                found.add(message["Body"])
                group = message["Attributes"].get("MessageGroupId")
                order.setdefault(group, []).append(int(message["Attributes"]["SequenceNumber"]) if is_fifo else 0)
            delete(sqs, url, *messages)
        assert left <= found <= ledger.tried, f"seed {seed}: lost {left - found}"
        if is_fifo:
            assert all(numbers == sorted(numbers) for numbers in order.values()), f"seed {seed}"
        assert len(ledger.sent) > 40 and len(ledger.deleted) > 10
