"""Bad rows among 100,000: exactly those are rejected, and it costs few calls."""

import math
import random

import numpy as np
import pyarrow.parquet as pq
import pytest

from kit import cli, files, tables

ROWS = 100_000
PARTS = 4


@pytest.mark.parametrize("bad", [1, 10, 100])
@pytest.mark.parametrize("batch_rows", [1_000, None])
def test_bad_rows(bad, batch_rows, container, tmp_path):
    culprits = sorted(random.Random(bad).sample(range(ROWS), bad))
    table = tables.numbered(ROWS, dict.fromkeys(culprits, "fail"))
    for part, piece in enumerate(files.split(table, PARTS)):
        pq.write_table(piece, _made(tmp_path / "in") / f"part-{part}.parquet", row_group_size=8_192)
    arguments = ["--endpoint", container, "--retries", "1"]
    if batch_rows:
        arguments += ["--batch-rows", str(batch_rows)]
    result = cli.transform(tmp_path / "in", tmp_path / "out", *arguments, expect=cli.REJECTED)

    per_part = ROWS // PARTS
    wanted = [(f"part-{row // per_part}.parquet", row % per_part) for row in culprits]
    found = [(reject["file"].split("/")[-1], reject["row"]) for reject in files.rejects(tmp_path / "out")]
    assert found == wanted

    whole = pq.read_table([tmp_path / f"out/part-{part}.parquet" for part in range(PARTS)])
    assert whole.drop_columns("prediction").equals(table)
    answers = whole["prediction"].to_numpy(zero_copy_only=False)
    assert np.flatnonzero(np.isnan(answers)).tolist() == culprits
    right = np.arange(ROWS) / 2
    right[culprits] = np.nan
    assert np.array_equal(answers, right, equal_nan=True)

    summary = result.summary
    assert (summary["rows"], summary["rejected"], summary["delivered"]) == (ROWS, bad, ROWS - bad)
    calls = summary["calls"]
    rows_a_call = batch_rows or summary["settings"]["batch_rows"]
    assert calls["isolating"] <= bad * math.ceil(math.log2(rows_a_call))
    assert calls["total"] <= calls["planned"] + calls["isolating"] + calls["retries"]


def _made(folder):
    folder.mkdir(exist_ok=True)
    return folder
