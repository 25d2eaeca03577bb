"""A daemon of Docker, and an image made of this machine's Python."""

import contextlib
import io
import os
import shutil
import subprocess
import sysconfig
import tarfile
import tempfile
import time
from pathlib import Path

import boto3
import pytest

SERVING = Path(__file__).parent.parent / "serving"


class Daemon:
    """A daemon of Docker's with a socket and a folder of its own."""

    def __init__(self, host):
        self.host = host

    def run(self, *arguments, **options):
        command = ["docker", "--host", self.host, *arguments]
        return subprocess.run(command, capture_output=True, check=True, timeout=300, **options).stdout

    def containers(self, state="running"):
        """The names of containers."""
        filters = [] if state == "any" else ["--filter", f"status={state}"]
        printed = self.run("ps", "--all", "--no-trunc", "--format", "{{.Names}}", *filters)
        return printed.decode().split()


@contextlib.contextmanager
def daemon(folder):
    """Starts one; a test whose machine can't run it is skipped."""
    if not all(map(shutil.which, ("dockerd", "docker"))):
        pytest.skip("`dockerd` and `docker` are not installed (package docker.io)")
    if os.geteuid() != 0:
        pytest.skip("a daemon of Docker is started by root")
    # Paths of sockets are short.
    with tempfile.TemporaryDirectory(prefix="bessemer-docker-") as short:
        host = f"unix://{short}/socket"
        command = [
            "dockerd", "--host", host, "--data-root", folder / "docker", "--exec-root", f"{short}/exec",
            "--pidfile", f"{short}/pid", "--bridge=none", "--iptables=false",
        ]
        with open(folder / "dockerd.log", "wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        made = Daemon(host)
        try:
            deadline = time.monotonic() + 60
            while not answers(made):
                if process.poll() is not None or time.monotonic() > deadline:
                    lines = (folder / "dockerd.log").read_text().splitlines()
                    pytest.skip(f"`dockerd` can't run on this machine: {lines[-1:]}")
                time.sleep(0.05)
            yield made
        finally:
            process.terminate()
            process.wait(60)
            # It leaves its name for the machine's network mounted.
            subprocess.run(["umount", f"{short}/exec/netns/default"], capture_output=True)


def answers(daemon):
    try:
        daemon.run("version")
    except subprocess.CalledProcessError:
        return False
    return True


def make_image(daemon, name):
    """An image with this Python, boto3, and the programs of `serving/image`."""
    entries = {"PATH": "/opt/python/bin:/bin", "LD_LIBRARY_PATH": "/opt/python/lib", "OF_THE_IMAGE": "yes"}
    changes = [f"ENV {name}={value}" for name, value in entries.items()]
    changes += ['ENTRYPOINT ["python3", "/opt/image/algorithm.py"]', "WORKDIR /opt/image"]
    options = [option for change in changes for option in ("--change", change)]
    daemon.run("import", *options, "-", name, input=contents())


def contents():
    python = Path(os.path.realpath(sysconfig.get_config_var("BINDIR") + "/python3"))
    library = Path(sysconfig.get_paths()["stdlib"])
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(python, "opt/python/bin/python3", filter=as_file)
        tar.add(os.path.realpath("/bin/sh"), "bin/sh", filter=as_file)
        tar.add(library, f"opt/python/lib/{library.name}", filter=wanted)
        for needed in libraries([python, "/bin/sh", *library.glob("lib-dynload/*.so")]):
            inside = needed if "ld-linux" in needed else f"opt/python/lib/{Path(needed).name}"
            tar.add(os.path.realpath(needed), inside)
        packages = Path(boto3.__file__).parent.parent
        for package in ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py"):
            tar.add(packages / package, f"opt/python/lib/{library.name}/{package}", filter=wanted)
        tar.add(SERVING / "image", "opt/image", filter=wanted)
    return archive.getvalue()


def as_file(entry):
    entry.mode = 0o755
    return entry


def wanted(entry):
    parts = entry.name.split("/")
    services = entry.name.partition("botocore/data/")[2]
    is_needed = not services or services.startswith(("s3/", "sagemaker/")) or services.count("/") == 0
    left_out = {"test", "site-packages", "__pycache__", "idlelib", "tkinter", "ensurepip", "lib2to3"}
    is_service_folder = bool(services) and services in ("s3", "sagemaker")
    left_out |= {part for part in parts if part.startswith("config-")}
    if left_out.intersection(parts) or not (is_needed or is_service_folder):
        return None
    if services and services.count("/") == 0 and entry.isdir() and not is_service_folder:
        return None
    return entry


def libraries(programs):
    """What programs are linked with, by path."""
    found = set()
    for program in programs:
        linked = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
        for line in linked.splitlines():
            words = line.split()
            found.update(word for word in words if word.startswith("/"))
    return sorted(found)
