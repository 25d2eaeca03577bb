"""Parquet to Parquet: the input's columns come along as they are, for files of many shapes."""

import base64
import contextlib
import datetime
import decimal
import itertools
import json
import math
import os
import re
import shutil
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption
import pytest

from kit import cli, corpus, files


@pytest.fixture(scope="module")
def model(model_folder):
    """A small booster over `f0` and `f1`: its path, and what it says of a table."""
    import xgboost

    random = np.random.default_rng(5)
    features = random.normal(size=(400, 2)).astype(np.float32)
    features[::6, 1] = np.nan
    data = xgboost.DMatrix(features, features[:, 0] * 2 + np.nan_to_num(features[:, 1]), feature_names=["f0", "f1"])
    booster = xgboost.train({"max_depth": 3, "nthread": 1}, data, 5)
    path = model_folder / "two_features.json"
    booster.save_model(path)
    return path, booster


@pytest.fixture(scope="module")
def run(tmp_path_factory, model):
    """The corpus and what one run over all of it made."""
    folder = tmp_path_factory.mktemp("pass_through")
    corpus.write_all(folder / "in")
    cli.transform(folder / "in", folder / "out", "--model", model[0])
    return folder


def both(run, case):
    return run / f"in/{case}.parquet", run / f"out/{case}.parquet"


def chunks(path):
    """Each column chunk: what its metadata says, but for its place, and its bytes."""
    data, metadata = path.read_bytes(), pq.ParquetFile(path).metadata
    for group, column in itertools.product(range(metadata.num_row_groups), range(metadata.num_columns)):
        chunk = metadata.row_group(group).column(column)
        start = chunk.dictionary_page_offset or chunk.data_page_offset
        about = chunk.to_dict()
        for place in ("file_offset", "data_page_offset", "dictionary_page_offset", "bloom_filter_offset"):
            about.pop(place, None)
        about["encodings"] = set(about["encodings"])
        # A chunk without rows has no pages to tell of, whether its index is there or not.
        about["indexes"] = metadata.row_group(group).num_rows and (chunk.has_offset_index, chunk.has_column_index)
        about["bloom_filter"] = None
        if chunk.bloom_filter_offset is not None:
            end = chunk.bloom_filter_offset + chunk.bloom_filter_length
            about["bloom_filter"] = data[chunk.bloom_filter_offset : end]
        yield (group, chunk.path_in_schema), about, data[start : start + chunk.total_compressed_size]


def assert_copied(source, output):
    """Checks that `output` holds the bytes of `source`'s columns, and its metadata."""
    before, after = pq.ParquetFile(source).metadata, pq.ParquetFile(output).metadata
    groups = range(before.num_row_groups)
    rows = [before.row_group(group).num_rows for group in groups]
    assert [after.row_group(group).num_rows for group in range(after.num_row_groups)] == rows
    assert [after.row_group(group).sorting_columns for group in groups] == [
        before.row_group(group).sorting_columns for group in groups
    ]
    copied = {place: (about, data) for place, about, data in chunks(output)}
    for place, about, data in chunks(source):
        found, bytes_found = copied[place]
        assert bytes_found == data, place
        assert found == about, place
    kept = {k: v for k, v in (before.metadata or {}).items() if k != b"ARROW:schema"}
    assert {k: v for k, v in (after.metadata or {}).items() if k != b"ARROW:schema"} == kept
    descriptions = [after.schema.column(index) for index in range(before.num_columns)]
    assert descriptions == [before.schema.column(index) for index in range(before.num_columns)]


@pytest.mark.parametrize("case", corpus.CASES)
def test_chunks_are_the_same_bytes(case, run):
    assert_copied(*both(run, case))


@pytest.mark.parametrize("case", corpus.CASES)
def test_pyarrow_reads_what_it_read(case, run, model):
    import xgboost

    source, output = (pq.read_table(path, partitioning=None) for path in both(run, case))
    assert output.column_names == [*source.column_names, "prediction"]
    kept = output.select(source.column_names)
    assert kept.schema.equals(source.schema, check_metadata=True), f"{kept.schema}\n{source.schema}"
    assert kept.equals(source)
    features = [source[name].to_numpy().astype(np.float32) for name in ("f0", "f1")]
    if source.num_rows:
        data = xgboost.DMatrix(np.column_stack(features), feature_names=["f0", "f1"])
        predictions = output["prediction"].to_numpy()
        assert np.allclose(predictions, model[1].predict(data), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("case", corpus.CASES)
def test_duckdb_reads_what_it_read(case, run):
    import duckdb

    with duckdb.connect() as connection:
        source, output = (
            connection.sql(f"FROM read_parquet('{path}')").to_arrow_table() for path in both(run, case)
        )
    assert output.select(source.column_names).equals(source)


# What Polars has no reader for, and a part of what it says.
REFUSED_BY_POLARS = {
    "decimals_wide": "precision must be between 1 and 38",
    "duckdb_v1": "interval",
    "duckdb_v2": "interval",
}


def test_polars_reads_what_it_read(run, monkeypatch):
    import polars

    def read(path):
        try:
            return polars.read_parquet(path, hive_partitioning=False)
        except (Exception, polars.exceptions.PanicException) as error:
            return str(error)

    monkeypatch.setenv("POLARS_IGNORE_TIMEZONE_PARSE_ERROR", "1")  # of `+05:30`
    for case in corpus.CASES:
        source, output = map(read, both(run, case))
        if case in REFUSED_BY_POLARS:
            assert output == source and REFUSED_BY_POLARS[case] in source, case
        else:
            assert output.drop("prediction").equals(source, null_equal=True), case


# What Spark has no reader for, and a part of what it says.
REFUSED_BY_SPARK = {
    "annotated": "UUID",
    "codec_brotli_v1": "BrotliCodec",
    "codec_brotli_v2": "BrotliCodec",
    "decimals_wide": "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION",
    "duckdb_v1": "UUID",
    "duckdb_v2": "UUID",
    "numbers": "FLOAT16",
    "times": "TIME(MILLIS",
}


@contextlib.contextmanager
def spark_session(folder):
    """Spark in this process's child, small and quiet, on loopback."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "600m",
        "spark.local.dir": str(folder),
        "spark.log.level": "OFF",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.legacy.parquet.nanosAsLong": "true",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master("local[1]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()


def assert_spark_reads(spark, sources, outputs):
    """Checks that Spark makes the same of `outputs` as of `sources`, which are of one schema."""
    before, after = (
        spark.read.parquet(*map(str, paths)).select("*", "_metadata.file_path") for paths in (sources, outputs)
    )
    after = after.drop("prediction")
    assert after.schema == before.schema, sources
    rows = before.unionAll(after).toArrow()
    paths, rows = rows["file_path"], rows.drop_columns("file_path")
    for source, output in zip(sources, outputs):
        read, again = (rows.filter(pc.equal(paths, f"file:{path}")) for path in (source, output))
        assert read.num_rows == pq.read_metadata(source).num_rows, source
        assert again.equals(read), source


def write_by_spark(spark, folder):
    """Files as Spark writes them: with bloom filters, INT96 times, and lists of its old form."""
    rows = spark.range(0, 400, 1, 1).selectExpr(
        "id",
        "cast(id % 7 as float) as f0",
        "nullif(id % 5, 3) as f1",
        "cast(id as decimal(9, 2)) as small",
        "cast(id as decimal(30, 4)) as large",
        "timestamp_seconds(id * 100000) as at",
        "if(id % 3 = 0, null, array(named_struct('a', id, 'b', array(cast(id as string))))) as list",
        "map(cast(id as string), named_struct('x', id)) as map",
        "cast(null as string) as nothing",
    )
    written = {
        "spark": {"parquet.bloom.filter.enabled#id": "true", "parquet.page.row.count.limit": "50"},
        "spark_v2": {"parquet.writer.version": "v2", "compression": "zstd"},
        "spark_old": {},
    }
    for name, options in written.items():
        old = name == "spark_old"
        spark.conf.set("spark.sql.parquet.writeLegacyFormat", str(old).lower())
        spark.conf.set("spark.sql.parquet.outputTimestampType", "INT96" if old else "TIMESTAMP_MICROS")
        rows.write.options(**options).parquet(str(folder / name))
    return [next((folder / name).glob("*.parquet")) for name in written]


@pytest.mark.skipif(not (shutil.which("java") or "JAVA_HOME" in os.environ), reason="Spark needs Java 17")
def test_spark_reads_what_it_read(run, model, tmp_path):
    """One session for the corpus and for files of Spark's own, which are copied as the others are."""
    alike = {}
    for case in corpus.CASES:
        if case not in (*REFUSED_BY_SPARK, "groups_of_many"):  # its many rows tell Spark no more
            schema = str(pq.read_metadata(run / f"in/{case}.parquet").schema).partition("\n")[2]
            alike.setdefault(schema, []).append(case)
    with spark_session(tmp_path / "spark") as spark:
        for cases in alike.values():
            assert_spark_reads(spark, *zip(*(both(run, case) for case in cases)))
        for case, said in REFUSED_BY_SPARK.items():
            for path in both(run, case):
                with pytest.raises(Exception, match=re.escape(said)):
                    spark.read.parquet(str(path)).toArrow()

        for source in write_by_spark(spark, tmp_path / "in"):
            folder = tmp_path / f"out/{source.parent.name}"
            cli.transform(source, folder, "--model", model[0])
            assert_copied(source, folder / source.name)
            assert_spark_reads(spark, [source], [folder / source.name])
            # These go by the bloom filter and the page index.
            found = spark.read.parquet(str(folder)).where("id in (7, 399, 400)").select("id").toArrow()
            assert found["id"].to_pylist() == [7, 399]


class Keys(encryption.KmsClient):
    """Keeps keys without hiding them."""

    def wrap_key(self, key_bytes, master_key_identifier):
        return base64.b64encode(key_bytes)

    def unwrap_key(self, wrapped_key, master_key_identifier):
        return base64.b64decode(wrapped_key)


@pytest.mark.parametrize(("plain_footer", "said"), [(True, "`text` is encrypted"), (False, "encrypted Parquet")])
def test_encrypted_files_are_refused(plain_footer, said, model, tmp_path):
    """Also one whose footer can be read, and whose bytes could be copied to no one's use."""
    settings = encryption.EncryptionConfiguration(
        footer_key="footer", column_keys={"column": ["text"]}, plaintext_footer=plain_footer
    )
    factory = encryption.CryptoFactory(lambda _: Keys())
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), settings)
    (tmp_path / "in").mkdir()
    pq.write_table(corpus.mixed(), tmp_path / "in/secret.parquet", encryption_properties=properties)
    pq.write_table(corpus.mixed(), tmp_path / "in/plain.parquet")
    result = cli.transform(tmp_path / "in", tmp_path / "out", "--model", model[0], expect=cli.REJECTED)
    [failed] = result.summary["files"]["failed"]
    assert failed["file"] == "secret.parquet" and said in failed["error"]
    assert list(files.outputs(tmp_path / "out")) == ["plain.parquet"]


def values(column):
    """A column's values without what only a type says: the order of categories, zones, extensions."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if pa.types.is_date64(kind):
        return column.cast(pa.date32())
    if pa.types.is_timestamp(kind):
        return column.cast(pa.int64())
    if isinstance(kind, pa.BaseExtensionType):
        return column.cast(kind.storage_type)
    return column


def test_rows_that_are_written_anew(run, model, tmp_path):
    """`--rejected drop` could drop a row, so nothing is copied; the values are the same."""
    cli.transform(run / "in", tmp_path, "--model", model[0], "--rejected", "drop")
    for case in corpus.CASES:
        source, output = pq.read_table(run / f"in/{case}.parquet"), pq.read_table(tmp_path / f"{case}.parquet")
        assert output.column_names == [*source.column_names, "prediction"]
        for name in source.column_names:
            assert values(output[name]).equals(values(source[name])), f"{case}.{name}"


@pytest.mark.parametrize("case", ["structs", "maps", "dictionaries", "timestamps_ns", "decimals_fixed", "names"])
def test_columns_that_are_picked(case, run, model, tmp_path):
    source = pq.read_table(run / f"in/{case}.parquet")
    picked = [name for name in source.column_names[::-1] if name != "f0" and "," not in name]
    cli.transform(run / f"in/{case}.parquet", tmp_path, "--model", model[0], "--join", ",".join(picked))
    output = pq.read_table(tmp_path / f"{case}.parquet")
    assert output.column_names == [*picked, "prediction"]
    for name in picked:
        assert values(output[name]).equals(values(source[name])), name
    assert output["prediction"].equals(pq.read_table(run / f"out/{case}.parquet")["prediction"])


def moment(value):
    at = pd.Timestamp(value)
    return at.tz_convert("UTC").tz_localize(None) if at.tz else at


def same(found, expected):
    """Whether a value of JSON says what Python holds."""
    match expected:
        case dict():
            return len(found) == len(expected) and all(same(found[str(k)], v) for k, v in expected.items())
        case list():
            return len(found) == len(expected) and all(map(same, found, expected))
        case float():
            infinite = math.isinf(expected) and found is None
            return infinite or math.isclose(found, expected, rel_tol=1e-6)
        case bytes():
            return base64.b64decode(found) == expected
        case uuid.UUID():
            return base64.b64decode(found) == expected.bytes
        case datetime.datetime():
            return moment(found) == moment(expected)
        case datetime.date():
            return moment(found) == moment(expected)
        case datetime.time():
            return datetime.time.fromisoformat(found) == expected
        case datetime.timedelta():
            return pd.Timedelta(found) == expected
    return found == expected


def from_cell(cell, expected):
    """What JSON would say in the place of a cell of CSV."""
    if cell == "" and not isinstance(expected, (str, bytes)):
        return None
    if isinstance(expected, float):
        return float(cell)
    if isinstance(expected, (bool, int, decimal.Decimal, list, dict)):
        return json.loads(cell, parse_float=decimal.Decimal)
    return cell


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_rows_that_become_text(format, run, model, tmp_path):
    cli.transform(run / "in", tmp_path, "--model", model[0], "--output-format", format)
    for case in corpus.CASES:
        source = pq.read_table(run / f"in/{case}.parquet")
        path = tmp_path / f"{case}.{format}"
        found = files.rows(path) if format == "csv" else path.read_text().splitlines()
        assert len(found) == source.num_rows, case
        if format == "jsonl":
            found = [json.loads(line, parse_float=decimal.Decimal) for line in found[:300]]
        expected = source.slice(0, 300).to_pylist(maps_as_pydicts="strict")
        for row, record in zip(found, expected):
            for name, value in record.items():
                if case.startswith("duckdb") and name == "span":
                    continue  # pyarrow reads intervals as bytes
                text = row[name] if format == "jsonl" else from_cell(row[name], value)
                assert same(text, value), f"{case}.{name}: {text!r} {value!r}"
