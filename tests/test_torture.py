"""SIGKILLs of the server under mixed load: nothing acknowledged is lost, nothing is done twice,
nothing is stuck. `cargo xtask torture --kills 1000 --seed 7` does the same for longer."""

import os
import random

import pytest

from kit.torture import Torture

KILLS = int(os.environ.get("BESSEMER_TORTURE_KILLS", "50"))


@pytest.mark.timeout(300 + 10 * KILLS)
def test_acknowledged_work_survives_kills(tmp_path, booster):
    seed = int(os.environ.get("BESSEMER_TORTURE_SEED") or random.randrange(1 << 32))
    torture = Torture(tmp_path / "data", booster[0], seed, KILLS)
    try:
        report = torture.run()
        print(report)
        assert not torture.wrong, f"seed {seed}: " + "\n".join(map(str, torture.wrong))
        assert report["jobs"]["Completed"] and torture.events and torture.objects, report
    finally:
        if torture.server.process.poll() is None:
            assert torture.server.stop() == 0, f"seed {seed}"
        for left in torture.server.attempts():
            os.kill(left, 9)
