"""SIGKILL at random moments: what is visible is whole, and `--resume` gives the undisturbed output."""

import json
import random
import shutil
import threading
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kit import cli, files, tables

FILES, ROWS = 12, 3_000
KILLS, GROUPS = 50, 5


def content(path):
    """What a file says, or an error if it is not whole."""
    if path.suffix == ".parquet":
        return pq.read_table(pa.BufferReader(path.read_bytes()))
    data = path.read_bytes()
    if data:
        assert data.endswith(b"\n")
        json.loads(data[data.rindex(b"\n", 0, -1) + 1 :])
    return data


@pytest.fixture(scope="module")
def undisturbed(booster, tmp_path_factory):
    """Input, arguments, the output of a run that nothing disturbed, and its seconds."""
    folder = tmp_path_factory.mktemp("undisturbed")
    table = tables.people(FILES * ROWS)
    for part, piece in enumerate(files.split(table, FILES)):
        kind = ("parquet", "jsonl")[part % 2]
        path = files.write(folder / f"in/day={part % 3}/{part:02}.{kind}", piece, kind)
        if kind == "jsonl":  # a reject in each
            with open(path, "a") as file:
                file.write("{broken\n")
    path, _ = booster
    arguments = [folder / "in", "--model", path, "--json", "--quiet", "--max-rejects", "100"]
    started = time.monotonic()
    cli.run("transform", *arguments, "--output", folder / "out")
    seconds = time.monotonic() - started
    wanted = {name: content(path) for name, path in files.outputs(folder / "out").items()}
    assert len(wanted) == FILES
    rejected = files.rejects(folder / "out")
    assert len(rejected) == FILES // 2
    return arguments, wanted, rejected, seconds


class Reader(threading.Thread):
    """Opens every visible output file, again and again, and compares it with what it must be."""

    def __init__(self, folder, wanted):
        super().__init__(daemon=True)
        self.folder, self.wanted = folder, wanted
        self.ended = threading.Event()
        self.seen, self.wrong = {}, []

    def run(self):
        while not self.ended.is_set():
            self.look()
            time.sleep(0.005)

    def look(self):
        success = (self.folder / "_SUCCESS").exists()
        found = files.outputs(self.folder) if self.folder.is_dir() else {}
        if success and len(found) != len(self.wanted):
            self.wrong.append(f"_SUCCESS with {len(found)} files")
        for name, path in found.items():
            try:
                stat = path.stat()
                identity = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
                if self.seen.get(name) == identity:
                    continue
                if content(path) != self.wanted[name]:
                    self.wrong.append(f"{name} differs")
                self.seen[name] = identity
            except FileNotFoundError:
                self.wrong.append(f"{name} vanished")
            except Exception as error:
                self.wrong.append(f"{name}: {error!r}")

    def stop(self):
        self.ended.set()
        self.join()
        assert not self.wrong, self.wrong[:5]


@pytest.mark.parametrize("group", range(GROUPS))
def test_kills(group, undisturbed, tmp_path):
    arguments, wanted, rejected, seconds = undisturbed
    moments = random.Random(group)
    kills = partly = 0
    while kills < KILLS // GROUPS:
        out = tmp_path / f"out-{kills}"
        reader = Reader(out, wanted)
        reader.start()
        # Some runs are killed again while they resume.
        for attempt in range(moments.choice([1, 1, 1, 2, 3])):
            resume = ["--resume"] if attempt else []
            process = cli.start("transform", *arguments, "--output", out, *resume)
            time.sleep(moments.uniform(0, seconds * 1.05))
            process.kill()
            process.communicate()
            kills += 1
            visible = len(files.outputs(out)) if out.is_dir() else 0
            partly += 0 < visible < len(wanted)
        result = cli.run("transform", *arguments, "--output", out, "--resume")
        reader.look()
        reader.stop()
        assert {name: content(path) for name, path in files.outputs(out).items()} == wanted
        assert files.rejects(out) == rejected
        assert (out / "_SUCCESS").exists()
        done = result.summary["files"]
        assert done["written"] + done["skipped"] == FILES
        assert not list((out / "_bessemer").glob("tmp/*"))
        assert not list(out.rglob(".*")), "a kill left something behind"
        shutil.rmtree(out)
    assert partly, "no kill hit the middle of a run"
