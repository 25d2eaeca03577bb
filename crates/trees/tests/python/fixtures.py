"""Makes the models, rows and answers that `tests/fixtures.rs` checks. Usage: fixtures.py FOLDER.

For each model NAME there is NAME.{json,ubj,txt}, and NAME.expected: the answers, the raw scores and
the leaves of 48 rows, as `float32` (XGBoost), `float64` (LightGBM) and `int32` (leaves).
rows.f32 holds the rows, feature by feature.
"""

import pathlib
import sys

import lightgbm as lgb
import numpy as np
import xgboost as xgb

FEATURES, CATEGORICAL = 6, [5]
NAMES = [f"feature {i}" for i in range(FEATURES)]


def rows(rng, count):
    x = rng.normal(size=(count, FEATURES)).astype("f4")
    x[:, 1] = np.round(x[:, 1] * 2)
    x[:, 5] = rng.integers(0, 40, count)
    x[rng.random(x.shape) < 0.1] = np.nan
    return x


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    x = rows(rng, 400)
    signal = np.nan_to_num(x[:, 0] + np.sin(x[:, 5])) + rng.normal(size=400) / 2
    test = rows(rng, 48)
    test[:4, 5] = [-1, 99, 1.5, 1e6]
    test[4:8, 1] = [0.0, -0.0, 1e-36, -1e-36]
    test.T.copy().tofile(folder / "rows.f32")

    def xgboost(name, suffix, label, rounds, **parameters):
        types = ["c" if i in CATEGORICAL else "q" for i in range(FEATURES)]
        data = xgb.DMatrix(x, label, feature_names=NAMES, feature_types=types,
                           enable_categorical=True)
        booster = xgb.train({"max_depth": 4, "nthread": 1, **parameters}, data, rounds)
        booster.save_model(folder / f"{name}.{suffix}")
        seen = xgb.DMatrix(test, feature_names=NAMES, feature_types=types, enable_categorical=True)
        with open(folder / f"{name}.expected", "wb") as out:
            booster.predict(seen).astype("f4").tofile(out)
            booster.predict(seen, output_margin=True).astype("f4").tofile(out)
            booster.predict(seen, pred_leaf=True).astype("i4").tofile(out)

    classes = np.digitize(signal, [-1, 1])
    xgboost("logistic", "json", signal > 0, 8, objective="binary:logistic")
    xgboost("classes", "ubj", classes, 3, objective="multi:softprob", num_class=3, max_depth=3)
    xgboost("dart", "json", signal, 5, booster="dart", rate_drop=0.5, one_drop=1, max_depth=3)
    xgboost("gamma", "ubj", np.exp(signal), 4, objective="reg:gamma", max_cat_to_onehot=1)
    xgboost("deep", "ubj", signal, 2, max_depth=12)

    def lightgbm(name, label, rounds, **parameters):
        data = lgb.Dataset(x, label, categorical_feature=CATEGORICAL, feature_name=NAMES)
        parameters = {"verbose": -1, "num_threads": 1, "num_leaves": 15, "min_data_in_leaf": 5,
                      "min_data_per_group": 5, **parameters}
        booster = lgb.train(parameters, data, rounds)
        booster.save_model(folder / f"{name}.txt")
        with open(folder / f"{name}.expected", "wb") as out:
            for keywords in ({}, {"raw_score": True}):
                booster.predict(test, num_threads=1, **keywords).astype("f8").tofile(out)
            booster.predict(test, pred_leaf=True, num_threads=1).astype("i4").tofile(out)

    lightgbm("binary", signal > 0, 4, objective="binary", sigmoid=0.7)
    lightgbm("zeros", signal, 3, objective="regression", zero_as_missing=True, reg_sqrt=True)
    lightgbm("multiclass", classes, 2, objective="multiclass", num_class=3, use_missing=False)
    lightgbm("forest", signal, 3, objective="regression", boosting="rf", bagging_freq=1,
             bagging_fraction=0.6)


if __name__ == "__main__":
    main()
