"""Measures `bessemer transform` against what it replaces, in interleaved rounds.

    cargo xtask bench transform [--rounds 5] [--cases main,small] [--rows 2000000]

Uses the standard library alone: a measuring process that holds little memory itself, since a child's
peak starts from its parent's.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from contender import Contender, Goal, Table
from report import machine

HERE = Path(__file__).parent
BINARY = os.environ["BESSEMER_BIN"]
CACHE = Path(os.environ["BESSEMER_BENCH_CACHE"])
OUTPUT = CACHE / "output"
FEATURES = ",".join(f"f{i}" for i in range(28))
THROUGH_RUNTIME = {"BESSEMER_ONNX": "runtime"}  # ONNX Runtime also where our own kernels would do


class Cases:
    """The benchmark's cases; each method gives the tables of one."""

    def __init__(self, data, rows):
        self.data, self.rows, self.eight = data, rows, data / "eight"

    def small(self):
        """1,000 rows: what starting costs."""
        made = self.peers("thousand", 1_000) + [self.through_runtime("thousand", 1_000)]
        made.append(self.native("thousand", 1_000))
        goals = [Goal(made[-2], "wall", 0.2), Goal(made[-1], "wall", 0.05)]
        yield Table("XGBoost, 1,000 rows", made, made[0], goals)

    def main(self):
        """All rows in 8 files, each model."""
        raw, (script, inplace) = self.raw("xgboost.onnx"), self.peers("eight", self.rows)
        runtime, native = self.through_runtime("eight", self.rows), self.native("eight", self.rows)
        exported = self.bessemer("bessemer transform, ONNX", "xgboost.onnx", "eight", self.rows)
        goals = [
            Goal(runtime, "rate", 1.1, script),
            Goal(runtime, "peak", 250e6),
            Goal(native, "rate", 5, script),
            Goal(native, "rate", 2.5, inplace),
            Goal(native, "peak", 200e6),
        ]
        made = [raw, script, inplace, runtime, exported, native]
        yield Table(f"XGBoost, {self.rows:,} rows in 8 files", made, script, goals)
        for title, model, times in (("MLP", "mlp.onnx", 1.5), ("Logistic regression", "logistic.onnx", 2.5)):
            raw, script = self.raw(model), self.script("onnx", model, "eight", self.rows)
            own = self.bessemer("bessemer transform", model, "eight", self.rows)
            goals = [Goal(own, "rate", times, script), Goal(own, "peak", 200e6)]
            yield Table(f"{title}, {self.rows:,} rows in 8 files", [raw, script, own], script, goals)

    def one(self):
        """All rows in one file, beside the same in 8."""
        made = self.peers("one", self.rows) + [self.native("one", self.rows)]
        made.append(self.native("eight", self.rows))
        made[-1].name += ", 8 files"
        yield Table(f"XGBoost, {self.rows:,} rows in one file", made, made[0])

    def many(self):
        """10,000 files of 100 rows."""
        rows = min(1_000_000, self.rows)
        made = self.peers("many", rows) + [self.native("many", rows)]
        yield Table(f"XGBoost, {rows // 100:,} files of 100 rows", made, made[0])

    def bad(self):
        """10 rows that have no value in a feature, which this model can't score, against none."""
        good = self.bessemer("all rows good", "logistic.onnx", "eight", self.rows)
        bad = self.bessemer("10 rows bad", "logistic.onnx", "bad", self.rows, allowed=(11,))
        goals = [Goal(bad, "wall", 1.02, good)]
        title = f"Logistic regression, 10 bad rows in {self.rows:,}"
        yield Table(title, [good, bad], good, goals, repeats=4)

    def memory(self):
        """Peak memory over all rows and over ten times as many."""
        large = self.data / "large"
        large.mkdir(exist_ok=True)
        for copy in range(10):
            for path in self.eight.iterdir():
                link = large / f"{copy}-{path.name}"
                if not link.exists():
                    os.link(path, link)
        made = [self.native("eight", self.rows), self.native("large", self.rows * 10)]
        for one in made:
            one.name = f"{one.rows:,} rows"
        goals = [Goal(made[1], "peak", 1.1, made[0]), Goal(made[1], "peak", 200e6)]
        yield Table("XGBoost's own JSON, ten times the rows", made, made[0], goals)

    def peers(self, source, rows):
        script = self.script("onnx", "xgboost.onnx", source, rows)
        return [script, self.script("xgboost", "xgboost.json", source, rows)]

    def through_runtime(self, source, rows):
        name = "bessemer transform, through ONNX Runtime"
        return self.bessemer(name, "xgboost.onnx", source, rows, environment=THROUGH_RUNTIME)

    def native(self, source, rows):
        return self.bessemer("bessemer transform, XGBoost's JSON", "xgboost.json", source, rows)

    def bessemer(self, name, model, source, rows, **more):
        command = [BINARY, "transform", self.data / source, "--output", OUTPUT, "--join", "input"]
        command += ["--model", self.data / model, "--features", FEATURES, "--quiet"]
        return Contender(name, command, rows, OUTPUT, **more)

    def script(self, kind, model, source, rows):
        name = {"onnx": "Python script, ONNX Runtime", "xgboost": "Python script, inplace_predict"}[kind]
        command = [sys.executable, HERE / "peers/script.py", kind]
        return Contender(name, [*command, self.data / model, self.data / source, OUTPUT], rows, OUTPUT)

    def raw(self, model):
        command = [sys.executable, HERE / "peers/raw.py", self.data / model, self.data / "matrix.npy"]
        name = "ONNX Runtime alone, array in memory"
        return Contender(name, command, self.rows, OUTPUT, scoring_only=True)


CASES = ("small", "main", "one", "many", "bad", "memory")


def warm_up():
    """Lets Python keep the byte code of what the peers import, as it does on a user's machine."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    imports = "import numpy, onnxruntime, pyarrow.parquet, xgboost"
    subprocess.run([sys.executable, "-c", imports], check=True)


def main():
    parser = argparse.ArgumentParser(prog="cargo xtask bench transform")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--cases", default=",".join(CASES), help=f"of {', '.join(CASES)}")
    arguments = parser.parse_args()
    names = arguments.cases.split(",")
    if unknown := set(names) - set(CASES):
        parser.error(f"no case `{unknown.pop()}` (there are {', '.join(CASES)})")
    warm_up()
    data = CACHE / f"rows-{arguments.rows}"
    command = [sys.executable, HERE / "data.py", data, "--rows", str(arguments.rows)]
    subprocess.run([str(word) for word in command], check=True)

    texts = [f"{machine()}; {arguments.rounds} interleaved rounds, medians\n"]
    print(texts[0])
    for name in names:
        tables = list(getattr(Cases(data, arguments.rows), name)())
        for number in range(arguments.rounds):
            for table in tables:
                for one in table.contenders * table.repeats:
                    one.measure()
                    wall = one.figures["wall"][-1]
                    print(f"round {number + 1}: {table.title}: {one.name}: {wall:.2f} s", file=sys.stderr)
        for table in tables:
            texts.append(table.text())
            print(texts[-1])
            (CACHE / "transform.md").write_text("\n".join(texts))
    shutil.rmtree(OUTPUT, ignore_errors=True)


if __name__ == "__main__":
    main()
