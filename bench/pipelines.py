"""Measures pipelines, queues, functions and arrays of jobs: five steps beside Dagster and Metaflow, 1,000
executions at once, messages and invocations a second, an array of 10,000 jobs.

    cargo xtask bench pipelines [--executions 1000] [--cases queues,functions,arrays,steps,executions]
"""

import base64
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from report import verdict
from serving import CACHE, IMAGE, ROLE, run_cases, serving
from wire import rate

PEERS = Path(__file__).parent / "peers"
STEPS = 5
BODY = "x" * 256


def queues(options):
    """Durable messages a second, and how long one takes to the consumer that waits for it."""
    with serving("queues") as server:
        wire, line = server.wire, server.wire.connect()
        url = line.json(wire.sqs("CreateQueue", {"QueueName": "bench"}))["QueueUrl"]

        def entries(count):
            return [{"Id": str(number), "MessageBody": BODY} for number in range(count)]

        one = [wire.sqs("SendMessage", {"QueueUrl": url, "MessageBody": BODY})] * options.messages
        ten = [wire.sqs("SendMessageBatch", {"QueueUrl": url, "Entries": entries(10)})] * options.messages
        sent = rate(wire, one, 16)
        yield ["durable sends a second, one to a call, 16 connections", f"{sent:,.0f}", "", ""]
        batched = 10 * rate(wire, ten, 16)
        figures = [f"{batched:,.0f}", "≥ 3,000", verdict(batched >= 3_000)]
        yield ["durable sends a second, 10 to a call, 16 connections", *figures]
        begun, received = time.perf_counter(), 0
        receive = wire.sqs("ReceiveMessage", {"QueueUrl": url, "MaxNumberOfMessages": 10})
        while messages := line.json(receive).get("Messages"):
            received += len(messages)
            handles = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages)
            ]
            line.call(wire.sqs("DeleteMessageBatch", {"QueueUrl": url, "Entries": handles}))
        if received != 11 * options.messages:
            sys.exit(f"{received} messages of {11 * options.messages} came back")
        found = received / (time.perf_counter() - begun)
        yield ["received and deleted a second, 10 to a call, one connection", f"{found:,.0f}", "", ""]
        yield ["from send to a consumer that waits, median (99th percentile)", latency(wire, url), "", ""]


def latency(wire, url):
    sender, consumer, taken = wire.connect(), wire.connect(), []
    for _ in range(200):
        consumer.socket.sendall(wire.sqs("ReceiveMessage", {"QueueUrl": url, "WaitTimeSeconds": 20}))
        time.sleep(0.005)  # until it waits
        begun = time.perf_counter()
        sender.call(wire.sqs("SendMessage", {"QueueUrl": url, "MessageBody": BODY}))
        handle = json.loads(consumer.answer())["Messages"][0]["ReceiptHandle"]
        taken.append((time.perf_counter() - begun) * 1000)
        sender.call(wire.sqs("DeleteMessage", {"QueueUrl": url, "ReceiptHandle": handle}))
    return median_and_late(taken)


def functions(options):
    """Invocations a second of a function that answers at once."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("code.py", "def handler(event, context):\n    return event\n")
    function = {
        "FunctionName": "bench", "Runtime": "python3.11", "Role": ROLE, "Handler": "code.handler",
        "Code": {"ZipFile": base64.b64encode(packed.getvalue()).decode()},
    }
    with serving("functions") as server:
        wire, line = server.wire, server.wire.connect()
        line.call(wire.rest("lambda", "/2015-03-31/functions", function))
        invoke = wire.rest("lambda", "/2015-03-31/functions/bench/invocations", {"number": 1})
        line.call(invoke)
        taken = []
        for _ in range(200):
            begun = time.perf_counter()
            line.call(invoke)
            taken.append((time.perf_counter() - begun) * 1000)
        fast = statistics.median(taken) <= 5
        yield ["a warm invocation, median (99th percentile)", median_and_late(taken), "≤ 5 ms", verdict(fast)]
        rate(wire, [invoke] * 200, 4)
        found = rate(wire, [invoke] * options.invocations, 4)
        yield ["warm invocations a second, 4 connections", f"{found:,.0f}", "≥ 500", verdict(found >= 500)]


def nothing(number):
    """A step that runs `/bin/true` in a process of its own, after the step before it."""
    return {
        "Name": f"step-{number}",
        "Type": "Processing",
        "DependsOn": [f"step-{number - 1}"] if number else [],
        "Arguments": {
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            },
            "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["/bin/true"]},
            "RoleArn": ROLE,
            "Environment": {"BESSEMER_CORES": "1", "BESSEMER_MEMORY": "256MiB"},
        },
    }


def create(wire, line, name, steps):
    definition = {"Version": "2020-12-01", "Metadata": {}, "Parameters": [], "Steps": steps}
    request = {
        "PipelineName": name, "RoleArn": ROLE, "PipelineDefinition": json.dumps(definition),
        "ClientRequestToken": name.ljust(32, "-"),
    }
    line.call(wire.sagemaker("CreatePipeline", request))


def start(wire, name, number):
    token = f"{name}-{number}".ljust(32, "-")
    return wire.sagemaker("StartPipelineExecution", {"PipelineName": name, "ClientRequestToken": token})


def wait(wire, line, arn):
    """Until the execution has succeeded."""
    describe = wire.sagemaker("DescribePipelineExecution", {"PipelineExecutionArn": arn})
    while (found := line.json(describe))["PipelineExecutionStatus"] == "Executing":
        time.sleep(0.005)
    if found["PipelineExecutionStatus"] != "Succeeded":
        sys.exit(f"{arn} has failed: {found.get('FailureReason')}")


def steps(options):
    """Five steps that do nothing, each in a process of its own, first and warm."""
    with serving("steps") as server:
        wire, line = server.wire, server.wire.connect()
        server.make_bucket()
        create(wire, line, "steps", [nothing(number) for number in range(STEPS)])
        taken = []
        for number in range(1 + options.runs):
            begun = time.perf_counter()
            arn = line.json(start(wire, "steps", number))["PipelineExecutionArn"]
            wait(wire, line, arn)
            taken.append(time.perf_counter() - begun)
    first, warm = taken[0], statistics.median(taken[1:])
    yield ["5 process steps, the first time", f"{first:.2f} s", "", ""]
    yield ["5 process steps, warm, median", f"{warm:.2f} s", "≤ 0.5 s", verdict(warm <= 0.5)]
    first, *warm = dagster(1 + options.runs)
    yield ["5 functions by Dagster in one process, the first time", f"{first:.2f} s", "", ""]
    yield ["5 functions by Dagster in one process, warm, median", f"{statistics.median(warm):.2f} s", "", ""]
    taken = [metaflow() for _ in range(3)]
    yield ["5 process steps by Metaflow, median", f"{statistics.median(taken):.2f} s", "", ""]


def dagster(runs):
    home = CACHE / "dagster"
    shutil.rmtree(home, ignore_errors=True)
    settings = {"DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "1"}
    return json.loads(peer("dagster_steps.py", str(runs), **settings).splitlines()[-1])


def metaflow():
    begun = time.perf_counter()
    peer("metaflow_steps.py", "run", METAFLOW_USER="bench", METAFLOW_HOME=str(CACHE), USERNAME="bench")
    return time.perf_counter() - begun


def peer(script, *arguments, **settings):
    command = [os.environ["BESSEMER_BENCH_ORCHESTRATORS"], PEERS / script, *arguments]
    environment = {**os.environ, **settings}
    done = subprocess.run(command, cwd=CACHE, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{script} has failed: {done.stderr}")
    return done.stdout


def executions(options):
    """Executions that all wait for a callback at once, and then go on."""
    with serving("executions") as server:
        wire, line = server.wire, server.wire.connect()
        url = line.json(wire.sqs("CreateQueue", {"QueueName": "callbacks"}))["QueueUrl"]
        step = {
            "Name": "wait", "Type": "Callback", "Arguments": {}, "SqsQueueUrl": url, "OutputParameters": [],
        }
        create(wire, line, "waits", [step])
        found = rate(wire, [start(wire, "waits", n) for n in range(options.executions)], 16)
        yield [f"executions started a second, {options.executions:,} at once", f"{found:,.0f}", "", ""]
        tokens, receive = set(), wire.sqs(
            "ReceiveMessage", {"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 20}
        )
        while len(tokens) < options.executions:
            messages = line.json(receive)["Messages"]
            tokens |= {json.loads(message["Body"])["token"] for message in messages}
        begun = time.perf_counter()
        succeed = [
            wire.sagemaker("SendPipelineExecutionStepSuccess", {"CallbackToken": token}) for token in tokens
        ]
        rate(wire, succeed, 16)
        for arn in listed(wire, line, "waits"):
            wait(wire, line, arn)
        found = options.executions / (time.perf_counter() - begun)
        yield ["their callbacks answered and executions ended a second", f"{found:,.0f}", "", ""]
        yield ["resident memory with them", f"{server.memory():.0f} MB", "", ""]


def listed(wire, line, name):
    """All executions of a pipeline."""
    arns, request = [], {"PipelineName": name, "MaxResults": 100}
    while True:
        page = line.json(wire.sagemaker("ListPipelineExecutions", request))
        arns += [one["PipelineExecutionArn"] for one in page["PipelineExecutionSummaries"]]
        if "NextToken" not in page:
            return arns
        request["NextToken"] = page["NextToken"]


def arrays(options):
    """What a large array costs beside its jobs: it waits for another, and is cancelled. Then a smaller one
    that runs."""
    with serving("arrays") as server:
        wire, line = server.wire, server.wire.connect()

        def call(operation, **request):
            return line.json(wire.batch(operation, request))

        def submit(size, **request):
            request |= {"jobName": "bench", "jobQueue": "bench", "jobDefinition": "bench"}
            return call("SubmitJob", arrayProperties={"size": size}, **request)["jobId"]

        def wait_for_end(job, status):
            while (found := call("DescribeJobs", jobs=[job])["jobs"][0])["status"] not in ("SUCCEEDED", "FAILED"):
                time.sleep(0.02)
            size, ended = found["arrayProperties"]["size"], found["arrayProperties"]["statusSummary"][status]
            if ended != size:
                sys.exit(f"{ended} of {size} jobs are {status}")

        call("CreateComputeEnvironment", computeEnvironmentName="bench", type="UNMANAGED")
        order = [{"order": 1, "computeEnvironment": "bench"}]
        call("CreateJobQueue", jobQueueName="bench", priority=1, computeEnvironmentOrder=order)
        container = {
            "image": IMAGE, "command": ["/bin/true"], "resourceRequirements": [
                {"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "256"},
            ],
        }
        call("RegisterJobDefinition", jobDefinitionName="bench", type="container", containerProperties=container)
        begun = time.perf_counter()
        running = submit(options.running)
        wait_for_end(running, "SUCCEEDED")
        found = options.running / (time.perf_counter() - begun)
        yield [f"jobs of an array a second, {options.running:,} that do nothing", f"{found:,.0f}", "", ""]
        sleeping = container | {"command": ["sleep", "3600"]}
        call("RegisterJobDefinition", jobDefinitionName="sleeps", type="container", containerProperties=sleeping)
        first = call("SubmitJob", jobName="first", jobQueue="bench", jobDefinition="sleeps")["jobId"]
        begun = time.perf_counter()
        large = submit(options.children, dependsOn=[{"jobId": first}])
        submitted = time.perf_counter() - begun
        call("TerminateJob", jobId=large, reason="bench")
        wait_for_end(large, "FAILED")
        whole = time.perf_counter() - begun
        yield [f"an array of {options.children:,} submitted", f"{submitted:.1f} s", "", ""]
        figures = [f"{whole:.1f} s", "≤ 30 s", verdict(whole <= 30)]
        yield ["the same, and cancelled: every job has ended", *figures]
        call("TerminateJob", jobId=first, reason="bench")


def median_and_late(taken):
    taken = sorted(taken)
    return f"{statistics.median(taken):.1f} ms ({taken[int(len(taken) * 0.99)]:.1f} ms)"


CASES = {case.__name__: case for case in (queues, functions, arrays, steps, executions)}
run_cases(
    "pipelines", CASES, __doc__, messages=2_000, invocations=3_000, running=500, children=10_000, runs=10,
    executions=1_000,
)
