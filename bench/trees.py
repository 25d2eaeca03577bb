"""Measures the tree kernels against XGBoost, LightGBM and ONNX Runtime, in interleaved rounds.

    cargo xtask bench trees [--rounds 5] [--rows 200000] [--cases 1,2] [--portable]

All score the same rows, which are in memory already: the libraries as the matrix that they take, the
kernels as the columns that Parquet holds. Each has as many threads as the others. What a round times
is one scoring of all rows, answers allocated included; nothing is read or converted.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
import onnxmltools
import onnxruntime
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

from report import has_avx512, machine, markdown, verdict

KERNELS = os.environ["BESSEMER_BIN"]
CACHE = Path(os.environ["BESSEMER_BENCH_CACHE"])
TRAINED_ON = 50_000  # rows
TOLERANCE = 1e-5
PAUSE = 0.05  # seconds before each scoring, in which the last one's threads stop spinning
CALLS = (2_048, 16_384, 200_000)  # rows of a call to ONNX Runtime, of which the best is taken


@dataclass
class Case:
    name: str
    library: str
    features: int
    parameters: dict
    classes: int = 2
    share: float = 1  # of the rows asked for: large models are slow
    goal: float = 1  # times the library's rows a second, on two threads

    def rows(self, random, count):
        """`count` rows and their classes; the features' weight is the same in every call."""
        matrix = random.normal(size=(count, self.features)).astype(np.float32)
        weights = np.random.default_rng(self.features).normal(size=(self.features, self.classes))
        signal = matrix @ weights + random.normal(size=(count, self.classes))
        signal[:, 0] += 3 * np.sin(3 * matrix[:, 0] * matrix[:, 1])
        return matrix, np.argmax(signal, 1)


CASES = [
    Case("XGBoost, 200 trees, depth 6, 28 features", "xgboost", 28,
         {"n_estimators": 200, "max_depth": 6}, goal=4 if has_avx512() else 3),
    Case("XGBoost, 1,000 trees, depth 8, 100 features", "xgboost", 100,
         {"n_estimators": 1_000, "max_depth": 8, "learning_rate": 0.05}, share=0.2),
    Case("LightGBM, 100 trees, 31 leaves, 28 features", "lightgbm", 28,
         {"n_estimators": 100, "num_leaves": 31}),
    Case("XGBoost, 10 classes, 50 rounds, 28 features", "xgboost", 28,
         {"n_estimators": 50, "max_depth": 6}, classes=10),
]


def train(case, path):
    """Writes the model to `path`, as the library writes it, and its ONNX export beside it."""
    matrix, label = case.rows(np.random.default_rng(1), TRAINED_ON)
    kind = [("input", FloatTensorType([None, case.features]))]
    if case.library == "xgboost":
        model = xgboost.XGBClassifier(n_jobs=2, **case.parameters).fit(matrix, label)
        exported = onnxmltools.convert_xgboost(model, initial_types=kind)
        model.save_model(path)
    else:
        model = lightgbm.LGBMClassifier(n_jobs=2, verbose=-1, **case.parameters).fit(matrix, label)
        exported = onnxmltools.convert_lightgbm(model, initial_types=kind, zipmap=False)
        model.booster_.save_model(path)
    path.with_suffix(".onnx").write_bytes(exported.SerializeToString())


class Library:
    """XGBoost's `inplace_predict`, or LightGBM's `predict`."""

    def __init__(self, case, path, matrix, threads):
        self.matrix = matrix
        if case.library == "xgboost":
            booster = xgboost.Booster({"nthread": threads}, model_file=path)
            self.score = lambda: booster.inplace_predict(matrix)
        else:
            booster = lightgbm.Booster(model_file=path)
            self.score = lambda: booster.predict(matrix, num_threads=threads)

    def seconds(self):
        started = time.perf_counter()
        self.score()
        return time.perf_counter() - started


class OnnxRuntime:
    """ONNX Runtime, with the rows a call that suit it best."""

    def __init__(self, path, matrix, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        model = path.with_suffix(".onnx")
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.outputs = [self.session.get_outputs()[1].name]  # the probabilities; the labels are left
        self.matrix = matrix[: max(CALLS)]
        self.call = min(CALLS, key=self.seconds)
        self.matrix = matrix

    def score(self, call):
        starts = range(0, len(self.matrix), call)
        pieces = [self.session.run(self.outputs, {"input": self.matrix[at : at + call]})[0] for at in starts]
        return np.concatenate(pieces)

    def seconds(self, call=None):
        started = time.perf_counter()
        self.score(call or self.call)
        return time.perf_counter() - started


class Kernels:
    """The process of our kernels, which holds the rows and scores them when told."""

    def __init__(self, case, path, matrix):
        columns, answers = CACHE / "trees/columns.f32", CACHE / "trees/answers"
        matrix.T.tofile(columns)
        self.process = subprocess.Popen(
            [KERNELS, path, columns, answers], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.seconds("1")
        self.answers = np.fromfile(answers, np.float32 if case.library == "xgboost" else np.float64)

    def seconds(self, order):
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self):
        self.process.communicate()


def measure(case, rounds, rows, portable):
    """The table's rows for a case: one and two threads."""
    folder = CACHE / "trees"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{CASES.index(case) + 1}.{'json' if case.library == 'xgboost' else 'txt'}"
    if not path.with_suffix(".onnx").exists():
        print(f"training {case.name}", file=sys.stderr)
        train(case, path)
    matrix, _ = case.rows(np.random.default_rng(2), int(rows * case.share))
    kernels = Kernels(case, path, matrix)
    lines = []
    for threads in (1, 2):
        library, runtime = Library(case, path, matrix, threads), OnnxRuntime(path, matrix, threads)
        check(case, library.score(), runtime.score(runtime.call), kernels.answers)
        contenders = {
            "Bessemer": lambda: kernels.seconds(f"{threads}"),
            "library": library.seconds,
            "ONNX Runtime": runtime.seconds,
        }
        if portable:
            contenders["portable"] = lambda: kernels.seconds(f"{threads} portable")
        taken = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, seconds in contenders.items():
                time.sleep(PAUSE)
                taken[name].append(seconds())
        lines.append(line(case, threads, len(matrix), taken))
        print(" | ".join(lines[-1]), file=sys.stderr)
    kernels.end()
    return lines


def check(case, library, runtime, ours):
    """Ends the run if answers differ by more than `TOLERANCE` from the library's."""
    if case.classes == 2:
        runtime = runtime[:, 1]
    for name, answers in (("Bessemer", ours), ("ONNX Runtime", runtime)):
        apart = np.abs(answers.reshape(library.shape).astype(float) - library).max()
        if not apart <= TOLERANCE:
            raise SystemExit(f"{case.name}: {name} answers {apart} apart from {case.library}")


def line(case, threads, rows, taken):
    """Medians of rows a second, and of the rounds' ratios."""
    rates = [f"{rows / statistics.median(seconds):,.0f}" for seconds in taken.values()]
    to_library, to_runtime = (
        statistics.median(theirs / ours for theirs, ours in zip(taken[name], taken["Bessemer"]))
        for name in ("library", "ONNX Runtime")
    )
    bound = case.goal if threads == 2 else 1
    met = to_library >= bound and to_runtime >= (3 * bound if bound > 1 else 1)
    goal = f"{bound} and {3 * bound}" if bound > 1 else "1 and 1"
    ratios = [f"{to_library:.1f}", f"{to_runtime:.1f}", f"{goal}: {verdict(met)}"]
    return [case.name if threads == 1 else "", str(threads), *rates, *ratios]


def main():
    parser = argparse.ArgumentParser(prog="cargo xtask bench trees")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=200_000, help="a fifth of them for the large model")
    parser.add_argument("--cases", default="1,2,3,4", help="numbers of the cases")
    parser.add_argument("--portable", action="store_true", help="also the kernels without SIMD")
    arguments = parser.parse_args()
    lines = []
    for number in arguments.cases.split(","):
        lines += measure(CASES[int(number) - 1], arguments.rounds, arguments.rows, arguments.portable)
    versions = ", ".join(f"{one.__name__} {one.__version__}" for one in (xgboost, lightgbm, onnxruntime))
    head = ["case", "threads", "Bessemer", "its library", "ONNX Runtime"]
    head += ["Bessemer, portable"] if arguments.portable else []
    head += ["to the library", "to ONNX Runtime", "goals"]
    text = f"{machine()}; {versions}; {arguments.rounds} interleaved rounds, median rows/s\n\n"
    text += markdown(head, lines)
    (CACHE / "trees.md").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
