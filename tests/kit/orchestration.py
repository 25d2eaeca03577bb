"""Queues, functions, pipelines and Batch jobs on a server that is killed at random moments.

The oracle knows what calls were acknowledged. What it holds the server to is in docs/guarantees.md."""

import json
import time

from kit import functions, pipelines, platform, work
from kit.batch import ENDED, Batch
from kit.kills import ENDS, Kills

AT_ONCE = 3
CHILDREN = 3
# Longer than a call of the function may take.
VISIBILITY = 6
SCRIPT = """
import time
print("it runs", flush=True)
time.sleep(0.2)
"""
PROGRAM = "print('it runs', flush=True)"
# Leaves an object for each thing that it is told, however often it is told so.
FUNCTION = """
import boto3
s3 = boto3.client("s3")
def handler(event, context):
    for told in [record["body"] for record in event.get("Records", [])] or [event["told"]]:
        s3.put_object(Bucket="data", Key=f"told/{told}", Body=b"")
"""


class Deliveries:
    """What was sent to a queue, received from it and deleted."""

    def __init__(self, url):
        self.url = url
        self.sent, self.received, self.deleted = {}, {}, set()
        self.wrong = []

    def send(self, client, bodies, group=None):
        entries = [{"Id": str(index), "MessageBody": body} for index, body in enumerate(bodies)]
        if group:
            for entry in entries:
                entry |= {"MessageGroupId": group, "MessageDeduplicationId": entry["MessageBody"]}
        answer = client.call("sqs", "send_message_batch", QueueUrl=self.url, Entries=entries)
        for one in answer.get("Successful", []):
            self.sent[one["MessageId"]] = bodies[int(one["Id"])]

    def receive(self, client):
        answer = client.call(
            "sqs", "receive_message", QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1,
            VisibilityTimeout=2, AttributeNames=["MessageGroupId"],
        )
        found = answer.get("Messages", [])
        for message in found:
            if message["MessageId"] in self.deleted:
                self.wrong.append(f"message {message['Body']} came again after it was deleted")
            group = message.get("Attributes", {}).get("MessageGroupId")
            self.received.setdefault(message["MessageId"], (group, message["Body"]))
        return found

    def delete(self, client, messages):
        entries = [
            {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
            for index, message in enumerate(messages)
        ]
        answer = client.call("sqs", "delete_message_batch", QueueUrl=self.url, Entries=entries)
        self.deleted |= {messages[int(one["Id"])]["MessageId"] for one in answer.get("Successful", [])}

    def check(self):
        """That none was lost; of a FIFO queue, that each came once, and in its group's order."""
        if lost := self.sent.keys() - self.received.keys():
            self.wrong.append(f"{len(lost)} of {len(self.sent)} messages are lost")
        groups = {}
        for group, body in self.received.values():
            if group:
                groups.setdefault(group, []).append(int(body))
        for group, bodies in groups.items():
            if bodies != sorted(set(bodies)):
                self.wrong.append(f"group {group} came as {bodies}")
        return self.wrong


class Orchestration(Kills):
    """Messages, invocations, pipelines with callbacks, and arrays of Batch that wait for one another."""

    def __init__(self, folder, seed, kills):
        super().__init__(folder, seed, kills)
        # What was acknowledged.
        self.told, self.arrays, self.executions = [], [], []
        self.callbacks, self.answered = {}, set()

    def calls(self):
        return sends, ordered_sends, tells, arrays, executions

    def takers(self):
        return receives, ordered_receives, callbacks

    def report(self):
        return {
            "messages": len(self.messages.sent), "ordered": len(self.ordered.sent), "told": len(self.told),
            "arrays": len(self.arrays), "executions": len(self.executions),
        }

    def prepare(self):
        server = self.server
        work.make_bucket(server)
        self.batch = Batch(server).make()
        self.definition = self.batch.define(
            "program", "python3", "-c", PROGRAM, retryStrategy={"attempts": 3}
        )
        sqs = server.client("sqs")

        def url(name, **attributes):
            return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

        self.messages = Deliveries(url("messages"))
        self.ordered = Deliveries(url("ordered.fifo", FifoQueue="true"))
        self.events = url("events", VisibilityTimeout=str(VISIBILITY))
        self.questions = url("questions", VisibilityTimeout="2")
        teller = functions.create(server.client("lambda"), "teller", FUNCTION, Timeout=VISIBILITY - 1)["FunctionArn"]
        server.client("lambda").create_event_source_mapping(
            FunctionName="teller", BatchSize=5,
            EventSourceArn=f"arn:aws:sqs:{platform.REGION}:000000000000:events",
        )
        ask = {
            "Name": "Ask", "Type": "Callback", "SqsQueueUrl": self.questions, "DependsOn": ["Prepare"],
            "Arguments": {}, "OutputParameters": [{"OutputName": "answer", "OutputType": "String"}],
        }
        answer = pipelines.get("Steps.Ask.OutputParameters['answer']")
        tell = {
            "Name": "Tell", "Type": "Lambda", "FunctionArn": teller, "Arguments": {"told": answer},
            "OutputParameters": [],
        }
        use = pipelines.processing(server, "Use", SCRIPT, answer, DependsOn=["Tell"])
        pipelines.create(server, "asking", pipelines.processing(server, "Prepare", SCRIPT), ask, tell, use)

    def execution(self, arn):
        return pipelines.described(self.server, arn)["PipelineExecutionStatus"]

    # The end

    def check(self):
        sqs, s3 = self.server.client("sqs"), self.server.client("s3")
        all_end = self.all_end(self.arrays, lambda job: self.batch.status(job) in ENDED)
        all_end &= self.all_end(self.executions, lambda arn: self.execution(arn) in pipelines.ENDS)

        def is_empty(url):
            names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            return {counts[name] for name in names} == {"0"}

        def was_told(told):
            listed = s3.list_objects_v2(Bucket="data", Prefix=f"told/{told}", MaxKeys=1)
            return any(one["Key"] == f"told/{told}" for one in listed.get("Contents", []))

        all_end &= self.all_end([self.messages.url, self.ordered.url, self.events], is_empty)
        all_end &= self.all_end(self.told, was_told)
        if not all_end:
            return
        self.wrong += self.messages.check() + self.ordered.check()
        for job in self.arrays:
            self.check_array(job)
        self.check_executions()

    def check_array(self, job):
        children = [self.batch.describe(f"{job}:{index}") for index in range(CHILDREN)]
        ends = [self.check_runs(child["jobId"])["state"] for child in children]
        if not set(ends) <= set(ENDS):
            self.wrong.append(f"array {job} ended as {ends}")
        described = self.batch.describe(job)
        wanted = "SUCCEEDED" if set(ends) == {"succeeded"} else "FAILED"
        if described["status"] != wanted:
            self.wrong.append(f"array {job} is {described['status']}, its children {ends}")

    def check_executions(self):
        made = 0
        for arn in self.executions:
            steps = pipelines.steps(self.server, arn)
            names = []
            for step in steps.values():
                if jobs := step.get("Metadata", {}).get("ProcessingJob"):
                    names.append(jobs["Arn"].rpartition("/")[2])
            made += len(names)
            ends = [self.check_runs(name)["state"] for name in names]
            succeeded = self.execution(arn) == "Succeeded"
            if succeeded != (ends == ["succeeded"] * 2) or (succeeded and len(steps) != 4):
                self.wrong.append(f"{arn} is {self.execution(arn)}, its jobs {ends}")
            tokens = self.callbacks.get(arn, ())
            if len(tokens) > 1:
                self.wrong.append(f"{arn} asked {len(tokens)} times")
            if succeeded and not all(work.exists(self.server, f"told/{token}") for token in tokens):
                self.wrong.append(f"{arn} called no function")
        pages = self.server.client("sagemaker").get_paginator("list_processing_jobs").paginate()
        listed = sum(len(page["ProcessingJobSummaries"]) for page in pages)
        if listed != made:
            self.wrong.append(f"{listed} processing jobs were made for {made} steps")


# What clients do


def sends(client, number):
    client.trial.messages.send(client, [f"{number}-{index}" for index in range(1 + number % 10)])
    time.sleep(0.03)


def receives(client, number):
    take_some(client, client.trial.messages)


def ordered_sends(client, number):
    client.trial.ordered.send(client, [str(2 * number), str(2 * number + 1)], group=f"g{number % 3}")
    time.sleep(0.03)


def ordered_receives(client, number):
    take_some(client, client.trial.ordered)


def take_some(client, deliveries):
    """Receives messages, and deletes most of them; when no more are sent, all."""
    found = deliveries.receive(client)
    if found and (client.trial.ended.is_set() or client.random.random() < 0.8):
        deliveries.delete(client, found)


def tells(client, number):
    trial, told = client.trial, f"{number}"
    if number % 2:
        client.call(
            "lambda", "invoke", FunctionName="teller", InvocationType="Event",
            Payload=json.dumps({"told": told}),
        )
    else:
        client.call("sqs", "send_message", QueueUrl=trial.events, MessageBody=told)
    trial.told.append(told)
    time.sleep(0.1)


def arrays(client, number):
    """An array, and one that waits for it."""
    trial, before = client.trial, []
    for _ in range(2):
        answer = client.call(
            "batch", "submit_job", jobName="array", jobQueue=trial.batch.queue,
            jobDefinition=trial.definition, arrayProperties={"size": CHILDREN},
            dependsOn=[{"jobId": job} for job in before],
        )
        before = [answer["jobId"]]
        trial.arrays += before

    def has_ended():
        return client.call("batch", "describe_jobs", jobs=before)["jobs"][0]["status"] in ENDED

    client.wait_for(has_ended)


def executions(client, number):
    trial = client.trial
    answer = client.call(
        "sagemaker", "start_pipeline_execution", PipelineName="asking",
        ClientRequestToken=f"the-start-of-execution-number-{number:08}",
    )
    trial.executions.append(answer["PipelineExecutionArn"])
    oldest = trial.executions[-AT_ONCE:][0]

    def has_ended():
        answer = client.call("sagemaker", "describe_pipeline_execution", PipelineExecutionArn=oldest)
        return answer["PipelineExecutionStatus"] in pipelines.ENDS

    if len(trial.executions) >= AT_ONCE:
        client.wait_for(has_ended)


def callbacks(client, number):
    """Answers what executions ask."""
    trial = client.trial
    found = client.call(
        "sqs", "receive_message", QueueUrl=trial.questions, MaxNumberOfMessages=10, WaitTimeSeconds=1
    )
    for message in found.get("Messages", []):
        told = json.loads(message["Body"])
        token = told["token"]
        trial.callbacks.setdefault(told["pipelineExecutionArn"], set()).add(token)
        if token not in trial.answered:
            client.call(
                "sagemaker", "send_pipeline_execution_step_success", taken=["ResourceNotFound"],
                CallbackToken=token, OutputParameters=[{"Name": "answer", "Value": token}],
            )
            trial.answered.add(token)
        client.call(
            "sqs", "delete_message", QueueUrl=trial.questions, ReceiptHandle=message["ReceiptHandle"]
        )
