"""A function that submits a job of Batch for each part: the pipeline's first step."""

import boto3

batch = boto3.client("batch")


def handler(event, context):
    jobs = []
    for part in range(event["parts"]):
        submitted = batch.submit_job(
            jobName=f"copy-{part}", jobQueue=event["queue"], jobDefinition=event["definition"],
            parameters={
                "from": f"{event['source']}/part-{part}.csv", "to": f"{event['target']}/part-{part}.csv",
            },
        )
        jobs.append(submitted["jobId"])
    print(f"{len(jobs)} jobs are submitted")
    return {"statusCode": 200, "job_ids": ",".join(jobs), "jobs": len(jobs)}
