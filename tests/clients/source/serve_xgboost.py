"""How the XGBoost image loads a model that `train_xgboost.py` has trained."""

import os

import xgboost


def model_fn(model_dir):
    booster = xgboost.Booster()
    booster.load_model(os.path.join(model_dir, "xgboost-model.json"))
    return booster
