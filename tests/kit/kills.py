"""A server that is killed at random moments while clients work, and what a client has to be for it."""

import contextlib
import itertools
import json
import os
import random
import signal
import threading
import time
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from kit import platform

PATIENCE = 60
ENDS = ("succeeded", "failed", "stopped")


class Client(threading.Thread):
    """A client that repeats each call until the server has answered it."""

    def __init__(self, trial, calls, until):
        super().__init__(daemon=True)
        self.trial, self.calls, self.until = trial, calls, until
        self.random = random.Random(f"{trial.seed} {calls.__name__}")
        self.clients = {}

    def run(self):
        try:
            for number in itertools.count():
                if self.until.is_set():
                    return
                self.calls(self, number)
        except Exception as error:  # noqa: BLE001 - the test reports it
            self.trial.wrong.append(f"{self.calls.__name__}: {error!r}")

    def call(self, service, operation, taken=(), **arguments):
        """The answer, however often the server dies meanwhile; `taken` are the codes that say that
        an earlier try was carried out."""
        tries = 0
        while True:
            tries += 1
            try:
                return getattr(self.client(service), operation)(**arguments)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if code in taken and tries > 1:
                    return None
                if status < 500:
                    raise
            except BotoCoreError:
                pass
            time.sleep(0.02)

    def wait_for(self, holds):
        """Waits until `holds()`, or the kills are over."""
        while not self.trial.ended.is_set() and not holds():
            time.sleep(0.05)

    def client(self, service):
        if service not in self.clients:
            trial = self.trial
            self.clients[service] = boto3.client(
                service, endpoint_url=trial.server.address, region_name=platform.REGION,
                aws_access_key_id=trial.key["id"], aws_secret_access_key=trial.key["secret"],
                config=Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=10),
            )
        return self.clients[service]


class Kills:
    """A load, and an oracle that stands outside: it knows what calls were acknowledged."""

    def __init__(self, folder, seed, kills):
        self.seed, self.kills = seed, kills
        self.random = random.Random(seed)
        self.ended = threading.Event()  # the kills are over
        self.checked = threading.Event()
        self.wrong = []  # what must not be
        self.server = platform.Platform(folder, keeps_address=True)
        self.restarts = []

    def run(self):
        """Kills the server `kills` times; returns what happened, for the report."""
        self.server.start()
        self.key = self.server.key()
        self.prepare()
        makers = [Client(self, calls, self.ended) for calls in self.calls()]
        makers.append(threading.Thread(target=self.watch, daemon=True))
        takers = [Client(self, calls, self.checked) for calls in self.takers()]
        for thread in [*makers, *takers]:
            thread.start()
        try:
            for _ in range(self.kills):
                time.sleep(self.random.choice([0.05, 0.3, 0.6, 1.2]) * self.random.random())
                self.kill(with_children=self.random.random() < 0.3)
                if self.wrong:
                    break
        finally:
            self.ended.set()
            join(makers)
        try:
            self.check()
        finally:
            self.checked.set()
            join(takers)
        facts = {"seed": self.seed, "kills": self.kills, "slowest_restart": round(max(self.restarts), 3)}
        return facts | self.report()

    def watch(self):
        """Looks on, without pause."""
        while not self.ended.is_set():
            self.look()
            time.sleep(0.01)

    def calls(self):
        """What clients do, each in a thread of its own, again and again, until the kills are over."""
        raise NotImplementedError

    def takers(self):
        """What clients do for longer: they take what the others have made until all is checked."""
        return ()

    def prepare(self):
        """What has to be there before they begin."""

    def look(self):
        """What a reader sees meanwhile."""

    def check(self):
        """Holds the server to what it has acknowledged."""
        raise NotImplementedError

    def report(self):
        """What there was of each kind of work."""
        raise NotImplementedError

    def all_end(self, names, is_final):
        """Whether all come to their end while nobody kills the server."""
        begin, left = time.monotonic(), [*names]
        while left := [name for name in left if not is_final(name)]:
            if time.monotonic() - begin > PATIENCE:
                whys = [self.server.run("jobs", "why", name, expect=None).stdout.strip() for name in left]
                self.wrong.append(f"stuck {PATIENCE} s after the last restart: {left} {whys}")
                return False
            time.sleep(0.1)
        return True

    def check_runs(self, name):
        """That a job ended once, that its code (which says "it runs") ran no more often than attempts
        were made, and that only kills made it fail. Returns what is told of it."""
        told = json.loads(self.server.run("jobs", "show", name, "--json").stdout)
        ends = [entry for entry in told["history"] if entry["state"] in ENDS]
        if len(ends) != 1:
            self.wrong.append(f"{name} ended {len(ends)} times")
        runs = self.server.run("logs", name, "--grep", "^it runs$").stdout.count("it runs")
        if runs > told["attempts_made"] or (runs == 0 and told["state"] == "succeeded"):
            self.wrong.append(f"{name} ran {runs} times in {told['attempts_made']} attempts")
        # It may be given up when nothing but kills ended all its attempts.
        given_up = (told["class"], told["attempts_made"]) == ("infrastructure", 3)
        if told["state"] == "failed" and not given_up:
            self.wrong.append(f"{name} failed: {told['message']}")
        return told

    def kill(self, with_children):
        server = self.server
        children = set()
        if with_children:
            alive = {server.process.pid, *server.attempts(), *sandboxes(server.folder)}
            children = set().union(alive, *map(descendants, alive)) - {server.process.pid}
        server.process.send_signal(signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        server.process.wait(30)
        server.log.close()
        begin = time.monotonic()
        server.start()
        self.restarts.append(time.monotonic() - begin)


def join(threads):
    for thread in threads:
        thread.join(PATIENCE)


def sandboxes(folder):
    """The supervisors of user code, which note their numbers."""
    # Folders go away meanwhile, which `os.walk` takes as it is.
    noted = (Path(at) / "process.json" for at, _, files in os.walk(folder / "runs") if "process.json" in files)
    for path in noted:
        with contextlib.suppress(OSError, ValueError, KeyError):
            note = json.loads(path.read_text())
            with open(f"/proc/{note['pid']}/stat") as file:
                started = int(file.read().rpartition(")")[2].split()[19])
            if started == note["start_time"]:  # else the number is another's by now
                yield note["pid"]


def descendants(root):
    """The processes that `root` has started, and those that they have."""
    children = {}
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            with open(f"/proc/{int(entry)}/stat") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry))
    found, todo = set(), [root]
    while todo:
        for child in children.get(todo.pop(), []):
            found.add(child)
            todo.append(child)
    return found
