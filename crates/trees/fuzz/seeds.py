"""Writes small models of every kind to `seeds/`, for the targets to start from. Run it by
`cargo xtask python crates/trees/fuzz/seeds.py`."""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests"))

from kit import onnx_trees  # noqa: E402

random = np.random.default_rng(3)
ROWS = random.integers(0, 6, (60, 3)).astype(np.float32)
ROWS[::5, 1] = np.nan
CLASSES = (ROWS[:, 0] + np.nan_to_num(ROWS[:, 1])).astype(int) % 3


def folder(target):
    path = HERE / "seeds" / target
    path.mkdir(parents=True, exist_ok=True)
    return path


def xgboost_models():
    import pandas
    import xgboost

    frame = pandas.DataFrame(ROWS, columns=["a", "b", "c"])
    frame["c"] = frame["c"].astype(int).astype("category")
    for name, settings in {
        "squarederror": {"objective": "reg:squarederror"},
        "logistic": {"objective": "binary:logistic"},
        "softprob": {"objective": "multi:softprob", "num_class": 3},
        "dart": {"booster": "dart", "rate_drop": 0.5},
    }.items():
        label = CLASSES % 2 if name == "logistic" else CLASSES
        data = xgboost.DMatrix(frame, label, enable_categorical=True)
        settings |= {"max_depth": 2, "max_cat_to_onehot": 1, "nthread": 1, "seed": 1}
        booster = xgboost.train(settings, data, 2)
        booster.save_model(folder("xgboost_json") / f"{name}.json")
        booster.save_model(folder("xgboost_ubjson") / f"{name}.ubj")


def lightgbm_models():
    import lightgbm

    for name, settings in {
        "regression": {"objective": "regression"},
        "binary": {"objective": "binary"},
        "multiclass": {"objective": "multiclass", "num_class": 3},
        "forest": {"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    }.items():
        label = CLASSES % 2 if name == "binary" else CLASSES
        data = lightgbm.Dataset(ROWS, label, categorical_feature=[2])
        small = {"num_leaves": 4, "min_data_in_leaf": 3, "min_data_per_group": 2, "cat_smooth": 1}
        model = lightgbm.train(settings | small | {"verbose": -1, "num_threads": 1}, data, 2)
        text = model.model_to_string().split("\nparameters:")[0]
        (folder("lightgbm_text") / f"{name}.txt").write_text(text)


def onnx_models():
    models = {f"classifier-{seed}": onnx_trees.random_operator(seed, True) for seed in range(6)}
    models |= {f"regressor-{seed}": onnx_trees.random_operator(seed, False) for seed in range(6)}
    models |= {f"ensemble-{seed}": onnx_trees.random_ensemble(seed) for seed in range(4)}
    wide = onnx_trees.random_operator(1, False, np.float64)
    for name, model in (models | {"double": wide}).items():
        data = model.SerializeToString()
        if len(data) < 6_000:
            (folder("onnx") / f"{name}.onnx").write_bytes(data)
    onnx_trees.export_around(folder("onnx") / "pipeline.onnx")


xgboost_models()
lightgbm_models()
onnx_models()
