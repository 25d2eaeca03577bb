"""Makes the benchmark's data and models in a folder, once; a second call finds them there.

    python data.py FOLDER --rows 2000000

Fewer than a million rows are for trying the benchmark out.
"""

import argparse
import datetime
import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FEATURES = [f"f{i}" for i in range(28)]
FILES = 8
CHUNK = 125_000  # rows made at once and of a row group; a row's values depend on nothing but its chunk
SEED = 20_240_229


def chunk(index, size):
    """Rows `index * size` and on, with two classes that depend on the features."""
    random = np.random.default_rng([SEED, index])
    features = random.normal(size=(size, len(FEATURES))).astype(np.float32)
    features[:, 20:] = np.exp(features[:, 20:] / 2)
    signal = features[:, 0] * features[:, 1] + np.sin(features[:, 2] * 2) + features[:, 21] - 1
    label = signal + random.normal(size=size) / 2 > 0
    ids = np.arange(index * size, (index + 1) * size)
    days = np.datetime64(datetime.date(2024, 1, 1)) + ids % 366
    categories = np.array([f"category-{i:02}" for i in range(40)])
    columns = {"id": ids, "category": categories[random.integers(0, 40, size)], "date": days}
    columns |= {name: features[:, i] for i, name in enumerate(FEATURES)}
    return pa.table(columns), features, label


def write_rows(folder, rows):
    """`FILES` files, one file, 1,000 rows, 10,000 files of 100 rows, and 10 bad rows."""
    for name in ("eight", "one", "thousand", "many", "bad"):
        (folder / name).mkdir()
    options = {"use_dictionary": ["category"], "compression": "snappy"}
    size = min(CHUNK, rows // FILES)
    chunks = rows // size
    bad = set(np.random.default_rng(SEED).choice(rows, 10, replace=False).tolist())
    one = eight = spoiled = None
    matrix = np.lib.format.open_memmap(folder / "matrix.npy", "w+", np.float32, (rows, len(FEATURES)))
    for index in range(chunks):
        table, features, _ = chunk(index, size)
        matrix[index * size : (index + 1) * size] = features
        if index * FILES % chunks < FILES:
            part = f"part-{index * FILES // chunks}.parquet"
            for writer in (eight, spoiled):
                if writer:
                    writer.close()
            eight = pq.ParquetWriter(folder / "eight" / part, table.schema, **options)
            spoiled = pq.ParquetWriter(folder / "bad" / part, table.schema, **options)
        one = one or pq.ParquetWriter(folder / "one/rows.parquet", table.schema, **options)
        one.write_table(table)
        eight.write_table(table)
        spoiled.write_table(spoil(table, [row - index * size for row in bad]))
        if index == 0:
            pq.write_table(table.slice(0, 1_000), folder / "thousand/rows.parquet", **options)
        for start in range(0, size, 100):
            number = index * size // 100 + start // 100
            if number < 10_000:
                small = table.slice(start, 100)
                pq.write_table(small, folder / f"many/{number:05}.parquet", **options)
    for writer in (one, eight, spoiled):
        writer.close()


def spoil(table, rows):
    """`table` with no value of `f5` in `rows` (those that lie within)."""
    rows = [row for row in rows if 0 <= row < table.num_rows]
    mask = np.zeros(table.num_rows, dtype=bool)
    mask[rows] = True
    column = pa.array(table["f5"].to_numpy(), pa.float32(), mask=mask)
    return table.set_column(table.column_names.index("f5"), "f5", column)


def train(folder):
    """XGBoost (200 trees, depth 6), an MLP (28-256-256-1) and a logistic regression."""
    import onnxmltools
    import xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPRegressor

    warnings.filterwarnings("ignore")  # of training that stops early
    _, features, label = chunk(0, CHUNK)
    kind = [("input", FloatTensorType([None, len(FEATURES)]))]
    booster = xgboost.XGBClassifier(
        n_estimators=200, max_depth=6, tree_method="hist", n_jobs=2, random_state=SEED
    ).fit(features, label)
    exported = onnxmltools.convert_xgboost(booster, initial_types=kind)
    (folder / "xgboost.onnx").write_bytes(exported.SerializeToString())
    booster.get_booster().feature_names = FEATURES
    booster.save_model(folder / "xgboost.json")

    mlp = MLPRegressor(hidden_layer_sizes=(256, 256), max_iter=2, random_state=SEED)
    mlp.fit(features[:50_000], label[:50_000])
    (folder / "mlp.onnx").write_bytes(to_onnx(mlp, features[:1]).SerializeToString())

    logistic = LogisticRegression(max_iter=200).fit(features, label)
    exported = to_onnx(logistic, features[:1], options={"zipmap": False})
    (folder / "logistic.onnx").write_bytes(exported.SerializeToString())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=2_000_000)
    arguments = parser.parse_args()
    million = CHUNK * FILES
    if arguments.rows % million and (arguments.rows > million or arguments.rows % 8_000):
        parser.error(f"--rows must be a multiple of {million:,}, or a smaller one of 8,000")
    if arguments.folder.is_dir():
        return
    unfinished = arguments.folder.with_name(f"{arguments.folder.name}.unfinished-{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    write_rows(unfinished, arguments.rows)
    train(unfinished)
    (unfinished / "data.json").write_text(json.dumps({"rows": arguments.rows, "seed": SEED}))
    unfinished.rename(arguments.folder)


if __name__ == "__main__":
    main()
