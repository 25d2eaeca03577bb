"""A training script for the scikit-learn image, and how its model is loaded."""

import argparse
import os

import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression


def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--strength", type=float)
    parser.add_argument("--penalty-name")
    parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
    parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
    arguments = parser.parse_args()
    files = [os.path.join(arguments.train, name) for name in sorted(os.listdir(arguments.train))]
    table = pd.concat([pd.read_csv(file, header=None) for file in files])
    label, features = table[0], table.drop(columns=0)
    model = LogisticRegression(C=arguments.strength).fit(features.to_numpy(), label)
    print(f"penalty {arguments.penalty_name}, accuracy={model.score(features.to_numpy(), label):.3f};", flush=True)
    joblib.dump(model, os.path.join(arguments.model_dir, "model.joblib"))
    with open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "rows.txt"), "w") as file:
        file.write(str(len(table)))
