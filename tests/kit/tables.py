"""Data with known answers. Everything is seeded."""

import datetime

import numpy as np
import pyarrow as pa

FEATURES = ["f0", "f1", "f2", "f3"]
WEIGHTS = np.array([1.5, -2.0, 0.25, 3.0], dtype=np.float32)
BIAS = 0.5

NAMES = ["plain", 'with "quotes"', "comma, too", "zwei\nZeilen", "Ærøskøbing", "日本", "", "tab\there"]


def people(count=257, seed=1):
    """`count` rows: an id, awkward text, a date, a flag and four float features."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, 4)).astype(np.float32)
    first = datetime.date(2024, 1, 1)
    columns = {
        "id": pa.array(range(count), pa.int64()),
        "name": pa.array([NAMES[i % len(NAMES)] for i in range(count)], pa.string()),
        "day": pa.array([first + datetime.timedelta(i % 366) for i in range(count)], pa.date32()),
        "member": pa.array([i % 3 == 0 for i in range(count)], pa.bool_()),
    }
    for index, name in enumerate(FEATURES):
        columns[name] = pa.array(features[:, index], pa.float32())
    return pa.table(columns)


def matrix(table):
    return np.column_stack([table[name].to_numpy() for name in FEATURES]).astype(np.float32)


def linear(table):
    """What the linear model answers."""
    return matrix(table) @ WEIGHTS + BIAS


def numbered(count, poison=None):
    """Rows `{"id", "x"}`, with the text column `poison` telling a server what to do to a row."""
    poison = poison or {}
    return pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "x": pa.array(np.arange(count) / 4, pa.float64()),
            "poison": pa.array([poison.get(i) for i in range(count)], pa.string()),
        }
    )
