"""Cuts the abalones into train, validation and test, scaled and encoded, the rings first."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

FOLDER = Path("/opt/ml/processing")
NUMBERS = ["length", "diameter", "height", "whole", "shucked", "viscera", "shell"]


def write(name, rows):
    (FOLDER / name).mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(FOLDER / name / f"{name}.csv", header=False, index=False)
    print(f"{name}: {len(rows)} rows of {rows.shape[1]} columns")


if __name__ == "__main__":
    table = pd.read_csv(FOLDER / "input" / "abalone.csv", names=["sex", *NUMBERS, "rings"])
    train, rest = train_test_split(table, test_size=0.3, random_state=1)
    validation, test = train_test_split(rest, test_size=0.5, random_state=1)
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    encode = ColumnTransformer([("numbers", numbers, NUMBERS), ("sex", OneHotEncoder(), ["sex"])])
    encode.fit(train)
    for name, part in [("train", train), ("validation", validation), ("test", test)]:
        write(name, np.column_stack([part["rings"], encode.transform(part)]))
    write("batch", encode.transform(test))
