"""A run as a whole: refusing, overwriting, resuming, stopping, telling."""

import json
import os
import signal
import time

import pyarrow.parquet as pq
import pytest

from kit import cli, files, servers, tables

LINE = '{{"id": {0}, "f0": 1, "f1": 2, "f2": 3, "f3": {0}}}\n'


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in").mkdir()
    for part in range(3):
        (tmp_path / f"in/{part}.jsonl").write_text("".join(LINE.format(i) for i in range(50)))
    return tmp_path / "in"


def test_another_runs_output_is_refused(source, booster, tmp_path):
    arguments = [source, tmp_path / "out", "--model", booster[0]]
    cli.transform(*arguments)
    before = {name: path.stat().st_mtime_ns for name, path in files.outputs(tmp_path / "out").items()}
    result = cli.transform(*arguments, expect=cli.CONFIGURATION)
    assert "--overwrite" in result.stderr and "--resume" in result.stderr
    after = {name: path.stat().st_mtime_ns for name, path in files.outputs(tmp_path / "out").items()}
    assert before == after


def test_foreign_files_are_never_touched(source, booster, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("precious")
    cli.transform(source, tmp_path / "out", "--model", booster[0], expect=cli.CONFIGURATION)
    assert (tmp_path / "out/thesis.txt").read_text() == "precious"
    assert list(files.outputs(tmp_path / "out")) == ["thesis.txt"]


def test_overwrite(source, booster, tmp_path):
    arguments = ["--model", booster[0]]
    cli.transform(source, tmp_path / "out", *arguments)
    (source / "0.jsonl").unlink()
    (source / "9.jsonl").write_text(LINE.format(9))
    cli.transform(source, tmp_path / "out", *arguments, "--overwrite")
    assert list(files.outputs(tmp_path / "out")) == ["1.jsonl", "2.jsonl", "9.jsonl"]
    assert (tmp_path / "out/_SUCCESS").exists()


def test_a_failed_overwrite_keeps_the_old_output(source, booster, tmp_path):
    cli.transform(source, tmp_path / "out", "--model", booster[0])
    before = {name: path.read_bytes() for name, path in files.outputs(tmp_path / "out").items()}
    arguments = ["--endpoint", f"http://127.0.0.1:{servers.free_port()}", "--overwrite", "--retries", "0"]
    cli.transform(source, tmp_path / "out", *arguments, expect=7)
    assert {name: path.read_bytes() for name, path in files.outputs(tmp_path / "out").items()} == before


def test_resume_of_a_whole_run_does_nothing(source, booster, tmp_path):
    arguments = [source, tmp_path / "out", "--model", booster[0]]
    cli.transform(*arguments)
    result = cli.transform(*arguments, "--resume")
    assert result.summary["files"]["skipped"] == 3
    assert result.summary["files"]["written"] == 0


def test_resume_under_other_settings_is_refused(source, booster, tmp_path):
    arguments = [source, tmp_path / "out", "--model", booster[0]]
    cli.transform(*arguments)
    result = cli.transform(*arguments, "--resume", "--join", "none", expect=cli.CONFIGURATION)
    assert "join" in result.stderr


def test_resume_takes_a_changed_file_again(source, booster, tmp_path):
    arguments = [source, tmp_path / "out", "--model", booster[0]]
    cli.transform(*arguments)
    time.sleep(0.02)
    (source / "1.jsonl").write_text(LINE.format(7) * 3)
    cli.transform(*arguments, "--resume", expect=(cli.OK, cli.CONFIGURATION))


def stopped_run(tmp_path, kill):
    """Starts a slow run, sends it signals by `kill`, and returns the result."""
    rows = tables.numbered(3_000)
    for part, table in enumerate(files.split(rows, 10)):
        files.write(tmp_path / f"in/{part}.jsonl", table, "jsonl")
    handler = tmp_path / "handler.py"
    handler.write_text(
        "import time\ndef predict(batch: list[dict]) -> list:\n"
        "    time.sleep(0.01 * len(batch))\n    return [row['x'] * 2 for row in batch]\n"
    )
    arguments = ["transform", tmp_path / "in", "--output", tmp_path / "out", "--handler", handler,
                 "--python", cli.PYTHON, "--copies", "2", "--batch-rows", "50", "--json"]
    process = cli.start(*arguments)
    deadline = time.monotonic() + 60
    while not (tmp_path / "out").is_dir() or not files.outputs(tmp_path / "out"):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    kill(process)
    stdout, stderr = process.communicate(timeout=60)
    return arguments, cli.checked(process.returncode, stdout, stderr, cli.STOPPED)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_run_cleanly(which, tmp_path):
    arguments, result = stopped_run(tmp_path, lambda process: process.send_signal(which))
    assert "--resume" in result.stderr
    assert result.summary["status"] == "stopped"
    assert not (tmp_path / "out/_SUCCESS").exists()
    assert not list((tmp_path / "out/_bessemer").glob("tmp/*"))
    done = len(files.outputs(tmp_path / "out"))
    assert 0 < done < 10
    again = cli.run(*arguments, "--resume")
    assert again.summary["files"]["skipped"] == done
    rows = [row for path in files.outputs(tmp_path / "out").values() for row in files.rows(path)]
    assert [row["prediction"] for row in rows] == [i / 2 for i in range(3_000)]


def test_workers_end_with_the_run(tmp_path):
    stopped_run(tmp_path, lambda process: process.send_signal(signal.SIGINT))
    time.sleep(0.2)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline") as file:
                    assert str(tmp_path) not in file.read()
            except OSError:
                pass


def test_events(source, booster, tmp_path):
    result = cli.transform(source, tmp_path / "out", "--model", booster[0])
    kinds = [event["event"] for event in result.events]
    assert kinds[0] == "started" and kinds[-1] == "summary"
    assert kinds.count("file") == 3
    summary = result.summary
    assert summary["bytes"]["read"] == sum(path.stat().st_size for path in source.iterdir())
    assert summary["bytes"]["written"] == sum(
        path.stat().st_size for path in files.outputs(tmp_path / "out").values()
    )
    assert set(summary["seconds"]) >= {"wall", "read", "convert", "invoke", "write", "commit"}
    assert summary["peak_memory"] > 1_000_000
    assert set(summary["settings"]) >= {"batch_rows", "max_payload", "max_concurrent", "copies"}
    assert summary["calls"]["total"] >= summary["calls"]["planned"] > 0


def test_nothing_but_the_summary_on_a_pipe(source, booster, tmp_path):
    result = cli.run("transform", source, "-o", tmp_path / "out", "--model", booster[0])
    assert "\r" not in result.stderr and "\x1b" not in result.stderr + result.stdout
    assert "150" in result.stdout + result.stderr
    quiet = cli.run("transform", source, "-o", tmp_path / "quiet", "--model", booster[0], "--quiet")
    assert quiet.stdout == quiet.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], cli.USAGE),
        (["--model", "{model}", "--endpoint", "http://127.0.0.1:1"], cli.USAGE),
        (["--model", "{folder}/no-such-model.json"], cli.NOT_FOUND),
        (["--model", "{model}", "--join", "input", "--batch-rows", "zero"], cli.USAGE),
        (["--model", "{model}", "--join", "id,no_such_column"], cli.CONFIGURATION),
        (["--model", "{model}", "--resume", "--overwrite"], cli.USAGE),
        (["--model", "{model}", "--input-filter", "$[?(@.a)]"], (cli.USAGE, cli.CONFIGURATION)),
    ],
)
def test_mistakes(arguments, code, source, booster, tmp_path):
    filled = [a.replace("{model}", str(booster[0])).replace("{folder}", str(tmp_path)) for a in arguments]
    result = cli.transform(source, tmp_path / "out", *filled, expect=code)
    assert result.stderr.startswith("error:")
    assert not (tmp_path / "out/_SUCCESS").exists()


def test_input_that_is_not_there(booster, tmp_path):
    result = cli.transform(tmp_path / "nowhere", tmp_path / "out", "--model", booster[0], expect=cli.NOT_FOUND)
    assert "nowhere" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_run_that_never_began_leaves_the_output_free(source, booster, tmp_path):
    arguments = [source, tmp_path / "out", "--model", booster[0]]
    cli.transform(*arguments, "--features", "f0,f1,f2,no_such_column", expect=cli.CONFIGURATION)
    assert cli.transform(*arguments).summary["status"] == "succeeded"


def test_output_into_its_own_input(source, booster):
    result = cli.transform(source, source, "--model", booster[0], expect=cli.CONFIGURATION)
    assert result.stderr.startswith("error:")


def test_two_runs_into_one_output(tmp_path):
    """The second is refused while the first works."""

    def second(process):
        arguments = [a for a in process.args[1:] if a != "--json"]
        cli.run(*arguments, "--resume", expect=cli.CONFIGURATION)
        process.send_signal(signal.SIGINT)

    stopped_run(tmp_path, second)


def test_memory_stays_within_the_budget(booster, tmp_path):
    """A file several times the size of the budget."""
    table = tables.people(400_000)
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=400_000)
    peaks = []
    for rows in (100_000, 400_000):
        pq.write_table(table.slice(0, rows), tmp_path / "rows.parquet", row_group_size=50_000)
        arguments = ["--model", booster[0], "--memory", "128MB", "--overwrite"]
        result = cli.transform(tmp_path / "rows.parquet", tmp_path / "out", *arguments)
        peaks.append(result.summary["peak_memory"])
    assert peaks[1] < peaks[0] * 1.3 + 20_000_000, peaks


def test_demo(tmp_path):
    started = time.monotonic()
    result = cli.run("demo", "--dir", tmp_path / "demo", cwd=tmp_path)
    assert time.monotonic() - started < 30
    said = result.stdout + result.stderr
    assert "3" in said and "rejects" in said
    found = [reject for folder in tmp_path.glob("demo/**/_rejects") for reject in files.rejects(folder.parent)]
    assert len(found) == 3
    rows = [row for folder in tmp_path.glob("demo/**/_rejects") for path in files.outputs(folder.parent).values()
            for row in files.rows(path)]
    assert len(rows) == 20_000


def test_help_and_completion():
    said = cli.run("transform", "--help").stdout
    for option in ("--model", "--endpoint", "--serve", "--handler", "--join", "--max-rejects", "--resume"):
        assert option in said
    assert "bessemer" in cli.run("completion", "bash").stdout
    assert json.dumps(cli.run("--version").stdout)
