"""Trains XGBoost on the rings of abalones."""

import argparse
import os
from pathlib import Path

import pandas as pd
import xgboost


def data(channel):
    files = sorted(Path(os.environ[f"SM_CHANNEL_{channel}"]).glob("*.csv"))
    table = pd.concat(pd.read_csv(file, header=None) for file in files)
    return xgboost.DMatrix(table.iloc[:, 1:].to_numpy(), table[0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--max_depth", type=int)
    parser.add_argument("--eta", type=float)
    parser.add_argument("--num_round", type=int)
    arguments = parser.parse_args()
    settings = {"objective": "reg:squarederror", "max_depth": arguments.max_depth, "eta": arguments.eta}
    watched = [(data("TRAIN"), "train"), (data("VALIDATION"), "validation")]
    booster = xgboost.train(settings, watched[0][0], arguments.num_round, evals=watched, verbose_eval=10)
    booster.save_model(Path(os.environ["SM_MODEL_DIR"]) / "xgboost-model.json")
