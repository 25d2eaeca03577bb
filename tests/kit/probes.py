"""What a hostile training job tries. It runs inside the sandbox, with Python alone, and leaves
`probes.json` in its model: of each probe, how much it tried and what it reached, which has to be nothing.

`TARGETS` in its environment says where there is something to reach: `data`, the server's folder; `server`
and `victim`, numbers of processes outside; `files`, the folder of another job that runs.
"""

import ctypes
import errno
import glob
import http.client
import json
import mmap
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import urllib.parse

TARGETS = json.loads(os.environ["TARGETS"])
DATA, MODEL = TARGETS["data"], "/opt/ml/model"
LARGE = "/opt/ml/input/data/train/large"
# Any other error would mean that the attempt was made wrongly.
REFUSED = {errno.EPERM, errno.EACCES, errno.EROFS, errno.ENOENT, errno.ESRCH}
ARM = os.uname().machine == "aarch64"

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
PROBES = []


def probe(function):
    PROBES.append(function)
    return function


class Attempts:
    def __init__(self):
        self.tried, self.reached = 0, []

    def found(self, what, is_there):
        """Something that must not be so."""
        self.tried += 1
        if is_there:
            self.reached.append(what)

    def reach(self, what, attempt, refused=REFUSED):
        """Something that has to be refused; `attempt` may also answer that it got nowhere: false."""
        self.tried += 1
        try:
            if attempt() is not False:
                self.reached.append(what)
        except OSError as error:
            if error.errno not in refused:
                self.reached.append(f"{what}: {errno.errorcode.get(error.errno, error)}")

    def call(self, what, numbers, *arguments, refused=(errno.EPERM,)):
        """A system call by its number on x86-64 and on ARM."""
        def attempt():
            plain = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
            checked(libc.syscall(ctypes.c_long(numbers[ARM]), *plain))

        self.reach(what, attempt, refused)

    def read(self, *paths):
        for path in paths:
            self.reach(f"read {path}", lambda path=path: open(path, "rb").read(64))

    def write(self, *paths):
        for path in paths:
            self.reach(f"write {path}", lambda path=path: open(path, "ab").write(b"1"))

    def fails(self, *command):
        """A command that has to fail, if there is such a program."""
        self.tried += 1
        if shutil.which(command[0]):
            quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
            if subprocess.run(command, **quiet, timeout=10).returncode == 0:
                self.reached.append(" ".join(command))


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


def processes():
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def outside():
    """Numbers of processes that are not ours by chance."""
    return [pid for pid in (TARGETS["server"], *TARGETS["victim"]) if pid not in processes()]


def walk(*roots, skip=()):
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders[:] = [f for f in folders if os.path.join(folder, f) not in skip]
            yield from (os.path.join(folder, file) for file in files)


def through_root(pid):
    return [os.path.join(f"/proc/{pid}", "root", "etc/shadow")]


@probe
def files_of_another_job(go):
    files = TARGETS["files"]
    go.read(f"{files}/ml/model/victim-secret", f"{files}/tmp/victim-secret", "/dev/shm/victim-secret")
    go.read(f"{files}/control/process.json", f"{files}/../../algo-1/ml/model/victim-secret")
    go.reach("list the job's folder", lambda: os.listdir(files))
    go.reach("list all jobs", lambda: os.listdir(f"{DATA}/runs"))
    rest = ("/proc", "/sys", "/usr", "/lib", "/lib64", sys.prefix, sys.base_prefix)
    found = [path for path in walk("/", skip=rest) if path.endswith("victim-secret")]
    go.found(f"found {found}", found)


@probe
def the_database(go):
    for name in "bessemer.db", "bessemer.db-wal", "bessemer.db-shm":
        go.read(f"{DATA}/{name}")
        # A file that it makes there would be in its own memory, if anywhere.
        go.reach(f"change {name}", lambda name=name: open(f"{DATA}/{name}", "r+b"))

    def query():
        try:
            with sqlite3.connect(f"file:{DATA}/bessemer.db?mode=ro", uri=True) as database:
                return bool(database.execute("select * from sqlite_master").fetchall())
        except sqlite3.OperationalError:
            return False

    go.reach("query", query)


@probe
def the_access_keys(go):
    go.read(f"{DATA}/keys.json", f"{DATA}/keys.lock")
    for folder in DATA, f"{DATA}/buckets", f"{DATA}/logs":
        go.reach(f"list {folder}", lambda folder=folder: os.listdir(folder))
    go.found("server's variables", any("SERVER_CANARY" in name for name in os.environ))


@probe
def what_its_own_key_may_do(go):
    """Its key is for the server's API, and no way to the server's files."""
    import boto3
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import ClientError

    endpoint = os.environ["AWS_ENDPOINT_URL"]
    credentials = boto3.Session().get_credentials()
    for method in "GET", "PUT", "DELETE":
        for path in ("/data/..%2F..%2Fkeys.json", "/data/../../keys.json", "/..%2Fkeys.json",
                     "/%2E%2E/keys.json", "/data/%2Fetc%2Fpasswd", "/data/a%2F..%2F..%2F..%2Fkeys.json"):
            request = AWSRequest(method, endpoint + path, data=b"" if method != "PUT" else b"evil")
            S3SigV4Auth(credentials, "s3", os.environ["AWS_REGION"]).add_auth(request)
            address = urllib.parse.urlsplit(endpoint)
            connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
            connection.request(method, path, request.data, dict(request.headers))
            answer = connection.getresponse()
            text = answer.read()
            go.found(f"{method} {path}", b'"keys"' in text or b"root:" in text
                     or (method == "GET" and answer.status == 200))
    for name, arguments in {
        "create_access_key": {}, "list_access_keys": {}, "create_user": {"UserName": "evil"},
    }.items():
        try:
            getattr(boto3.client("iam"), name)(**arguments)
            go.found(name, True)
        except ClientError:
            go.found(name, False)


@probe
def the_first_process(go):
    for name in "environ", "maps", "mem", "exe", "root/etc/shadow", "cwd/keys.json":
        go.read(f"/proc/1/{name}")
    for name in "fd", "root", "cwd":
        go.reach(f"list {name}", lambda name=name: os.listdir(f"/proc/1/{name}/"))
    go.write("/proc/1/mem", "/proc/1/oom_score_adj")


@probe
def other_processes(go):
    child = subprocess.Popen(["sleep", "60"])
    try:
        # Of the first, which is Bessemer's, there is a number at most.
        strangers = processes() - {1, os.getpid(), child.pid}
        go.found(f"processes {strangers}", strangers)
    finally:
        child.kill()
        child.wait()
    for pid in outside():
        go.read(f"/proc/{pid}/environ", f"/proc/{pid}/cmdline", *through_root(pid))
    for path in glob.glob("/proc/[0-9]*/environ"):
        if path != f"/proc/{os.getpid()}/environ":
            go.read(path)


@probe
def writing_outside(go):
    for folder in ("/", "/usr", "/usr/bin", "/usr/lib", "/etc", "/opt", "/run", "/var", "/dev",
                   "/proc", "/sys", "/lib", "/home", "/root"):
        go.write(f"{folder}/bessemer-probe")
        go.reach(f"folder in {folder}", lambda folder=folder: os.mkdir(f"{folder}/probe"))
    go.write("/etc/passwd", "/etc/hosts", "/etc/ld.so.preload", "/bin/sh", "/usr/bin/env")
    go.reach("mode of /", lambda: os.chmod("/", 0o777))


@probe
def the_shared_environment(go):
    import boto3

    packages = os.path.dirname(os.path.dirname(boto3.__file__))
    go.write(boto3.__file__, f"{packages}/evil.pth", f"{packages}/evil.py", f"{sys.prefix}/evil")
    go.write(os.path.realpath(sys.executable))
    go.reach("mode", lambda: os.chmod(boto3.__file__, 0o777))
    go.reach("remove", lambda: os.remove(boto3.__file__))
    go.reach("rename", lambda: os.rename(packages, packages + "-old"))


@probe
def the_buckets_behind_its_inputs(go):
    assert os.path.getsize(LARGE) == 3_000_000
    busy = REFUSED | {errno.EBUSY, errno.EXDEV}
    go.write(LARGE)
    go.reach("mode", lambda: os.chmod(LARGE, 0o777))
    go.reach("owner", lambda: os.chown(LARGE, os.getuid(), os.getgid()))
    go.reach("size", lambda: os.truncate(LARGE, 0))
    go.reach("time", lambda: os.utime(LARGE, (0, 0)))
    go.reach("attribute", lambda: os.setxattr(LARGE, "user.evil", b"1"))
    go.reach("remove", lambda: os.remove(LARGE), busy)
    go.reach("rename", lambda: os.rename(LARGE, LARGE + "-old"), busy)
    go.reach("link", lambda: os.link(LARGE, f"{MODEL}/large"), busy)
    with open(LARGE, "rb") as file:
        go.write(f"/proc/self/fd/{file.fileno()}")
        go.reach("mode of the open file", lambda: os.fchmod(file.fileno(), 0o777))
        go.reach("map", lambda: mmap.mmap(file.fileno(), 1, prot=mmap.PROT_READ | mmap.PROT_WRITE))


@probe
def tracing(go):
    child = subprocess.Popen(["sleep", "60"])
    buffer = ctypes.create_string_buffer(64)
    for pid in (child.pid, 1, *outside()):
        go.call(f"ptrace {pid}", (101, 117), 16, pid, 0, 0)
        go.call(f"process_vm_readv {pid}", (310, 270), pid, buffer, 1, buffer, 1, 0)
        go.call(f"process_vm_writev {pid}", (311, 271), pid, buffer, 1, buffer, 1, 0)
    go.call("pidfd_getfd", (438, 438), 0, 0, 0)
    child.kill()
    child.wait()


@probe
def mounting(go):
    for what, arguments in {
        "memory": (b"x", b"/tmp", b"tmpfs", 0, None), "proc": (b"p", b"/tmp", b"proc", 0, None),
        "bind": (b"/etc", b"/tmp", None, 4096, None), "writable": (None, b"/", None, 32 | 4096, None),
        "input": (None, LARGE.encode(), None, 32 | 4096, None),
    }.items():
        go.reach(what, lambda arguments=arguments: checked(libc.mount(*arguments)))
    go.call("open_tree", (428, 428), -100, b"/", 1)
    go.call("move_mount", (429, 429), -100, b"/tmp", -100, b"/opt", 0)
    go.call("fsopen", (430, 430), b"tmpfs", 0)
    go.call("mount_setattr", (442, 442), -100, b"/", 0, ctypes.create_string_buffer(32), 32)


@probe
def unmounting(go):
    for path in "/", "/etc", "/proc", "/usr", "/tmp", LARGE:
        go.reach(path, lambda path=path: checked(libc.umount2(path.encode(), 2)))


@probe
def raw_sockets(go):
    for family, kind, protocol in (
        (socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_INET, socket.SOCK_RAW, 255),
        (socket.AF_INET6, socket.SOCK_RAW, 58),
    ):
        go.reach(f"{family.name} {protocol}", lambda a=(family, kind, protocol): socket.socket(*a))


@probe
def packet_and_kernel_sockets(go):
    for name, arguments in {
        "packet": (17, socket.SOCK_RAW, 768), "packet of no link": (17, socket.SOCK_DGRAM, 768),
        "alg": (38, socket.SOCK_SEQPACKET, 0), "vsock": (40, socket.SOCK_STREAM, 0),
        "netfilter": (16, socket.SOCK_RAW, 12), "audit": (16, socket.SOCK_RAW, 9),
        "bluetooth": (31, socket.SOCK_RAW, 1), "xdp": (44, socket.SOCK_RAW, 0),
    }.items():
        go.reach(name, lambda arguments=arguments: socket.socket(*arguments))


@probe
def devices(go):
    for name, kind, number in (("null", stat.S_IFCHR, (1, 3)), ("mem", stat.S_IFCHR, (1, 1)),
                               ("disk", stat.S_IFBLK, (254, 0)), ("disk2", stat.S_IFBLK, (8, 0))):
        for folder in MODEL, "/tmp", "/dev/shm":
            path, device = f"{folder}/{name}", os.makedev(*number)
            go.reach(f"mknod {path}", lambda a=(path, kind | 0o666, device): os.mknod(*a))
    go.read(*(f"/dev/{name}" for name in
              ("mem", "kmem", "port", "kmsg", "sda", "vda", "nvme0n1", "loop0", "fuse", "kvm", "net/tun")))


@probe
def other_roots(go):
    go.reach("chroot", lambda: os.chroot("/tmp"))
    go.reach("chroot to a process's root", lambda: os.chroot("/proc/1/root"))
    go.call("pivot_root", (155, 41), b"/tmp", b"/tmp")


@probe
def namespaces(go):
    for name, flag in {
        "user": 0x10000000, "mount": 0x20000, "pid": 0x20000000, "network": 0x40000000,
        "ipc": 0x8000000, "uts": 0x4000000, "cgroup": 0x2000000, "time": 0x80,
    }.items():
        go.reach(f"unshare {name}", lambda flag=flag: checked(libc.unshare(flag)))
        if flag != 0x80:
            go.call(f"clone {name}", (56, 220), flag | signal.SIGCHLD, 0, 0, 0, 0)
    # Answered as if it were not there, since its flags can't be seen.
    go.call("clone3", (435, 435), (ctypes.c_uint64 * 11)(0x10000000), 88, refused=(errno.ENOSYS,))
    go.call("setns", (308, 268), 0, 0)
    go.fails("unshare", "-Ur", "true")


@probe
def other_users(go):
    # A server that is not root shows its own user as root, who has no rights: see below.
    if os.getuid() != 0:
        for name in "setuid", "seteuid", "setgid", "setegid":
            go.reach(name, lambda name=name: getattr(os, name)(0))
        shutil.copy("/bin/sh", "/tmp/shell")
        go.reach("owner", lambda: os.chown("/tmp/shell", 0, 0))
    go.reach("setgroups", lambda: os.setgroups([0]))
    for command in ("su", "-c", "true"), ("sudo", "-n", "true"), ("pkexec", "true"), ("newgrp", "root"):
        go.fails(*command)
    status = dict(line.split(":\t") for line in open("/proc/self/status").read().splitlines()
                  if ":\t" in line)
    for name in "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
        go.found(f"{name} {status[name]}", int(status[name], 16))
    go.found("new privileges", status["NoNewPrivs"] != "1" or status["Seccomp"] != "2")


@probe
def kernel_settings(go):
    go.write(
        "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/kernel/modprobe",
        "/proc/sys/vm/drop_caches", "/proc/sys/vm/overcommit_memory", "/proc/sys/net/ipv4/ip_forward",
        "/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/sys/fs/cgroup/cgroup.procs",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/devices/system/cpu/cpu0/online",
    )
    go.read("/proc/kcore", "/proc/kmsg", "/sys/kernel/debug/sched")
    go.reach("host name", lambda: socket.sethostname("evil"))


@probe
def signals(go):
    for pid in outside():
        for number in 0, signal.SIGTERM, signal.SIGKILL:
            go.reach(f"{number} to {pid}", lambda a=(pid, number): os.kill(*a))
            go.reach(f"{number} to group {pid}", lambda a=(pid, number): os.killpg(*a))
        go.reach(f"pidfd of {pid}", lambda pid=pid: os.pidfd_open(pid))
    # Everything that it can reach, which is its own.
    child = subprocess.Popen(["sleep", "60"])
    os.kill(-1, signal.SIGKILL)
    go.found("its own child lives", child.wait(10) != -signal.SIGKILL)


@probe
def calls_to_the_kernel(go):
    buffer = ctypes.create_string_buffer(256)
    for name, numbers, *arguments in (
        ("keyctl", (250, 219), 0, -3, 0), ("add_key", (248, 217), b"user", b"x", b"y", 1, -3),
        ("request_key", (249, 218), b"user", b"x", 0, 0), ("bpf", (321, 280), 0, buffer, 128),
        ("perf_event_open", (298, 241), buffer, 0, -1, -1, 0), ("userfaultfd", (323, 282), 0),
        ("io_uring_setup", (425, 425), 1, buffer), ("kexec_load", (246, 104), 0, 0, 0, 0),
        ("init_module", (175, 105), buffer, 1, buffer), ("finit_module", (313, 273), 0, buffer, 0),
        ("open_by_handle_at", (304, 265), -100, buffer, 0), ("syslog", (103, 116), 3, buffer, 256),
        ("reboot", (169, 142), 0, 0, 0, 0), ("settimeofday", (164, 170), buffer, 0),
        ("swapon", (167, 224), b"/tmp/x", 0), ("acct", (163, 89), b"/tmp/x"),
    ):
        go.call(name, numbers, *arguments)


@probe
def homes(go):
    """Of root's home there is the way to the environment at most."""
    mine = {sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable))}
    mine |= {path for path in sys.path if path.startswith(("/root", "/home"))}
    found = [path for path in walk("/root", "/home", skip=mine)
             if not any(path.startswith(own) for own in mine)]
    go.found(f"found {found[:5]}", found)
    home = os.path.join("/", "root")
    go.read(f"{home}/.ssh/id_rsa", f"{home}/.aws/credentials", f"{home}/.bash_history", "/etc/shadow",
            "/etc/sudoers", "/var/run/docker.sock", "/run/docker.sock", "/etc/ssh/sshd_config")
    for path in "/var/lib", "/var/log", "/run/secrets", "/etc/ssh":
        go.reach(f"list {path}", lambda path=path: bool(os.listdir(path)))


@probe
def links(go):
    for name, target in {
        "keys": f"{DATA}/keys.json", "shadow": "/etc/shadow", "root": through_root(1)[0],
    }.items():
        os.symlink(target, f"/tmp/{name}")
        go.read(f"/tmp/{name}")
        go.reach(f"link to {name}", lambda a=(target, f"/tmp/hard-{name}"): os.link(*a))
    up = "/.." * 12
    go.read(f"/opt/ml{up}{DATA}/keys.json", f"/proc/self/cwd{up}{DATA}/keys.json",
            f"/proc/self/root{DATA}/keys.json", f"/proc/thread-self/root{DATA}/keys.json")


@probe
def its_own_end(go):
    """The folder in which its end is told to the server."""
    own = os.path.dirname(TARGETS["files"])
    go.found("control folder", glob.glob(f"{own}/*/control") or glob.glob("/opt/ml/../control*"))
    go.found("inherited files", [fd for fd in os.listdir("/proc/self/fd") if int(fd) > 2 and
                                 os.path.exists(path := f"/proc/self/fd/{fd}") and
                                 not os.path.realpath(path).startswith("/proc/")])


def leave_links():
    """What the server finds when it makes the model an object: it must follow none of these."""
    os.symlink(f"{DATA}/keys.json", f"{MODEL}/keys.json")
    os.symlink("/etc", f"{MODEL}/etc")
    os.symlink(f"../../../../../../..{DATA}/bessemer.db", f"{MODEL}/database")
    os.symlink("/proc/self/environ", f"{MODEL}/environ")
    os.mkfifo(f"{MODEL}/pipe")
    socket.socket(socket.AF_UNIX).bind(f"{MODEL}/socket")
    shutil.rmtree("/opt/ml/output/data", ignore_errors=True)
    os.symlink(DATA, "/opt/ml/output/data")


def main():
    results = {}
    for function in PROBES:
        go = Attempts()
        try:
            function(go)
        except Exception as error:  # the others have to run
            go.reached.append(f"{type(error).__name__}: {error}")
        results[function.__name__] = {"tried": go.tried, "reached": go.reached}
        print(function.__name__, results[function.__name__], flush=True)
    key = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    with open(f"{MODEL}/probes.json", "w") as file:
        json.dump({"probes": results, "key": key}, file)
    leave_links()


if __name__ == "__main__":
    main()
