"""Trains `model.json`: minutes of delay at arrival, from what is known at departure.

    cargo xtask python examples/flights/train.py

Trains on all flights of 2013 but every fifth, which it measures itself on; needs no sample of
`data/`. The model is in XGBoost's own JSON format and records the names of its features.
"""

import numpy as np
import xgboost
from prepare import FEATURES, HERE, flights


def main():
    table = flights()
    features = table[list(FEATURES)].astype("float32")
    held_back = np.arange(len(table)) % 5 == 0
    model = xgboost.XGBRegressor(
        n_estimators=100, max_depth=4, learning_rate=0.2, tree_method="hist", n_jobs=2, random_state=13
    )
    model.fit(features[~held_back], table["arr_delay"][~held_back])
    truth = table["arr_delay"][held_back]
    error = np.abs(model.predict(features[held_back]) - truth).mean()
    guess = np.abs(table["dep_delay"][held_back] - truth).mean()
    model.save_model(HERE / "model.json")
    size = (HERE / "model.json").stat().st_size
    print(f"mean absolute error {error:.2f} minutes on {held_back.sum():,} flights held back")
    print(f"(taking the departure's delay for the arrival's: {guess:.2f} minutes)")
    print(f"{size:,} bytes in model.json")


if __name__ == "__main__":
    main()
