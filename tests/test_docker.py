"""Jobs in containers of Docker, for images that no environment stands for: a daemon of the tests' own, and
an image made of this machine's Python."""

import json
import os
import signal
import subprocess

import pytest

from kit import docker, platform, work
from kit.transforms import Transforms

IMAGE = "own/algorithm:1"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("daemon")
    with docker.daemon(folder) as daemon:
        docker.make_image(daemon, IMAGE)
        yield daemon
        assert daemon.containers("any") == []


def settings(daemon, network="server"):
    return f"""
[docker]
host = "{daemon.host}"
network = "{network}"

[[images]]
pattern = "*/mapped-algorithm:*"
docker = "{IMAGE}"
"""


def serve(folder, text):
    folder.mkdir()
    (folder / "bessemer.toml").write_text(text)
    return platform.running(folder)


@pytest.fixture(scope="module")
def server(daemon, tmp_path_factory):
    with serve(tmp_path_factory.mktemp("docker") / "data", settings(daemon)) as server:
        work.make_bucket(server)
        yield server
        work.until(lambda: not work.left_over(server), f"end of {work.left_over(server)}")


def train(server, name, does="tell", image=IMAGE, **changes):
    return work.training(server, name, image=image, HyperParameters={"does": does}, **changes)


def test_an_image_of_dockers_own_trains(server):
    work.put(server, "train/small", "s")
    work.put(server, "train/large: \"x\", 1", b"l" * 3_000_000)
    train(
        server, "own", InputDataConfig=[work.channel("train", "train")], Environment={"ASKED": "a=b c"},
    )
    work.trained(server, "own")
    told = json.loads(work.log(server, "training", "own")[0])
    assert told["arguments"] == ["train"]
    assert (told["image"], told["asked"], told["folder"]) == ("yes", "a=b c", "/opt/image")
    assert told["path"].startswith("/opt/python/bin")
    assert told["host"] == told["resources"]["current_host"] == "algo-1"
    assert told["inputs"] == {
        "input/data/train/small": 1, "input/data/train/large: \"x\", 1": 3_000_000,
    }
    assert told["networks"] == ["lo"]
    assert told["no_new_privileges"] == "1"
    assert not int(told["capabilities"], 16) & (1 << 13)  # CAP_NET_RAW
    model = work.unpacked(work.read(server, "out/own/output/model.tar.gz"))
    assert model == {"deep/weights": b"w" * 1_000_000}
    assert work.unpacked(work.read(server, "out/own/output/output.tar.gz")) == {"other": b"other"}


def test_a_pattern_names_an_image_of_docker(server):
    image = "1.dkr.ecr.eu-west-1.amazonaws.com/mapped-algorithm:3"
    arguments = {"ContainerEntrypoint": ["python3", "-c"], "ContainerArguments": ["print('from', 'args')"]}
    work.training(server, "mapped", image=image, AlgorithmSpecification=arguments)
    work.trained(server, "mapped")
    assert work.log(server, "training", "mapped") == ["from args"]


def test_a_container_reaches_the_server_and_nothing_else(server):
    train(server, "uses", "use")
    work.trained(server, "uses")
    assert work.log(server, "training", "uses") == ["read 3000000"]
    port = server.address.rsplit(":", 1)[1]
    train(server, "alone", "isolated", Environment={"PORT": port}, EnableNetworkIsolation=True)
    work.trained(server, "alone")
    refused, keys = work.log(server, "training", "alone")
    assert refused.startswith("refused") and keys == "keys []"


def test_a_processing_job_runs_an_images_own_program(server):
    for name in ("a", "b"):
        work.put(server, f"process/in/{name}", name)
    server.client("sagemaker").create_processing_job(
        ProcessingJobName="process", RoleArn=platform.ROLE,
        ProcessingInputs=[work.source("in", "process/in")],
        ProcessingOutputConfig={"Outputs": [work.output("out", "process/out")]},
        ProcessingResources={"ClusterConfig": {
            "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5,
        }},
        AppSpecification={"ImageUri": IMAGE, "ContainerArguments": ["-x", "y z"]},
    )
    assert work.processed(server, "process")["ExitMessage"] == "done"
    assert work.read(server, "process/out/b") == b"B-x y z"


def model(jobs, name, files):
    jobs.model(name, files, image=IMAGE, ASKED="asked")
    return name


def test_a_transform_job_is_served_by_an_image(server):
    jobs = Transforms(server)
    model(jobs, "served", {"word": "so"})
    jobs.run("served", "served", inputs={"x": "1\n2\n", "deep/y": "3\n"})
    assert jobs.outputs("served") == {"deep/y.out": "so asked 3\n", "x.out": "so asked 1\nso asked 2\n"}
    assert "serves yes /opt/image" in jobs.log("served")
    described = jobs.run("refused", "served", inputs={"x": "1\n", "z": "bad\n"}, ends="Failed")
    assert "z" in described["FailureReason"], described["FailureReason"]
    assert jobs.outputs("refused") == {"x.out": "so asked 1\n"}


def test_a_serving_container_outlives_its_server(daemon, tmp_path):
    with serve(tmp_path / "data", settings(daemon)) as server:
        work.make_bucket(server)
        jobs = Transforms(server)
        model(jobs, "waits", {"word": "so", "wait": ""})
        jobs.put(**{"in/waits/x": "1\n"})
        jobs.create("waits", "waits")
        job = {"TransformJobName": "waits"}
        work.until(
            lambda: jobs.sagemaker.describe_transform_job(**job).get("TransformStartTime")
            and daemon.containers(), "container",
        )
        [before] = daemon.containers()
        server.restart(signal.SIGKILL)
        assert daemon.containers() == [before]
        [unpacked] = [path.parent for path in server.folder.glob("runs/*/**/word")]
        (unpacked / "go").write_text("")
        jobs = Transforms(server)
        jobs.wait("waits")
        assert jobs.outputs("waits") == {"x.out": "so asked 1\n"}
        assert daemon.containers("any") == []


def test_failures_have_their_classes(server, daemon):
    train(server, "fails", "fail")
    reason = work.trained(server, "fails", "Failed")["FailureReason"]
    assert reason == "AlgorithmError: it is the data, exit code: 3"
    train(server, "eats", "eat", Environment={"BESSEMER_MEMORY": "256MiB"})
    reason = work.trained(server, "eats", "Failed")["FailureReason"]
    assert reason.startswith("AlgorithmError: the program ran out of memory"), reason
    shown = json.loads(server.run("jobs", "show", "eats", "--json").stdout)
    assert shown["attempts"][-1]["class"] == "out_of_memory", shown["attempts"]
    entry = {"ContainerEntrypoint": ["/no/such/program"]}
    work.training(server, "no-program", image=IMAGE, AlgorithmSpecification=entry)
    reason = work.trained(server, "no-program", "Failed")["FailureReason"]
    assert reason.startswith("AlgorithmError: failed to run the container's program"), reason
    assert "/no/such/program" in reason


def test_an_image_that_is_nowhere_is_refused(server, tmp_path):
    work.training(server, "nowhere", image="nobody/has:this")
    reason = work.trained(server, "nowhere", "Failed")["FailureReason"]
    assert reason.startswith("ClientError: the image `nobody/has:this` stands for nothing here"), reason
    assert "docker pull nobody/has:this" in reason
    down = settings(docker.Daemon("unix:///nowhere/docker.sock"))
    with serve(tmp_path / "data", down) as other:
        work.make_bucket(other)
        work.training(other, "down", image="own/algorithm:2")
        reason = work.trained(other, "down", "Failed")["FailureReason"]
        assert reason.startswith("ClientError: the image `own/algorithm:2` stands for nothing here")
        assert "Docker can't be asked" in reason
        told = other.run("doctor", "--json", "--config", other.folder / "bessemer.toml", expect=None).stdout
        found = [json.loads(line) for line in told.splitlines()]
        [found] = [finding for finding in found if finding["check"] == "Docker"]
        assert found["state"] == "warning" and "/nowhere/docker.sock" in found["detail"]


def test_a_stop_is_a_signal_with_grace(server, daemon):
    train(server, "stopped", "wait")
    work.wait_for_line(server, "training", "stopped", "waits")
    server.client("sagemaker").stop_training_job(TrainingJobName="stopped")
    work.trained(server, "stopped", "Stopped")
    model = work.unpacked(work.read(server, "out/stopped/output/model.tar.gz"))
    assert model == {"stopped": b"cleanly"}


def go(server):
    [ml] = server.folder.glob("runs/*/*/algo-1/ml")
    (ml / "go").write_text("")


def test_a_container_outlives_its_server(daemon, tmp_path):
    with serve(tmp_path / "data", settings(daemon)) as server:
        work.make_bucket(server)
        train(server, "lives", "wait")
        work.wait_for_line(server, "training", "lives", "waits")
        [before] = daemon.containers()
        server.restart(signal.SIGKILL)
        assert daemon.containers() == [before]
        go(server)
        work.trained(server, "lives")
        assert work.log(server, "training", "lives") == ["waits", "goes on"]
        assert work.unpacked(work.read(server, "out/lives/output/model.tar.gz")) == {"ran": b"once"}
        assert daemon.containers("any") == []


def supervisors(server):
    """The processes that look after containers."""
    notes = server.folder.glob("runs/*/*/algo-*/control/process.json")
    return [json.loads(note.read_text())["pid"] for note in notes]


def test_a_container_without_its_supervisor_goes_away_before_another_runs(daemon, tmp_path):
    with serve(tmp_path / "data", settings(daemon)) as server:
        work.make_bucket(server)
        train(server, "again", "wait")
        work.wait_for_line(server, "training", "again", "waits")
        server.stop(signal.SIGKILL)
        for pid in supervisors(server):
            os.kill(pid, signal.SIGKILL)
        [left] = daemon.run("ps", "--quiet", "--no-trunc").decode().split()
        server.start()
        work.until(
            lambda: work.log(server, "training", "again").count("waits") == 2, "second attempt",
        )
        assert len(daemon.containers()) == 1
        with pytest.raises(subprocess.CalledProcessError):
            daemon.run("inspect", left)
        go(server)
        work.trained(server, "again")


def test_instances_see_each_other_on_this_machines_network(daemon, server, tmp_path):
    train(server, "several", instances=2)
    reason = work.trained(server, "several", "Failed")["FailureReason"]
    assert 'network = "host"' in reason
    with serve(tmp_path / "data", settings(daemon, "host")) as shared:
        work.make_bucket(shared)
        train(shared, "pair", "pair", instances=2)
        work.trained(shared, "pair")
        assert work.log(shared, "training", "pair") == ["heard of algo-2"]
        train(shared, "uses", "use")
        work.trained(shared, "uses")
