"""`examples/amazon-search`: many training jobs that nobody waits for, some of which fail."""

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from kit import cli, clients, platform, work

EXAMPLES = Path(__file__).parents[1] / "examples"
HERE = Path("examples") / "amazon-search"
SECRET = "dashboard-key"
JOBS, RUN = 60, "nightly"
# One of each for every team.
FAILED = {"algorithm": 3, "invalid": 3, "out_of_memory": 3, "timeout": 3}


@pytest.fixture
def dashboard(tmp_path):
    """The example's receiver of webhooks: its address, and what it prints."""
    said = tmp_path / "dashboard.txt"
    settings = {"DASHBOARD_SECRET": SECRET, "DASHBOARD_PORT": "0"}
    with said.open("w") as output:
        process = subprocess.Popen(
            [cli.PYTHON, EXAMPLES.parent / HERE / "dashboard.py"], stdout=output, stderr=output,
            env=cli.environment(**settings),
        )
    try:
        work.until(lambda: said.read_text().endswith("\n"), "address of the dashboard")
        yield said.read_text().split("http://")[1].split("/")[0], said
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def server(tmp_path, dashboard, monkeypatch):
    """A server that was started where the example's paths begin, with the example's settings but for the
    dashboard's port and a quota that few jobs reach."""
    (tmp_path / "examples").symlink_to(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    settings = (HERE / "bessemer.toml").read_text()
    for old, new in [("127.0.0.1:8787", dashboard[0]), ("in_progress = 300", "in_progress = 10")]:
        assert old in settings
        settings = settings.replace(old, new)
    (tmp_path / "bessemer.toml").write_text(settings)
    env = {"DASHBOARD_SECRET": SECRET}
    with platform.running(tmp_path / "data", "--config", tmp_path / "bessemer.toml", env=env) as running:
        yield running


def run(server, script, *arguments):
    return server.run("exec", "--", cli.PYTHON, HERE / script, *arguments)


def noted():
    """What `on_failed.py` has written."""
    file = Path("failed.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def statistics(server, *options):
    groups = server.run("jobs", "stats", "--json", *options).events
    return {group["group"]: group for group in groups}


def test_jobs_are_submitted_watched_tried_again_and_told_of(server, dashboard):
    submitted = clients.told(run(server, "submit.py", "--jobs", JOBS, "--run", RUN))
    assert submitted["submitted"] == JOBS
    # The teams' quotas let the launcher wait, and it goes on by itself.
    assert set(submitted["refused_and_tried_again"]) == {"ResourceLimitExceeded"}

    watched = run(server, "monitor.py", RUN, "--every", "0.2")
    told = clients.told(watched)
    assert told["statuses"] == {"Completed": 48, "Failed": 9, "Stopped": 3}
    assert told["models"] == {"ads": 16, "relevance": 16, "spelling": 16}
    assert set(told["reasons"].values()) == {3} and len(told["reasons"]) == 4
    assert "    3 AlgorithmError: ValueError: loss is nan after step 17, exit code: 1\n" in watched.stdout
    assert "    3 MaxRuntimeExceeded\n" in watched.stdout

    # A launcher that is started once more changes nothing.
    again = clients.told(run(server, "submit.py", "--jobs", JOBS, "--run", RUN))
    assert again["already there"] == JOBS and "submitted" not in again

    teams = statistics(server, "--tag", "team", "--trend")
    assert sorted(teams) == ["ads", "relevance", "spelling"]
    for team in teams.values():
        assert (team["jobs"], team["succeeded"], team["retries"]) == (20, 16, 2)
        assert team["classes"] == dict.fromkeys(FAILED, 1)
        assert sum(day["jobs"] for day in team["days"]) == 20
    retried = statistics(server, "--tag", "retry")
    assert {tag: (group["succeeded"], group["retries"]) for tag, group in retried.items()} == {
        "errors": (3, 3), "memory": (3, 3), "usual": (42, 0),
    }
    listed = server.run("jobs", "ls", "--phase", "failed", "--json").events
    assert len(listed) == 12
    why = server.run("jobs", "why", f"click-rate-{RUN}-0052").stdout
    assert why.startswith("it succeeded with 2 attempts; attempt 1 failed for `out_of_memory`")

    # Notifications come in order: when those of a last job are there, no other is under way.
    last = work.training(
        server, "last", image="search/trainer:7", Tags=[{"Key": "team", "Value": "ads"}],
        OutputDataConfig={"S3OutputPath": "s3://search-training/models"},
    )
    work.until(lambda: any(each["name"] == last for each in noted()), "notification by command")
    work.until(lambda: f"{last} " in dashboard[1].read_text(), "notification by webhook")
    failed = {job["name"] for job in listed}
    got = [each for each in noted() if each["name"] != last]
    assert len(got) == 12 and {each["name"] for each in got} == failed
    assert Counter(each["class"] for each in got) == FAILED
    assert all(each["attempts"] == 1 for each in got)
    shown = dashboard[1].read_text().splitlines()[1:]
    of_ads = {each["name"] for each in got if each["team"] == "ads"}
    assert len(shown) == 5 and {line.split()[0] for line in shown} == of_ads | {last}
