"""A real `bessemer serve` on a free port, and boto3 clients that know its key."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
import urllib.request

import boto3
from botocore.config import Config

from kit import cli

REGION = "eu-central-1"
ROLE = "arn:aws:iam::000000000000:role/bessemer"


def free_port():
    """A port that no client gets for its own end while the server is away."""
    for port in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.socket() as found:
            found.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def now():
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


class Platform:
    """A data directory and, while it runs, its server."""

    def __init__(self, folder, *options, env=None, keeps_address=False):
        self.folder = folder
        self.options = options
        self.env = env or {}
        self.process = None
        self.said = folder.parent / f"{folder.name}.log"
        self.address = None
        self.listen = f"127.0.0.1:{free_port() if keeps_address else 0}"

    def start(self):
        self.log = open(self.said, "ab")
        begins = self.said.stat().st_size
        # A session of its own, so that a test can end the server and all that it has started.
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env=cli.environment(**self.env), start_new_session=True,
        )
        ready = "bessemer is ready at "
        while ready not in (text := self.said.read_text()[begins:]):
            assert self.process.poll() is None, text
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)
        self.address = text.split(ready)[1].split()[0]
        return self

    def command(self):
        command = [cli.BINARY, "serve", "--data-dir", self.folder, "--listen", self.listen]
        return [*command, *self.options]

    def stop(self, number=signal.SIGTERM):
        """Ends the server; returns its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.log.close()
        assert "panicked" not in self.said.read_text()
        return code

    def restart(self, number=signal.SIGKILL):
        self.stop(number)
        return self.start()

    def attempts(self):
        """The numbers of the processes that run attempts."""
        wanted = str(self.folder / "runs")
        found = []
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if entry.isdigit():
                    with open(f"/proc/{entry}/cmdline") as file:
                        words = file.read().split("\0")
                    if "__attempt" in words and any(word.startswith(wanted) for word in words):
                        found.append(int(entry))
        return found

    def key(self):
        return json.loads((self.folder / "keys.json").read_text())["keys"][0]

    def client(self, service, key=None, **settings):
        key = key or self.key()
        config = Config(retries={"max_attempts": 1}, **settings)
        return boto3.client(
            service, endpoint_url=self.address, region_name=REGION, config=config,
            aws_access_key_id=key["id"], aws_secret_access_key=key["secret"],
        )

    def get(self, path):
        with urllib.request.urlopen(self.address + path, timeout=10) as answer:
            return answer.read().decode()

    def run(self, *arguments, **options):
        """A command of the binary that talks to this server."""
        return cli.run(*arguments, env={"BESSEMER_DATA_DIR": str(self.folder)}, **options)


@contextlib.contextmanager
def running(folder, *options, **settings):
    """`settings` of [`Platform`]; `options` of `bessemer serve`."""
    platform = Platform(folder, *options, **settings).start()
    try:
        yield platform
    finally:
        if platform.process.poll() is None:
            assert platform.stop() == 0
        for left in platform.attempts():
            os.kill(left, signal.SIGKILL)
