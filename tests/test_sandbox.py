"""User code that wants out: a training job that tries what `kit/probes.py` has, against a server with
another job, bombs, links and archives. The server lives, and its secrets stay where they are."""

import io
import json
import os
import secrets
import tarfile
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from kit import cli, platform, work

PROBES = Path(__file__).parent / "kit/probes.py"
CANARY = "canary-" + secrets.token_hex(16)
SMALL = {"BESSEMER_CORES": "1", "BESSEMER_MEMORY": "256MiB"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sandbox") / "data"
    # With room for two jobs on any machine.
    with platform.running(folder, "--cores", "4", env={"SERVER_CANARY": CANARY}) as server:
        work.make_bucket(server)
        yield server
        client = server.client("sagemaker")
        for job in client.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"]:
            client.stop_training_job(TrainingJobName=job["TrainingJobName"])
        work.until(lambda: not work.left_over(server), f"end of {work.left_over(server)}")
        secret = server.key()["secret"]
    assert not holding(server, CANARY, secret), "a secret was written down"


def holding(server, *words):
    """The files of the server that hold one of `words`, but for the one that is for secrets."""
    found = []
    for path in [*server.folder.rglob("*"), server.said]:
        if path.is_file() and path.name != "keys.json":
            texts = [path.read_bytes()]
            if path.name.endswith(".tar.gz"):
                texts += work.unpacked(texts[0]).values()
            if any(word.encode() in text for word in words for text in texts):
                found.append(str(path))
    return found


def start(server, name, program, **changes):
    """A training job whose entry point is a program in a channel."""
    work.put(server, f"{name}/code/program.py", program)
    changes.setdefault("Environment", {})
    changes["Environment"] = SMALL | changes["Environment"]
    channels = [work.channel("code", f"{name}/code/"), *changes.pop("InputDataConfig", [])]
    command = ["python3", "/opt/ml/input/data/code/program.py"]
    return work.training(
        server, name, image=work.PYTHON, InputDataConfig=channels,
        AlgorithmSpecification={"ContainerEntrypoint": command}, **changes,
    )


def answers(server):
    """The server does what it is for."""
    work.put(server, "alive", "yes")
    assert work.read(server, "alive") == b"yes" and server.get("/healthz").strip() == "ok"


VICTIM = """
import os, time
secret = os.urandom(16).hex()
for folder in "/tmp", "/dev/shm", "/opt/ml/model":
    with open(folder + "/victim-secret", "w") as file:
        file.write(secret)
print("ready", flush=True)
time.sleep(600)
"""


def test_no_probe_gets_out(server):
    token = "token-" + secrets.token_hex(16)
    start(server, "victim", VICTIM, Environment={"VICTIM_TOKEN": token})
    work.wait_for_line(server, "training", "victim", "ready")
    files, = (server.folder / "runs").glob("*/*/algo-1")
    secret = (files / "ml/model/victim-secret").read_text()
    noted = json.loads((files / "control/process.json").read_text())["pid"]
    targets = {"data": str(server.folder), "server": server.process.pid, "victim": [noted],
               "files": str(files)}

    large = os.urandom(3_000_000)
    work.put(server, "probes/in/large", large)
    start(server, "probes", PROBES.read_text(), Environment={"TARGETS": json.dumps(targets)},
          InputDataConfig=[work.channel("train", "probes/in/")])
    work.trained(server, "probes")
    # Links, pipes and sockets are no files.
    model = work.unpacked(work.read(server, "out/probes/output/model.tar.gz"))
    assert list(model) == ["probes.json"]
    left = json.loads(model["probes.json"])
    assert {name: found["reached"] for name, found in left["probes"].items() if found["reached"]} == {}
    assert len(left["probes"]) >= 20 and all(found["tried"] for found in left["probes"].values())
    # Nor did it get at anything without noticing.
    said = "\n".join(work.log(server, "training", "probes")).encode() + model["probes.json"]
    assert not [word for word in (secret, token, CANARY, server.key()["secret"]) if word.encode() in said]
    assert not work.exists(server, "out/probes/output/output.tar.gz")
    assert work.read(server, "probes/in/large") == large
    assert not [path for path in ("/bessemer-probe", "/etc/bessemer-probe", "/usr/bessemer-probe",
                                  server.folder.parent / "keys.json") if os.path.exists(path)]
    # Its key has ended with it, which the server's own and the other job's have not.
    key = {"id": left["key"]["AWS_ACCESS_KEY_ID"], "secret": left["key"]["AWS_SECRET_ACCESS_KEY"]}
    assert server.key()["id"] != key["id"]
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        server.client("s3", key).list_buckets()
    # The other job goes on, and with it the server.
    assert (files / "ml/model/victim-secret").read_text() == secret
    described = server.client("sagemaker").describe_training_job(TrainingJobName="victim")
    assert described["TrainingJobStatus"] == "InProgress"
    server.client("sagemaker").stop_training_job(TrainingJobName="victim")
    work.trained(server, "victim", "Stopped")
    model = work.unpacked(work.read(server, "out/victim/output/model.tar.gz"))
    assert model == {"victim-secret": secret.encode()}
    answers(server)


LINKED = """
import os, shutil, sys
data = os.environ["DATA"]
for place, target in ("/opt/ml/model", data), ("/opt/ml/checkpoints", data), (
    "/opt/ml/output/data", data + "/logs"
):
    if os.path.isdir(place):
        shutil.rmtree(place)
    os.symlink(target, place)
if os.environ["FAILURE"] == "link":
    os.symlink(data + "/keys.json", "/opt/ml/output/failure")
else:
    os.mkfifo("/opt/ml/output/failure")
sys.exit("no more")
"""


@pytest.mark.parametrize("failure", ["link", "pipe"])
def test_folders_that_a_job_made_links_are_empty(server, failure):
    name = f"linked-{failure}"
    start(server, name, LINKED, Environment={"DATA": str(server.folder), "FAILURE": failure},
          CheckpointConfig={"S3Uri": f"s3://data/{name}/checkpoints"})
    reason = work.trained(server, name, "Failed")["FailureReason"]
    assert reason == "AlgorithmError: no more, exit code: 1"
    assert work.keys(server, f"out/{name}/") == work.keys(server, f"{name}/checkpoints") == []
    answers(server)


def archive(*entries):
    """A tar.gz of entries: a name and a text, or a name and the target of a link."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text, target in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            if target is not None:
                entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


@pytest.mark.parametrize("kind", ["dots", "root", "link"])
def test_an_archive_stays_in_its_folder(server, kind):
    target = server.folder.parent / f"escaped-{kind}"
    script = ("train.py", "print('ran')", None)
    packed = archive(script, *{
        "dots": [("../" * depth + target.name, "x", None) for depth in range(1, 9)],
        "root": [(str(target), "x", None)],
        "link": [("out", "", str(target.parent)), (f"out/{target.name}", "x", None)],
    }[kind])
    name = f"archive-{kind}"
    work.put(server, f"{name}/source.tar.gz", packed)
    work.training(server, name, image=work.PYTHON, Environment=SMALL, HyperParameters={
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": f"s3://data/{name}/source.tar.gz",
    })
    reason = work.trained(server, name, "Failed")["FailureReason"]
    assert reason.startswith("ClientError: unpack") and any(word in reason for word in (
        "leads out of the archive", "is an absolute path", "is a symbolic link"
    )), reason
    found = [*server.folder.rglob(target.name), *server.folder.parent.glob(target.name)]
    assert found == []
    answers(server)


FORKS = """
import os, signal
first = os.getpid()
while True:
    try:
        os.fork()
    except OSError:
        break
if os.getpid() == first:
    print("full", flush=True)
while True:
    signal.pause()
"""

MEMORY = """
import os
for _ in range(3):
    os.fork()
held = []
while True:
    held.append(bytearray(os.urandom(1)) * (8 << 20))
"""

# Three times what it may take, at once; the machine's disk is not the test's to fill.
DISK = """
import os, signal
for number in range(3):
    with open(f"/tmp/{number}", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 30)
while True:
    signal.pause()
"""


def test_a_fork_bomb_stays_in_its_job(server):
    start(server, "forks", FORKS)
    client = server.client("sagemaker")

    def settled():
        answers(server)
        described = client.describe_training_job(TrainingJobName="forks")
        is_full = "full" in work.log(server, "training", "forks")
        return is_full or described["TrainingJobStatus"] != "InProgress"

    work.until(settled, "end of the forks")
    # It has all that it may have, processes or memory; in the latter case it was ended.
    if client.describe_training_job(TrainingJobName="forks")["TrainingJobStatus"] == "InProgress":
        client.stop_training_job(TrainingJobName="forks")
        work.trained(server, "forks", "Stopped")
    else:
        reason = work.trained(server, "forks", "Failed")["FailureReason"]
        assert "ran out of memory" in reason, reason
    answers(server)


def limits_memory(server):
    """Whether this machine has control groups for it; else it depends on who comes first."""
    lines = cli.run("doctor", "--json", "--data-dir", server.folder, "--listen", "127.0.0.1:0",
                    expect=None).stdout.splitlines()
    states = {check["check"]: check["state"] for check in map(json.loads, lines)}
    return states.get("sandbox: memory control group") == "ok"


def test_a_memory_bomb_ends_its_job_alone(server):
    start(server, "memory", MEMORY)
    reason = work.trained(server, "memory", "Failed")["FailureReason"]
    assert "ran out of memory" in reason or not limits_memory(server), reason
    answers(server)


def test_a_disk_bomb_ends_its_job_alone(server):
    start(server, "disk", DISK, ResourceConfig={
        "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1,
    })
    reason = work.trained(server, "disk", "Failed")["FailureReason"]
    assert reason.startswith("ClientError: the disk is full")
    answers(server)
