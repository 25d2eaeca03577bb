"""Random XGBoost and LightGBM models: the answers are those of the libraries, on odd rows too."""

import os
import random

import numpy as np
import pyarrow.parquet as pq
import pytest

from kit import cli, random_trees

# `pytest test_random_trees.py --numprocesses 0` with this variable repeats a run.
SEED = "BESSEMER_TEST_SEED"
PARTS, MODELS = 8, 26
KINDS = {"answers": [], "raw": ["--raw-score"], "leaves": ["--leaf-index"]}


def largest_difference(found, wanted):
    """Relative to `wanted`, where small values count as `1e-6`; infinite if the shapes differ."""
    wanted = np.asarray(wanted, dtype=np.float64).reshape(len(found), -1)
    if found.shape != wanted.shape:
        return np.inf
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        apart = np.abs(found - wanted) / np.maximum(np.abs(wanted), 1e-6)
    return np.where(same, 0.0, np.nan_to_num(apart, nan=np.inf)).max(initial=0.0)


def compare(number, seed, folder):
    """Makes model `number` and says how its answers differ, if they do."""
    rng = np.random.default_rng([seed, number])
    kind = ["answers", "raw", "answers", "leaves"][number // 3 % 4]
    if number % 3 == 2:
        objective = random_trees.LIGHTGBM[number // 3 % len(random_trees.LIGHTGBM)]
        case = random_trees.lightgbm_case(rng, objective, kind, folder)
    else:
        objective = random_trees.XGBOOST[(number - number // 3) % len(random_trees.XGBOOST)]
        case = random_trees.xgboost_case(rng, objective, kind, folder)
    source = folder / "rows.parquet"
    pq.write_table(case.table, source)
    cli.transform(source, folder / "out", "--model", case.model, "--join", "none", *KINDS[kind])
    [column] = pq.read_table(folder / "out/rows.parquet").columns
    found = np.array(column.to_pylist(), dtype=np.float64).reshape(case.table.num_rows, -1)
    difference = largest_difference(found, case.answers)
    if difference > (0 if kind == "leaves" else 1e-6):
        return f"model {number}: {kind} differ by {difference}: {case.about}"
    return None


@pytest.mark.parametrize("part", range(PARTS))
def test_random_models(part, tmp_path):
    seed = int(os.environ.get(SEED) or random.randrange(2**32))
    different = []
    for number in range(part * MODELS, (part + 1) * MODELS):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            different.append(compare(number, seed, folder))
        except Exception as error:
            raise AssertionError(f"model {number} of {SEED}={seed}") from error
    different = [line for line in different if line]
    assert not different, f"{SEED}={seed}\n" + "\n".join(different)
