"""SIGKILLs of the server under load: nothing acknowledged is lost, nothing is done twice, nothing is
stuck. `cargo xtask torture --kills 1000 --seed 7` does the same for longer."""

import os
import random

import pytest

from kit.orchestration import Orchestration
from kit.torture import Torture

KILLS = int(os.environ.get("BESSEMER_TORTURE_KILLS", "50"))
SEED = int(os.environ.get("BESSEMER_TORTURE_SEED") or random.randrange(1 << 32))


def run(load):
    """Runs a load; returns its report."""
    try:
        report = load.run()
        print(report)
        assert not load.wrong, f"seed {SEED}: " + "\n".join(map(str, load.wrong))
        return report
    finally:
        if load.server.process.poll() is None:
            assert load.server.stop() == 0, f"seed {SEED}"
        for left in load.server.attempts():
            os.kill(left, 9)


@pytest.mark.timeout(300 + 10 * KILLS)
def test_jobs_objects_and_events_survive_kills(tmp_path, booster):
    report = run(Torture(tmp_path / "data", booster[0], SEED, KILLS))
    assert report["jobs"]["Completed"] and report["events"] and report["objects"], report


@pytest.mark.timeout(300 + 10 * KILLS)
def test_messages_functions_pipelines_and_arrays_survive_kills(tmp_path):
    report = run(Orchestration(tmp_path / "data", SEED, KILLS))
    assert all(report[kind] for kind in ("messages", "ordered", "told", "arrays", "executions")), report
