"""The server's own troubles: a full disk, a newer database, a second server."""

import os
import sqlite3
import subprocess
import time

import pytest
from botocore.exceptions import ClientError

from kit import cli, platform, work

BUSY = ("ThrottlingException", "ServiceUnavailable", "ServiceUnavailableException", "SlowDown", "InternalFailure")


class SmallDisk(platform.Platform):
    """A server whose data directory is a small file system of its own, which nobody else sees."""

    size, user = "24m", ["--user", "--map-root-user"]

    def command(self):
        script = f'mount -t tmpfs -o size={self.size} none "$0" && exec "$@"'
        return ["unshare", *self.user, "--mount", "sh", "-c", script, self.folder, *super().command()]

    def start(self):
        self.folder.mkdir(exist_ok=True)
        return super().start()

    def key(self):
        inside = platform.Platform(type(self.folder)(f"/proc/{self.process.pid}/root{self.folder}"))
        return inside.key()


@pytest.fixture
def small_disk(tmp_path):
    probe = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    if subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system of its own")
    server = SmallDisk(tmp_path / "small").start()
    yield server
    if server.process.poll() is None:
        assert server.stop() == 0


def refused(call, **arguments):
    """The error of a call that is refused for now."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    answer = error.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] in (400, 503), answer
    assert answer["Error"]["Code"] in BUSY[:4], answer
    return answer


def test_a_full_disk_refuses_writes_and_recovers_alone(small_disk):
    s3, sagemaker, logs = map(small_disk.client, ["s3", "sagemaker", "logs"])
    s3.create_bucket(
        Bucket="data", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
    )
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    model = {"ExecutionRoleArn": platform.ROLE, "PrimaryContainer": {"Image": "x"}}
    sagemaker.create_model(ModelName="before", **model)
    kept = []
    with pytest.raises(ClientError) as full:
        for size in [1 << 20, 1 << 12]:
            while len(kept) < 10_000:
                try:
                    s3.put_object(Bucket="data", Key=f"{len(kept)}", Body=b"x" * size)
                    kept.append(size)
                except ClientError as error:
                    if size > 1 << 12:
                        break
                    raise error
    assert full.value.response["Error"]["Code"] in BUSY[:4], full.value.response
    # The database meets the end of the disk, too.
    answer = None
    for number in range(2000):
        try:
            sagemaker.create_model(ModelName=f"m{number}", **model | {
                "PrimaryContainer": {"Image": "x", "Environment": {f"k{n}": "v" * 1000 for n in range(10)}},
            })
        except ClientError as error:
            answer = error.response
            break
    assert answer and answer["Error"]["Code"] in BUSY[:4], answer
    event = {"timestamp": platform.now(), "message": "x" * 500_000}
    refused(logs.put_log_events, logGroupName="g", logStreamName="s", logEvents=[event])
    # All that was acknowledged is there, and can be read.
    assert small_disk.get("/healthz") == "ok\n"
    assert sagemaker.describe_model(ModelName="before")["ModelName"] == "before"
    for index, size in enumerate(kept):
        assert s3.head_object(Bucket="data", Key=str(index))["ContentLength"] == size
    for index in range(10):
        s3.delete_object(Bucket="data", Key=str(index))
    sagemaker.create_model(ModelName="after", **model)
    logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[event])
    s3.put_object(Bucket="data", Key="after", Body=b"x")


class DiskToFill(SmallDisk):
    """One that runs jobs, which takes the right to change owners of files."""

    size, user = "48m", []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount for others")
@pytest.mark.parametrize("last", ["exit 0", "exit 1", "sleep 600"])
def test_a_job_that_fills_the_disk_ends_and_leaves_room(tmp_path, last):
    server = DiskToFill(tmp_path / "small").start()
    try:
        work.make_bucket(server)
        fill = "cat /dev/zero > /opt/ml/model/fill; cat /dev/zero > /tmp/fill; echo full > /dev/null; "
        command = {"ContainerEntrypoint": ["/bin/sh", "-c", fill + last]}
        work.training(server, "fills", image=work.PYTHON, AlgorithmSpecification=command)
        if last == "sleep 600":
            # There is no room for what is new, but a stop is taken.
            def is_full():
                try:
                    server.client("sagemaker").create_model(
                        ModelName=f"m{time.monotonic_ns()}", ExecutionRoleArn=platform.ROLE,
                        PrimaryContainer={"Image": "x", "Environment": {"k": "v" * 1000}},
                    )
                except ClientError as error:
                    return error.response["Error"]["Code"] in BUSY
                return False

            work.until(is_full, "end of the disk")
            server.client("sagemaker").stop_training_job(TrainingJobName="fills")
            work.trained(server, "fills", "Stopped")
        else:
            reason = work.trained(server, "fills", "Failed")["FailureReason"]
            assert last == "exit 1" or "the disk of the machine is full" in reason, reason
        true = {"ContainerEntrypoint": ["/bin/true"]}

        def goes_on():
            try:
                return work.training(server, "after", image=work.PYTHON, AlgorithmSpecification=true)
            except ClientError as error:
                assert error.response["Error"]["Code"] in BUSY, error

        work.until(goes_on, "room on the disk")
        work.trained(server, "after")
    finally:
        assert server.stop() == 0


def test_a_newer_database_is_refused(tmp_path):
    with platform.running(tmp_path / "data") as server:
        assert server.stop() == 0
        with sqlite3.connect(tmp_path / "data/bessemer.db") as database:
            database.execute("PRAGMA user_version = 99")
        result = cli.run(
            "serve", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0", expect=cli.CONFIGURATION
        )
        assert "of version 99" in result.stderr and "use the release that wrote it" in result.stderr


def test_a_second_server_is_refused(tmp_path):
    with platform.running(tmp_path / "data") as server:
        result = cli.run(
            "serve", "--data-dir", server.folder, "--listen", "127.0.0.1:0", expect=cli.CONFIGURATION
        )
        assert "in use by another process" in result.stderr
        assert server.get("/healthz") == "ok\n"
