"""AWS Batch as a client uses it."""

import json

from kit import work

ENDED = ("SUCCEEDED", "FAILED")


class Batch:
    """A server with a queue, by boto3."""

    def __init__(self, server, queue="queue"):
        self.server, self.queue = server, queue
        self.client = server.client("batch")

    def make(self):
        """A compute environment and the queue."""
        self.client.create_compute_environment(
            computeEnvironmentName="machine", type="UNMANAGED", state="ENABLED"
        )
        self.make_queue(self.queue)
        return self

    def make_queue(self, name, priority=1, **members):
        order = [{"order": 1, "computeEnvironment": "machine"}]
        return self.client.create_job_queue(
            jobQueueName=name, priority=priority, computeEnvironmentOrder=order, **members
        )["jobQueueArn"]

    def define(self, name, *command, image="python:3.11", vcpus="1", memory="256", **members):
        container = {
            "image": image,
            "command": list(command),
            "resourceRequirements": [
                {"type": "VCPU", "value": vcpus}, {"type": "MEMORY", "value": memory},
            ],
            **members.pop("container", {}),
        }
        return self.client.register_job_definition(
            jobDefinitionName=name, type="container", containerProperties=container, **members
        )["jobDefinitionArn"]

    def submit(self, definition, name="job", **members):
        members.setdefault("jobQueue", self.queue)
        return self.client.submit_job(jobName=name, jobDefinition=definition, **members)["jobId"]

    def describe(self, job):
        return self.client.describe_jobs(jobs=[job])["jobs"][0]

    def status(self, job):
        return self.describe(job)["status"]

    def ended(self, job, seconds=120):
        """The job when it has come to its end."""
        work.until(lambda: self.status(job) in ENDED, f"end of {job}", seconds)
        return self.describe(job)

    def run(self, definition, **members):
        return self.ended(self.submit(definition, **members))

    def until(self, job, status):
        work.until(lambda: self.status(job) == status, f"{status} of {job}")

    def lines(self, stream, group="/aws/batch/job"):
        logs = self.server.client("logs")
        events = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
        return [event["message"] for event in events["events"]]

    def list(self, **members):
        pages = self.client.get_paginator("list_jobs").paginate(**members)
        return [job for page in pages for job in page["jobSummaryList"]]


def value_of(lines):
    """The JSON that a job printed last."""
    return json.loads(lines[-1])
