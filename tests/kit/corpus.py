"""Parquet files of many shapes and writers. Each holds `id` and the model's features `f0` and `f1`."""

import datetime
import decimal
import json
import uuid
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 60
OWN = ["id", "f0", "f1"]
CODECS = ["snappy", "gzip", "zstd", "lz4", "brotli", "none"]
ZONES = [None, "UTC", "Europe/Oslo", "+05:30"]


def cycle(values, kind, rows=ROWS):
    """`rows` values of type `kind`: these, over and over."""
    return pa.array([values[row % len(values)] for row in range(rows)], kind)


def table(rows=ROWS, **columns):
    """A table of `rows` rows whose features have holes."""
    random = np.random.default_rng(11)
    feature = random.normal(size=rows).astype(np.float32)
    other = pa.array([None if row % 7 == 3 else row % 5 for row in range(rows)], pa.int16())
    own = {"id": pa.array(range(rows), pa.int64()), "f0": pa.array(feature), "f1": other}
    return pa.table(own | columns)


def numbers():
    whole = {
        f"{sign}int{bits}": cycle([0, None, 2 ** (bits - 1) - 1, 1], kind)
        for bits in (8, 16, 32, 64)
        for sign, kind in (("", getattr(pa, f"int{bits}")()), ("u", getattr(pa, f"uint{bits}")()))
    }
    return table(
        flag=cycle([True, None, False], pa.bool_()),
        half=cycle([np.float16(0.5), None, np.float16(-2)], pa.float16()),
        double=cycle([0.1, -0.0, float("inf"), None, 1e300], pa.float64()),
        **whole,
    )


def texts():
    awkward = ["", "plain", None, "zwei\nZeilen", '"q", ', "日本", "Ærø\u0301"]
    raw = [b"", b"\x00\xff", None, b"abc"]
    return table(
        string=cycle(awkward, pa.string()),
        large_string=cycle(awkward, pa.large_string()),
        string_view=cycle(awkward, pa.string_view()),
        binary=cycle(raw, pa.binary()),
        large_binary=cycle(raw, pa.large_binary()),
        fixed=cycle([b"1234567", None, b"\x00" * 7], pa.binary(7)),
    )


def long_texts():
    return table(20, text=cycle(["x" * 300_000, None, "ÿ" * 5000, "y" * 70], pa.string(), 20))


def times():
    day = datetime.date(1969, 12, 31)
    noon = datetime.time(12, 30, 15, 250_000)
    columns = {
        "date32": cycle([day, None, datetime.date(2400, 2, 29)], pa.date32()),
        "date64": cycle([day, None], pa.date64()),
        "time32_s": cycle([datetime.time(1, 2, 3), None], pa.time32("s")),
        "time32_ms": cycle([noon, None], pa.time32("ms")),
        "time64_us": cycle([noon, None], pa.time64("us")),
        "time64_ns": cycle([1, None, 86_399_999_999_999], pa.time64("ns")),
        "duration_ms": cycle([1, None, -7], pa.duration("ms")),
        "duration_ns": cycle([1, None, -7], pa.duration("ns")),
    }
    return table(**columns)


def timestamps(unit):
    moments = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}[unit]
    values = [0, None, 1_700_000_000 * moments, -86_400 * moments, 1_711_846_800 * moments + 1]
    return table(
        **{f"at_{zone or 'local'}": cycle(values, pa.timestamp(unit, zone)) for zone in ZONES}
    )


def decimals(*precisions, make=pa.decimal128):
    columns = {}
    for precision in precisions:
        scale = min(precision // 2, 9)
        most = [decimal.Decimal((sign, (9,) * precision, -scale)) for sign in (0, 1)]
        values = [decimal.Decimal(0), None, *most, decimal.Decimal((0, (1,), -scale))]
        columns[f"d{precision}"] = cycle(values, make(precision, scale))
    return table(**columns)


def lists():
    return table(
        numbers=cycle([[1, 2, 3], [], None, [None], [4]], pa.list_(pa.int32())),
        nested=cycle([[["a"], [], None], [], None, [["b", None]]], pa.list_(pa.list_(pa.string()))),
        deep=cycle([[[[1], []], None], [[[2, None]]], []], pa.list_(pa.list_(pa.list_(pa.int8())))),
        large=cycle([[0.5], [], None], pa.large_list(pa.float64())),
        fixed=cycle([[1, 2], [3, None], None], pa.list_(pa.int64(), 2)),
        required=cycle([[1], [], [2, 3]], pa.list_(pa.field("item", pa.int64(), nullable=False))),
    )


def structs():
    point = pa.struct([("x", pa.float64()), ("name", pa.string())])
    whole = pa.struct([("point", point), ("tags", pa.list_(pa.string())), ("n", pa.int8())])
    a = {"point": {"x": 1.5, "name": "a"}, "tags": ["t", None], "n": 1}
    b = {"point": {"x": None, "name": None}, "tags": [], "n": None}
    c = {"point": None, "tags": None, "n": 2}
    return table(
        point=cycle([a["point"], None, b["point"]], point),
        whole=cycle([a, b, None, c], whole),
        several=cycle([[a, None, b], [], None, [c]], pa.list_(whole)),
    )


def maps():
    plain = pa.map_(pa.string(), pa.int64())
    inner = pa.struct([("on", pa.date32()), ("hours", pa.list_(pa.float32()))])
    day = {"on": datetime.date(2024, 2, 29), "hours": [1.5, None]}
    return table(
        plain=cycle([[("a", 1), ("b", None)], [], None], plain),
        of_structs=cycle([[(1, day), (2, None)], [], None], pa.map_(pa.int32(), inner)),
        of_maps=cycle([[("m", [("a", 1)])], [("n", [])], None], pa.map_(pa.string(), plain)),
        in_list=cycle([[[("a", 1)], []], None, []], pa.list_(plain)),
    )


def dictionaries():
    words = cycle(["red", None, "green", "blue"], pa.string())
    ordered = pa.DictionaryArray.from_arrays(
        cycle([0, 2, None, 1], pa.int8()), pa.array(["low", "mid", "high"]), ordered=True
    )
    return table(
        words=words.dictionary_encode(),
        short=words.cast(pa.dictionary(pa.int8(), pa.string())),
        ordered=ordered,
        large=words.cast(pa.large_string()).dictionary_encode(),
        numbers=cycle([7, None, 9], pa.int64()).dictionary_encode(),
    )


def nothing(rows=ROWS):
    return table(
        rows,
        null=pa.nulls(rows),
        string=pa.nulls(rows, pa.string()),
        number=pa.nulls(rows, pa.float64()),
        list=pa.nulls(rows, pa.list_(pa.int32())),
        struct=pa.nulls(rows, pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))])),
        map=pa.nulls(rows, pa.map_(pa.string(), pa.int32())),
        dictionary=pa.nulls(rows, pa.dictionary(pa.int32(), pa.string())),
        empty_lists=cycle([[]], pa.list_(pa.int32()), rows),
    )


def wide():
    kinds = [pa.int32(), pa.float64(), pa.string(), pa.timestamp("us", "UTC"), pa.bool_()]
    values = [[1, None, 2], [0.5, None], ["a", None, "b"], [0, None, 10**15], [True, None]]
    made = [cycle(some, kind, 30) for some, kind in zip(values, kinds)]
    return table(30, **{f"c{number}": made[number % len(made)] for number in range(997)})


def names():
    awkward = ["a.b", "with space", "Ærøskøbing", "日本", 'q"q', "comma,semi;", "list", "element"]
    columns = {name: cycle([1, None, 3], pa.int64()) for name in awkward}
    inner = pa.struct([("x.y", pa.int64()), ("", pa.string())])
    return table(**columns, s=cycle([{"x.y": 1, "": "e"}, None], inner))


def annotated():
    """Metadata of the file and of fields, ids, extension types, columns that are not nullable."""
    extended = {
        "uuid": pa.ExtensionArray.from_storage(
            pa.uuid(), cycle([uuid.UUID(int=5).bytes, None], pa.binary(16))
        ),
        "json": pa.ExtensionArray.from_storage(
            pa.json_(), cycle([json.dumps({"a": 1}), None], pa.string())
        ),
    }
    made = table(kelvin=cycle([1.0, 2.0], pa.float64()), **extended)
    fields = list(made.schema)
    fields[0] = fields[0].with_nullable(False).with_metadata({"PARQUET:field_id": "17"})
    fields[3] = fields[3].with_nullable(False).with_metadata({"unit": "K", "ÿ": "ÿ"})
    schema = pa.schema(fields, metadata={"who": "me", "empty": "", "long": "x" * 5000})
    return made.cast(schema)


def pandas_frame():
    """With the index and the categories that pandas notes in the file's metadata."""
    frame = table().to_pandas()
    frame["kind"] = frame["id"].map(lambda number: "abc"[number % 3]).astype("category")
    frame["at"] = frame["id"].map(lambda number: datetime.datetime(2024, 1, 1 + number % 28))
    frame.index = [f"row {number}" for number in frame["id"]]
    return pa.Table.from_pandas(frame)


def mixed(rows=ROWS):
    """A little of everything, for trying ways of writing."""
    return table(
        rows,
        text=cycle(["one", None, "two", "three"], pa.string(), rows),
        price=cycle([0.5, None, 2.5], pa.float64(), rows),
        tags=cycle([["a", "b"], [], None], pa.list_(pa.string()), rows),
        at=cycle([0, None, 10**15], pa.timestamp("us", "UTC"), rows),
        point=cycle([{"x": 1, "y": None}, None], pa.struct([("x", pa.int32()), ("y", pa.string())]), rows),
        code=cycle([b"ab", None, b"cd"], pa.binary(2), rows),
        member=cycle([True, False, None], pa.bool_(), rows),
    )


def by_pyarrow(shape, **options):
    return lambda path: pq.write_table(shape(), path, **options)


def in_groups(sizes, **options):
    """Row groups of just these sizes, also of none."""

    def write(path):
        made, start = mixed(sum(sizes)), 0
        with pq.ParquetWriter(path, made.schema, **options) as writer:
            for size in sizes:
                writer.write_table(made.slice(start, size), row_group_size=max(size, 1))
                start += size
        metadata = pq.ParquetFile(path).metadata
        assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == sizes

    return write


def by_duckdb(version):
    """As DuckDB writes: bloom filters, no Arrow schema, types of its own."""

    def write(path):
        import duckdb

        with duckdb.connect() as connection:
            connection.register("plain", mixed(2500))
            connection.sql(
                f"""
                COPY (
                    SELECT plain.*,
                        md5(id::TEXT)::UUID AS uuid,
                        ['red', 'green'][1 + id % 2]::ENUM ('red', 'green') AS color,
                        (id * 1.25)::DECIMAL(12, 2) AS cost,
                        TIMETZ '12:30:00+02' AS clock,
                        TIMESTAMPTZ '2024-01-01 00:00:00+00' + to_days(id::INT % 9) AS later,
                        TIMESTAMP_NS '2024-01-01 00:00:00.000000001' AS nanos,
                        to_days(id::INT % 5) AS span,
                        MAP {{'k': id, 'l': NULL}} AS map,
                        {{'a': [id], 'b': {{'c': text}}}} AS nested,
                        CASE id % 3 WHEN 0 THEN '{{"a": 1}}'::JSON END AS json
                    FROM plain
                ) TO '{path}' (
                    FORMAT parquet, PARQUET_VERSION {version}, COMPRESSION zstd,
                    ROW_GROUP_SIZE 2048, KV_METADATA {{made: 'by hand'}}
                )
                """
            )

    return write


def by_polars(path):
    """As Polars writes: its own Arrow schema, with views and large lists."""
    import polars

    frame = polars.from_arrow(mixed(200)).with_columns(
        polars.Series("kind", ["a", "b"] * 100, polars.Categorical),
        polars.Series("level", ["low", "high"] * 100, polars.Enum(["low", "high"])),
        polars.Series("nanos", [None, 1] * 100, polars.Datetime("ns", "Europe/Oslo")),
        polars.Series("span", [1, None] * 100, polars.Duration("us")),
        polars.Series("pair", [[1, 2], None] * 100, polars.Array(polars.Int16, 2)),
        polars.Series("cost", ["1.25", None] * 100).cast(polars.Decimal(20, 3)),
    )
    frame.write_parquet(path, row_group_size=64, data_page_size=256)


SHAPES = [
    numbers, texts, long_texts, times, lists, structs, maps, dictionaries, nothing, wide, names,
    annotated, pandas_frame, mixed,
]  # fmt: skip
ENCODINGS = {
    "id": "DELTA_BINARY_PACKED",
    "f0": "BYTE_STREAM_SPLIT",
    "text": "DELTA_BYTE_ARRAY",
    "price": "BYTE_STREAM_SPLIT",
    "member": "RLE",
    "tags.list.element": "DELTA_LENGTH_BYTE_ARRAY",
}
PAGES = {"max_rows_per_page": 10, "write_page_index": True}
FILTERS = {"bloom_filter_options": {"id": True, "price": True, "text": {"ndv": 10, "fpp": 0.01}}}

# How each file is written, by its name.
CASES = {
    **{shape.__name__: by_pyarrow(shape) for shape in SHAPES},
    **{
        f"timestamps_{unit}": by_pyarrow(partial(timestamps, unit), write_page_index=True)
        for unit in ("s", "ms", "us", "ns")
    },
    "timestamps_int96": by_pyarrow(partial(timestamps, "ns"), use_deprecated_int96_timestamps=True),
    "decimals_fixed": by_pyarrow(partial(decimals, 1, 9, 18, 19, 38)),
    "decimals_whole": by_pyarrow(partial(decimals, 1, 9, 18), store_decimal_as_integer=True),
    "decimals_wide": by_pyarrow(partial(decimals, 39, 76, make=pa.decimal256)),
    "decimals_small": by_pyarrow(partial(decimals, 5, 9, make=pa.decimal32)),
    **{
        f"codec_{codec}_v{version[0]}": by_pyarrow(
            mixed, compression=codec, data_page_version=version, row_group_size=25, write_page_checksum=True
        )
        for codec in CODECS
        for version in ("1.0", "2.0")
    },
    "index_on": by_pyarrow(partial(mixed, 500), row_group_size=200, **PAGES),
    "index_on_nested": by_pyarrow(lists, row_group_size=20, **PAGES),
    "index_on_nulls": by_pyarrow(nothing, row_group_size=20, **PAGES),
    "index_off": by_pyarrow(partial(mixed, 500), row_group_size=200, max_rows_per_page=10),
    "statistics_off": by_pyarrow(mixed, write_statistics=False, write_page_index=True),
    "statistics_some": by_pyarrow(mixed, write_statistics=["id", "text"]),
    "no_dictionary": by_pyarrow(mixed, use_dictionary=False),
    "no_arrow_schema": by_pyarrow(mixed, store_schema=False),
    "old_lists": by_pyarrow(lists, use_compliant_nested_type=False),
    "version_1": by_pyarrow(mixed, version="1.0"),
    "encodings": by_pyarrow(mixed, use_dictionary=False, column_encoding=ENCODINGS, data_page_version="2.0"),
    "bloom_filters": by_pyarrow(partial(mixed, 300), row_group_size=100, **FILTERS),
    "bloom_filters_and_index": by_pyarrow(partial(mixed, 300), row_group_size=100, **FILTERS, **PAGES),
    "sorted": by_pyarrow(mixed, sorting_columns=[pq.SortingColumn(0)]),
    "groups_of_one": by_pyarrow(partial(mixed, 40), row_group_size=1),
    "groups_of_many": by_pyarrow(partial(table, 150_000), row_group_size=40_000),
    "groups_none": in_groups([]),
    "groups_empty": in_groups([0, 25, 0, 0, 35, 0]),
    "groups_empty_with_index": in_groups([0, 25, 0, 35, 0], **PAGES),
    "groups_all_empty": in_groups([0, 0, 0]),
    "duckdb_v1": by_duckdb("V1"),
    "duckdb_v2": by_duckdb("V2"),
    "polars": by_polars,
}


def write_all(folder):
    folder.mkdir(parents=True)
    for name, write in CASES.items():
        write(folder / f"{name}.parquet")
