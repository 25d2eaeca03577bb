"""Measures `bessemer serve` as a runner of many jobs: submits, starts, throughput, memory, lists, and
S3 against plain copies.

    cargo xtask bench jobs [--jobs 600] [--history 100000] [--cases submits,jobs,starts,history,objects]
"""

import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time

from report import verdict
from serving import CACHE, IMAGE, ROLE, Server, run_cases, serving
from wire import rate

GIGABYTE = 1 << 30


def training(name, *command):
    """A training job that runs `command`, with one core."""
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": list(command),
        },
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://bench/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "Environment": {"BESSEMER_CORES": "1", "BESSEMER_MEMORY": "256MiB"},
    }


def create(wire, request):
    return wire.sagemaker("CreateTrainingJob", request)


def describe(wire, line, name):
    return line.json(wire.sagemaker("DescribeTrainingJob", {"TrainingJobName": name}))


def wait(wire, line, name):
    """The job when it has ended, by Bessemer's own call that waits."""
    while True:
        found = describe(wire, line, name)
        if found["TrainingJobStatus"] not in ("InProgress", "Stopping"):
            if found["TrainingJobStatus"] != "Completed":
                sys.exit(f"{name} has failed: {found.get('FailureReason')}")
            return found
        time.sleep(0.01)


def warm(server):
    """Has the environment built and the pages read."""
    server.make_bucket()
    line = server.wire.connect()
    for number in range(3):
        line.call(create(server.wire, training(f"warm-{number}", "/bin/true")))
        wait(server.wire, line, f"warm-{number}")


def submits(options):
    """Durable submits a second, while the machine is full."""
    with serving("submits") as server:
        warm(server)
        line, wire = server.wire.connect(), server.wire
        full = training("full", "/bin/sleep", "600") | {"Environment": {}}
        line.call(create(wire, full))
        for connections in (1, 16, 64):
            count = options.jobs if connections == 1 else options.jobs * 5
            requests = [
                create(wire, training(f"submit-{connections}-{number}", "/bin/true"))
                for number in range(count)
            ]
            found = rate(wire, requests, connections)
            goal = ("≥ 1,000", verdict(found >= 1_000)) if connections == 64 else ("", "")
            yield [f"durable submits a second, {connections} connections", f"{found:,.0f}", *goal]
        line.call(wire.sagemaker("StopTrainingJob", {"TrainingJobName": "full"}))


def jobs(options):
    """Trivial jobs a second, sandbox on, from the first submit to the last end."""
    names = [f"trivial-{number}" for number in range(options.jobs)]
    with serving("jobs") as server:
        warm(server)
        wire, line = server.wire, server.wire.connect()
        requests = [create(wire, training(name, "/bin/true")) for name in names]
        begun = time.perf_counter()
        rate(wire, requests, 16)
        listed = wire.sagemaker("ListTrainingJobs", {"StatusEquals": "InProgress", "MaxResults": 1})
        while line.json(listed)["TrainingJobSummaries"]:
            time.sleep(0.01)
        found = len(names) / (time.perf_counter() - begun)
        for name in names:
            wait(wire, line, name)
    begun = time.perf_counter()
    lines = "\n".join(names).encode()
    subprocess.run(["xargs", "-P2", "-I{}", "/bin/true", "{}"], input=lines, check=True)
    plain = len(names) / (time.perf_counter() - begun)
    yield ["trivial jobs a second, sandboxed", f"{found:,.0f}", "≥ 300", verdict(found >= 300)]
    yield ["the same command by `xargs -P2`, no sandbox, no record", f"{plain:,.0f}", "", ""]


def starts(options):
    """From submit to user code, warm: jobs one after the other, each telling the time."""
    with serving("starts") as server:
        warm(server)
        wire, line = server.wire, server.wire.connect()
        taken = []
        for number in range(options.starts):
            command = ("/bin/sh", "-c", "date +%s%N > /opt/ml/output/failure; exit 1")
            request = create(wire, training(f"start-{number}", *command))
            begun = time.time()
            line.call(request)
            while (found := describe(wire, line, f"start-{number}"))["TrainingJobStatus"] == "InProgress":
                time.sleep(0.01)
            told = re.search(r"\d{19}", found["FailureReason"])
            taken.append((int(told[0]) / 1e9 - begun) * 1000)
    taken.sort()
    median, late = statistics.median(taken), taken[int(len(taken) * 0.99)]
    yield ["from submit to user code, median", f"{median:.1f} ms", "≤ 50 ms", verdict(median <= 50)]
    yield ["the same, 99th percentile", f"{late:.1f} ms", "≤ 1 s", verdict(late <= 1_000)]


def history(options):
    """Memory and lists without and with a history of jobs."""
    server = Server("history")
    first = server.start()
    server.make_bucket()
    idle = server.memory()
    yield ["first start", f"{first * 1000:.0f} ms", "≤ 500 ms", verdict(first <= 0.5)]
    yield ["resident memory, idle", f"{idle:.0f} MB", "≤ 80 MB", verdict(idle <= 80)]
    line = server.wire.connect()
    line.call(create(server.wire, training("job-0", "/bin/true")))
    wait(server.wire, line, "job-0")
    server.stop()
    multiply(server.folder / "bessemer.db", options.history)
    again = server.start()
    count = f"{options.history:,} jobs"
    yield [f"start with {count}", f"{again * 1000:.0f} ms", "≤ 2 s", verdict(again <= 2)]
    wire, line = server.wire, server.wire.connect()
    calls = {
        "Describe": ("DescribeTrainingJob", {"TrainingJobName": f"job-{options.history // 2}"}),
        "List, 100 newest": ("ListTrainingJobs", {"MaxResults": 100}),
        "List, failed ones": ("ListTrainingJobs", {"StatusEquals": "Failed"}),
        "List, by name": ("ListTrainingJobs", {"NameContains": f"{options.history // 3}", "SortBy": "Name"}),
    }
    for title, (operation, request) in calls.items():
        taken = []
        for _ in range(100):
            signed = wire.sagemaker(operation, request)
            begun = time.perf_counter()
            line.call(signed)
            taken.append((time.perf_counter() - begun) * 1000)
        taken.sort()
        figures = f"{statistics.median(taken):.1f} ms ({taken[98]:.1f} ms)"
        yield [f"{title}, with {count}: median (99th percentile)", figures, "", ""]
    full = server.memory()
    yield [f"resident memory with {count}", f"{full:.0f} MB", "", ""]
    server.stop()
    shutil.rmtree(server.folder)


def multiply(path, count):
    """Copies the history's one job, with all that belongs to it, under other names and times."""
    base = sqlite3.connect(path)
    jobs = columns(base, "jobs")
    changed = {
        "id": "id + n", "name": "'job-' || n", "arn": "replace(arn, 'job-0', 'job-' || n)",
        **{name: f"{name} - n * 60000" for name in ("created_at", "started_at", "ended_at", "modified_at")},
    }
    copies = {
        "jobs": [changed.get(name, name) for name in jobs],
        "job_documents": [{"job_id": "job_id + n"}.get(name, name) for name in columns(base, "job_documents")],
        "attempts": [{"job_id": "job_id + n"}.get(name, name) for name in columns(base, "attempts")],
    }
    numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count - 1})"
    with base:
        for table, values in copies.items():
            names = ", ".join(columns(base, table))
            base.execute(
                f"INSERT INTO {table} ({names}) {numbers} SELECT {', '.join(values)} FROM {table}, numbers"
            )
    base.close()


def columns(base, table):
    return [row[1] for row in base.execute(f"PRAGMA table_info({table})")]


def objects(options):
    """Large objects against plain copies of the same bytes on the same disk."""
    source, copied = CACHE / "object", CACHE / "copied"
    with open(source, "wb") as file:
        block = os.urandom(1 << 20)
        for _ in range(GIGABYTE >> 20):
            file.write(block)
    with serving("objects") as server:
        server.make_bucket()
        puts, gets, copies, reads = [], [], [], []
        for number in range(3):
            copied.unlink(missing_ok=True)
            os.sync()
            copies.append(timed(lambda: copy(source, copied)))
            copied.unlink()
            os.sync()
            puts.append(timed(lambda: put(server.wire, source, f"/bench/object-{number}")))
            reads.append(timed(lambda: copy(source, copied, durable=False)))
            copied.unlink()
            gets.append(timed(lambda: get(server.wire, f"/bench/object-{number}", copied)))
    source.unlink()
    copied.unlink()
    for title, plain, ours in [("put, durable", copies, puts), ("get into a file", reads, gets)]:
        share = statistics.median(p / o for p, o in zip(plain, ours))
        speed = f"{GIGABYTE / 1e6 / statistics.median(ours):,.0f} MB/s"
        beside = f"{speed}, {share:.0%} of a copy ({GIGABYTE / 1e6 / statistics.median(plain):,.0f} MB/s)"
        yield [f"S3 {title}, 1 GiB", beside, "≥ 70 %", verdict(share >= 0.7)]


def timed(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def copy(source, target, durable=True):
    with open(source, "rb") as read, open(target, "wb") as written:
        shutil.copyfileobj(read, written, 1 << 20)
        if durable:
            written.flush()
            os.fsync(written.fileno())


def put(wire, source, path):
    line = wire.connect()
    line.socket.sendall(wire.s3("PUT", path, source.stat().st_size))
    with open(source, "rb") as file:
        line.socket.sendfile(file)
    line.answer()


def get(wire, path, target):
    line = wire.connect()
    line.socket.sendall(wire.s3("GET", path))
    left, body = line.head()
    buffer = memoryview(bytearray(1 << 20))
    with open(target, "wb") as file:
        file.write(body)
        left -= len(body)
        while left:
            count = line.socket.recv_into(buffer)
            file.write(buffer[:count])
            left -= count


CASES = {case.__name__: case for case in (submits, jobs, starts, history, objects)}


run_cases("jobs", CASES, __doc__, jobs=600, starts=200, history=100_000)
