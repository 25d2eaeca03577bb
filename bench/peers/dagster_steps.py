"""Five steps that do nothing, one after the other, by Dagster in one process, its runs kept in a folder
as a user's would be. Prints the seconds of each run as JSON."""

import json
import logging
import os
import sys
import time

import dagster

STEPS, RUNS = 5, int(sys.argv[1])


def step(number):
    @dagster.op(name=f"step_{number}")
    def nothing(before=None):
        return number

    return nothing


@dagster.job
def steps():
    value = step(0)()
    for number in range(1, STEPS):
        value = step(number)(value)


logging.disable()
os.makedirs(os.environ["DAGSTER_HOME"], exist_ok=True)
taken = []
with dagster.DagsterInstance.get() as instance:
    for _ in range(RUNS):
        begun = time.perf_counter()
        assert steps.execute_in_process(instance=instance).success
        taken.append(time.perf_counter() - begun)
print(json.dumps(taken))
