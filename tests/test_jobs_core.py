"""What an operator sets for jobs: `bessemer.toml`, quotas, priorities, shares, retries; through the
real server."""

import contextlib
import json
import os
import signal

import pytest

from kit import cli, platform
from test_serve import ENDED, QUICK, create_model, csv_of, keys, put, refusal, request, rows

INSTANCE = {"InstanceType": "ml.m5.large", "InstanceCount": 1}


def tags(**values):
    return [{"Key": key.replace("__", ":"), "Value": value} for key, value in values.items()]


@contextlib.contextmanager
def configured(folder, text, booster, **settings):
    """A server with a bucket, a model, a short and a long input, and these settings."""
    folder.mkdir(parents=True)
    (folder / "bessemer.toml").write_text(text)
    with platform.running(folder, **settings) as server:
        server.client("s3").create_bucket(
            Bucket="data", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
        )
        create_model(server, "model", booster[0])
        put(server, "short/a.csv", csv_of(rows(2)))
        put(server, "long/a.csv", csv_of(rows(2_000)) * 200)
        yield server


def create(server, name, source="short/", **changes):
    server.client("sagemaker").create_transform_job(**request(name, "model", source, **changes))


def occupied(server, name="holds", **changes):
    """A job that has the whole machine for as long as a test takes; it is stopped at the end."""
    create(server, name, "long/", TransformResources={"InstanceType": "ml.m5.24xlarge", "InstanceCount": 1}, **changes)
    while "TransformStartTime" not in server.client("sagemaker").describe_transform_job(TransformJobName=name):
        pass


def stop(server, *names):
    for name in names:
        server.client("sagemaker").stop_transform_job(TransformJobName=name)
        server.client("sagemaker").get_waiter(ENDED).wait(TransformJobName=name, WaiterConfig=QUICK)


def shown(server, name):
    return json.loads(server.run("jobs", "show", name, "--json").stdout)


def why(server, name):
    return server.run("jobs", "why", name).stdout


# The file


def test_the_sample_is_in_order_and_sets_nothing(tmp_path):
    sample = cli.run("config", "sample").stdout
    file = tmp_path / "bessemer.toml"
    file.write_text(sample)
    assert "is in order" in cli.run("config", "check", "--config", file).stdout
    assert "is in order" in cli.run("config", "check", cwd=tmp_path, env={"BESSEMER_DATA_DIR": str(tmp_path / "d")}).stdout
    with platform.running(tmp_path / "data", "--config", file) as server:
        assert server.get("/healthz") == "ok\n"


def test_all_that_is_wrong_with_a_file_is_told_with_its_line(tmp_path):
    file = tmp_path / "bessemer.toml"
    file.write_text('[server]\nlisten = "nowhere"\ninsecure_lisen = true\n[queue]\nmax_wait = "soon"\n')
    for arguments in [("config", "check"), ("serve", "--data-dir", tmp_path / "data")]:
        told = cli.run(*arguments, "--config", file, expect=cli.CONFIGURATION).stderr
        assert f"{file}:2: `server.listen`: `nowhere` is not an address" in told
        assert f"{file}:3: `server.insecure_lisen`: is not a setting; did you mean `insecure_listen`?" in told
        assert f"{file}:5: `queue.max_wait`: `soon` is not a time" in told
    missing = cli.run("config", "check", "--config", tmp_path / "none.toml", expect=cli.NOT_FOUND)
    assert "bessemer config sample" in missing.stderr


def test_options_go_before_variables_before_the_file(tmp_path):
    file = tmp_path / "bessemer.toml"
    file.write_text(f'[server]\nlisten = "0.0.0.0:0"\ndata_dir = "{tmp_path}/from-file"\n')
    from_file = cli.run("serve", "--config", file, expect=cli.USAGE)
    assert "`0.0.0.0:0` can be reached from elsewhere" in from_file.stderr
    from_variable = cli.run("serve", "--config", file, env={"BESSEMER_LISTEN": "0.0.0.0:1"}, expect=cli.USAGE)
    assert "`0.0.0.0:1`" in from_variable.stderr
    option = ("serve", "--config", file, "--listen", "0.0.0.0:2")
    from_option = cli.run(*option, env={"BESSEMER_LISTEN": "0.0.0.0:1"}, expect=cli.USAGE)
    assert "`0.0.0.0:2`" in from_option.stderr
    # The commands find the data directory as the server does.
    cli.run("keys", "create", "--config", file)
    assert (tmp_path / "from-file" / "keys.json").exists()
    cli.run("keys", "create", "--config", file, env={"BESSEMER_DATA_DIR": str(tmp_path / "from-variable")})
    assert (tmp_path / "from-variable" / "keys.json").exists()


# Quotas


QUOTAS = """
[[quotas]]
kind = "transform"
name = "few-*"
in_progress = 3

[[quotas]]
instance_type = "ml.p*"
in_progress = 0
label = "GPU instances"

[[quotas]]
tag = "team"
queued = 1
"""


def test_create_refuses_what_a_quota_has_no_room_for(tmp_path, booster):
    with configured(tmp_path / "data", QUOTAS, booster) as server:
        occupied(server)
        two = {"InstanceType": "ml.m5.large", "InstanceCount": 2}
        create(server, "few-1", TransformResources=two)
        client = server.client("sagemaker")
        code, message, status = refusal(
            client.create_transform_job, **request("few-2", "model", "short/", TransformResources=two)
        )
        assert (code, status) == ("ResourceLimitExceeded", 400)
        assert message.startswith(
            "The account-level service limit 'transform job usage of few-*' is 3 Instances, with"
            " current utilization of 2 Instances and a request delta of 2 Instances."
        )
        with pytest.raises(client.exceptions.ResourceLimitExceeded):
            create(server, "few-2", TransformResources=two)
        assert refusal(client.describe_transform_job, TransformJobName="few-2")[0] == "ValidationException"
        create(server, "few-2")
        gpu = {"InstanceType": "ml.p3.2xlarge", "InstanceCount": 1}
        code, message, _ = refusal(
            client.create_transform_job, **request("gpu", "model", "short/", TransformResources=gpu)
        )
        assert code == "ResourceLimitExceeded" and "'GPU instances' is 0 Instances" in message
        # Each value of the tag has a quota of its own.
        create(server, "tagged-1", Tags=tags(team="search"))
        create(server, "tagged-2", Tags=tags(team="ads"))
        code, _, _ = refusal(
            client.create_transform_job, **request("tagged-3", "model", "short/", Tags=tags(team="search"))
        )
        assert code == "ResourceLimitExceeded"
        # A job that has ended makes room.
        stop(server, "few-1", "tagged-1")
        create(server, "few-3", TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2})
        create(server, "tagged-3", Tags=tags(team="search"))
        stop(server, "holds")


def test_a_quota_on_running_jobs_lets_the_others_wait_and_says_so(tmp_path, booster):
    text = '[[quotas]]\ntag = "team=search"\nrunning = 1\nlabel = "search jobs"\n[server]\ncores = 4\n'
    with configured(tmp_path / "data", text, booster) as server:
        small = {"Environment": {"BESSEMER_MAX_REJECTS": "0"}, "Tags": tags(team="search")}
        occupied(server, "first", Tags=tags(team="search"))
        create(server, "second", **small)
        assert "because of the quota `search jobs`: 1 instance of 1 run" in why(server, "second")
        # It still holds after a restart.
        server.restart()
        assert "because of the quota `search jobs`: 1 instance of 1 run" in why(server, "second")
        stop(server, "first")
        assert server.run("jobs", "wait", "second").code == 0


def test_a_job_that_finds_no_room_in_time_fails_as_sagemaker_says_it(tmp_path, booster):
    with configured(tmp_path / "data", '[queue]\nmax_wait = "400ms"\n', booster) as server:
        occupied(server)
        create(server, "late")
        assert server.run("jobs", "wait", "late", expect=10).code == 10
        described = server.client("sagemaker").describe_transform_job(TransformJobName="late")
        assert described["TransformJobStatus"] == "Failed"
        reason = described["FailureReason"]
        assert reason.startswith("CapacityError: Unable to provision requested ML compute capacity"), reason
        assert "wait for other jobs to end" in why(server, "late")
        stop(server, "holds")


# Priorities and shares


def ended_in_order(server, names):
    for name in names:
        server.run("jobs", "wait", name)
    return sorted(names, key=lambda name: shown(server, name)["started_at"])


WHOLE = {"TransformResources": {"InstanceType": "ml.m5.24xlarge", "InstanceCount": 1}}


def test_higher_priorities_go_first(tmp_path, booster):
    with configured(tmp_path / "data", "", booster) as server:
        occupied(server)
        create(server, "low", Tags=tags(bessemer__priority="-1"), **WHOLE)
        create(server, "usual", **WHOLE)
        create(server, "high", Tags=tags(bessemer__priority="10"), **WHOLE)
        assert "its priority is 10" in why(server, "high")
        code, message, _ = refusal(
            server.client("sagemaker").create_transform_job,
            **request("wrong", "model", "short/", Tags=tags(bessemer__priority="high")),
        )
        assert code == "ValidationException" and "`bessemer:priority` is `high`" in message
        # The order outlives the server.
        server.restart()
        stop(server, "holds")
        assert ended_in_order(server, ["low", "usual", "high"]) == ["high", "usual", "low"]


def test_teams_share_the_machine_by_weight(tmp_path, booster):
    text = '[queue]\nshare_tag = "team"\n[queue.weights]\nsearch = 2\n'
    with configured(tmp_path / "data", text, booster) as server:
        occupied(server)
        many = [f"many-{n}" for n in range(4)]
        for name in many:
            create(server, name, Tags=tags(team="ads"), **WHOLE)
        create(server, "one", Tags=tags(team="search"), **WHOLE)
        assert "its share `search` has 0 cores and weight 2" in why(server, "one")
        stop(server, "holds")
        order = ended_in_order(server, [*many, "one"])
        assert order.index("one") <= 1, order


# Retries


RETRIES = """
[[retries]]
name = "stubborn-*"
attempts = 2
backoff = "1ms"

[[retries]]
tag = "retry=never"
attempts = 1
"""


def kill_attempt(server, number):
    """Kills the process of attempt `number` of the one job that runs."""
    while not (found := server.attempts()):
        pass
    os.kill(found[0], signal.SIGKILL)
    while found[0] in server.attempts():
        pass


def test_retries_are_by_the_rule_that_selects_the_job(tmp_path, booster):
    with configured(tmp_path / "data", RETRIES, booster) as server:
        occupied(server, "stubborn-1")
        assert "if it fails for `infrastructure`, 1 attempt may follow" in why(server, "stubborn-1")
        kill_attempt(server, 1)
        kill_attempt(server, 2)
        assert server.run("jobs", "wait", "stubborn-1", expect=10).code == 10
        attempts = shown(server, "stubborn-1")["attempts"]
        assert [attempt["class"] for attempt in attempts] == ["infrastructure"] * 2
        assert "it failed for `infrastructure` after 2 attempts" in why(server, "stubborn-1")
        occupied(server, "once", Tags=tags(retry="never"))
        assert "if it fails, no attempt follows" in why(server, "once")
        kill_attempt(server, 1)
        assert server.run("jobs", "wait", "once", expect=10).code == 10
        assert len(shown(server, "once")["attempts"]) == 1
        # Nothing is left of what failed, and a retry by hand does it all.
        assert keys(server, "out/once") == []
        server.run("jobs", "retry", "once")
        assert server.run("jobs", "wait", "once").code == 0
        assert keys(server, "out/once") == ["out/once/a.csv.out"]


# The command line


JOB = """
kind: transform
name: from-yaml-1
model_name: model
transform_input:
  content_type: text/csv
  split_type: Line
  data_source: {s3_data_source: {s3_data_type: S3Prefix, s3_uri: s3://data/short/}}
TransformOutput: {S3OutputPath: s3://data/out/yaml, AssembleWith: Line}
transform_resources: {instance_type: ml.m5.large, instance_count: 1}
tags: {team: search}
"""


def test_jobs_are_submitted_from_files_and_options(tmp_path, booster):
    file = tmp_path / "job.yaml"
    file.write_text(JOB)
    quota = '[[quotas]]\ntag = "team=none"\nin_progress = 0\nlabel = "nobody"\n'
    with configured(tmp_path / "data", quota, booster) as server:
        submitted = server.run("jobs", "submit", file, "--wait").stdout
        assert submitted.startswith("from-yaml-1\narn:aws:sagemaker:") and "succeeded" in submitted
        client = server.client("sagemaker")
        described = client.describe_transform_job(TransformJobName="from-yaml-1")
        assert described["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] == "s3://data/short/"
        assert keys(server, "out/yaml") == ["out/yaml/a.csv.out"]
        listed = client.list_tags(ResourceArn=described["TransformJobArn"])["Tags"]
        assert listed == [{"Key": "team", "Value": "search"}]
        # Options go before the file.
        source = "transform_input.data_source.s3_data_source.s3_uri=s3://data/nothing/"
        changed = ("--name", "from-yaml-2", "--set", source, "--tag", "team=ads", "--env", "A=b", "--wait")
        server.run("jobs", "submit", file, *changed, expect=10)
        described = client.describe_transform_job(TransformJobName="from-yaml-2")
        assert described["Environment"] == {"A": "b"} and "No S3 objects" in described["FailureReason"]
        assert client.list_tags(ResourceArn=described["TransformJobArn"])["Tags"] == [{"Key": "team", "Value": "ads"}]
        # All that Create checks holds.
        refused = server.run("jobs", "submit", file, expect=cli.CONFIGURATION).stderr
        assert "ResourceInUse" in refused
        refused = server.run("jobs", "submit", file, "--name", "x", "--tag", "team=none", expect=cli.CONFIGURATION).stderr
        assert "ResourceLimitExceeded" in refused and "'nobody' is 0 Instances" in refused
        file.write_text(JOB.replace("split_type", "splt_type"))
        refused = server.run("jobs", "submit", file, expect=cli.USAGE).stderr
        assert "`transform_input.splt_type` is not a member of this call" in refused
        assert "did you mean `SplitType`?" in refused
        figures = server.run("jobs", "stats", "--tag", "team", "--trend").stdout
        assert "search" in figures and "100 % succeeded" in figures and "1 (1 invalid) failed" in figures
        row = next(row for row in server.run("jobs", "stats", "--json").events if row["group"] == "from-yaml")
        assert (row["jobs"], row["classes"], row["before"]["jobs"]) == (2, {"invalid": 1}, 0)
        assert [day["jobs"] for day in row["days"]] in ([2], [1, 1])


# Images


def test_images_are_mapped_to_environments(tmp_path, booster):
    text = """
[[images]]
pattern = "local/greeter:*"
requirements = ["pip==25.3"]
train = ["python", "-c", "open('/opt/ml/model/greeting', 'w').write('hello')"]
"""
    with configured(tmp_path / "data", text, booster) as server:
        client = server.client("sagemaker")
        client.create_training_job(
            TrainingJobName="greets", RoleArn=platform.ROLE,
            AlgorithmSpecification={"TrainingImage": "local/greeter:1", "TrainingInputMode": "File"},
            OutputDataConfig={"S3OutputPath": "s3://data/greeted"},
            ResourceConfig=INSTANCE | {"VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )
        client.get_waiter("training_job_completed_or_stopped").wait(
            TrainingJobName="greets", WaiterConfig=QUICK
        )
        assert keys(server, "greeted/") == ["greeted/greets/output/model.tar.gz"]
