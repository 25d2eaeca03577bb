"""Transform jobs of models with code of their own, driven by boto3 as the SDK drives it: the scripts
run in the images' environments, in sandboxes."""

import gzip
import json
import os
import shutil
import socket
import struct

import numpy as np
import pytest

from kit import cli, platform
from kit.transforms import XGBOOST, Transforms, packed

# As the SDK's documentation has it: a `model_fn`, and the container does the rest.
SKLEARN_SCRIPT = """
import json, os
import numpy
from sklearn.linear_model import LinearRegression

def model_fn(model_dir):
    with open(os.path.join(model_dir, "linear.json")) as file:
        saved = json.load(file)
    model = LinearRegression()
    model.coef_ = numpy.array(saved["coef"])
    model.intercept_ = saved["intercept"]
    model.n_features_in_ = len(saved["coef"])
    return model
"""
LINEAR = {"linear.json": json.dumps({"coef": [2.0, -1.0], "intercept": 0.5})}

# Answers what it is given, so that tests see which payloads there were.
ECHO_SCRIPT = """
import os, time

def model_fn(model_dir):
    print("the model is loaded")
    return None

def transform_fn(model, body, content_type, accept):
    if isinstance(body, str):
        body = body.encode()
    if b"bad" in body:
        raise ValueError("a bad record")
    if b"exit" in body:
        os._exit(3)
    return b"<%d|%s>" % (len(body), body.replace(b"\\n", b"/")), accept
"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("transforms") / "data") as server:
        server.client("s3").create_bucket(
            Bucket="data", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
        )
        yield Transforms(server)


@pytest.fixture(scope="module")
def linear(jobs):
    return jobs.model("linear", LINEAR, code={"train.py": SKLEARN_SCRIPT})


@pytest.fixture(scope="module")
def echo(jobs):
    return jobs.model("echo", {"model.txt": "x"}, code={"inference.py": ECHO_SCRIPT})


# Scripts


def test_a_scikit_learn_script_answers_as_its_container_does(jobs, linear):
    jobs.run("sk-json", linear, inputs={"a.csv": "1,2\n3,4\n", "b/c.csv": "0,0\n"})
    assert jobs.outputs("sk-json") == {"a.csv.out": "[0.5, 2.5]\n", "b/c.csv.out": "[0.5]\n"}
    jobs.run("sk-csv", linear, accept="text/csv", inputs={"a.csv": "1,2\n3,4\n"})
    values = [float(line) for line in jobs.outputs("sk-csv")["a.csv.out"].split()]
    assert values == [0.5, 2.5]
    single = {"BatchStrategy": "SingleRecord", "MaxConcurrentTransforms": 2}
    jobs.run("sk-single", linear, inputs={"a.csv": "1,2\n3,4\n5,6\n"}, **single)
    assert jobs.outputs("sk-single") == {"a.csv.out": "[0.5]\n[2.5]\n[4.5]\n"}


def test_a_script_within_the_model_has_its_requirements(jobs):
    script = """
import json
import inflection
from helper import SUFFIX

def model_fn(model_dir):
    return json.load(open(model_dir + "/words.json"))

def input_fn(body, content_type):
    assert content_type == "application/jsonlines", content_type
    return [json.loads(line) for line in body.decode().splitlines()]

def predict_fn(data, model):
    return [inflection.pluralize(model[record["word"]]) + SUFFIX for record in data]

def output_fn(prediction, accept):
    return "".join(json.dumps(word) + "\\n" for word in prediction), accept
"""
    model = jobs.model(
        "in-model",
        {
            "words.json": '{"a": "ox", "b": "cat"}',
            "code/inference.py": script,
            "code/helper.py": "SUFFIX = '!'",
            "code/requirements.txt": "# one wheel, no dependencies\ninflection==0.5.1\n",
        },
        SAGEMAKER_PROGRAM="inference.py",
        SAGEMAKER_SUBMIT_DIRECTORY="/opt/ml/model/code",
    )
    text = '{"word": "a"}\n{"word": "b"}\n'
    jobs.run("in-model", model, "application/jsonlines", accept="application/jsonlines", inputs={"x.jsonl": text})
    assert jobs.outputs("in-model") == {"x.jsonl.out": '"oxen!"\n"cats!"\n'}


def test_a_script_without_a_name_is_inference_py(jobs):
    model = jobs.model("unnamed", {"code/inference.py": ECHO_SCRIPT})
    jobs.run("unnamed", model, inputs={"a": "1\n2\n"})
    assert jobs.outputs("unnamed") == {"a.out": "<4|1/2/>\n"}
    assert "the model is loaded" in jobs.log("unnamed")


def test_an_xgboost_script_is_given_matrices(jobs, booster):
    import xgboost

    path, trained = booster
    script = """
import os
import socket
import xgboost

def model_fn(model_dir):
    booster = xgboost.Booster()
    booster.load_model(os.path.join(model_dir, "xgboost-model"))
    booster.feature_names = None
    return booster
"""
    model = jobs.model("xgb", {"xgboost-model": path.read_bytes()}, image=XGBOOST, code={"serve.py": script})
    rows = np.random.default_rng(5).normal(size=(20, 4)).astype(np.float32)
    rows[3, 1] = np.nan
    text = "".join(",".join("" if np.isnan(v) else repr(float(v)) for v in row) + "\n" for row in rows)
    jobs.run("xgb", model, accept="text/csv", inputs={"rows.csv": text})
    found = [float(line) for line in jobs.outputs("xgb")["rows.csv.out"].split()]
    expected = trained.predict(xgboost.DMatrix(rows), validate_features=False)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


# Payloads


def test_files_are_cut_into_payloads_as_the_request_says(jobs, echo):
    text = {"a": "1\n22\n333\n"}
    for name, split, changes, expected in [
        ("none", "None", {}, "<9|1/22/333/>"),
        ("line", "Line", {}, "<9|1/22/333/>"),
        ("single", "Line", {"BatchStrategy": "SingleRecord"}, "<1|1><2|22><3|333>"),
        ("unlimited", "None", {"MaxPayloadInMB": 0}, "<9|1/22/333/>"),
    ]:
        jobs.run(f"cut-{name}", echo, split=split, assemble="None", inputs=text, **changes)
        assert jobs.outputs(f"cut-{name}") == {"a.out": expected}
    lined = {"BatchStrategy": "SingleRecord"}
    jobs.run("cut-lined", echo, inputs=text, **lined)
    assert jobs.outputs("cut-lined") == {"a.out": "<1|1>\n<2|22>\n<3|333>\n"}


def test_payloads_are_as_large_as_they_may_be(jobs, echo):
    line = "x" * 1023 + "\n"
    jobs.run("large", echo, inputs={"a": line * 2500}, MaxPayloadInMB=1, MaxConcurrentTransforms=4)
    sizes = [int(part.split("|")[0][1:]) for part in jobs.outputs("large")["a.out"].splitlines()]
    assert sizes == [1 << 20, 1 << 20, 452 << 10]
    assert "MaxConcurrentTransforms=4, MaxPayloadInMB=1, BatchStrategy=MULTI_RECORD" in jobs.log("large", "data-log")


def test_framed_records_are_found(jobs, echo):
    def tf_record(content):
        return struct.pack("<QI", len(content), 0) + content + struct.pack("<I", 0)

    def record_io(content):
        padding = b"\0" * (-len(content) % 4)
        return struct.pack("<II", 0xCED7230A, len(content)) + content + padding

    single = {"BatchStrategy": "SingleRecord", "content_type": "application/octet-stream"}
    for split, frame, overhead in [("TFRecord", tf_record, 16), ("RecordIO", record_io, 8)]:
        name = f"framed-{split.lower()}"
        jobs.run(name, echo, split=split, inputs={"a": frame(b"abcd") + frame(b"12345678")}, **single)
        read = jobs.read(f"out/{name}/a.out")
        assert read.startswith(b"<%d|" % (4 + overhead)) and b"12345678" in read
        assert read.count(b">\n") == 2
    described = jobs.run(
        "framed-wrong", echo, split="RecordIO", inputs={"a": b"plain text, no frames"}, ends="Failed", **single
    )
    assert "no RecordIO" in described["FailureReason"]


def test_gzipped_inputs_are_unpacked(jobs, echo):
    jobs.run(
        "zipped", echo, inputs={"a.csv.gz": gzip.compress(b"1\n2\n")},
        TransformInput={"CompressionType": "Gzip"},
    )
    assert jobs.outputs("zipped") == {"a.csv.gz.out": "<4|1/2/>\n"}


# Failures


def test_a_bad_record_fails_its_file_and_the_job_and_no_other_file(jobs, echo):
    inputs = {"1.csv": "good\n", "2.csv": "good\nbad\n", "3.csv": "fine\n"}
    described = jobs.run("strict", echo, inputs=inputs, ends="Failed")
    assert sorted(jobs.outputs("strict")) == ["1.csv.out", "3.csv.out"]
    reason = described["FailureReason"]
    assert reason.startswith("AlgorithmError: 1 of 3 files failed; s3://data/in/strict/2.csv: ")
    assert "ValueError: a bad record" in reason and "inference.py" in reason
    log = jobs.log("strict", "data-log")
    assert "data/in/strict/2.csv: Bad HTTP status received from algorithm: 500" in log
    assert "data/in/strict/2.csv: Message:" in log and "a bad record" in log


def test_a_record_over_the_limit_is_clienterror_413(jobs, echo):
    inputs = {"big": "x" * (1 << 20) + "y\n", "small": "1\n"}
    described = jobs.run("over", echo, inputs=inputs, ends="Failed", MaxPayloadInMB=1)
    assert described["FailureReason"].startswith("ClientError: ")
    assert "data/in/over/big: ClientError: 413" in jobs.log("over", "data-log")
    assert sorted(jobs.outputs("over")) == ["small.out"]


def test_a_script_that_ends_its_process_costs_that_file(jobs, echo):
    described = jobs.run(
        "dies", echo, inputs={"1": "exit\n", "2": "fine\n"}, ends="Failed",
        ModelClientConfig={"InvocationsMaxRetries": 0, "InvocationsTimeoutInSeconds": 60},
    )
    assert "exit code 3" in described["FailureReason"]
    assert "Unable to get response from algorithm" in jobs.log("dies", "data-log")
    assert jobs.outputs("dies") == {"2.out": "<5|fine/>\n"}


@pytest.mark.parametrize(
    "name, files, code, words",
    [
        ("no-script", {"m": "x"}, {"other.py": ""}, "no script `train.py`"),
        ("no-load", {"m": "x"}, {"train.py": "def model_fn(d):\n    raise OSError('no such model')"}, "no such model"),
        ("no-model-fn", {"m": "x"}, {"train.py": "def predict_fn(data):\n    return data"}, "`predict_fn` takes 1"),
        ("bad-lines", {"m": "x"}, {"train.py": "", "requirements.txt": "-e git+https://x/y"}, "-e git+https://x/y"),
    ],
)
def test_a_script_that_can_not_run_says_why(jobs, name, files, code, words):
    model = jobs.model(name, files, code=code, SAGEMAKER_PROGRAM="train.py")
    described = jobs.run(name, model, inputs={"a": "1\n"}, ends="Failed")
    assert described["FailureReason"].startswith(("AlgorithmError: ", "ClientError: "))
    assert words in described["FailureReason"]


def test_an_image_that_stands_for_nothing_is_named(jobs):
    model = jobs.model("own-image", {"m": "x"}, image="local/img:1", code={"a.py": SKLEARN_SCRIPT})
    described = jobs.run("own-image", model, inputs={"a": "1\n"}, ends="Failed")
    assert "`local/img:1`" in described["FailureReason"]


# Records


def test_joined_records_go_by_record(jobs, linear):
    jobs.run(
        "joined", linear, accept="text/csv", inputs={"a.csv": "7,1,2\n8,3,4\n"},
        DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
    )
    rows = [line.split(",") for line in jobs.outputs("joined")["a.csv.out"].split()]
    assert [(row[0], float(row[1])) for row in rows] == [("7", 0.5), ("8", 2.5)]


def test_bad_records_can_be_set_apart(jobs):
    script = """
def model_fn(model_dir):
    return None

def input_fn(body, content_type):
    return [line.split(",") for line in body.splitlines()]

def predict_fn(data, model):
    return [1 / float(row[0]) for row in data]
"""
    model = jobs.model("inverse", {"m": "x"}, code={"a.py": script})
    inputs = {"a.csv": "".join(f"{n}\n" for n in range(-50, 50))}
    strict = jobs.run("inverse-strict", model, inputs=inputs, ends="Failed")
    assert "ZeroDivisionError" in strict["FailureReason"]
    jobs.run("inverse-apart", model, inputs=inputs, Environment={"BESSEMER_MAX_REJECTS": "1%"})
    outputs = jobs.keys("out/inverse-apart/")
    assert outputs == ["_rejects/a.csv.parquet", "a.csv.out"]
    lines = jobs.text("out/inverse-apart/a.csv.out").split("\n")
    assert lines[0] == "-0.02" and lines[50] == '""' and float(lines[52]) == 0.5


# The sandbox


def test_a_script_sees_nothing_but_its_job(jobs):
    secret = jobs.server.key()["secret"]
    script = """
import json, os, socket

def attempt(action):
    try:
        return repr(action())
    except Exception as error:
        return type(error).__name__

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    data = json.loads(body)["data"]
    found = {
        "keys": attempt(lambda: open(data + "/keys.json").read()),
        "database": attempt(lambda: open(data + "/bessemer.db", "rb").read(1)),
        "buckets": attempt(lambda: os.listdir(data + "/buckets")),
        "runs": attempt(lambda: os.listdir(data + "/runs")),
        "init": attempt(lambda: open("/proc/1/environ").read()),
        "network": attempt(lambda: socket.create_connection(("127.0.0.1", json.loads(body)["port"]), 2)),
        "input": attempt(lambda: open("/opt/bessemer/inputs/a.json", "a").write("x")),
        "order": attempt(lambda: open("/opt/bessemer/job/order/order.json", "a").write("x")),
        "environment": sorted(os.environ),
        "uid": os.getuid(),
    }
    os.symlink("/etc/hostname", "/opt/bessemer/job/left/output/stolen.out")
    return json.dumps(found), accept
"""
    model = jobs.model("curious", {"m": "x"}, code={"a.py": script}, isolated=True, MINE="1")
    port = int(jobs.server.address.rsplit(":", 1)[1])
    body = json.dumps({"data": str(jobs.server.folder), "port": port})
    jobs.run("curious", model, "application/json", split="None", inputs={"a.json": body})
    text = jobs.text("out/curious/a.json.out")
    assert secret not in text
    found = json.loads(text)
    for name in ["keys", "database", "buckets", "runs"]:
        assert found[name] == "FileNotFoundError", (name, found[name])
    for name in ["network", "input", "order"]:
        assert found[name].endswith("Error"), (name, found[name])
    assert found["init"] in ("PermissionError", "''", "FileNotFoundError")
    assert "MINE" in found["environment"] and "SAGEMAKER_BATCH" in found["environment"]
    assert not {name for name in found["environment"] if name.startswith(("AWS_", "BESSEMER_TEST"))}
    assert found["uid"] != 0 or os.getuid() != 0
    assert jobs.keys("out/curious/") == ["a.json.out"]


def test_an_output_that_is_a_link_is_not_followed(jobs):
    script = """
import os
import socket

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    os.makedirs("/opt/bessemer/job/left/output", exist_ok=True)
    target = "/opt/bessemer/job/left/output/b.out"
    if not os.path.lexists(target):
        os.symlink("/etc/hostname", target)
    return body, accept
"""
    model = jobs.model("thief", {"m": "x"}, code={"a.py": script})
    # By the time that `b` is looked at, the link is there.
    inputs = {"a": "1\n" * 20, "b": "2\n"}
    one = {"MaxConcurrentTransforms": 1, "BatchStrategy": "SingleRecord"}
    described = jobs.run("thief", model, inputs=inputs, ends="Failed", **one)
    assert "`b.out`" in described["FailureReason"]
    assert "out/thief/b.out" not in jobs.keys("")


# Servers

# A container as AWS's documentation has it, of the standard library alone.
SERVER = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/execution-parameters":
            asked = {"MaxConcurrentTransforms": 3, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2}
            self.answer(200, json.dumps(asked).encode())
        else:
            self.answer(200 if self.path == "/ping" else 404, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if b"bad" in body:
            return self.answer(400, b"bad record")
        if self.headers["Content-Type"] == "text/csv":
            total = [sum(map(float, line.split(b","))) for line in body.splitlines()]
            return self.answer(200, "".join(f"{number}\\n" for number in total).encode())
        told = {name: value for name, value in os.environ.items() if name.startswith("SAGEMAKER_") or name == "MINE"}
        words = [self.headers["Content-Type"], self.headers["Accept"], len(body), open("/opt/ml/model/weights").read()]
        self.answer(200, json.dumps([*words, told]).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

print("serving", flush=True)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def served(jobs):
    files = {"weights": "w", "code/server.py": SERVER}
    return jobs.model("served", files, image="local/img:1", BESSEMER_SERVE="python server.py", MINE="model")


def test_a_server_is_sent_payloads_and_told_of_the_job(jobs, served):
    jobs.run(
        "served", served, "image/jpeg", split="None", assemble="None", accept="application/x-words",
        inputs={"picture": b"\xff\xd8\x00"}, MaxPayloadInMB=5, BatchStrategy="MultiRecord", Environment={"MINE": "job"},
    )
    kind, accept, size, weights, told = json.loads(jobs.read("out/served/picture.out"))
    assert (kind, accept, size, weights) == ("image/jpeg", "application/x-words", 3, "w")
    expected = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "5", "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD"}
    assert expected.items() <= told.items() and told["MINE"] == "job"
    assert "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS" not in told
    assert "serving" in jobs.log("served")


def test_a_server_says_what_it_wants(jobs, served):
    jobs.run("asks", served, assemble="None", inputs={"a": "1,2\n3,4\n"})
    assert jobs.outputs("asks") == {"a.out": "3.0\n7.0\n"}
    log = jobs.log("asks", "data-log")
    assert "MaxPayloadInMB=2, BatchStrategy=SINGLE_RECORD" in log


def test_what_a_server_refuses_fails_its_file(jobs, served):
    described = jobs.run("refuses", served, inputs={"a": "1\n", "b": "bad\n"}, ends="Failed")
    assert described["FailureReason"].startswith("ClientError: 1 of 2 files failed; s3://data/in/refuses/b: ")
    assert "bad record" in described["FailureReason"]
    assert "data/in/refuses/b: ClientError: 400" in jobs.log("refuses", "data-log")
    assert jobs.outputs("refuses") == {"a.out": "1.0\n"}


def test_parquet_goes_to_a_server_that_reads_csv(jobs, served):
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"id": ["x", "y", "z"], "a": [1.0, 2.0, 3.0], "b": [10.0, 20.0, 30.0]})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    settings = {
        "BESSEMER_CONTENT_TYPE": "text/csv", "BESSEMER_FEATURES": "a,b", "BESSEMER_JOIN": "id",
        "BESSEMER_OUTPUT_FORMAT": "parquet", "BESSEMER_BATCH_ROWS": "2", "BESSEMER_COPIES": "1",
    }
    jobs.run(
        "parquet", served, "application/x-parquet", split="None", accept="text/csv",
        inputs={"rows.parquet": sink.getvalue()}, BatchStrategy="MultiRecord", Environment=settings,
    )
    assert jobs.keys("out/parquet/") == ["rows.parquet"]
    scored = pq.read_table(io.BytesIO(jobs.read("out/parquet/rows.parquet")))
    assert scored.to_pydict() == {"id": ["x", "y", "z"], "prediction": [11.0, 22.0, 33.0]}


def test_a_command_that_serves_nothing_is_told_with_its_words(jobs):
    model = jobs.model("dead", {"m": "x"}, image="local/img:1", BESSEMER_SERVE="echo no such weights >&2; exit 4")
    described = jobs.run("dead", model, inputs={"a": "1\n"}, ends="Failed")
    assert described["FailureReason"].startswith("AlgorithmError: ")
    assert "no such weights" in described["FailureReason"]


def test_what_is_wrong_with_a_model_is_told_of_its_object(jobs):
    for name, files, words in [
        ("archive-empty", {"readme.md": "x"}, "readme.md"),
        ("archive-wrong", {"xgboost-model": "{"}, "xgboost-model"),
    ]:
        model = jobs.model(name, files, image=XGBOOST)
        described = jobs.run(name, model, inputs={"a": "1\n"}, ends="Failed")
        reason = described["FailureReason"]
        assert f"s3://data/models/{name}/model.tar.gz" in reason and words in reason
        assert str(jobs.server.folder) not in reason + jobs.log(name)
    jobs.put(**{"models/archive-cut/model.tar.gz": packed({"xgboost-model": os.urandom(1 << 16)})[:1000]})
    jobs.sagemaker.create_model(
        ModelName="archive-cut", ExecutionRoleArn=platform.ROLE,
        PrimaryContainer={"Image": XGBOOST, "ModelDataUrl": "s3://data/models/archive-cut/model.tar.gz"},
    )
    reason = jobs.run("archive-cut", "archive-cut", inputs={"a": "1\n"}, ends="Failed")["FailureReason"]
    assert "`s3://data/models/archive-cut/model.tar.gz`: it is damaged or cut off" in reason
    assert str(jobs.server.folder) not in reason


def test_another_release_in_the_servers_place_changes_no_running_server(tmp_path, monkeypatch):
    binary = tmp_path / "bessemer"
    shutil.copy(cli.BINARY, binary)
    monkeypatch.setattr(cli, "BINARY", binary)
    with platform.running(tmp_path / "data") as server:
        server.client("s3").create_bucket(
            Bucket="data", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
        )
        (tmp_path / "next").write_text("no program at all")
        (tmp_path / "next").rename(binary)
        replaced = Transforms(server)
        model = replaced.model("echo", {"m": "x"}, code={"a.py": ECHO_SCRIPT})
        for name in ("once", "twice"):
            replaced.run(name, model, inputs={"a": "1\n"})
            assert replaced.outputs(name) == {"a.out": "<2|1/>\n"}


# Stops and kills

# Waits in the middle of a call for a word of the test.
WAITING_SCRIPT = """
import socket

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    with socket.create_connection(("127.0.0.1", PORT)) as test:
        test.recv(1)
    return body, accept
"""


@pytest.fixture
def gate():
    """Where a script waits: a listening socket, and a script that waits there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        yield listener, WAITING_SCRIPT.replace("PORT", str(listener.getsockname()[1]))


def test_a_stopped_job_ends_its_script(jobs, gate):
    listener, script = gate
    model = jobs.model("stopped", {"m": "x"}, code={"a.py": script})
    jobs.put(**{"in/stopped/a": "1\n"})
    jobs.create("stopped", model)
    with listener.accept()[0] as waiting:
        jobs.sagemaker.stop_transform_job(TransformJobName="stopped")
        jobs.wait("stopped", "Stopped")
        waiting.settimeout(60)
        assert waiting.recv(1) == b""
    assert jobs.keys("out/stopped/") == []


def test_a_script_outlives_its_server(tmp_path, gate):
    listener, script = gate
    with platform.running(tmp_path / "data") as server:
        server.client("s3").create_bucket(
            Bucket="data", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
        )
        before = Transforms(server)
        model = before.model("kept", {"m": "x"}, code={"a.py": script})
        before.put(**{"in/kept/a": "1\n"})
        before.create("kept", model)
        with listener.accept()[0] as waiting:
            server.restart()
            after = Transforms(server)
            waiting.send(b".")
            after.wait("kept")
        assert after.outputs("kept") == {"a.out": "1\n"}
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()  # nobody called the script again
