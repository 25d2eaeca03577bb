"""A server of a benchmark's own, and how its cases are run."""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from report import machine, markdown
from wire import Wire

BINARY = os.environ["BESSEMER_BIN"]
CACHE = Path(os.environ["BESSEMER_BENCH_CACHE"])
ROLE = "arn:aws:iam::000000000000:role/bench"
IMAGE = "python:3.11"


class Server:
    """A server on a folder of its own."""

    def __init__(self, name):
        self.folder = CACHE / f"serve-{name}"
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        """Returns the seconds until it is ready."""
        command = [BINARY, "serve", "--data-dir", self.folder, "--listen", "127.0.0.1:0"]
        begun = time.perf_counter()
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "is ready at" in line:
                break
        else:
            sys.exit("the server did not start")
        took = time.perf_counter() - begun
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)
        key = json.loads((self.folder / "keys.json").read_text())["keys"][0]
        self.wire = Wire(line.split()[-1], key)
        return took

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def memory(self):
        """Resident megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        return int(kilobytes) * 1024 / 1e6

    def make_bucket(self):
        self.wire.connect().call(self.wire.s3("PUT", "/bench"))


@contextlib.contextmanager
def serving(name):
    server = Server(name)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


def run_cases(name, cases, about, **numbers):
    """Runs the cases that the command line names, each a function from the options to rows, prints
    their table, and leaves it in the cache. `numbers` are the options that are numbers."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    for option, default in numbers.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--cases", default=",".join(cases))
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    rows = []
    for case in options.cases.split(","):
        for row in cases[case](options):
            print(" | ".join(row), flush=True)
            rows.append(row)
    text = f"{machine()}\n\n{markdown(['', 'found', 'goal', ''], rows)}"
    (CACHE / f"{name}.md").write_text(text)
    print(f"\n{text}")
