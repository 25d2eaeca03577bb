//! Attempts to get out. Each has to fail inside and to leave the outside as it was.

use std::{
    fs,
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::symlink,
            net::{SocketAddr, UnixListener},
        },
    },
    process::{Command, Stdio},
    time::Duration,
};

use bessemer_compute::{Bind, Cause, Status};
use rustix::fs::{Mode, OFlags, open};

use crate::site::{SECRET, Site};

/// Python that calls the system and tells of the answer: `name: <error>` or `name: REACHED`.
const CALL: &str = r#"
import ctypes, os, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def tell(name, result):
    print(name + ":", "REACHED" if result >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
def call(name, *arguments):
    tell(name, libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]))
"#;

/// Runs `script`, which has to end well and reach nothing.
fn refused(site: &Site, script: &str) -> String {
    let (exit, output) = site.run(&site.sh(script));
    assert!(!output.contains(SECRET), "{output}");
    assert!(!output.contains("REACHED"), "{output}");
    assert_eq!(exit.status, Status::Code(0), "{output}");
    output
}

fn refused_calls(site: &Site, script: &str) -> String {
    let (exit, output) = site.run(&site.python(&format!("{CALL}{script}")));
    assert!(!output.contains("REACHED"), "{output}");
    assert_eq!(exit.status, Status::Code(0), "{output}");
    output
}

#[test]
fn other_jobs_files_are_not_there() {
    let site = Site::new();
    let other = site.path("runs/2/ml/secret");
    refused(
        &site,
        &format!("cat {} && echo REACHED; ls {}; true", other.display(), site.path("").display()),
    );
}

#[test]
fn other_jobs_files_are_closed_even_where_they_are_seen() {
    let site = Site::new();
    let mut spec = site.sh("cat /runs/2/ml/secret && echo REACHED; ls /runs/2/ml; true");
    spec.mounts.push(Bind::read_only(site.path("runs/2"), "/runs/2"));
    let (_, output) = site.run(&spec);
    if crate::site::is_root() {
        assert!(output.contains("Permission denied") && !output.contains(SECRET), "{output}");
    } else {
        assert!(output.contains(SECRET), "an ordinary user has one id only: {output}");
    }
}

#[test]
fn the_database_is_not_there() {
    let site = Site::new();
    let database = site.path("bessemer.db");
    let script = format!(
        "exec 2>/dev/null; cat {0} && echo REACHED; (echo x > {0}) && echo REACHED; \
         find / -name bessemer.db; true",
        database.display()
    );
    let output = refused(&site, &script);
    assert_eq!(output, "", "nothing was found");
    assert_eq!(fs::read_to_string(database).unwrap(), SECRET);
}

#[test]
fn credentials_in_homes_and_etc_are_not_there() {
    let site = Site::new();
    refused(
        &site,
        "for f in /etc/shadow /etc/sudoers /root /home/* /var/run/docker.sock \
         /run/secrets /var/lib /etc/ssh; do [ -e $f ] && echo REACHED $f; done; true",
    );
}

#[test]
fn nothing_of_our_environment_is_inherited() {
    let site = Site::new();
    // Cargo sets it for every test.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let output = refused(&site, "env | cut -d= -f1 | sort | tr '\\n' ' '");
    let names: Vec<&str> = output.split_whitespace().collect();
    assert!(
        names.iter().all(|name| ["OLDPWD", "PATH", "PWD", "SHLVL", "_"].contains(name)),
        "{output}"
    );
}

#[test]
fn environments_of_processes_above_cannot_be_read() {
    let site = Site::new();
    refused(
        &site,
        "for p in 1 $PPID; do tr '\\0' ' ' < /proc/$p/environ && echo REACHED; done; \
         cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n' | grep CARGO && echo REACHED; true",
    );
}

#[test]
fn the_first_process_leads_nowhere() {
    let site = Site::new();
    refused(
        &site,
        "ls -L /proc/1/root && echo REACHED; ls /proc/1/cwd/ && echo REACHED; \
         ls /proc/1/fd/ && echo REACHED; cat /proc/1/exe && echo REACHED; \
         (echo > /proc/1/exe) && echo REACHED; cat /proc/1/mem && echo REACHED; \
         cat /proc/1/maps && echo REACHED; true",
    );
}

#[test]
fn nothing_outside_the_mounts_can_be_written() {
    let site = Site::new();
    refused(
        &site,
        "for f in / /usr /usr/bin /etc /opt /dev /run /var /proc /sys /lib; do \
         (echo x > $f/bessemer-probe) && echo REACHED $f; mkdir $f/probe && echo REACHED $f; done; \
         (echo x >> /etc/passwd) && echo REACHED; (echo x > /bin/sh) && echo REACHED; \
         chmod 777 / && echo REACHED; ln /etc/hosts /opt/ml/hosts && echo REACHED; true",
    );
    assert!(!fs::exists("/usr/bessemer-probe").unwrap());
}

#[test]
fn read_only_mounts_stay_so() {
    let site = Site::new();
    fs::create_dir(site.path("data")).unwrap();
    fs::write(site.path("data/x"), "before").unwrap();
    let mut spec = site
        .sh("(echo x > /data/x) && echo REACHED; (echo > /data/y) && echo REACHED; \
         rm -f /data/x && echo REACHED; mount -o remount,rw /data && echo REACHED; cat /data/x");
    // As anybody, so that only the mount keeps us from it.
    for path in ["data", "data/x"] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(site.path(path), fs::Permissions::from_mode(0o777)).unwrap();
    }
    spec.mounts.push(Bind::read_only(site.path("data"), "/data"));
    let (_, output) = site.run(&spec);
    assert!(output.contains("Read-only file system") && output.contains("before"), "{output}");
    assert!(!output.contains("REACHED"), "{output}");
}

#[test]
fn processes_cannot_be_traced() {
    let site = Site::new();
    let output = refused_calls(
        &site,
        r#"
import subprocess
other = subprocess.Popen(["sleep", "60"])
call("ptrace", 101 if os.uname().machine == "x86_64" else 117, 16, other.pid, 0, 0)
buffer = ctypes.create_string_buffer(16)
call("process_vm_readv", 310 if os.uname().machine == "x86_64" else 270, other.pid, buffer, 1, buffer, 1, 0)
other.kill()
"#,
    );
    assert_eq!(output, "ptrace: EPERM\nprocess_vm_readv: EPERM\n");
}

#[test]
fn nothing_can_be_mounted() {
    let site = Site::new();
    let output = refused_calls(
        &site,
        r#"
tell("mount", libc.mount(b"x", b"/tmp", b"tmpfs", 0, None))
tell("bind", libc.mount(b"/proc", b"/tmp", None, 4096, None))
tell("umount", libc.umount2(b"/etc", 2))
tell("chroot", libc.chroot(b"/tmp"))
call("open_tree", 428, -100, b"/", 1)
call("fsopen", 430, b"tmpfs", 0)
call("move_mount", 429, -100, b"/tmp", -100, b"/opt", 0)
"#,
    );
    assert_eq!(output.matches("EPERM").count(), 7, "{output}");
}

#[test]
fn raw_and_strange_sockets_are_refused() {
    let site = Site::new();
    let script = r#"
import socket
for name, arguments in {
    "raw": (socket.AF_INET, socket.SOCK_RAW, 1), "raw6": (socket.AF_INET6, socket.SOCK_RAW, 58),
    "packet": (17, socket.SOCK_RAW, 0), "packet-dgram": (17, socket.SOCK_DGRAM, 0),
    "alg": (38, socket.SOCK_SEQPACKET, 0), "vsock": (40, socket.SOCK_STREAM, 0),
    "netfilter": (16, socket.SOCK_RAW, 12), "bluetooth": (31, socket.SOCK_RAW, 1),
}.items():
    try: socket.socket(*arguments); print(name, "REACHED")
    except PermissionError: print(name, "EPERM")
for family in socket.AF_INET, socket.AF_INET6, socket.AF_UNIX:
    socket.socket(family, socket.SOCK_STREAM).close()
"#;
    for network in [false, true] {
        let mut spec = site.python(&format!("{CALL}{script}"));
        spec.network = network;
        spec.control = site.path(&format!("runs/1/control-{network}"));
        let (exit, output) = site.run(&spec);
        assert_eq!(exit.status, Status::Code(0), "{output}");
        assert!(output.contains("raw EPERM") && !output.contains("REACHED"), "{output}");
    }
}

#[test]
fn links_and_dots_lead_nowhere() {
    let site = Site::new();
    let other = site.path("runs/2/ml/secret");
    let other = other.display();
    refused(
        &site,
        &format!(
            "ln -s {other} /opt/ml/link; cat /opt/ml/link && echo REACHED; \
             ln -s / /opt/ml/root; cat /opt/ml/root{other} && echo REACHED; \
             cat /opt/ml/../../../../../../..{other} && echo REACHED; \
             cat /proc/self/cwd/../../..{other} && echo REACHED; \
             cd /opt/ml && cat ../../2/ml/secret ../2/ml/secret && echo REACHED; true"
        ),
    );
}

#[test]
fn a_link_that_a_job_left_moves_no_later_mount() {
    let site = Site::new();
    fs::create_dir(site.path("code")).unwrap();
    symlink(site.path("runs/2/ml"), site.path("runs/1/ml/code")).unwrap();
    let mut spec = site.sh("true");
    spec.mounts.push(Bind::read_only(site.path("code"), "/opt/ml/code"));
    let error = site.launcher.start(&spec).unwrap_err().to_string();
    assert!(error.contains("a link is in the way"), "{error}");
    let mut spec = site.sh("true");
    spec.control = site.path("runs/1/control-2");
    spec.mounts.push(Bind::read_only(site.path("code"), "/opt/ml/code/deeper"));
    let error = site.launcher.start(&spec).unwrap_err().to_string();
    assert!(error.contains("mount"), "{error}");
    assert!(!fs::exists(site.path("runs/2/ml/deeper")).unwrap());
}

#[test]
fn signals_do_not_reach_outside() {
    let site = Site::new();
    let mut outside = Command::new("sleep").arg("600").stdout(Stdio::null()).spawn().unwrap();
    let (ours, theirs) = (std::process::id(), outside.id());
    refused(
        &site,
        &format!(
            "trap '' TERM; kill -9 {theirs} && echo REACHED; kill -9 {ours} && echo REACHED; \
             kill -9 1; sleep 300 & kill -TERM -1; true"
        ),
    );
    assert!(outside.try_wait().unwrap().is_none());
    outside.kill().unwrap();
    outside.wait().unwrap();
}

#[test]
fn devices_are_harmless() {
    let site = Site::new();
    let output = refused(
        &site,
        "for d in mem kmem port kmsg sda vda nvme0n1 loop0 tty0 fuse kvm net/tun; do \
         [ -e /dev/$d ] && echo REACHED $d; done; mknod /opt/ml/null c 1 3 && echo REACHED; \
         mknod /opt/ml/disk b 254 0 && echo REACHED; mknod /tmp/mem c 1 1 && echo REACHED; \
         echo x > /dev/null && head -c 4 /dev/urandom | wc -c; [ -w /dev/shm ] && echo shm",
    );
    assert!(["4", "shm"].iter().all(|line| output.lines().any(|told| told == *line)), "{output}");
}

#[test]
fn dangerous_calls_are_refused() {
    let site = Site::new();
    let output = refused_calls(
        &site,
        r#"
x86 = os.uname().machine == "x86_64"
buffer = ctypes.create_string_buffer(256)
call("keyctl", 250 if x86 else 219, 0, -3, 0)
call("add_key", 248 if x86 else 217, b"user", b"x", b"y", 1, -3)
call("bpf", 321 if x86 else 280, 0, buffer, 128)
call("perf_event_open", 298 if x86 else 241, buffer, 0, -1, -1, 0)
call("userfaultfd", 323 if x86 else 282, 0)
call("io_uring_setup", 425, 1, buffer)
call("kexec_load", 246 if x86 else 104, 0, 0, 0, 0)
call("init_module", 175 if x86 else 105, buffer, 1, buffer)
call("finit_module", 313 if x86 else 273, 0, buffer, 0)
call("open_by_handle_at", 304 if x86 else 265, -100, buffer, 0)
call("setns", 308 if x86 else 268, 0, 0)
call("syslog", 103 if x86 else 116, 3, buffer, 256)
call("reboot", 169 if x86 else 142, 0, 0, 0, 0)
call("settimeofday", 164 if x86 else 170, buffer, 0)
call("pidfd_getfd", 438, 0, 0, 0)
"#,
    );
    assert_eq!(output.matches("EPERM").count(), 15, "{output}");
}

#[test]
fn namespaces_cannot_be_made() {
    let site = Site::new();
    let output = refused_calls(
        &site,
        r#"
x86 = os.uname().machine == "x86_64"
tell("unshare", libc.unshare(0x10000000))
call("clone", 56 if x86 else 220, 0x10000000 | 17, 0, 0, 0, 0)
arguments = (ctypes.c_uint64 * 11)(0x10000000)
call("clone3", 435, arguments, 88)
"#,
    );
    assert_eq!(output, "unshare: EPERM\nclone: EPERM\nclone3: ENOSYS\n");
    let site = Site::new();
    refused(&site, "unshare -Ur true && echo REACHED; true");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_second_table_of_calls_is_no_way_round() {
    let site = Site::new();
    let (exit, output) = site.run(&site.python(&format!(
        "{CALL}call('keyctl', 250 | 0x40000000, 0, -3, 0)\ncall('unshare', 272 | 0x40000000, 0x10000000)"
    )));
    assert_eq!(exit.status, Status::Code(0), "{output}");
    assert_eq!(output, "keyctl: EPERM\nunshare: EPERM\n");
}

#[test]
fn the_kernels_settings_cannot_be_changed() {
    let site = Site::new();
    let before = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    refused(
        &site,
        "for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sysrq-trigger \
         /proc/sys/net/ipv4/ip_forward /sys/kernel/uevent_helper /sys/fs/cgroup/cgroup.procs \
         /proc/sys/vm/drop_caches /sys/devices/system/cpu/online; do \
         (echo 1 > $f) && echo REACHED $f; done; \
         hostname evil && echo REACHED; head -c 1 /proc/kcore | grep . && echo REACHED; true",
    );
    assert_eq!(fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
}

#[test]
fn no_right_is_left_and_none_comes_back() {
    let site = Site::new();
    let output = refused(
        &site,
        "grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status; \
         su -c true && echo REACHED; mount && true",
    );
    for line in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(output.contains(&format!("{line}:\t0000000000000000")), "{output}");
    }
    assert!(output.contains("NoNewPrivs:\t1") && output.contains("Seccomp:\t2"), "{output}");
}

#[test]
fn no_open_file_is_inherited() {
    // A descriptor that everything we start inherits, as a careless parent may have left one.
    let site = Site::new();
    let folder = fs::File::open(site.path("")).unwrap();
    let inherited = rustix::io::dup(&folder).unwrap(); // without the flag that closes it
    let output = refused(&site, "ls -l /proc/self/fd/ | grep -c pipe; ls /proc/self/fd");
    drop(inherited);
    // Output, errors, and the pipe to `grep` are pipes; `ls` itself holds 3.
    assert!(output.ends_with("0\n1\n2\n3\n"), "{output}");
}

#[test]
fn the_servers_sockets_cannot_be_reached() {
    let site = Site::new();
    let name = format!("bessemer-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let script = format!(
        r#"
import socket
def reach(family, address):
    try: socket.socket(family).connect(address); print(family.name, "REACHED")
    except OSError as error: print(family.name, errno.errorcode[error.errno])
reach(socket.AF_UNIX, "\0{name}")
reach(socket.AF_INET, ("127.0.0.1", {port}))
"#
    );
    let output = refused_calls(&site, &script);
    assert_eq!(output, "AF_UNIX ECONNREFUSED\nAF_INET ECONNREFUSED\n");
    // With our network, the kernel still keeps abstract sockets apart.
    let mut spec = site.python(&format!("{CALL}{script}"));
    spec.network = true;
    spec.control = site.path("runs/1/control-2");
    let (_, output) = site.run(&spec);
    assert!(output.ends_with("AF_UNIX EPERM\nAF_INET REACHED\n"), "{output}");
    drop(listener);
}

#[test]
fn what_hides_in_the_background_ends_with_the_command() {
    let site = Site::new();
    let beacon = site.path("runs/1/ml/beacon");
    let spec = site
        .sh("mkfifo beacon; (setsid sh -c 'trap \"\" TERM HUP; exec 3<>beacon; sleep 600') & \
         (setsid setsid sleep 601 >/dev/null 2>&1 &) ; sleep 0.2; exit 3");
    let (exit, _) = site.run(&spec);
    assert_eq!((exit.status, exit.cause), (Status::Code(3), None));
    // Nobody holds its other end any more: a writer finds no reader.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK;
    let opened = open(beacon, flags, Mode::empty());
    assert_eq!(opened.unwrap_err(), rustix::io::Errno::NXIO);
}

#[test]
fn a_fork_bomb_stays_small() {
    let site = Site::new();
    let mut spec = site.python(
        "import os, time\ncount = 0\ntry:\n  while True:\n    if os.fork() == 0: time.sleep(600)\n    \
         count += 1\nexcept OSError as error: print(count, error.strerror)",
    );
    spec.limits.processes = Some(40);
    let (exit, output) = site.run(&spec);
    assert!(exit.is_success(), "{output}");
    let count: u32 = output.split_whitespace().next().unwrap().parse().unwrap();
    assert!((20..=40).contains(&count), "{output}");
    assert!(output.contains("temporarily unavailable"), "{output}");
}

#[test]
fn a_classic_fork_bomb_is_stopped_by_time() {
    let site = Site::new();
    // The shell that waits forks once, before there are too many: a fork that fails would end it.
    let mut spec = site.sh("f() { f | f & }; f & exec sleep 600");
    spec.limits.processes = Some(50);
    spec.timeout = Some(Duration::from_secs(1));
    spec.stop_grace = Duration::from_millis(100);
    spec.log.max_bytes = 1 << 20;
    let (exit, _) = site.run(&spec);
    assert_eq!(exit.cause, Some(Cause::TimedOut));
    assert!(fs::metadata(site.path("logs/1.log")).unwrap().len() < 2 << 20);
}

#[test]
fn the_control_folder_cannot_be_forged() {
    let site = Site::new();
    let control = site.path("runs/1/control");
    // What it makes at that path is in its own memory, if anywhere.
    refused(
        &site,
        &format!(
            "ls {0} && echo REACHED; mkdir -p {0}; echo x > {0}/exit.json; true",
            control.display()
        ),
    );
    let end = fs::read_to_string(control.join("exit.json")).unwrap();
    assert!(end.contains("\"Code\":0"), "{end}");
}
