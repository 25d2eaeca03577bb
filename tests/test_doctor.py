"""`bessemer doctor` and the systemd unit."""

import json
import re
import shlex
from pathlib import Path

from kit import cli

UNIT = Path(__file__).parent.parent / "packaging/systemd/bessemer.service"


def checks(*arguments, expect=cli.OK, listen="127.0.0.1:0"):
    result = cli.run("doctor", "--listen", listen, "--json", *arguments, expect=expect)
    return {found["check"]: found for found in map(json.loads, result.stdout.splitlines())}


def test_this_machine_is_described(tmp_path):
    found = checks("--data-dir", tmp_path / "data", expect=None)
    for name in ["data directory", "disk space", "disk sync", "open files", "port", "Python", "uv", "Docker"]:
        assert found[name]["state"] in ("ok", "warning"), found[name]
    assert any(name.startswith("sandbox") for name in found)
    # Whatever is not in order comes with what to do about it.
    assert all((check["state"] == "ok") == (check["mend"] is None) for check in found.values())
    assert not (tmp_path / "data").exists()


def test_a_missing_program_is_missed(tmp_path):
    result = cli.run("doctor", "--data-dir", tmp_path, expect=None, env={"PATH": str(tmp_path)})
    assert "`python3` is not on the path" in result.stdout
    assert "install python3" in result.stdout


def test_a_docker_that_does_not_answer_is_told_with_what_it_is_for(tmp_path):
    host = f"unix://{tmp_path}/docker.sock"
    settings = tmp_path / "bessemer.toml"
    settings.write_text(f'[docker]\nhost = "{host}"\n')
    docker = checks("--data-dir", tmp_path / "data", "--config", settings, expect=None)["Docker"]
    assert docker["state"] == "warning" and host in docker["detail"]
    assert "only images that no environment stands for" in docker["mend"]


def test_a_data_directory_that_is_no_place_to_write_is_an_error():
    found = checks("--data-dir", "/proc/bessemer", expect=cli.CONFIGURATION)
    assert found["data directory"]["state"] == "error"


def test_an_open_data_directory_and_a_taken_port_are_warned_of(tmp_path):
    import socket

    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        found = checks("--data-dir", data, listen=address, expect=None)
    assert found["data directory"]["state"] == "warning" and "chmod 700" in found["data directory"]["mend"]
    assert found["port"]["state"] == "warning" and address in found["port"]["detail"]


def test_the_units_command_is_one_of_ours(tmp_path):
    settings = re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE)
    unit = dict(settings)
    program, *arguments = shlex.split(unit["ExecStart"])
    assert program.endswith("/bessemer") and arguments[0] == "serve"
    # `--help` comes after all else is understood.
    result = cli.run(*arguments, "--help")
    assert "--data-dir" in result.stdout
    directory = arguments[arguments.index("--data-dir") + 1]
    assert directory == f"/var/lib/{unit['StateDirectory']}"
    # Jobs outlive the server, and may be limited by control groups.
    assert (unit["KillMode"], unit["Delegate"]) == ("process", "yes")
