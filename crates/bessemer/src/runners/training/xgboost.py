"""The XGBoost algorithm: trains a booster on the channel `train`, watching `validation` if there is
one, as the hyperparameters say, and leaves it as `xgboost-model`."""

import json
import os
import sys

import numpy as np
import xgboost

CONFIG = "/opt/ml/input/config"
DATA = "/opt/ml/input/data"
MODEL = "/opt/ml/model/xgboost-model"
FAILURE = "/opt/ml/output/failure"
FORMATS = {
    "csv": "csv", "libsvm": "libsvm", "x-libsvm": "libsvm", "svmlight": "libsvm",
    "parquet": "parquet", "x-parquet": "parquet",
}


class Refused(Exception):
    """What the user has to mend."""


def read(name):
    with open(f"{CONFIG}/{name}.json") as file:
        return json.load(file)


def value(text):
    """A hyperparameter: a number if it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text.strip('"')


def format_of(channel, path):
    kind = channel.get("ContentType", "").split(";")[0].strip().lower().split("/")[-1]
    if kind:
        if kind not in FORMATS:
            raise Refused(f"the content type `{channel['ContentType']}` is not supported: "
                          "text/csv, text/libsvm and application/x-parquet are")
        return FORMATS[kind]
    return FORMATS.get(path.rsplit(".", 1)[-1].lower(), "libsvm")


def files(folder):
    found = [os.path.join(base, name) for base, _, names in os.walk(folder) for name in names]
    return sorted(path for path in found if not os.path.basename(path).startswith((".", "_")))


def table_of(kind, path):
    """Features and labels; the label is the first column."""
    if kind == "libsvm":
        from sklearn.datasets import load_svmlight_file

        return load_svmlight_file(path, dtype=np.float32, zero_based=True)
    if kind == "csv":
        import pyarrow.csv as csv

        options = csv.ReadOptions(autogenerate_column_names=True)
        table = csv.read_csv(path, read_options=options)
    else:
        import pyarrow.parquet as parquet

        table = parquet.read_table(path)
    try:
        columns = [column.cast("float32").to_numpy() for column in table.columns]
    except Exception as error:
        raise Refused(f"`{path}` has a column that is not numbers (a header?): {error}") from error
    return np.column_stack(columns[1:]).astype(np.float32), columns[0]


def matrix(name, channel, weighted):
    found = files(f"{DATA}/{name}")
    if not found:
        raise Refused(f"the channel `{name}` is empty")
    parts = [table_of(format_of(channel, path), path) for path in found]
    labels = np.concatenate([label for _, label in parts])
    if isinstance(parts[0][0], np.ndarray):
        features = np.concatenate([feature for feature, _ in parts])
        if weighted:
            return xgboost.DMatrix(features[:, 1:], labels, weight=features[:, 0])
        return xgboost.DMatrix(features, labels)
    from scipy import sparse

    width = max(feature.shape[1] for feature, _ in parts)
    for feature, _ in parts:
        feature.resize(feature.shape[0], width)
    return xgboost.DMatrix(sparse.vstack([feature for feature, _ in parts]), labels)


class Lines(xgboost.callback.TrainingCallback):
    """A line a round, as the metrics are read from."""

    def after_iteration(self, model, epoch, evals_log):
        scores = [f"{data}-{metric}:{values[-1]:.5f}"
                  for data, metrics in evals_log.items() for metric, values in metrics.items()]
        print("\t".join([f"[{epoch}]", *scores]), flush=True)
        return False


def train():
    hyperparameters = {name: value(text) for name, text in read("hyperparameters").items()}
    channels = read("inputdataconfig")
    if "train" not in channels:
        raise Refused("there is no channel `train`")
    rounds = hyperparameters.pop("num_round", None)
    if rounds is None:
        raise Refused("the hyperparameter `num_round` is missing")
    patience = hyperparameters.pop("early_stopping_rounds", None)
    weighted = hyperparameters.pop("csv_weights", 0) == 1
    metrics = [metric.strip() for metric in str(hyperparameters.pop("eval_metric", "")).split(",")]
    # What a search seeks, such as `validation:auc`, is watched too.
    metrics.append(str(hyperparameters.pop("_tuning_objective_metric", "")).partition(":")[2])
    metrics = [metric for metric in dict.fromkeys(metrics) if metric]
    if metrics:
        hyperparameters["eval_metric"] = metrics
    hyperparameters = {name: setting for name, setting in hyperparameters.items()
                       if not name.startswith(("_", "sagemaker_"))}
    watched = [(matrix(name, channels[name], weighted), name)
               for name in ("train", "validation") if name in channels]
    print(f"XGBoost {xgboost.__version__}: {watched[0][0].num_row()} rows of "
          f"{watched[0][0].num_col()} features, {rounds} rounds", flush=True)
    booster = xgboost.train(
        hyperparameters, watched[0][0], rounds, evals=watched, verbose_eval=False,
        early_stopping_rounds=patience, callbacks=[Lines()],
    )
    if patience is not None:
        booster = booster[: booster.best_iteration + 1]
    with open(MODEL, "wb") as file:
        file.write(booster.save_raw("ubj"))


try:
    train()
except (Refused, xgboost.core.XGBoostError) as error:
    os.makedirs(os.path.dirname(FAILURE), exist_ok=True)
    with open(FAILURE, "w") as file:
        file.write(str(error))
    print(error, file=sys.stderr)
    sys.exit(1)
