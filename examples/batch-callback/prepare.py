"""Makes what the pipeline calls: the inputs, Batch's queue and job definition, a queue of messages, and the
function that looks after jobs.
"""

import argparse
import io
import json
import random
import time
import zipfile
from pathlib import Path

import boto3
import sagemaker

HERE = Path(__file__).parent
# A VPC of yours, on AWS.
SUBNETS, SECURITY_GROUPS = ["subnet-0a1b2c3d"], ["sg-0a1b2c3d"]
PARTS = 4
# No call of the function may take longer than a message stays out of sight.
TIMEOUT = VISIBILITY = 5

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
options.add_argument("--name", default="batch-callback", help="what all is called [default: batch-callback]")
options.add_argument("--crashes", type=int, default=0, help="messages on which the function crashes [default: 0]")
options = options.parse_args()
name = options.name

session = sagemaker.Session()
bucket, role = session.default_bucket(), sagemaker.get_execution_role()
s3, batch, sqs, functions = (boto3.client(service) for service in ("s3", "batch", "sqs", "lambda"))

random.seed(7)
for part in range(PARTS):
    rows = [f"{random.choice(['de', 'fr', 'it'])},{random.randrange(100)}" for _ in range(100)]
    text = "\n".join(["market,clicks", *rows]) + "\n"
    s3.put_object(Bucket=bucket, Key=f"{name}/raw/part-{part}.csv", Body=text.encode())

environment = batch.create_compute_environment(
    computeEnvironmentName=name, type="MANAGED",
    computeResources={
        "type": "FARGATE", "maxvCpus": 16, "subnets": SUBNETS, "securityGroupIds": SECURITY_GROUPS,
    },
)
while batch.describe_compute_environments(computeEnvironments=[name])["computeEnvironments"][0]["status"] != "VALID":
    time.sleep(1)
batch.create_job_queue(
    jobQueueName=name, priority=1,
    computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment["computeEnvironmentArn"]}],
)
batch.register_job_definition(
    jobDefinitionName=name, type="container", platformCapabilities=["FARGATE"],
    containerProperties={
        "image": "public.ecr.aws/aws-cli/aws-cli",
        "command": ["s3", "cp", "Ref::from", "Ref::to"],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
        "executionRoleArn": role, "jobRoleArn": role,
        "networkConfiguration": {"assignPublicIp": "ENABLED"},
    },
)

url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": str(VISIBILITY)})["QueueUrl"]
queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
packed = io.BytesIO()
with zipfile.ZipFile(packed, "w") as archive:
    archive.write(HERE / "monitor_jobs.py", "monitor_jobs.py")
monitor = f"{name}-monitor"
functions.create_function(
    FunctionName=monitor, Runtime="python3.11", Role=role, Handler="monitor_jobs.handler",
    Code={"ZipFile": packed.getvalue()}, Timeout=TIMEOUT, MemorySize=256,
    Environment={"Variables": {"CRASHES": str(options.crashes)}},
)
functions.get_waiter("function_active_v2").wait(FunctionName=monitor)
functions.create_event_source_mapping(FunctionName=monitor, EventSourceArn=queue, BatchSize=1)
print(json.dumps({"inputs": f"s3://{bucket}/{name}/raw/", "parts": PARTS, "queue": url}))
