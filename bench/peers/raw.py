"""ONNX Runtime alone: scores an array that is in memory already, at the batch size that suits it best.

    python raw.py MODEL ARRAY.npy

Prints the rows a second. The best of some batch sizes, with one thread a session call in two threads
or two threads in one call, is found on the first rows.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime

THREADS = 2
BATCHES = (512, 4_096, 32_768, 131_072)


def main():
    path, array = sys.argv[1:]
    matrix = np.load(array)
    sessions = {threads: session(path, threads) for threads in (1, THREADS)}
    trial = matrix[:200_000]
    ways = [(threads, batch) for threads in sessions for batch in BATCHES]
    best = max(ways, key=lambda way: rate(sessions[way[0]], trial, way[0], way[1]))
    print(rate(sessions[best[0]], matrix, *best))


def session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def rate(session, matrix, threads, batch):
    name = session.get_inputs()[0].name
    started = time.perf_counter()
    with ThreadPoolExecutor(THREADS // threads) as pool:
        starts = range(0, len(matrix), batch)
        for _ in pool.map(lambda at: session.run(None, {name: matrix[at : at + batch]}) and None, starts):
            pass
    return len(matrix) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
