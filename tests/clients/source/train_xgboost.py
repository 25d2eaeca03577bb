"""A training script for the XGBoost image."""

import argparse
import os

import pandas as pd
import xgboost

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--max_depth", type=int)
    parser.add_argument("--num_round", type=int)
    arguments = parser.parse_args()
    folder = os.environ["SM_CHANNEL_TRAIN"]
    table = pd.concat([pd.read_csv(os.path.join(folder, name), header=None) for name in os.listdir(folder)])
    data = xgboost.DMatrix(table.drop(columns=0).to_numpy(), table[0])
    settings = {"max_depth": arguments.max_depth, "objective": "binary:logistic"}
    model = xgboost.train(settings, data, arguments.num_round)
    model.save_model(os.path.join(os.environ["SM_MODEL_DIR"], "xgboost-model.json"))
