"""Compares answers with those of the real packages over a grid of random models.

Usage: compare.py MEASURE [COUNT [SEED]], where MEASURE is the built example `measure`. Needs
numpy, scipy, xgboost and lightgbm. Ends with status 1 if an answer differs by more than 1e-6.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import lightgbm as lgb
import numpy as np
import xgboost as xgb


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


def odd_rows(rng, x, categorical):
    """Values that training never saw: infinities, huge, unseen and broken categories."""
    odd = x.copy()
    hits = rng.random(odd.shape) < 0.1
    choice = [np.inf, -np.inf, 0.0, -0.0, 1e-36, -1e-36, 3e38, np.nan, 1e-45, -1.0, 2.5]
    odd[hits] = rng.choice(choice, size=hits.sum())
    for column in categorical:
        hits = rng.random(len(odd)) < 0.2
        choice = [-1, -0.5, 1.7, 99, 1000, 2.0**24, 2.0**31, 3e9, np.nan]
        odd[hits, column] = rng.choice(choice, size=hits.sum())
    return odd


def measured(measure, folder, model, x, kind, dtype, double=False):
    columns = folder / ("x.f64" if double else "x.f32")
    x.T.astype("f8" if double else "f4").tofile(columns)
    out = folder / "out"
    subprocess.run([measure, "score", model, columns, out, kind], check=True)
    return np.fromfile(out, dtype=dtype).reshape(len(x), -1)


def difference(found, wanted):
    """The largest relative difference, where small values count as `1e-6`."""
    wanted = np.asarray(wanted, dtype="f8").reshape(len(found), -1)
    found = found.astype("f8")
    if found.shape != wanted.shape:
        return f"shape {found.shape}, not {wanted.shape}"
    if not found.size:
        return 0.0
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        apart = np.abs(found - wanted) / np.maximum(np.abs(wanted), 1e-6)
    return float(np.where(same, 0.0, np.nan_to_num(apart, nan=np.inf)).max())


XGB_OBJECTIVES = [
    "reg:squarederror", "reg:squaredlogerror", "reg:logistic", "reg:pseudohubererror",
    "reg:absoluteerror", "reg:quantileerror", "reg:gamma", "reg:tweedie", "count:poisson",
    "binary:logistic", "binary:logitraw", "binary:hinge", "multi:softprob", "multi:softmax",
    "rank:pairwise", "rank:ndcg", "rank:map", "survival:cox", "survival:aft",
]


def xgboost_case(rng, number, measure, folder):
    objective = XGB_OBJECTIVES[number % len(XGB_OBJECTIVES)]
    features = int(rng.integers(1, 40))
    rows = int(rng.choice([40, 300, 1500]))
    categorical = [c for c in range(features) if rng.random() < rng.choice([0, 0, 0.3])]
    x = rows_of(rng, rows, features, categorical, rng.choice([0, 0.1]))
    parameters = {
        "objective": objective,
        "max_depth": int(rng.integers(0, 11)),
        "eta": float(rng.choice([0.05, 0.3, 1.0])),
        "booster": "dart" if rng.random() < 0.2 else "gbtree",
        "tree_method": rng.choice(["hist", "approx"] if categorical else ["hist", "approx", "exact"]),
        "max_cat_to_onehot": int(rng.choice([1, 4])),
        "num_parallel_tree": int(rng.choice([1, 1, 3])),
        "max_bin": int(rng.choice([4, 256, 1000])),
        "gamma": float(rng.choice([0, 0.5])),
        "nthread": 1,
        "seed": number,
    }
    if parameters["max_depth"] == 0:
        parameters.update(max_leaves=40, grow_policy="lossguide")
        if parameters["tree_method"] == "exact":
            parameters["tree_method"] = "hist"
    if parameters["booster"] == "dart":
        parameters.update(rate_drop=0.4, one_drop=1)
    signal = np.nan_to_num(x[:, 0]).clip(-3, 3) + rng.normal(size=rows)
    label, extra = (signal > 0).astype("f4"), {}
    if objective.startswith("multi"):
        parameters["num_class"] = classes = int(rng.integers(3, 8))
        label = np.digitize(signal, np.linspace(-1, 1, classes - 1)).astype("f4")
    elif objective in ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror"):
        label = signal
        if objective != "reg:pseudohubererror" and rng.random() < 0.3:
            label = np.stack([signal, signal**2, -signal], 1)
    elif objective in ("reg:gamma", "reg:tweedie", "count:poisson", "reg:squaredlogerror",
                       "survival:cox"):
        label = np.exp(signal / 3) if objective != "count:poisson" else rng.poisson(np.exp(signal / 3))
    elif objective == "reg:quantileerror":
        label, parameters["quantile_alpha"] = signal, [0.1, 0.5, 0.9][: int(rng.integers(1, 4))]
    elif objective.startswith("rank"):
        extra["qid"] = np.sort(rng.integers(0, 8, rows))
    elif rng.random() < 0.3 and objective != "survival:aft":
        parameters["base_score"] = 0.3
    if objective == "survival:aft":
        label = None
        extra.update(label_lower_bound=np.exp(signal / 3), label_upper_bound=np.exp(signal / 3) + 1)
    if categorical:
        extra.update(feature_types=["c" if c in categorical else "q" for c in range(features)],
                     enable_categorical=True)
    data = xgb.DMatrix(x, label, feature_names=[f"f {i}" for i in range(features)], **extra)
    booster = xgb.train(parameters, data, int(rng.integers(1, 30)))
    suffix = str(rng.choice(["json", "ubj"]))
    model = folder / f"model.{suffix}"
    booster.save_model(model)
    test = odd_rows(rng, rows_of(rng, 333, features, categorical, 0.1), categorical)
    problems = {}
    booster.feature_names = None
    for kind, keywords in (("answers", {}), ("raw", {"predict_type": "margin"})):
        # `inplace_predict` adds the base score to each tree of a dart model and takes it off again.
        if parameters["booster"] == "dart":
            test = np.where(np.isinf(test), np.nan, test)
            wanted = booster.predict(xgb.DMatrix(test), output_margin=kind == "raw",
                                     validate_features=False)
        else:
            wanted = booster.inplace_predict(test, validate_features=False, **keywords)
        apart = difference(measured(measure, folder, model, test, kind, "f4"), wanted)
        if apart != 0.0 if kind == "raw" else not (isinstance(apart, float) and apart <= 1e-6):
            problems[kind] = apart
    finite = np.where(np.isinf(test), np.nan, test)
    wanted = booster.predict(xgb.DMatrix(finite), pred_leaf=True, validate_features=False)
    apart = difference(measured(measure, folder, model, finite, "leaves", "i4"), wanted)
    if apart != 0.0:
        problems["leaves"] = apart
    return {**parameters, "features": features, "suffix": suffix}, problems


LGB_OBJECTIVES = [
    "regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma",
    "tweedie", "binary", "multiclass", "multiclassova", "cross_entropy", "cross_entropy_lambda",
    "lambdarank", "rank_xendcg",
]


def lightgbm_case(rng, number, measure, folder):
    objective = LGB_OBJECTIVES[number % len(LGB_OBJECTIVES)]
    features = int(rng.integers(1, 40))
    rows = int(rng.choice([60, 300, 1500]))
    categorical = [c for c in range(features) if rng.random() < rng.choice([0, 0, 0.3])]
    double = bool(rng.integers(2))
    x = rows_of(rng, rows, features, categorical, rng.choice([0, 0.1])).astype("f8" if double else "f4")
    if double:
        x += np.where(np.isin(np.arange(features), categorical), 0, rng.normal(size=x.shape) * 1e-9)
    parameters = {
        "objective": objective,
        "num_leaves": int(rng.choice([2, 7, 31, 255, 400])),
        "max_depth": int(rng.choice([-1, -1, 4])),
        "learning_rate": float(rng.choice([0.05, 0.3])),
        "boosting": str(rng.choice(["gbdt", "gbdt", "dart", "rf"])),
        "bagging_freq": 1, "bagging_fraction": 0.7,
        "min_data_in_leaf": int(rng.choice([1, 20])),
        "min_data_per_group": 5, "cat_smooth": 1.0, "max_cat_to_onehot": int(rng.choice([1, 4])),
        "use_missing": bool(rng.random() < 0.8), "zero_as_missing": bool(rng.random() < 0.3),
        "max_bin": int(rng.choice([15, 255, 1000])), "sigmoid": float(rng.choice([1.0, 0.7])),
        "reg_sqrt": bool(rng.random() < 0.3), "verbose": -1, "num_threads": 1, "seed": number,
    }
    signal = np.nan_to_num(x[:, 0]).clip(-3, 3) + rng.normal(size=rows)
    label, group = signal, None
    if objective in ("binary", "cross_entropy", "cross_entropy_lambda"):
        label = signal > 0
    elif objective.startswith("multiclass"):
        parameters["num_class"] = classes = int(rng.integers(3, 8))
        label = np.digitize(signal, np.linspace(-1, 1, classes - 1))
    elif objective in ("poisson", "gamma", "tweedie"):
        label = np.exp(signal / 3)
    elif objective in ("lambdarank", "rank_xendcg"):
        label, group = (signal > 0).astype(int), [rows // 4] * 3 + [rows - rows // 4 * 3]
    data = lgb.Dataset(x, label, group=group, categorical_feature=categorical)
    booster = lgb.train(parameters, data, int(rng.integers(1, 30)))
    model = folder / "model.txt"
    booster.save_model(model)
    test = odd_rows(rng, rows_of(rng, 333, features, categorical, 0.1), categorical).astype(x.dtype)
    problems = {}
    for kind, keywords in (("answers", {}), ("raw", {"raw_score": True})):
        wanted = booster.predict(test, num_threads=1, **keywords)
        found = measured(measure, folder, model, test, kind, "f8", double)
        apart = difference(found, wanted)
        if apart != 0.0 if kind == "raw" else not (isinstance(apart, float) and apart <= 1e-6):
            problems[kind] = apart
    wanted = booster.predict(test, pred_leaf=True, num_threads=1)
    apart = difference(measured(measure, folder, model, test, "leaves", "i4", double), wanted)
    if apart != 0.0:
        problems["leaves"] = apart
    return {**parameters, "features": features, "double": double}, problems


def main():
    measure = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            if number % 3 == 2:
                about, problems = lightgbm_case(rng, number // 3, measure, pathlib.Path(name))
            else:
                at = number - number // 3
                about, problems = xgboost_case(rng, at, measure, pathlib.Path(name))
            if problems:
                failed += 1
                print(f"{number}: {problems} {json.dumps(about, default=str)}", flush=True)
    print(f"{count} models, {failed} differ")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
