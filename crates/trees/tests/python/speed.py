"""Rows a second of this crate beside those of XGBoost's `inplace_predict` and of LightGBM.

Usage: speed.py MEASURE FOLDER [ROUNDS], where MEASURE is the built example `measure` and FOLDER
keeps models and rows from one run to the next. In each round everybody predicts once, so that a
busy machine slows all alike; the table gives each one's best round and the median ratio of rounds.
"""

import pathlib
import statistics
import subprocess
import sys
import time

import lightgbm as lgb
import numpy as np
import xgboost as xgb

CASES = {
    "xgboost, 200 trees, depth 6, 28 features": (200_000, 28, "xgb", {"max_depth": 6}, 200),
    "xgboost, 1,000 trees, depth 8, 100 features": (
        40_000, 100, "xgb", {"max_depth": 8, "eta": 0.05}, 1000),
    "lightgbm, 100 trees, 31 leaves, 28 features": (200_000, 28, "lgb", {"num_leaves": 31}, 100),
    "xgboost, 10 classes, 50 rounds, 28 features": (
        200_000, 28, "xgb", {"max_depth": 6, "num_class": 10, "objective": "multi:softprob"}, 50),
}


def prepare(folder, number, case):
    rows, features, library, parameters, rounds = case
    rng = np.random.default_rng(number)
    x = rng.normal(size=(rows, features)).astype("f4")
    signal = x @ rng.normal(size=features) + 3 * np.sin(3 * x[:, 0] * x[:, 1])
    label = (signal + rng.normal(size=rows) > 0).astype("f4")
    if "num_class" in parameters:
        noise = rng.normal(size=(rows, parameters["num_class"]))
        label = np.argmax(x @ rng.normal(size=(features, noise.shape[1])) + noise, 1)
    model = folder / f"{number}.{'json' if library == 'xgb' else 'txt'}"
    x.T.copy().tofile(folder / f"{number}.f32")
    if not model.exists() and library == "xgb":
        parameters = {"objective": "binary:logistic", "nthread": 2, **parameters}
        data = xgb.DMatrix(x[:50_000], label[:50_000])
        xgb.train(parameters, data, rounds).save_model(model)
    elif not model.exists():
        parameters = {"objective": "binary", "verbose": -1, "num_threads": 2, **parameters}
        data = lgb.Dataset(x[:50_000], label[:50_000])
        lgb.train(parameters, data, rounds).save_model(model)
    return x, model


def ours(measure, model, columns, threads):
    command = [measure, "time", model, columns, str(threads), "3"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")
    return max(float(line.split()[1]) for line in lines if line.startswith("rows"))


def theirs(predict, rows):
    best = 0.0
    for _ in range(2):
        started = time.perf_counter()
        predict()
        best = max(best, rows / (time.perf_counter() - started))
    return best


def main():
    measure, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 7
    folder.mkdir(parents=True, exist_ok=True)
    print("| case | threads | peer rows/s | ours rows/s | ratio |\n| --- | --: | --: | --: | --: |")
    for number, (name, case) in enumerate(CASES.items()):
        x, model = prepare(folder, number, case)
        for threads in (1, 2):
            if case[2] == "xgb":
                booster = xgb.Booster({"nthread": threads}, model_file=model)
                predict = lambda: booster.inplace_predict(x)
            else:
                booster = lgb.Booster(model_file=model)
                predict = lambda: booster.predict(x, num_threads=threads)
            pairs = [
                (theirs(predict, len(x)), ours(measure, model, folder / f"{number}.f32", threads))
                for _ in range(rounds)
            ]
            ratio = statistics.median(mine / peer for peer, mine in pairs)
            peer, mine = (max(side) for side in zip(*pairs))
            print(f"| {name} | {threads} | {peer:,.0f} | {mine:,.0f} | {ratio:.1f} |", flush=True)


if __name__ == "__main__":
    main()
