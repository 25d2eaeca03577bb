"""How far the model is off on abalones that it has not seen."""

import json
import tarfile
from pathlib import Path

import pandas as pd
import xgboost
from sklearn.metrics import mean_squared_error

FOLDER = Path("/opt/ml/processing")

if __name__ == "__main__":
    with tarfile.open(FOLDER / "model" / "model.tar.gz") as archive:
        archive.extractall("model", filter="data")
    booster = xgboost.Booster(model_file="model/xgboost-model.json")
    table = pd.read_csv(FOLDER / "test" / "test.csv", header=None)
    predictions = booster.predict(xgboost.DMatrix(table.iloc[:, 1:].to_numpy()))
    mse = mean_squared_error(table[0], predictions)
    deviation = (table[0] - predictions).std()
    report = {"regression_metrics": {"mse": {"value": float(mse), "standard_deviation": float(deviation)}}}
    (FOLDER / "evaluation").mkdir(exist_ok=True)
    (FOLDER / "evaluation" / "evaluation.json").write_text(json.dumps(report))
    print(f"mean squared error {mse:.3f}")
