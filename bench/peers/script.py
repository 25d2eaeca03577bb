"""What a good engineer writes by hand: two threads, Arrow batches, one session or booster.

    python script.py onnx|xgboost MODEL INPUT OUTPUT

Joins every output of the model to all input columns. A file a thread, or both threads on one file.
Dictionaries only for the text column: on floats they cost a third of the time.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 65_536
PIECE = 8_192  # rows of a call: larger ones leave the cache and cost the MLP 600 MB
THREADS = 2


def onnx_scorer(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    outputs = [output.name for output in session.get_outputs()]

    def score(matrix):
        starts = range(0, len(matrix), PIECE)
        pieces = [session.run(None, {name: matrix[at : at + PIECE]}) for at in starts]
        return dict(zip(outputs, map(np.concatenate, zip(*pieces))))

    return score


def xgboost_scorer(path, threads):
    import xgboost

    booster = xgboost.Booster({"nthread": threads}, model_file=path)
    booster.feature_names = None
    return lambda matrix: {"prediction": booster.inplace_predict(matrix)}


def column(values):
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def transform(score, source, target, alone):
    file = pq.ParquetFile(source)
    features = [name for name in file.schema_arrow.names if name.startswith("f")]
    writer = None
    for batch in file.iter_batches(ROWS, use_threads=alone):
        matrix = np.empty((batch.num_rows, len(features)), dtype=np.float32)
        for index, name in enumerate(features):
            matrix[:, index] = batch.column(name).to_numpy(zero_copy_only=False)
        arrays = {name: column(values) for name, values in score(matrix).items()}
        joined = pa.RecordBatch.from_arrays(
            [*batch.columns, *arrays.values()], names=[*batch.schema.names, *arrays]
        )
        if writer is None:
            writer = pq.ParquetWriter(target, joined.schema, use_dictionary=["category"])
        writer.write_batch(joined)
    writer.close()


def main():
    kind, model, source, target = sys.argv[1:]
    sources = sorted(Path(source).glob("*.parquet"))
    Path(target).mkdir()
    scorer = {"onnx": onnx_scorer, "xgboost": xgboost_scorer}[kind]
    alone = len(sources) == 1
    score = scorer(model, THREADS if alone else 1)
    with ThreadPoolExecutor(THREADS) as pool:
        jobs = [pool.submit(transform, score, path, Path(target) / path.name, alone) for path in sources]
        for job in jobs:
            job.result()


if __name__ == "__main__":
    main()
