"""Writes and reads tables in every format, and finds what a run left behind."""

import csv
import gzip
import io
import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

csv.field_size_limit(1 << 24)

SUFFIX = {"parquet": "parquet", "jsonl": "jsonl", "csv": "csv", "csv-bare": "csv"}


def encode(table, kind):
    """`table` as bytes of format `kind`: parquet, jsonl, csv, or csv-bare (no header)."""
    buffer = io.BytesIO()
    if kind == "parquet":
        pq.write_table(table, buffer, row_group_size=64)
        return buffer.getvalue()
    if kind == "jsonl":
        lines = (json.dumps(row, default=str, ensure_ascii=False) for row in table.to_pylist())
        return "".join(line + "\n" for line in lines).encode()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if kind == "csv":
        writer.writerow(table.column_names)
    writer.writerows(map(_cell, row.values()) for row in table.to_pylist())
    return text.getvalue().encode()


def _cell(value):
    return str(value).lower() if isinstance(value, bool) else value


def compress(data, compression):
    if compression == "gzip":
        return gzip.compress(data)
    if compression == "zstd":
        return pa.compress(data, codec="zstd", asbytes=True)
    return data


def write(path, table, kind, compression=None):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(compress(encode(table, kind), compression))
    return path


def split(table, parts):
    """`table` in `parts` consecutive pieces of about the same size."""
    ends = [table.num_rows * part // parts for part in range(parts + 1)]
    return [table.slice(start, end - start) for start, end in zip(ends, ends[1:])]


def plain_bytes(path):
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
            return stream.read()
    return data


def rows(path, header=True):
    """The records of a file as dicts (lists, if it is CSV without a header)."""
    name = Path(path).name
    if ".parquet" in name:
        return pq.read_table(path, partitioning=None).to_pylist()
    text = plain_bytes(path).decode()
    if ".jsonl" in name or ".json" in name:
        return [json.loads(line) for line in text.splitlines()]
    reader = csv.DictReader if header else csv.reader
    return list(reader(io.StringIO(text, newline="")))


def outputs(folder):
    """Output files by relative name. Like all readers of folders, leaves out names with `_` or `.`."""
    folder = Path(folder)
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = ((str(path.relative_to(folder)), path) for path in found)
    return {name: path for name, path in named if name[0] not in "_."}


def rejects(folder):
    """All rejects of a run as dicts, in the order of files and rows."""
    folder = Path(folder) / "_rejects"
    found = sorted(folder.rglob("*.parquet")) if folder.is_dir() else []
    records = [record for path in found for record in pq.read_table(path).to_pylist()]
    return sorted(records, key=lambda record: (record["file"], record["row"]))


def same(left, right, tolerance=1e-6):
    """Whether two values of different formats mean the same: text of a number is that number."""
    left, right = _plain(left), _plain(right)
    if isinstance(left, float) and isinstance(right, float):
        if math.isnan(left) and math.isnan(right):
            return True
        return math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def _plain(value):
    if value is None or value == "":
        return None
    if isinstance(value, (bool, list)):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)
