"""Processing jobs, driven by boto3: inputs, outputs, several instances, messages, failures, stops, kills
of the server."""

import gzip
import json
import signal

import pytest

from kit import platform, work


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("processing") / "data") as server:
        work.make_bucket(server)
        yield server
        # Whatever happened above, nothing stays.
        work.until(lambda: not work.left_over(server), f"end of {work.left_over(server)}")


def test_a_script_makes_outputs_of_inputs(server):
    script = """
import json, os, sys
config = json.load(open("/opt/ml/config/processingjobconfig.json"))
resources = json.load(open("/opt/ml/config/resourceconfig.json"))
base = "/opt/ml/processing"
os.makedirs(base + "/output/deep")
for name in os.listdir(base + "/input"):
    if name.endswith(".txt"):
        text = open(base + "/input/" + name).read()
        open(base + "/output/deep/" + name, "w").write(text.upper() + sys.argv[2] + os.environ["E"])
os.symlink("/etc/hostname", base + "/output/link")
json.dump([config, resources], open(base + "/config/config.json", "w"))
open("/opt/ml/output/message", "w").write("two files")
"""
    for name in ("a.txt", "b.txt"):
        work.put(server, f"script/in/{name}", name)
    outputs = [work.output("output", "script/out"), work.output("config", "script/config/")]
    work.processing(
        server, "script", script, "--suffix", "!", Environment={"E": "?"},
        ProcessingInputs=[work.source("input", "script/in/")],
        ProcessingOutputConfig={"Outputs": outputs},
    )
    described = work.processed(server, "script")
    assert described["ExitMessage"] == "two files"
    assert work.keys(server, "script/out") == ["script/out/deep/a.txt", "script/out/deep/b.txt"]
    assert work.read(server, "script/out/deep/b.txt") == b"B.TXT!?"
    config, resources = json.loads(work.read(server, "script/config/config.json"))
    assert config["ProcessingJobArn"] == described["ProcessingJobArn"]
    assert config["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] is None
    assert config["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3UploadMode"] == "EndOfJob"
    assert resources["hosts"] == [resources["current_host"]] == ["algo-1"]


def test_a_framework_script_is_run_as_the_sdk_packs_it(server):
    """`FrameworkProcessor`: a shell script that unpacks the source where it was put."""
    run = """#!/bin/bash
cd /opt/ml/processing/input/code/
tar -xzf sourcedir.tar.gz
set -e
if [[ -f 'requirements.txt' ]]; then
    pip install -r requirements.txt
fi
python fit.py "$@"
"""
    source = work.packed(fit__py="import sklearn, sys; print('sklearn', sklearn.__version__[:2], sys.argv[1])")
    work.put(server, "framework/source/sourcedir.tar.gz", source)
    work.put(server, "framework/source/runproc.sh", run)
    inputs = [
        work.source("code", "framework/source/sourcedir.tar.gz", "input/code/"),
        work.source("entrypoint", "framework/source/runproc.sh", "input/entrypoint"),
    ]
    server.client("sagemaker").create_processing_job(
        ProcessingJobName="framework", RoleArn=platform.ROLE, ProcessingInputs=inputs,
        ProcessingResources={"ClusterConfig": {
            "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5,
        }},
        AppSpecification={
            "ImageUri": work.SKLEARN, "ContainerArguments": ["--fast"],
            "ContainerEntrypoint": [
                "/bin/bash", "/opt/ml/processing/input/entrypoint/runproc.sh",
            ],
        },
    )
    work.processed(server, "framework")
    assert "sklearn 1. --fast" in work.log(server, "processing", "framework")


def test_inputs_come_by_manifest_and_unpacked(server):
    work.put(server, "listed/data/x/1", "one")
    work.put(server, "listed/data/2", gzip.compress(b"two"))
    work.put(server, "listed/manifest", json.dumps([{"prefix": "s3://data/listed/data/"}, "x/1"]))
    script = """
print(open("/opt/ml/processing/list/x/1").read(), open("/opt/ml/processing/packed/2").read())
"""
    inputs = [
        work.source("list", "listed/manifest", S3DataType="ManifestFile"),
        work.source("packed", "listed/data/2", S3CompressionType="Gzip"),
    ]
    work.processing(server, "listed", script, ProcessingInputs=inputs)
    work.processed(server, "listed")
    assert "one two" in work.log(server, "processing", "listed")


def test_an_input_folder_can_be_an_output(server):
    """Large files there are the program's own, and the objects stay as they are."""
    content = b"x" * 3_000_000
    work.put(server, "in-place/in/large", content)
    script = """
with open("/opt/ml/processing/files/large", "r+b") as file:
    file.write(b"changed")
"""
    work.processing(
        server, "in-place", script, ProcessingInputs=[work.source("files", "in-place/in/")],
        ProcessingOutputConfig={"Outputs": [work.output("files", "in-place/out")]},
    )
    work.processed(server, "in-place")
    assert work.read(server, "in-place/out/large") == b"changed" + content[7:]
    assert work.read(server, "in-place/in/large") == content


def test_instances_share_the_inputs_and_each_has_outputs(server):
    for part in "abcd":
        work.put(server, f"shares/in/{part}", part)
    script = """
import json, os
host = json.load(open("/opt/ml/config/resourceconfig.json"))["current_host"]
names = ",".join(sorted(os.listdir("/opt/ml/processing/in")))
open("/opt/ml/processing/out/" + host, "w").write(names)
open("/opt/ml/output/message", "w").write(host)
"""
    work.processing(
        server, "shares", script, instances=2,
        ProcessingInputs=[work.source("in", "shares/in/", S3DataDistributionType="ShardedByS3Key")],
        ProcessingOutputConfig={"Outputs": [work.output("out", "shares/out")]},
    )
    assert work.processed(server, "shares")["ExitMessage"] == "algo-1\nalgo-2"
    assert work.read(server, "shares/out/algo-1") == b"a,c"
    assert work.read(server, "shares/out/algo-2") == b"b,d"


def test_a_continuous_output_appears_while_the_program_runs(server):
    script = """
import os, time
folder = "/opt/ml/processing/out"
open(folder + "/first", "w").write("1")
print("wrote", flush=True)
while not os.path.exists("/tmp/go"):
    time.sleep(0.02)
open(folder + "/last", "w").write("2")
"""
    outputs = [work.output("out", "continuous/out", "Continuous")]
    work.processing(server, "continuous", script, ProcessingOutputConfig={"Outputs": outputs})
    work.until(lambda: work.exists(server, "continuous/out/first"), "first output")
    described = server.client("sagemaker").describe_processing_job(ProcessingJobName="continuous")
    assert described["ProcessingJobStatus"] == "InProgress"
    place, = (server.folder / "runs").glob("*/*/algo-1/tmp")
    (place / "go").write_text("")
    work.processed(server, "continuous")
    assert work.keys(server, "continuous/out") == ["continuous/out/first", "continuous/out/last"]


def test_a_failure_leaves_no_outputs(server):
    script = """
open("/opt/ml/processing/out/half", "w").write("half")
raise RuntimeError("no more")
"""
    outputs = {"Outputs": [work.output("out", "failing/out")]}
    work.processing(server, "failing", script, ProcessingOutputConfig=outputs)
    described = work.processed(server, "failing", "Failed")
    expected = "AlgorithmError: RuntimeError: no more, exit code: 1"
    assert described["FailureReason"] == expected
    assert work.keys(server, "failing/out") == []


@pytest.mark.parametrize(("name", "changes", "why"), [
    ("no-objects", {"ProcessingInputs": [work.source("in", "nowhere/")]}, "No S3 objects found"),
    ("no-entry", {"AppSpecification": {"ContainerEntrypoint": ["/no/such/program"]}}, "no/such/program"),
])
def test_what_can_not_be_run_says_why(server, name, changes, why):
    work.processing(server, name, "pass", **changes)
    assert why in work.processed(server, name, "Failed")["FailureReason"]


WAITS = """
import os, time
open("/opt/ml/processing/out/first", "w").write("1")
print("began", flush=True)
while not os.path.exists("/tmp/go"):
    time.sleep(0.02)
"""


def test_a_stopped_job_ends_its_program(server):
    outputs = {"Outputs": [work.output("out", "stopping/out")]}
    work.processing(server, "stopping", WAITS, ProcessingOutputConfig=outputs)
    work.wait_for_line(server, "processing", "stopping", "began")
    server.client("sagemaker").stop_processing_job(ProcessingJobName="stopping")
    work.processed(server, "stopping", "Stopped")
    assert work.keys(server, "stopping/out") == []


def test_a_job_survives_its_server(tmp_path):
    with platform.running(tmp_path / "data") as server:
        work.make_bucket(server)
        outputs = {"Outputs": [work.output("out", "lives-on/out")]}
        work.processing(server, "lives-on", WAITS, ProcessingOutputConfig=outputs)
        work.wait_for_line(server, "processing", "lives-on", "began")
        server.stop(signal.SIGKILL)
        place, = (server.folder / "runs").glob("*/*/algo-1/tmp")
        (place / "go").write_text("")
        server.start()
        work.processed(server, "lives-on")
        assert work.read(server, "lives-on/out/first") == b"1"
        assert work.log(server, "processing", "lives-on").count("began") == 1
        work.until(lambda: not work.left_over(server), f"end of {work.left_over(server)}")
