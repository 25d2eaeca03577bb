"""Runs the real binary and reads what it says."""

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

# `cargo xtask test` sets both.
BINARY = Path(os.environ["BESSEMER_BIN"])
PYTHON = os.environ["BESSEMER_TEST_PYTHON"]

OK, USAGE, CONFIGURATION, NOT_FOUND, REJECTED, STOPPED = 0, 2, 3, 4, 11, 12


@dataclass
class Result:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str
    events: list = field(default_factory=list)

    @property
    def summary(self):
        return next(event for event in reversed(self.events) if event["event"] == "summary")


def environment(**extra):
    """The caller's environment without settings that would change what a test means."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "BESSEMER_"))}
    for name in ("BESSEMER_ONNXRUNTIME", "BESSEMER_TEST_PYTHON"):
        if name in os.environ:
            kept[name] = os.environ[name]
    return kept | {"RUST_BACKTRACE": "1"} | extra


def start(*arguments, env=None, cwd=None):
    """Starts the binary; the caller ends it."""
    return subprocess.Popen(
        [BINARY, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**(env or {})),
        cwd=cwd,
        text=True,
        errors="replace",
    )


def run(*arguments, expect=OK, env=None, cwd=None, timeout=120):
    """Runs the binary to its end and checks its exit code; `expect=None` takes any but a panic."""
    process = start(*arguments, env=env, cwd=cwd)
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        raise AssertionError(f"no end after {timeout} s\n{stdout}\n{stderr}") from None
    return checked(process.returncode, stdout, stderr, expect)


def checked(code, stdout, stderr, expect=OK):
    said = f"exit code {code}\n--- stdout\n{stdout[-4000:]}\n--- stderr\n{stderr[-4000:]}"
    assert "panicked at" not in stderr, said
    assert code >= 0, said
    if expect is not None:
        assert code in (expect if isinstance(expect, tuple) else (expect,)), said
    return Result(code, stdout, stderr, events_of(stdout))


def events_of(stdout):
    lines = stdout.splitlines()
    if not lines or not lines[0].startswith("{"):
        return []
    return [json.loads(line) for line in lines]


def transform(inputs, output, *arguments, **options):
    """`bessemer transform --json`; `inputs` is one input or a list of them."""
    inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    return run("transform", *inputs, "--output", output, "--json", *arguments, **options)
