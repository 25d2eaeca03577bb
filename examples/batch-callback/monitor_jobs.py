"""A function that looks after jobs of Batch: it answers the pipeline's callback when they have ended.

It gets the callback's message from the queue. While jobs run it raises, so that the message comes back when
its visibility timeout is over.
"""

import json
import os

import boto3

batch, sagemaker = boto3.client("batch"), boto3.client("sagemaker")
# On how many messages to crash, to see that nothing is lost.
CRASHES = int(os.environ.get("CRASHES", "0"))
# What a failure's reason may have at most.
REASON = 1024


class StillRunning(Exception):
    pass


def handler(event, context):
    for record in event["Records"]:
        if int(record["attributes"]["ApproximateReceiveCount"]) <= CRASHES:
            os._exit(1)
        message = json.loads(record["body"])
        try:
            look_after(message["token"], message["status"], message["arguments"])
        except sagemaker.exceptions.ResourceNotFound:
            print("the pipeline has its answer already")


def look_after(token, status, arguments):
    jobs = described(arguments["job_ids"].split(","))
    if status == "Stopping":
        end(jobs, "the pipeline is stopped")
        return sagemaker.send_pipeline_execution_step_failure(CallbackToken=token, FailureReason="stopped")
    failed = [why(job) for job in jobs if job["status"] == "FAILED"]
    if failed:
        end(jobs, "another job has failed")
        reason = f"{len(failed)} of {len(jobs)} jobs failed: {'; '.join(failed)}"
        return sagemaker.send_pipeline_execution_step_failure(CallbackToken=token, FailureReason=reason[:REASON])
    running = [job["jobName"] for job in jobs if job["status"] != "SUCCEEDED"]
    if running:
        raise StillRunning(", ".join(running))
    outputs = {"copied": arguments["target"], "jobs": str(len(jobs))}
    sagemaker.send_pipeline_execution_step_success(
        CallbackToken=token, OutputParameters=[{"Name": name, "Value": value} for name, value in outputs.items()],
    )


def described(ids):
    # A call describes 100 jobs at most.
    return [job for at in range(0, len(ids), 100) for job in batch.describe_jobs(jobs=ids[at : at + 100])["jobs"]]


def end(jobs, reason):
    for job in jobs:
        if job["status"] not in ("SUCCEEDED", "FAILED"):
            batch.terminate_job(jobId=job["jobId"], reason=reason)


def why(job):
    exit_code = job["container"].get("exitCode")
    code = "" if exit_code is None else f" (exit code {exit_code})"
    return f"{job['jobName']}: {job.get('statusReason', 'no reason is known')}{code}"
