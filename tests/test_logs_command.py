"""`bessemer logs`: the workers of a job merged, followed, searched."""

import os
import signal
import time

import pytest
from test_serve import csv_of, create_model, put, request, rows

from kit import cli, platform

GROUP = "/aws/sagemaker/TransformJobs"


@pytest.fixture(scope="module")
def server(tmp_path_factory, booster):
    with platform.running(tmp_path_factory.mktemp("logs-command") / "data") as server:
        server.client("s3").create_bucket(
            Bucket="data", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
        )
        create_model(server, "booster", booster[0])
        put(server, "in/a.csv", csv_of(rows(20)))
        yield server


def job(server, name, source="in/"):
    server.client("sagemaker").create_transform_job(**request(name, "booster", source))


def ended(server, name):
    job(server, name)
    server.run("jobs", "wait", name)


def say(server, job, worker, lines, at=None):
    """Lines of another worker of a job, a millisecond apart."""
    logs = server.client("logs")
    stream = f"{job}/{worker}-1763735714"
    at = at or int(time.time() * 1000)
    try:
        logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
    except logs.exceptions.ResourceAlreadyExistsException:
        pass
    events = [{"timestamp": at + index, "message": text} for index, text in enumerate(lines)]
    logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)
    return at


@pytest.fixture(scope="module")
def told(server):
    """A job of several workers, whose lines alternate."""
    ended(server, "told")
    at = int(time.time() * 1000) + 1000
    say(server, "told", "algo-2", ["INFO one", "WARN two", "  detail", "INFO three"], at)
    say(server, "told", "algo-3", ["Traceback (most recent call last):", "ValueError: four"], at)
    return "told"


def test_workers_are_merged_by_time(server, told):
    lines = server.run("logs", told).stdout.splitlines()
    assert any(line.startswith("[algo-1]") and "20 records" in line for line in lines)
    assert lines[-6:] == [
        "[algo-2] INFO one", "[algo-3] Traceback (most recent call last):",
        "[algo-2] WARN two", "[algo-3] ValueError: four",
        "[algo-2]   detail", "[algo-2] INFO three",
    ]
    assert server.run("jobs", "logs", told).stdout.splitlines() == lines


def test_lines_are_chosen(server, told):
    def lines(*arguments):
        return server.run("logs", told, *arguments).stdout.splitlines()

    assert lines("--grep", "(WARN|INFO) t[wh]") == ["[algo-2] WARN two", "[algo-2] INFO three"]
    assert lines("--grep", "four", "-C", "1") == [
        "[algo-2] WARN two", "[algo-3] ValueError: four", "[algo-2]   detail",
    ]
    # Lines without a level are of the last one's.
    assert lines("--level", "warn") == [
        "[algo-3] Traceback (most recent call last):", "[algo-2] WARN two",
        "[algo-3] ValueError: four", "[algo-2]   detail",
    ]
    assert lines("--since", "2100-01-01") == []
    assert len(lines("--since", "1h")) == len(lines()) > 6
    assert server.run("logs", told, "--grep", "(", expect=cli.USAGE).stderr
    assert "`never`" in server.run("logs", told, "--since", "never", expect=cli.USAGE).stderr
    assert server.run("logs", "no-such-job", expect=cli.NOT_FOUND).stderr


def test_lines_go_to_a_file(server, told, tmp_path):
    whole = server.run("logs", told, "--times").stdout
    assert server.run("logs", told, "--times", "--output", tmp_path / "log.txt").stdout == ""
    assert (tmp_path / "log.txt").read_text() == whole
    assert "\x1b" not in whole


def test_a_job_is_followed_to_its_end(server):
    put(server, "large/a.csv", csv_of(rows(50_000)))
    job(server, "followed", "large/")
    while not (attempts := server.attempts()):
        assert "in_progress" in server.run("jobs", "show", "followed", "--json").stdout
    os.kill(attempts[0], signal.SIGSTOP)
    follower = cli.start("logs", "followed", "-f", "--grep", "live", env={"BESSEMER_DATA_DIR": str(server.folder)})
    say(server, "followed", "algo-2", ["one live line", "another"])
    assert "one live line" in follower.stdout.readline()
    say(server, "followed", "algo-2", ["a second live line"])
    assert "a second live line" in follower.stdout.readline()
    assert follower.poll() is None
    os.kill(attempts[0], signal.SIGCONT)
    out, err = follower.communicate(timeout=120)
    assert (follower.returncode, out, err) == (0, "", "")
