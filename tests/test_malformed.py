"""Input and models that are broken: a clear error or reject, no panic, no hang, nothing outside."""

import io
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest

from kit import cli, files, models, tables

FEATURES = ",".join(tables.FEATURES)
GOOD = '{"f0": 1, "f1": 2, "f2": 3, "f3": 4}\n'


@pytest.fixture
def score(booster, tmp_path):
    """Scores `tmp_path/in`; afterwards nothing but the output may be new."""
    path, _ = booster

    def run(*arguments, **options):
        before = snapshot(tmp_path)
        result = cli.transform(
            tmp_path / "in", tmp_path / "out", "--model", path, *arguments, timeout=60, **options
        )
        after = snapshot(tmp_path)
        assert {name for name in after - before if not name.startswith("out")} == set()
        return result

    (tmp_path / "in").mkdir()
    return run


def snapshot(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def good_file(folder):
    return files.write(folder / "in/good.parquet", tables.people(100), "parquet")


def check_good(folder):
    assert pq.read_table(folder / "out/good.parquet").num_rows == 100


def damage_half(data):
    return data[: len(data) // 2]


def damage_footer_length(data):
    return data[:-8] + b"\xff\xff\xff\x7f" + data[-4:]


def damage_footer(data):
    size = int.from_bytes(data[-8:-4], "little")
    at = len(data) - 8 - size
    return data[:at] + bytes(byte ^ 0x5A for byte in data[at:-8]) + data[-8:]


def damage_magic(data):
    return b"PAR2" + data[4:-4] + b"PAR2"


@pytest.mark.parametrize(
    "damage", [damage_half, damage_footer_length, damage_footer, damage_magic, lambda data: data[:11]]
)
def test_parquet_that_cannot_be_read(damage, score, tmp_path):
    good_file(tmp_path)
    data = files.encode(tables.people(100), "parquet")
    (tmp_path / "in/bad.parquet").write_bytes(damage(data))
    result = score(expect=cli.REJECTED)
    check_good(tmp_path)
    (failed,) = result.summary["files"]["failed"]
    assert "bad.parquet" in failed["file"] and failed["error"]
    assert list(files.outputs(tmp_path / "out")) == ["good.parquet"]


@pytest.mark.parametrize("seed", range(12))
def test_parquet_with_flipped_bytes(seed, score, tmp_path):
    good_file(tmp_path)
    data = bytearray(files.encode(tables.people(2_000), "parquet"))
    random = np.random.default_rng(seed)
    for at in random.integers(4, len(data) - 8, size=20):
        data[at] ^= int(random.integers(1, 256))
    (tmp_path / "in/bad.parquet").write_bytes(data)
    score(expect=(cli.OK, cli.REJECTED))
    check_good(tmp_path)


def test_json_lines(score, tmp_path):
    """Broken lines of every kind among good ones."""
    bad = [
        b'{"f0": 1, "f1": \xff\xfe, "f2": 3, "f3": 4}',
        b'{"f0": "\xc3\x28", "f1": 2, "f2": 3, "f3": 4}',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"f0": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b', "f1": 2, "f2": 3, "f3": 4}',
        b'{"f0": 1, "f1": 2, "f2": 3, "f3": 4',
        b'{"f0": 1, "f1": 2, "f2": 3, "f3": 4} trailing',
        b"null",
        b"42",
        b'"text"',
        b'{"f0": {}, "f1": 2, "f2": 3, "f3": 4}',
        b"\x00\x00\x00",
        b"not json",
    ]
    with open(tmp_path / "in/a.jsonl", "wb") as file:
        for line in bad:
            file.write(GOOD.encode() + line + b"\n")
        file.write(GOOD.encode())
    result = score(expect=cli.REJECTED)
    rows = [reject["row"] for reject in files.rejects(tmp_path / "out")]
    assert rows == list(range(1, 2 * len(bad), 2))
    assert result.summary["rows"] == 2 * len(bad) + 1
    lines = (tmp_path / "out/a.jsonl").read_bytes().splitlines()
    assert len(lines) == 2 * len(bad) + 1
    offsets = [reject["byte_offset"] for reject in files.rejects(tmp_path / "out")]
    data = (tmp_path / "in/a.jsonl").read_bytes()
    for line, offset in zip(bad, offsets):
        assert data[offset:].startswith(line[:100])


def test_long_lines(score, tmp_path):
    """10 MB a line: a good one, a broken one, one without an end."""
    big = '{"f0": 1, "f1": 2, "f2": 3, "text": "' + "x" * 10_000_000 + '"'
    (tmp_path / "in/a.jsonl").write_text(GOOD + big + ', "f3": 4}\n' + big + "\n" + GOOD + big)
    result = score(expect=cli.REJECTED)
    assert result.summary["rows"] == 5
    rows = [reject["row"] for reject in files.rejects(tmp_path / "out")]
    assert rows in ([2, 4], [1, 2, 4])


def test_line_above_the_memory_limit(score, tmp_path):
    with open(tmp_path / "in/a.jsonl", "w") as file:
        file.write(GOOD)
        file.write('{"f0": "' + "x" * 200_000_000 + '"}\n')
        file.write(GOOD)
    result = score("--memory", "100MB", expect=cli.REJECTED)
    assert result.summary["peak_memory"] < 600_000_000


def test_csv(score, tmp_path):
    header = "f0,f1,f2,f3\n"
    (tmp_path / "in/ragged.csv").write_text(header + "1,2,3,4\n1,2,3\n1,2,3,4,5\n\n1,x,3,4\n5,6,7,8\n")
    (tmp_path / "in/quote.csv").write_text(header + '1,2,3,4\n1,"2,3,4\n5,6,7,8\n')
    (tmp_path / "in/utf8.csv").write_bytes(header.encode() + b"1,2,3,4\n1,\xff,3,4\n5,6,7,8\n")
    score(expect=cli.REJECTED)
    found = files.rejects(tmp_path / "out")
    rows = {name: [reject["row"] for reject in found if reject["file"].endswith(name)] for name in
            ("ragged.csv", "quote.csv", "utf8.csv")}
    assert rows["ragged.csv"] in ([1, 2, 3], [1, 2, 3, 4])  # an empty line is a row or none
    assert rows["quote.csv"] == [1]
    assert rows["utf8.csv"] == [1]


def test_truncated_gzip(score, tmp_path):
    good_file(tmp_path)
    data = files.compress(GOOD.encode() * 50_000, "gzip")
    (tmp_path / "in/a.jsonl.gz").write_bytes(data[: len(data) // 2])
    result = score(expect=cli.REJECTED)
    check_good(tmp_path)
    (failed,) = result.summary["files"]["failed"]
    assert "a.jsonl.gz" in failed["file"]
    assert list(files.outputs(tmp_path / "out")) == ["good.parquet"]


def refused(model, folder, *arguments):
    """Scoring with `model` stops before any work and leaves no output."""
    files.write(folder / "in/rows.parquet", tables.people(10).select(tables.FEATURES), "parquet")
    before = snapshot(folder)
    arguments = ["--model", model, *arguments]
    result = cli.transform(folder / "in", folder / "out", *arguments, expect=cli.CONFIGURATION, timeout=30)
    assert result.stderr.startswith("error:")
    after = {name for name in snapshot(folder) - before if not name.startswith("out/_bessemer")}
    assert after <= {"out"}
    return result.stderr


def test_half_an_onnx_file(model_folder, tmp_path):
    path = models.save_mlp(model_folder / "whole.onnx", features=4)
    (tmp_path / "half.onnx").write_bytes(damage_half(path.read_bytes()))
    assert "half.onnx" in refused(tmp_path / "half.onnx", tmp_path)


def test_half_a_booster(booster, tmp_path):
    path, _ = booster
    (tmp_path / "half.json").write_bytes(damage_half(path.read_bytes()))
    assert "half.json" in refused(tmp_path / "half.json", tmp_path)


@pytest.mark.parametrize("data", [b"", b"hello\n", b"\x00" * 1_000, b"\x1f\x8b\x08\x00junk", b"{}", b"[]"])
def test_no_model_at_all(data, tmp_path):
    (tmp_path / "model.bin").write_bytes(data)
    assert "model.bin" in refused(tmp_path / "model.bin", tmp_path)


@pytest.mark.parametrize("kind", ["up", "absolute", "symlink", "through", "hardlink", "device"])
def test_archives_that_reach_outside(kind, linear_model, tmp_path):
    target = tmp_path / "elsewhere"
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(linear_model, "model.onnx")
        if kind == "up":
            add(archive, "../../../../../../../../../../.." + str(target), b"x")
            add(archive, "../beside", b"x")
        elif kind == "absolute":
            add(archive, str(target), b"x")
        elif kind == "symlink":
            link(archive, "passwd", "/etc/passwd", tarfile.SYMTYPE)
        elif kind == "through":
            link(archive, "door", str(tmp_path), tarfile.SYMTYPE)
            add(archive, "door/elsewhere", b"x")
        elif kind == "hardlink":
            link(archive, "passwd", "/etc/passwd", tarfile.LNKTYPE)
        else:
            info = tarfile.TarInfo("null")
            info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, 1, 3
            archive.addfile(info)
    refused(tmp_path / "model.tar.gz", tmp_path)
    assert not target.exists()


def add(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def link(archive, name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    archive.addfile(info)


def test_half_an_archive(linear_model, tmp_path):
    with tarfile.open(tmp_path / "whole.tar.gz", "w:gz") as archive:
        archive.add(linear_model, "model.onnx")
    half = damage_half((tmp_path / "whole.tar.gz").read_bytes())
    (tmp_path / "model.tar.gz").write_bytes(half)
    assert "model.tar.gz" in refused(tmp_path / "model.tar.gz", tmp_path)


@pytest.mark.parametrize("text", ["[", '[{"prefix": 3}, "a"]', '[{"prefix": "/nowhere/"}, "../a"]'])
def test_manifests(text, booster, tmp_path):
    (tmp_path / "input.manifest").write_text(text)
    path, _ = booster
    arguments = ["--model", path]
    result = cli.transform(tmp_path / "input.manifest", tmp_path / "out", *arguments, expect=None)
    assert result.code in (cli.USAGE, cli.CONFIGURATION, cli.NOT_FOUND, cli.REJECTED)
    assert result.stderr or result.summary["files"]["failed"] or result.summary["rejected"]
