"""The entry point of a container image: `train` does what the hyperparameter `does` says."""

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


def main():
    given = ML / "input/config/hyperparameters.json"
    if not given.exists():
        return process()
    does = json.loads(given.read_text()).get("does", "tell")
    return {f.__name__: f for f in (tell, use, fail, eat, wait, pair, isolated)}[does]()


main()
