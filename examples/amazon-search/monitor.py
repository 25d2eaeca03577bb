"""Watches the training jobs of a run until all have ended, in plain boto3."""

import argparse
import collections
import json
import sys
import time

import boto3

sagemaker = boto3.client("sagemaker")


def listed(run, **filters):
    """Summaries of the run's jobs, of all pages."""
    pages = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains=f"-{run}-", SortBy="CreationTime", SortOrder="Ascending",
        PaginationConfig={"PageSize": 100}, **filters,
    )
    return [job for page in pages for job in page["TrainingJobSummaries"]]


def searched(*filters):
    """Training jobs in full, of all pages."""
    pages = sagemaker.get_paginator("search").paginate(
        Resource="TrainingJob", SortBy="CreationTime", SortOrder="Ascending",
        SearchExpression={"Filters": [{"Name": n, "Operator": o, "Value": v} for n, o, v in filters]},
    )
    return [result["TrainingJob"] for page in pages for result in page["Results"]]


def ended(run, every):
    """Waits for the end of all jobs; says how many ended in which status."""
    while True:
        counts = collections.Counter(job["TrainingJobStatus"] for job in listed(run))
        if not counts:
            raise SystemExit(f"no training job has `-{run}-` in its name")
        print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())), file=sys.stderr)
        if not counts["InProgress"] + counts["Stopping"]:
            return dict(counts)
        time.sleep(every)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("run", help="what `submit.py` printed as `run`")
    options.add_argument("--every", type=float, default=2, help="seconds between two looks [default: 2]")
    chosen = options.parse_args()

    statuses = ended(chosen.run, chosen.every)
    of_run = ("TrainingJobName", "Contains", f"-{chosen.run}-")
    reasons = collections.Counter(
        # The rest of the sentence is advice.
        job["FailureReason"].split(";")[0]
        for job in searched(of_run, ("TrainingJobStatus", "Equals", "Failed"))
    )
    reasons["MaxRuntimeExceeded"] = len(searched(of_run, ("SecondaryStatus", "Equals", "MaxRuntimeExceeded")))
    losses = collections.defaultdict(list)
    for job in searched(of_run, ("TrainingJobStatus", "Equals", "Completed")):
        team = next(tag["Value"] for tag in job["Tags"] if tag["Key"] == "team")
        losses[team] += [metric["Value"] for metric in job["FinalMetricDataList"]]

    for reason, count in reasons.most_common():
        print(f"{count:5} {reason}")
    for team, found in sorted(losses.items()):
        print(f"{len(found):5} models of {team}, mean loss {sum(found) / len(found):.3f}")
    completed = {team: len(found) for team, found in losses.items()}
    print(json.dumps({"statuses": statuses, "reasons": reasons, "models": completed}))


main()
