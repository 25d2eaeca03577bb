"""Servers on loopback: a model container and an S3 store."""

import contextlib
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from kit.cli import PYTHON

CONTAINER = Path(__file__).parent.parent / "serving" / "container.py"
SERVE = f"{PYTHON} {CONTAINER}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def container(**settings):
    """A container server; yields its address."""
    port = free_port()
    environment = os.environ | {"PORT": str(port)} | {k: str(v) for k, v in settings.items()}
    process = subprocess.Popen([PYTHON, CONTAINER], env=environment, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        await_answer(f"{address}/ping", process)
        yield address
    finally:
        process.kill()
        process.wait()


def await_answer(address, process, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server of {address} has ended"
        try:
            return urllib.request.urlopen(address, timeout=2)
        except urllib.error.HTTPError as answer:
            return answer
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"no answer from {address}")


@contextlib.contextmanager
def object_store():
    """A store that speaks S3; yields the environment that points clients at it."""
    port = free_port()
    command = [PYTHON, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        await_answer(address, process)
        yield {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        process.kill()
        process.wait()
