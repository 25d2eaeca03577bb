"""The entry point of a container image: `train` does what the hyperparameter `does` says, `serve` answers
by SageMaker's contract with the model's words."""

import json
import os
import pathlib
import signal
import sys
import time

ML = pathlib.Path("/opt/ml")


def tell():
    """What a container sees, as JSON."""
    inputs = {str(path.relative_to(ML)): path.stat().st_size for path in ML.rglob("input/data/*/*")}
    status = pathlib.Path("/proc/self/status").read_text()
    told = {
        "arguments": sys.argv[1:],
        "image": os.environ["OF_THE_IMAGE"],
        "asked": os.environ.get("ASKED"),
        "path": os.environ["PATH"],
        "folder": os.getcwd(),
        "host": os.uname().nodename,
        "inputs": inputs,
        "resources": json.loads((ML / "input/config/resourceconfig.json").read_text()),
        "uid": os.getuid(),
        "networks": sorted(os.listdir("/sys/class/net")),
        "capabilities": status.split("CapEff:")[1].split()[0],
        "no_new_privileges": status.split("NoNewPrivs:")[1].split()[0],
    }
    print(json.dumps(told), flush=True)
    (ML / "model/deep").mkdir()
    (ML / "model/deep/weights").write_bytes(b"w" * 1_000_000)
    (ML / "output/data/other").write_text("other")


def use():
    import boto3

    s3 = boto3.client("s3")
    s3.put_object(Bucket="data", Key="from-a-container", Body=b"x" * 3_000_000)
    print("read", len(s3.get_object(Bucket="data", Key="from-a-container")["Body"].read()))


def fail():
    (ML / "output/failure").write_text("it is the data")
    sys.exit(3)


def eat():
    print("eats", flush=True)
    held = []
    while True:
        held.append(bytearray(b"x" * (16 << 20)))


def wait():
    """Until the file `go` is there; says how often it ran, and stops when it is told to."""
    def stop(*_):
        (ML / "model/stopped").write_text("cleanly")
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    print("waits", flush=True)
    while not (ML / "go").exists():
        time.sleep(0.02)
    print("goes on", file=sys.stderr, flush=True)
    (ML / "model/ran").write_text("once")


def pair():
    """The second instance greets the first."""
    import socket

    if os.uname().nodename == "algo-1":
        with socket.create_server((socket.gethostbyname("algo-1"), 5000)) as listener:
            print("heard", listener.accept()[0].recv(9).decode())
        return
    while True:
        try:
            socket.create_connection(("algo-1", 5000)).sendall(b"of algo-2")
            return
        except ConnectionRefusedError:
            time.sleep(0.02)


def isolated():
    import socket

    try:
        socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), timeout=2)
        print("connected")
    except OSError as error:
        print("refused", error)
    print("keys", [name for name in os.environ if name.startswith("AWS_")])


def process():
    for path in sorted((ML / "processing/in").iterdir()):
        (ML / "processing/out" / path.name).write_text(path.read_text().upper() + " ".join(sys.argv[1:]))
    (ML / "output/message").write_text("done")


def serve():
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    word = (ML / "model/word").read_text()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(200 if self.path == "/ping" else 404, b"")

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if "bad" in body:
                return self.answer(400, b"no")
            wait = ML / "model/wait"
            while wait.exists() and not (ML / "model/go").exists():
                time.sleep(0.02)
            lines = [f"{word} {os.environ['ASKED']} {line}" for line in body.splitlines()]
            return self.answer(200, "\n".join(lines).encode())

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    print("serves", os.environ["OF_THE_IMAGE"], os.getcwd(), flush=True)
    ThreadingHTTPServer(("", 8080), Handler).serve_forever()


def main():
    if sys.argv[1:] == ["serve"]:
        return serve()
    given = ML / "input/config/hyperparameters.json"
    if not given.exists():
        return process()
    does = json.loads(given.read_text()).get("does", "tell")
    return {f.__name__: f for f in (tell, use, fail, eat, wait, pair, isolated)}[does]()


main()
