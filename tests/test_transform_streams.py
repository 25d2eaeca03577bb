"""Transform jobs whose files are sent in chunks (`MaxPayloadInMB=0`), to a real server of the container
contract."""

import gzip
import hashlib
import json

import pytest

from kit import platform
from kit.transforms import Transforms

# Reads a request's chunks and answers each at once, so that neither side has ever seen the whole.
SERVER = """
import glob, json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

def peak():
    \"\"\"Most memory that the engine has had, in kB.\"\"\"
    for path in glob.glob("/proc/[0-9]*/status"):
        text = open(path).read()
        if text.startswith("Name:\\tbessemer\\n") and "VmHWM" in text and "__attempt" in open(path[:-6] + "cmdline").read():
            return int(text.split("VmHWM:")[1].split()[0])

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    refused = set()

    def do_GET(self):
        self.send_response(200 if self.path == "/ping" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def chunks(self):
        if "Content-Length" in self.headers:
            yield self.rfile.read(int(self.headers["Content-Length"]))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def do_POST(self):
        told = {name: self.headers[name] for name in ("Transfer-Encoding", "Content-Length", "Content-Type")}
        chunks = self.chunks()
        first = next(chunks, b"")
        if first.startswith(b"bad"):
            for chunk in chunks:
                pass
            return self.refuse(400, b"a bad file")
        if first.startswith(b"busy") and "busy" not in self.refused:
            self.refused.add("busy")
            for chunk in chunks:
                pass
            return self.refuse(503, b"busy")
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.say(json.dumps(told).encode() + b"\\n")
        count = 0
        if first:
            self.say(first)
        for chunk in chunks:
            count += 1
            self.say(chunk)
        if told["Content-Type"] == "application/x-told":
            self.say(json.dumps({"chunks": count + 1, "peak": peak()}).encode())
        self.say(b"")

    def say(self, bytes):
        self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(bytes), bytes))

    def refuse(self, status, words):
        self.send_response(status)
        self.send_header("Content-Length", str(len(words)))
        self.end_headers()
        self.wfile.write(words)

    def log_message(self, *words):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""
IN_CHUNKS = {"Transfer-Encoding": "chunked", "Content-Length": None, "Content-Type": "text/csv"}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    with platform.running(tmp_path_factory.mktemp("streams") / "data") as server:
        server.client("s3").create_bucket(
            Bucket="data", CreateBucketConfiguration={"LocationConstraint": platform.REGION}
        )
        yield Transforms(server)


@pytest.fixture(scope="module")
def streaming(jobs):
    files = {"code/server.py": SERVER}
    return jobs.model("streaming", files, image="local/img:1", BESSEMER_SERVE="exec python server.py")


def told(text):
    """What the server says of a request, and what came after."""
    words, rest = text.split("\n", 1)
    return json.loads(words), rest


@pytest.mark.parametrize(
    "name, split, changes, payloads",
    [
        ("none", "None", {}, ["1\n22\n"]),
        # Records are told apart only where they go alone.
        ("lines", "Line", {"BatchStrategy": "MultiRecord"}, ["1\n22\n"]),
    ],
)
def test_a_file_is_one_request_in_chunks(jobs, streaming, name, split, changes, payloads):
    name = f"chunks-{name}"
    jobs.run(name, streaming, split=split, assemble="None", inputs={"a": "1\n22\n"}, MaxPayloadInMB=0, **changes)
    (text,) = jobs.outputs(name).values()
    assert told(text) == (IN_CHUNKS, "1\n22\n")
    assert "MaxPayloadInMB=0" in jobs.log(name, "data-log")


def test_single_records_have_no_limit_and_a_limit_has_no_chunks(jobs, streaming):
    single = {"BatchStrategy": "SingleRecord", "assemble": "Line", "inputs": {"a": "1\n22\n"}}
    for name, changes in [("single", {"MaxPayloadInMB": 0}), ("limited", {"MaxPayloadInMB": 1})]:
        jobs.run(name, streaming, **single, **changes)
        lines = jobs.outputs(name)["a.out"].splitlines()
        assert lines[1::2] == ["1", "22"]
        assert [json.loads(line)["Content-Length"] for line in lines[::2]] == ["1", "2"]


def test_a_large_object_goes_through_in_little_memory(jobs, streaming):
    block = hashlib.sha512(b"x").digest() * (1 << 14)
    size = 300
    jobs.run(
        "through", streaming, "application/x-told", split="None", assemble="None",
        inputs={"big.gz": gzip.compress(block * size, 1)}, MaxPayloadInMB=0,
        TransformInput={"CompressionType": "Gzip"},
    )
    answer = jobs.s3.get_object(Bucket="data", Key="out/through/big.gz.out")["Body"]
    first, rest = answer.read(1 << 10).split(b"\n", 1)
    assert json.loads(first)["Transfer-Encoding"] == "chunked"
    whole, sent = hashlib.sha256(rest), len(rest)
    while sent < len(block) * size:
        part = answer.read(min(1 << 20, len(block) * size - sent))
        whole.update(part)
        sent += len(part)
    expected = hashlib.sha256()
    for _ in range(size):
        expected.update(block)
    assert whole.digest() == expected.digest()
    end = json.loads(answer.read())
    assert end["chunks"] > size
    # The file has 300 MiB, and its answer too.
    assert end["peak"] < 100 << 10


def test_a_stream_is_tried_again_from_its_beginning(jobs, streaming):
    jobs.run("again", streaming, split="None", inputs={"a": "busy\n", "b": "fine"}, MaxPayloadInMB=0)
    outputs = jobs.outputs("again")
    assert told(outputs["a.out"]) == (IN_CHUNKS, "busy\n")
    # `AssembleWith` adds the line end that is missing.
    assert told(outputs["b.out"]) == (IN_CHUNKS, "fine\n")


def test_a_stream_that_fails_costs_its_file_and_no_other(jobs, streaming):
    cut = gzip.compress(b"1\n" * 100_000)[:-100]
    described = jobs.run(
        "fails", streaming, split="None", ends="Failed", MaxPayloadInMB=0,
        inputs={"bad": gzip.compress(b"bad"), "cut": cut, "fine": gzip.compress(b"1\n")},
        TransformInput={"CompressionType": "Gzip"},
    )
    assert list(jobs.outputs("fails")) == ["fine.out"]
    assert described["FailureReason"].startswith("ClientError: 2 of 3 files failed; s3://data/in/fails/bad: 400")
    log = jobs.log("fails", "data-log")
    assert "data/in/fails/bad: ClientError: 400" in log
    assert "data/in/fails/cut: ClientError: Unable to read the data" in log


def test_a_script_has_the_whole_file(jobs):
    script = """
def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    return str(len(body)), accept
"""
    model = jobs.model("whole", {"m": "x"}, code={"a.py": script})
    jobs.run("whole", model, inputs={"a": "1\n" * (4 << 20), "empty": ""}, MaxPayloadInMB=0)
    assert jobs.outputs("whole") == {"a.out": f"{8 << 20}\n", "empty.out": ""}


def test_what_bzip2_has_packed_is_named(jobs, streaming):
    import bz2

    described = jobs.run(
        "bzip2", streaming, inputs={"a.bz2": bz2.compress(b"1\n")}, ends="Failed",
        TransformInput={"CompressionType": "Gzip"},
    )
    assert "a.bz2: it is packed by bzip2" in described["FailureReason"]
