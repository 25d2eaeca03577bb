"""Every operation of SQS by a boto3 that speaks the query protocol, and some refusals."""

import json

import boto3
from botocore.exceptions import ClientError

sqs = boto3.client("sqs")
model = sqs.meta.service_model
done, refusals = set(), {}


def call(operation, **arguments):
    done.add(operation)
    method = next(name for name, known in sqs.meta.method_to_api_mapping.items() if known == operation)
    return getattr(sqs, method)(**arguments)


def refused(name, operation, **arguments):
    try:
        call(operation, **arguments)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        refusals[name] = [error.response["Error"]["Code"], error.response["Error"]["Message"], status]


def arn(url):
    return call("GetQueueAttributes", QueueUrl=url, AttributeNames=["QueueArn", "DelaySeconds"])["Attributes"]["QueueArn"]


dead = call("CreateQueue", QueueName="old-dead")["QueueUrl"]
policy = {"deadLetterTargetArn": arn(dead), "maxReceiveCount": 1}
url = call("CreateQueue", QueueName="old", Attributes={
    "VisibilityTimeout": "600", "RedrivePolicy": json.dumps(policy),
}, tags={"a": "1", "b": "2"})["QueueUrl"]
assert call("GetQueueUrl", QueueName="old")["QueueUrl"] == url
assert call("ListQueues", QueueNamePrefix="old")["QueueUrls"] == [url, dead]
assert call("ListDeadLetterSourceQueues", QueueUrl=dead)["queueUrls"] == [url]
call("TagQueue", QueueUrl=url, Tags={"c": "3"})
call("UntagQueue", QueueUrl=url, TagKeys=["a"])
assert call("ListQueueTags", QueueUrl=url)["Tags"] == {"b": "2", "c": "3"}
call("SetQueueAttributes", QueueUrl=url, Attributes={"MessageRetentionPeriod": "600"})
call("AddPermission", QueueUrl=url, Label="l", AWSAccountIds=["111111111111"], Actions=["SendMessage"])
call("RemovePermission", QueueUrl=url, Label="l")

attributes = {
    "text": {"DataType": "String", "StringValue": "<&> ä"},
    "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
}
trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}}
call("SendMessage", QueueUrl=url, MessageBody="one", MessageAttributes=attributes, MessageSystemAttributes=trace)
sent = call("SendMessageBatch", QueueUrl=url, Entries=[
    {"Id": "2", "MessageBody": "two <&> ä", "MessageAttributes": attributes},
    {"Id": "3", "MessageBody": "three"},
    {"Id": "4", "MessageBody": "four", "DelaySeconds": 1000},
])
assert [entry["Id"] for entry in sent["Successful"]] == ["2", "3"]
assert [(entry["Id"], entry["Code"], entry["SenderFault"]) for entry in sent["Failed"]] == [
    ("4", "InvalidParameterValue", True)]
messages = call(
    "ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"],
)["Messages"]
assert messages[0]["MessageAttributes"] == attributes == messages[1]["MessageAttributes"]
assert messages[0]["Attributes"]["AWSTraceHeader"] == "Root=1"
assert messages[0]["Attributes"]["ApproximateReceiveCount"] == "1"
handles = [message["ReceiptHandle"] for message in messages]
call("DeleteMessage", QueueUrl=url, ReceiptHandle=handles[0])
gone = call("DeleteMessageBatch", QueueUrl=url, Entries=[{"Id": "2", "ReceiptHandle": handles[1]}, {"Id": "x", "ReceiptHandle": "x"}])
assert gone["Successful"] == [{"Id": "2"}] and gone["Failed"][0]["Code"] == "ReceiptHandleIsInvalid"
call("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=handles[2], VisibilityTimeout=300)
call("ChangeMessageVisibilityBatch", QueueUrl=url, Entries=[
    {"Id": "3", "ReceiptHandle": handles[2], "VisibilityTimeout": 0}])
# It was received once, which is as often as may be: it is a dead letter now.
assert "Messages" not in call("ReceiveMessage", QueueUrl=url)
task = call("StartMessageMoveTask", SourceArn=arn(dead), MaxNumberOfMessagesPerSecond=1)
assert task["TaskHandle"]
[listed] = call("ListMessageMoveTasks", SourceArn=arn(dead))["Results"]
assert listed["SourceArn"] == arn(dead) and listed["ApproximateNumberOfMessagesToMove"] == 1
refused("task", "CancelMessageMoveTask", TaskHandle="x")
assert refusals.pop("task") == ["InvalidParameterValue", "Value for parameter TaskHandle is invalid.", 400]

refused("no_queue", "SendMessage", QueueUrl=url + "x", MessageBody="x")
refused("taken", "CreateQueue", QueueName="old", Attributes={"DelaySeconds": "5"})
refused("handle", "DeleteMessage", QueueUrl=url, ReceiptHandle="x")
refused("empty", "SendMessageBatch", QueueUrl=url, Entries=[])
refused("number", "ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=11)
call("PurgeQueue", QueueUrl=url)
call("DeleteQueue", QueueUrl=url)

print(json.dumps({
    "protocol": model.protocol,
    "messages": [message["Body"] for message in messages],
    "operations": sorted(model.operation_names),
    "done": sorted(done),
    "refusals": refusals,
}))
