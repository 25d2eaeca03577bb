"""Measures `bessemer transform` against what it replaces, in interleaved rounds.

    cargo xtask bench transform [--rounds 5] [--cases main,small] [--rows 2000000]

Uses the standard library alone: a measuring process that holds little memory itself, since a child's
peak starts from its parent's.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
BINARY = os.environ["BESSEMER_BIN"]
CACHE = Path(os.environ["BESSEMER_BENCH_CACHE"])
SCRIPT, RAW = HERE / "peers/script.py", HERE / "peers/raw.py"
FEATURES = ",".join(f"f{i}" for i in range(28))
CASES = ("main", "small", "one", "many", "bad", "memory")


@dataclass
class Contender:
    """One way to do a case's work."""

    name: str
    command: list
    allowed: tuple = (0,)
    scoring_only: bool = False
    walls: list = field(default_factory=list)
    cpus: list = field(default_factory=list)
    peaks: list = field(default_factory=list)
    rates: list = field(default_factory=list)

    def measure(self, rows, output):
        shutil.rmtree(output, ignore_errors=True)
        os.sync()
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in self.command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        said = process.stdout.read()
        trouble = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        code = os.waitstatus_to_exitcode(status)
        process.returncode = code
        if code not in self.allowed:
            raise SystemExit(f"{self.name} ended with {code}:\n{trouble.decode()[-2000:]}")
        self.walls.append(wall)
        self.cpus.append(usage.ru_utime + usage.ru_stime)
        self.peaks.append(usage.ru_maxrss * 1024)
        self.rates.append(float(said) if self.scoring_only else rows / wall)


def bessemer(model, source, output, name="bessemer transform", allowed=(0,), *more):
    command = [BINARY, "transform", source, "--output", output, "--join", "input", "--quiet"]
    command += ["--model", model, "--features", FEATURES, *more]
    return Contender(name, command, allowed)


def script(kind, model, source, output, name):
    return Contender(name, [sys.executable, SCRIPT, kind, model, source, output])


def contenders(case, data, output, rows):
    """The titles of a case's tables, with rows and contenders; the first after raw is the base."""
    eight = data / "eight"
    onnx = {"XGBoost": "xgboost.onnx", "MLP": "mlp.onnx", "Logistic regression": "logistic.onnx"}
    native = "bessemer transform, XGBoost's own JSON"

    def trees(source, raw=False):
        made = [
            script("onnx", data / "xgboost.onnx", source, output, "Python script, ONNX Runtime"),
            bessemer(data / "xgboost.onnx", source, output, "bessemer transform, ONNX"),
            script("xgboost", data / "xgboost.json", source, output, "Python script, inplace_predict"),
            bessemer(data / "xgboost.json", source, output, native),
        ]
        return [raw_runtime(data / "xgboost.onnx", data), *made] if raw else made

    if case == "main":
        yield f"XGBoost, {rows:,} rows in 8 files", rows, trees(eight, raw=True)
        for title, file in list(onnx.items())[1:]:
            yield f"{title}, {rows:,} rows in 8 files", rows, [
                raw_runtime(data / file, data),
                script("onnx", data / file, eight, output, "Python script, ONNX Runtime"),
                bessemer(data / file, eight, output, "bessemer transform"),
            ]
    elif case == "small":
        yield "XGBoost, 1,000 rows", 1_000, trees(data / "thousand")
    elif case == "one":
        yield f"XGBoost, {rows:,} rows in one file", rows, trees(data / "one")
    elif case == "many":
        yield "XGBoost, 10,000 files of 100 rows", 1_000_000, trees(data / "many")
    elif case == "bad":
        good = bessemer(data / "logistic.onnx", eight, output, "all rows good")
        bad = bessemer(data / "logistic.onnx", data / "bad", output, "10 rows bad", (11,))
        yield f"Logistic regression, 10 bad rows in {rows:,}", rows, [good, bad]
    elif case == "memory":
        large = data / "large"
        for copy in range(10):
            for path in eight.iterdir():
                large.mkdir(exist_ok=True)
                link = large / f"{copy}-{path.name}"
                if not link.exists():
                    os.link(path, link)
        yield f"XGBoost's own JSON, {rows:,} rows", rows, [bessemer(data / "xgboost.json", eight, output)]
        yield f"XGBoost's own JSON, {rows * 10:,} rows", rows * 10, [bessemer(data / "xgboost.json", large, output)]


def raw_runtime(model, data):
    command = [sys.executable, RAW, model, data / "matrix.npy"]
    return Contender("ONNX Runtime alone, array in memory", command, scoring_only=True)


def table(title, made):
    """Medians as Markdown; the ratio is rows a second over the plain script's."""
    base = next(one for one in made if not one.scoring_only)
    lines = [f"**{title}**", "", "| | wall | CPU | rows/s | ratio | peak memory |", "|---|--:|--:|--:|--:|--:|"]
    for one in made:
        rate = statistics.median(one.rates)
        ratio = f"{rate / statistics.median(base.rates):.2f}"
        if one.scoring_only:
            lines.append(f"| {one.name} | | | {rate:,.0f} | {ratio} | |")
            continue
        wall, cpu = statistics.median(one.walls), statistics.median(one.cpus)
        peak = statistics.median(one.peaks) / 1e6
        lines.append(f"| {one.name} | {wall:.3f} s | {cpu:.2f} s | {rate:,.0f} | {ratio} | {peak:.0f} MB |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(prog="cargo xtask bench transform")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--cases", default=",".join(CASES[:-1]), help=f"of {', '.join(CASES)}")
    parser.add_argument("--table", type=Path, default=CACHE / "transform.md")
    arguments = parser.parse_args()
    data = CACHE / f"rows-{arguments.rows}"
    command = [sys.executable, HERE / "data.py", data, "--rows", str(arguments.rows)]
    subprocess.run([str(word) for word in command], check=True)

    output = CACHE / "output"
    tables = [
        f"{os.cpu_count()} cores, {platform.machine()}, {arguments.rounds} interleaved rounds, medians of the "
        "whole process (of the scoring alone where no wall time stands)\n"
    ]
    for case in arguments.cases.split(","):
        groups = list(contenders(case, data, output, arguments.rows))
        for number in range(arguments.rounds):
            for title, rows, made in groups:
                for one in made:
                    one.measure(rows, output)
                    print(f"round {number + 1}: {title}: {one.name}: {one.walls[-1]:.2f} s", file=sys.stderr)
        tables += [table(title, made) for title, _, made in groups]
        print(tables[-1] if len(groups) == 1 else "\n".join(tables[-len(groups) :]))
    shutil.rmtree(output, ignore_errors=True)
    arguments.table.write_text("\n".join(tables))
    print(f"written to {arguments.table}", file=sys.stderr)


if __name__ == "__main__":
    main()
