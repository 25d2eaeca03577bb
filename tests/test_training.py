"""Training jobs, driven by boto3: scripts of scikit-learn and XGBoost, the built-in algorithm, several
instances, failures, stops, kills of the server, and what a job can't reach."""

import io
import json
import os
import signal

import numpy as np
import pytest
from botocore.exceptions import ClientError

from kit import platform, tables, work


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("training") / "data") as server:
        work.make_bucket(server)
        yield server
        # Whatever happened above, nothing stays.
        work.until(lambda: not work.left_over(server), f"end of {work.left_over(server)}")


def rows(count=200, seed=1):
    """Features, and whether their sum is large."""
    features = tables.matrix(tables.people(count, seed=seed)).astype(np.float32)
    features = np.nan_to_num(features)
    sums = (features - features.mean(0)) / (features.std(0) + 1e-9)
    return features, (sums.sum(1) > 0).astype(int)


def csv_of(features, labels):
    lines = (",".join([str(label), *(repr(float(value)) for value in row)])
             for row, label in zip(features, labels))
    return "".join(line + "\n" for line in lines)


SKLEARN_SCRIPT = """
import argparse, json, os
import joblib, numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

parser = argparse.ArgumentParser()
parser.add_argument("--penalty-c", type=float)
parser.add_argument("--max-iter", type=int)
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
options = parser.parse_args()
data = np.loadtxt(os.path.join(options.train, "train.csv"), delimiter=",")
model = make_pipeline(
    StandardScaler(), LogisticRegression(C=options.penalty_c, max_iter=options.max_iter)
).fit(data[:, 1:], data[:, 0])
print(f"acc={model.score(data[:, 1:], data[:, 0]):.3f};")
joblib.dump(model, os.path.join(options.model_dir, "model.joblib"))
with open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "report.json"), "w") as file:
    json.dump({"rows": len(data), "region": os.environ["AWS_REGION"]}, file)
"""


def test_a_scikit_learn_script_trains_a_model(server):
    features, labels = rows()
    work.put(server, "sk/in/train.csv", csv_of(features, labels))
    name = work.training(
        server, "sk", SKLEARN_SCRIPT,
        HyperParameters={"penalty-c": "0.5", "max-iter": "500"},
        InputDataConfig=[work.channel("train", "sk/in/")],
        AlgorithmSpecification={"MetricDefinitions": [{"Name": "acc", "Regex": "acc=(.*?);"}]},
    )
    described = work.trained(server, name)
    assert described["ModelArtifacts"]["S3ModelArtifacts"] == "s3://data/out/sk/output/model.tar.gz"
    metric, = described["FinalMetricDataList"]
    assert metric["MetricName"] == "acc" and metric["Value"] > 0.8
    assert list(work.unpacked(work.read(server, "out/sk/output/model.tar.gz"))) == ["model.joblib"]
    report = work.unpacked(work.read(server, "out/sk/output/output.tar.gz"))["report.json"]
    assert json.loads(report) == {"rows": len(features), "region": platform.REGION}
    statuses = [step["Status"] for step in described["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert described["BillableTimeInSeconds"] >= 1


XGBOOST_SCRIPT = """
import os, sys
import numpy as np, xgboost
data = np.loadtxt(os.environ["SM_CHANNEL_TRAIN"] + "/train.csv", delimiter=",")
booster = xgboost.train({"max_depth": 3, "objective": "binary:logistic"},
                        xgboost.DMatrix(data[:, 1:], data[:, 0]), int(sys.argv[2]))
booster.save_model(os.environ["SM_MODEL_DIR"] + "/model.json")
"""


def scored(server, name, features):
    """What a transform job with the model of a training job answers."""
    client = server.client("sagemaker")
    archive = f"s3://data/out/{name}/output/model.tar.gz"
    client.create_model(
        ModelName=name, ExecutionRoleArn=platform.ROLE,
        PrimaryContainer={"Image": work.XGBOOST, "ModelDataUrl": archive},
    )
    lines = "".join(",".join(repr(float(value)) for value in row) + "\n" for row in features)
    work.put(server, f"{name}/score/rows.csv", lines)
    s3 = {"S3DataType": "S3Prefix", "S3Uri": f"s3://data/{name}/score/"}
    client.create_transform_job(
        TransformJobName=name, ModelName=name,
        TransformInput={
            "DataSource": {"S3DataSource": s3}, "ContentType": "text/csv", "SplitType": "Line",
        },
        TransformOutput={"S3OutputPath": f"s3://data/{name}/scores", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    waiter = client.get_waiter("transform_job_completed_or_stopped")
    waiter.wait(TransformJobName=name, WaiterConfig=work.QUICK)
    text = work.read(server, f"{name}/scores/rows.csv.out").decode()
    return np.array([float(line) for line in text.split()])


def test_an_xgboost_script_trains_a_model_that_scores(server):
    features, labels = rows(seed=2)
    work.put(server, "xgb/in/train.csv", csv_of(features, labels))
    work.training(
        server, "xgb", XGBOOST_SCRIPT, image=work.XGBOOST, HyperParameters={"rounds": "20"},
        InputDataConfig=[work.channel("train", "xgb/in/")],
    )
    work.trained(server, "xgb")
    assert ((scored(server, "xgb", features) > 0.5) == labels).mean() > 0.9


def parquet_of(features, labels):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"label": labels} | {f"f{i}": features[:, i] for i in range(features.shape[1])}
    written = io.BytesIO()
    pq.write_table(pa.table(columns), written)
    return written.getvalue()


def libsvm_of(features, labels):
    return "".join(
        " ".join([str(label), *(f"{i}:{float(value)!r}" for i, value in enumerate(row))]) + "\n"
        for row, label in zip(features, labels)
    )


@pytest.mark.parametrize(("kind", "write"), [
    ("text/csv", csv_of), ("text/libsvm", libsvm_of), ("application/x-parquet", parquet_of),
])
def test_the_xgboost_algorithm_trains_from_channels(server, kind, write):
    name = "algorithm-" + kind.split("/")[1]
    (features, labels), (more, wanted) = rows(seed=3), rows(seed=4)
    work.put(server, f"{name}/train/part-0", write(features[:100], labels[:100]))
    work.put(server, f"{name}/train/part-1", write(features[100:], labels[100:]))
    work.put(server, f"{name}/validation/part-0", write(more, wanted))
    channels = [
        work.channel(channel, f"{name}/{channel}/") | {"ContentType": kind}
        for channel in ("train", "validation")
    ]
    work.training(
        server, name, image=work.XGBOOST, InputDataConfig=channels,
        HyperParameters={
            "num_round": "30", "max_depth": "4", "eta": "0.3", "objective": "binary:logistic",
            "eval_metric": "error,logloss",
        },
    )
    described = work.trained(server, name)
    metrics = {entry["MetricName"]: entry["Value"] for entry in described["FinalMetricDataList"]}
    assert set(metrics) == {
        "train:error", "train:logloss", "validation:error", "validation:logloss"
    }
    archive = work.unpacked(work.read(server, f"out/{name}/output/model.tar.gz"))
    assert list(archive) == ["xgboost-model"]
    answers = scored(server, name, more)
    assert ((answers > 0.5) != wanted).mean() == pytest.approx(metrics["validation:error"], abs=1e-4)


def test_the_xgboost_algorithm_says_what_it_lacks(server):
    work.put(server, "lacking/in/a.csv", "1,2\n")
    work.training(server, "lacking", image=work.XGBOOST,
                  InputDataConfig=[work.channel("train", "lacking/in/")])
    reason = work.trained(server, "lacking", "Failed")["FailureReason"]
    assert reason == "AlgorithmError: the hyperparameter `num_round` is missing, exit code: 1"


PEERS = """
import os, socket, sys, time
hosts = os.environ["SM_HOSTS"]
me, data = os.environ["SM_CURRENT_HOST"], sorted(os.listdir(os.environ["SM_CHANNEL_TRAIN"]))
if me == "algo-1":
    with socket.create_server(("algo-1", 29500)) as server:
        peer = server.accept()[0]
        text = peer.makefile().readline().strip()
else:
    while True:
        try:
            peer = socket.create_connection(("algo-1", 29500))
            break
        except ConnectionRefusedError:
            time.sleep(0.02)
    text = ",".join(data)
    peer.sendall((text + "\\n").encode())
with open(os.environ["SM_MODEL_DIR"] + "/" + me, "w") as file:
    file.write(hosts + " " + ",".join(data) + " heard " + text)
"""


def test_instances_share_the_data_and_reach_each_other(server):
    for part in "abc":
        work.put(server, f"peers/in/{part}", part)
    channel = work.channel("train", "peers/in/", S3DataDistributionType="ShardedByS3Key")
    work.training(server, "peers", PEERS, instances=2, InputDataConfig=[channel])
    work.trained(server, "peers")
    model = work.unpacked(work.read(server, "out/peers/output/model.tar.gz"))
    assert model == {
        "algo-1": b'["algo-1","algo-2"] a,c heard b', "algo-2": b'["algo-1","algo-2"] b heard b',
    }


ONE_FAILS = """
import os, sys, time
if os.environ["SM_CURRENT_HOST"] == "algo-2":
    sys.exit("no more")
print("waiting")
time.sleep(600)
"""


def test_one_instance_that_fails_ends_all(server):
    work.training(server, "one-fails", ONE_FAILS, instances=2)
    reason = work.trained(server, "one-fails", "Failed")["FailureReason"]
    assert reason == "AlgorithmError: no more, exit code of algo-2: 1"


def test_a_failure_is_told_by_the_file_or_by_the_last_line(server):
    script = 'open("/opt/ml/output/failure", "w").write("x" * 2000); raise SystemExit(3)'
    work.training(server, "failure-file", script)
    work.training(server, "failure-line", 'raise ValueError("no such column")')
    reason = work.trained(server, "failure-file", "Failed")["FailureReason"]
    assert reason.startswith("AlgorithmError: " + "x" * 900)
    described = work.trained(server, "failure-line", "Failed")
    expected = "AlgorithmError: ValueError: no such column, exit code: 1"
    assert described["FailureReason"] == expected
    assert not work.exists(server, "out/failure-line/output/model.tar.gz")


def test_an_image_that_is_not_mapped_fails_with_those_that_are(server):
    work.training(server, "no-image", "pass", image="local/img:1")
    reason = work.trained(server, "no-image", "Failed")["FailureReason"]
    assert reason.startswith("ClientError: the image `local/img:1` stands for nothing here")
    assert "`python:*`" in reason


def test_a_source_with_a_link_or_without_its_script_is_refused(server):
    work.training(server, "no-script", "pass", HyperParameters={})
    work.trained(server, "no-script")
    work.put(server, "empty/source.tar.gz", work.packed(other__py="pass"))
    work.training(server, "missing-script", HyperParameters={
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": "s3://data/empty/source.tar.gz",
    })
    reason = work.trained(server, "missing-script", "Failed")["FailureReason"]
    assert reason == "ClientError: there is no file `train.py` in `s3://data/empty/source.tar.gz`"


def test_requirements_make_an_environment_of_their_own(server):
    script = "import colorama, sklearn, joblib; print('colorama', colorama.__version__)"
    files = {"requirements__txt": "# mine\ncolorama==0.4.6\n"}
    work.training(server, "own-packages", script, files=files)
    work.trained(server, "own-packages")
    assert "colorama 0.4.6" in work.log(server, "training", "own-packages")
    work.training(server, "bad-packages", script, files={"requirements__txt": "-e .\n"})
    reason = work.trained(server, "bad-packages", "Failed")["FailureReason"]
    assert reason.startswith("ClientError: `-e .` of the requirements")


STOPPED = """
import os, signal, sys, time
def end(*_):
    open(os.environ["SM_MODEL_DIR"] + "/model", "w").write("as far as it came")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("training")
while True:
    time.sleep(0.05)
"""


def test_a_stopped_job_may_save_its_model(server):
    work.training(server, "stopped", STOPPED)
    work.wait_for_line(server, "training", "stopped", "training")
    server.client("sagemaker").stop_training_job(TrainingJobName="stopped")
    work.trained(server, "stopped", "Stopped")
    model = work.unpacked(work.read(server, "out/stopped/output/model.tar.gz"))
    assert model == {"model": b"as far as it came"}


def test_a_job_that_runs_too_long_is_ended(server):
    work.training(server, "too-long", STOPPED, StoppingCondition={"MaxRuntimeInSeconds": 1})
    client = server.client("sagemaker")

    def ended():
        described = client.describe_training_job(TrainingJobName="too-long")
        return described if "TrainingEndTime" in described else None

    described = work.until(ended, "end")
    assert described["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert work.exists(server, "out/too-long/output/model.tar.gz")


CHECKPOINTS = """
import os, time
folder = "/opt/ml/checkpoints"
known = sorted(os.listdir(folder))
print("known", known, flush=True)
if not known:
    open(folder + "/1", "w").write("one")
    time.sleep(600)
open(folder + "/2", "w").write("two")
"""


def test_checkpoints_are_kept_while_it_runs_and_given_back(server):
    config = {"S3Uri": "s3://data/checkpoints"}
    work.training(server, "checkpoints-1", CHECKPOINTS, CheckpointConfig=config)
    work.until(lambda: work.exists(server, "checkpoints/1"), "checkpoint")
    server.client("sagemaker").stop_training_job(TrainingJobName="checkpoints-1")
    work.trained(server, "checkpoints-1", "Stopped")
    work.training(server, "checkpoints-2", CHECKPOINTS, CheckpointConfig=config)
    work.trained(server, "checkpoints-2")
    assert "known ['1']" in work.log(server, "training", "checkpoints-2")
    assert work.read(server, "checkpoints/2") == b"two"


def test_the_entry_point_of_a_job_goes_before_that_of_its_image(server):
    """As version 3 of the SDK does: the script is a channel."""
    driver = "#!/bin/bash\nset -e\ncd /opt/ml/input/data/code\npython train.py\n"
    work.put(server, "v3/input/sm_drivers/sm_train.sh", driver)
    work.put(server, "v3/input/code/train.py", "import sys; print('version', sys.version_info[:2])")
    command = "/opt/ml/input/data/sm_drivers/sm_train.sh"
    work.training(
        server, "v3", image=work.PYTHON, HyperParameters={"n": "1"},
        AlgorithmSpecification={
            "ContainerEntrypoint": ["/bin/bash"],
            "ContainerArguments": ["-c", f"chmod +x {command} && {command}"],
        },
        InputDataConfig=[
            work.channel("code", "v3/input/code"), work.channel("sm_drivers", "v3/input/sm_drivers"),
        ],
    )
    work.trained(server, "v3")
    assert "version (3, 11)" in work.log(server, "training", "v3")


CONFIGURATION = """
import json, os
config = {name: json.load(open(f"/opt/ml/input/config/{name}.json"))
          for name in ("hyperparameters", "inputdataconfig", "resourceconfig")}
config["variables"] = {name: os.environ[name] for name in
                       ("TRAINING_JOB_NAME", "TRAINING_JOB_ARN", "MINE", "SM_HP_N", "SM_USER_ARGS")}
print(json.dumps(config))
"""


def test_a_job_finds_its_configuration(server):
    work.put(server, "configured/in/x", "x")
    channel = work.channel("train", "configured/in/") | {
        "ContentType": "text/csv", "InputMode": "FastFile",
    }
    work.training(server, "configured", CONFIGURATION, HyperParameters={"n": "10"},
                  InputDataConfig=[channel], Environment={"MINE": "1"})
    arn = work.trained(server, "configured")["TrainingJobArn"]
    line = next(line for line in work.log(server, "training", "configured") if line.startswith("{"))
    config = json.loads(line)
    assert config["hyperparameters"]["n"] == "10"
    assert config["inputdataconfig"] == {"train": {
        "ContentType": "text/csv", "RecordWrapperType": "None",
        "S3DistributionType": "FullyReplicated", "TrainingInputMode": "File",
    }}
    resources = config["resourceconfig"]
    assert (resources["current_host"], resources["hosts"]) == ("algo-1", ["algo-1"])
    assert config["variables"] == {
        "TRAINING_JOB_NAME": "configured", "TRAINING_JOB_ARN": arn, "MINE": "1", "SM_HP_N": "10",
        "SM_USER_ARGS": '["-n","10"]',
    }


REACH = """
import os, sys
import boto3
s3 = boto3.client("s3")
print("own", s3.get_object(Bucket="data", Key="reach/in/large")["ContentLength"])
large = os.environ["SM_CHANNEL_TRAIN"] + "/large"
print("size", os.path.getsize(large))
def fails(name, attempt):
    try:
        attempt()
    except OSError as error:
        print("refused", name, type(error).__name__)
    else:
        print("REACHED", name)
fails("change", lambda: open(large, "r+b").write(b"x"))
fails("mode", lambda: os.chmod(large, 0o777))
fails("database", lambda: open(sys.argv[2] + "/bessemer.db"))
fails("keys", lambda: open(sys.argv[2] + "/keys.json"))
fails("runs", lambda: os.listdir(sys.argv[2] + "/runs"))
fails("server", lambda: open("/proc/" + sys.argv[4] + "/environ"))
fails("shadow", lambda: open("/etc/shadow"))
os.symlink(sys.argv[2] + "/keys.json", "/opt/ml/model/keys.json")
os.symlink("/etc", "/opt/ml/model/etc")
open("/opt/ml/model/mine", "w").write("mine")
print("key", os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], flush=True)
"""


def test_a_job_reaches_its_server_and_nothing_else(server):
    content = b"0123456789" * 300_000
    work.put(server, "reach/in/large", content)
    work.training(
        server, "reach", REACH, InputDataConfig=[work.channel("train", "reach/in/")],
        HyperParameters={"folder": str(server.folder), "pid": str(server.process.pid)},
    )
    work.trained(server, "reach")
    lines = work.log(server, "training", "reach")
    assert f"own {len(content)}" in lines and f"size {len(content)}" in lines
    assert not [line for line in lines if line.startswith("REACHED")]
    assert len([line for line in lines if line.startswith("refused")]) == 7
    assert work.read(server, "reach/in/large") == content
    # Links are not followed into the model.
    assert work.unpacked(work.read(server, "out/reach/output/model.tar.gz")) == {"mine": b"mine"}
    # Its key ended with it.
    _, key, secret = next(line.split() for line in lines if line.startswith("key "))
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        server.client("s3", key={"id": key, "secret": secret}).list_buckets()


def test_network_isolation_leaves_a_job_alone(server):
    script = """
import os, socket
assert "AWS_ACCESS_KEY_ID" not in os.environ
try:
    socket.create_connection(("127.0.0.1", int(os.environ["SM_HP_PORT"])), 5)
except OSError as error:
    print("refused", type(error).__name__)
"""
    port = server.address.rsplit(":", 1)[1]
    work.training(server, "isolated", script, EnableNetworkIsolation=True,
                  HyperParameters={"port": port})
    work.trained(server, "isolated")
    assert "refused ConnectionRefusedError" in work.log(server, "training", "isolated")


def test_a_job_that_takes_too_much_memory_says_so(server):
    script = """
import os
held = []
while True:
    held.append(bytearray(os.urandom(1 << 20)) * 64)
"""
    work.training(server, "hungry", script, Environment={"BESSEMER_MEMORY": "512MiB"})
    reason = work.trained(server, "hungry", "Failed")["FailureReason"]
    assert "ran out of memory" in reason


def go(server, hosts):
    """Lets the programs of a job go on, which wait for a file in their `/tmp`."""
    for host in range(1, hosts + 1):
        place, = (server.folder / "runs").glob(f"*/*/algo-{host}/tmp")
        (place / "go").write_text("")


WAITS = """
import os, time
print("began", flush=True)
while not os.path.exists("/tmp/go"):
    time.sleep(0.02)
open(os.environ["SM_MODEL_DIR"] + "/" + os.environ["SM_CURRENT_HOST"], "w").write("done")
"""


@pytest.fixture
def own_server(tmp_path):
    with platform.running(tmp_path / "data") as server:
        work.make_bucket(server)
        yield server


@pytest.mark.parametrize("gap", ["while it runs", "before it goes on"])
def test_a_job_survives_its_server(own_server, gap):
    server = own_server
    work.training(server, "lives-on", WAITS, instances=2)
    for host in ("algo-1", "algo-2"):
        work.wait_for_line(server, "training", "lives-on", "began", host)
    server.stop(signal.SIGKILL)
    if gap == "while it runs":
        go(server, 2)
        pattern = "*/*/algo-*/control/exit.json"
        work.until(lambda: len(list((server.folder / "runs").glob(pattern))) == 2, "end")
        server.start()
    else:
        server.start()
        go(server, 2)
    described = work.trained(server, "lives-on")
    model = work.unpacked(work.read(server, "out/lives-on/output/model.tar.gz"))
    assert model == {"algo-1": b"done", "algo-2": b"done"}
    assert described["TrainingJobStatus"] == "Completed"
    assert work.log(server, "training", "lives-on").count("began") == 1
    work.until(lambda: not work.left_over(server), f"end of {work.left_over(server)}")


def test_a_job_whose_processes_die_with_the_server_is_tried_again(own_server):
    server = own_server
    work.training(server, "again", WAITS)
    work.wait_for_line(server, "training", "again", "began")
    note, = (server.folder / "runs").glob("*/*/algo-1/control/process.json")
    supervisor = json.loads(note.read_text())["pid"]
    server.stop(signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    server.start()

    def begun_again():
        return work.log(server, "training", "again").count("began") == 2

    work.until(begun_again, "second attempt")
    go(server, 1)
    work.trained(server, "again")
    assert "done" in str(work.unpacked(work.read(server, "out/again/output/model.tar.gz")))
    work.until(lambda: not work.left_over(server), f"end of {work.left_over(server)}")


def test_results_are_put_in_place_whole_and_by_one_server(own_server):
    """The server is killed while it packs the model."""
    server = own_server
    script = """
import os
print("began", flush=True)
open(os.environ["SM_MODEL_DIR"] + "/model", "wb").write(os.urandom(64 << 20))
"""
    work.training(server, "whole", script)
    client = server.client("sagemaker")

    def uploading():
        described = client.describe_training_job(TrainingJobName="whole")
        return described["SecondaryStatus"] == "Uploading"

    work.until(uploading, "upload")
    server.stop(signal.SIGKILL)
    server.start()
    work.trained(server, "whole")
    model = work.unpacked(work.read(server, "out/whole/output/model.tar.gz"))
    assert {name: len(content) for name, content in model.items()} == {"model": 64 << 20}
    assert work.log(server, "training", "whole").count("began") == 1
    work.until(lambda: not work.left_over(server), f"end of {work.left_over(server)}")
