"""Random models of XGBoost and LightGBM, rows for them, and what the libraries answer."""

from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow as pa
import xgboost

TESTED = 333
XGBOOST = [
    "reg:squarederror", "reg:squaredlogerror", "reg:logistic", "reg:pseudohubererror",
    "reg:absoluteerror", "reg:quantileerror", "reg:gamma", "reg:tweedie", "count:poisson",
    "binary:logistic", "binary:logitraw", "binary:hinge", "multi:softprob", "multi:softmax",
    "rank:pairwise", "rank:ndcg", "rank:map", "survival:cox", "survival:aft",
]  # fmt: skip
LIGHTGBM = [
    "regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma",
    "tweedie", "binary", "multiclass", "multiclassova", "cross_entropy", "cross_entropy_lambda",
    "lambdarank", "rank_xendcg",
]  # fmt: skip
POSITIVE = ["reg:gamma", "reg:tweedie", "reg:squaredlogerror", "survival:cox", "poisson", "gamma", "tweedie"]


@dataclass
class Case:
    """A model file, rows for it, and the library's answers to them."""

    about: dict
    model: Path
    table: pa.Table
    answers: np.ndarray


def rows_of(rng, rows, features, categorical, missing):
    x = rng.normal(size=(rows, features)).astype("f4")
    for column in range(features):
        kind = rng.integers(4)
        if kind == 0:
            x[:, column] = np.round(x[:, column] * 2)  # ties, zeros of both signs
        elif kind == 1:
            x[:, column] = np.exp(x[:, column] * 8)  # many magnitudes
    for column in categorical:
        x[:, column] = rng.integers(0, rng.choice([2, 5, 33, 70]), size=rows)
    if missing:
        x[rng.random(x.shape) < missing] = np.nan
    return x


def odd_rows(rng, features, categorical):
    """Rows with values that training never saw: infinities, huge, unseen and broken categories."""
    odd = rows_of(rng, TESTED, features, categorical, 0.1)
    hits = rng.random(odd.shape) < 0.1
    choice = [np.inf, -np.inf, 0.0, -0.0, 1e-36, -1e-36, 3e38, np.nan, 1e-45, -1.0, 2.5]
    odd[hits] = rng.choice(choice, size=hits.sum())
    for column in categorical:
        hits = rng.random(len(odd)) < 0.2
        choice = [-1, -0.5, 1.7, 99, 1000, 2.0**24, 2.0**31, 3e9, np.nan]
        odd[hits, column] = rng.choice(choice, size=hits.sum())
    return odd


def shape(rng):
    """How many features and rows to train on, which features are categories, how many are missing."""
    features = int(rng.integers(1, 40))
    categorical = [column for column in range(features) if rng.random() < rng.choice([0, 0, 0.3])]
    return features, int(rng.choice([60, 300, 800])), categorical, rng.choice([0, 0.1])


def table_of(rows, names):
    return pa.table({name: rows[:, column] for column, name in enumerate(names)})


def xgboost_case(rng, objective, kind, folder):
    """Answers of `kind`: answers, raw or leaves."""
    features, rows, categorical, missing = shape(rng)
    x = rows_of(rng, rows, features, categorical, missing)
    parameters = xgboost_parameters(rng, objective, categorical)
    label, extra = xgboost_target(rng, objective, x, parameters)
    if categorical:
        kinds = ["c" if column in categorical else "q" for column in range(features)]
        extra |= {"feature_types": kinds, "enable_categorical": True}
    names = [f"f {column}" for column in range(features)]
    data = xgboost.DMatrix(x, label, feature_names=names, **extra)
    booster = xgboost.train(parameters, data, int(rng.integers(1, 15)))
    model = folder / f"model.{rng.choice(['json', 'ubj'])}"
    booster.save_model(model)
    booster.feature_names = None
    test = odd_rows(rng, features, categorical)
    if kind == "leaves" or parameters["booster"] == "dart":
        # `inplace_predict` knows no leaves, and adds a dart model's base score to each tree and takes it
        # off again; the matrix that the other way takes knows no infinities.
        test[np.isinf(test)] = np.nan
        options = {"answers": {}, "raw": {"output_margin": True}, "leaves": {"pred_leaf": True}}
        answers = booster.predict(xgboost.DMatrix(test), validate_features=False, **options[kind])
    else:
        options = {"predict_type": "margin"} if kind == "raw" else {}
        answers = booster.inplace_predict(test, validate_features=False, **options)
    about = {**parameters, "features": features, "model": model.name}
    return Case(about, model, table_of(test, names), answers)


def xgboost_parameters(rng, objective, categorical):
    parameters = {
        "objective": objective,
        "max_depth": int(rng.integers(0, 11)),
        "eta": float(rng.choice([0.05, 0.3, 1.0])),
        "booster": "dart" if rng.random() < 0.2 else "gbtree",
        "tree_method": str(rng.choice(["hist", "approx"] if categorical else ["hist", "approx", "exact"])),
        "max_cat_to_onehot": int(rng.choice([1, 4])),
        "num_parallel_tree": int(rng.choice([1, 1, 3])),
        "max_bin": int(rng.choice([4, 256, 1000])),
        "gamma": float(rng.choice([0, 0.5])),
        "nthread": 1,
        "seed": int(rng.integers(1000)),
    }
    if parameters["max_depth"] == 0:
        parameters |= {"max_leaves": 40, "grow_policy": "lossguide", "tree_method": "hist"}
    if parameters["booster"] == "dart":
        parameters |= {"rate_drop": 0.4, "one_drop": 1}
    return parameters


def xgboost_target(rng, objective, x, parameters):
    """The label of each row, and what else the objective needs of the data or as a parameter."""
    signal = np.nan_to_num(x[:, 0]).clip(-3, 3) + rng.normal(size=len(x))
    if objective.startswith("multi"):
        parameters["num_class"] = classes = int(rng.integers(3, 8))
        return np.digitize(signal, np.linspace(-1, 1, classes - 1)), {}
    if objective == "reg:pseudohubererror":
        return signal, {}
    if objective in ("reg:squarederror", "reg:absoluteerror"):
        return np.stack([signal, signal**2, -signal], 1) if rng.random() < 0.3 else signal, {}
    if objective == "reg:quantileerror":
        parameters["quantile_alpha"] = [0.1, 0.5, 0.9][: int(rng.integers(1, 4))]
        return signal, {}
    if objective in POSITIVE:
        return np.exp(signal / 3), {}
    if objective == "count:poisson":
        return rng.poisson(np.exp(signal / 3)), {}
    if objective == "survival:aft":
        low = np.exp(signal / 3)
        return None, {"label_lower_bound": low, "label_upper_bound": low + 1}
    if objective.startswith("rank"):
        return signal > 0, {"qid": np.sort(rng.integers(0, 8, len(x)))}
    if rng.random() < 0.3:
        parameters["base_score"] = 0.3
    return signal > 0, {}


def lightgbm_case(rng, objective, kind, folder):
    """Answers of `kind`: answers, raw or leaves."""
    features, rows, categorical, missing = shape(rng)
    double = bool(rng.integers(2))
    x = rows_of(rng, rows, features, categorical, missing).astype("f8" if double else "f4")
    if double:
        numeric = ~np.isin(np.arange(features), categorical)
        x += np.where(numeric, rng.normal(size=x.shape) * 1e-9, 0)
    parameters = lightgbm_parameters(rng, objective)
    label, group = lightgbm_target(rng, objective, x, parameters)
    data = lightgbm.Dataset(x, label, group=group, categorical_feature=categorical)
    booster = lightgbm.train(parameters, data, int(rng.integers(1, 15)))
    model = folder / "model.txt"
    booster.save_model(model)
    test = odd_rows(rng, features, categorical).astype(x.dtype)
    options = {"answers": {}, "raw": {"raw_score": True}, "leaves": {"pred_leaf": True}}
    answers = booster.predict(test, num_threads=1, **options[kind])
    about = {**parameters, "features": features, "double": double}
    return Case(about, model, table_of(test, booster.feature_name()), answers)


def lightgbm_parameters(rng, objective):
    return {
        "objective": objective,
        "num_leaves": int(rng.choice([2, 7, 31, 255, 400])),
        "max_depth": int(rng.choice([-1, -1, 4])),
        "learning_rate": float(rng.choice([0.05, 0.3])),
        "boosting": str(rng.choice(["gbdt", "gbdt", "dart", "rf"])),
        "bagging_freq": 1,
        "bagging_fraction": 0.7,
        "min_data_in_leaf": int(rng.choice([1, 20])),
        "min_data_per_group": 5,
        "cat_smooth": 1.0,
        "max_cat_to_onehot": int(rng.choice([1, 4])),
        "use_missing": bool(rng.random() < 0.8),
        "zero_as_missing": bool(rng.random() < 0.3),
        "max_bin": int(rng.choice([15, 255, 1000])),
        "sigmoid": float(rng.choice([1.0, 0.7])),
        "reg_sqrt": bool(rng.random() < 0.3),
        "verbose": -1,
        "num_threads": 1,
        "seed": int(rng.integers(1000)),
    }


def lightgbm_target(rng, objective, x, parameters):
    """The label of each row, and the sizes of groups where rows are ranked."""
    rows = len(x)
    signal = np.nan_to_num(x[:, 0]).clip(-3, 3) + rng.normal(size=rows)
    if objective in ("binary", "cross_entropy", "cross_entropy_lambda"):
        return signal > 0, None
    if objective.startswith("multiclass"):
        parameters["num_class"] = classes = int(rng.integers(3, 8))
        return np.digitize(signal, np.linspace(-1, 1, classes - 1)), None
    if objective in POSITIVE:
        return np.exp(signal / 3), None
    if objective in ("lambdarank", "rank_xendcg"):
        return (signal > 0).astype(int), [rows // 4] * 3 + [rows - rows // 4 * 3]
    return signal, None
