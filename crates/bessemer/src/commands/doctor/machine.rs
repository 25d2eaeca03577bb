//! The data directory, its disk, limits of the process, the port.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpListener},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bessemer_domain::ByteSize;
use rustix::{
    fs::statvfs,
    process::{Resource, getrlimit},
};

use super::Finding;

/// Room on the disk below which the server is soon in trouble, and below which it already is.
const FEW_BYTES: u64 = 10 << 30;
const TOO_FEW_BYTES: u64 = 1 << 30;
/// A sync that takes longer makes every call slow: each waits for one.
const SLOW_SYNC: Duration = Duration::from_millis(30);
const SYNCS: usize = 5;
/// Open files that the server with all its connections and databases may have.
const FILES: u64 = 4096;

/// The directory itself, or the nearest that is there above it.
pub(super) fn existing(directory: &Path) -> PathBuf {
    let there = directory.ancestors().find(|folder| folder.is_dir());
    there.unwrap_or(Path::new("/")).to_owned()
}

pub(super) fn data_directory(directory: &Path) -> Vec<Finding> {
    let name = "data directory";
    let shown = directory.display();
    let there = existing(directory);
    if let Err(error) = tempfile::tempfile_in(&there) {
        let mend = format!("give this user the folder: `chown \"$USER\" {}`", there.display());
        return vec![Finding::bad(
            name,
            format!("`{}` can't be written: {error}", there.display()),
            mend,
        )];
    }
    if there != directory {
        return vec![Finding::good(name, format!("`{shown}` will be made by the first start"))];
    }
    let Ok(metadata) = fs::metadata(directory) else { return Vec::new() };
    if metadata.mode() & 0o077 != 0 {
        let detail = format!("others may look into `{shown}` (mode {:o})", metadata.mode() & 0o777);
        return vec![Finding::poor(name, detail, format!("`chmod 700 {shown}`"))];
    }
    vec![Finding::good(name, format!("`{shown}` is this user's alone"))]
}

pub(super) fn disk(directory: &Path) -> Vec<Finding> {
    let there = existing(directory);
    let mut findings = Vec::new();
    if let Ok(disk) = statvfs(&there) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let detail = format!("{} free for `{}`", ByteSize(free), directory.display());
        let mend = "make room, or choose another disk by `--data-dir`";
        findings.push(match free {
            0..TOO_FEW_BYTES => Finding::bad("disk space", detail, mend),
            TOO_FEW_BYTES..FEW_BYTES => Finding::poor("disk space", detail, mend),
            _ => Finding::good("disk space", detail),
        });
    }
    if let Ok(took) = sync_time(&there) {
        let detail = format!("{:.1} ms to put a write on disk", took.as_secs_f64() * 1000.0);
        let mend = "every call that changes something waits for this; a local SSD takes under 5 ms";
        findings.push(if took > SLOW_SYNC {
            Finding::poor("disk sync", detail, mend)
        } else {
            Finding::good("disk sync", detail)
        });
    }
    findings
}

/// The median time of an fsync.
fn sync_time(folder: &Path) -> std::io::Result<Duration> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        let begin = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(begin.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2])
}

pub(super) fn limits() -> Vec<Finding> {
    let files = getrlimit(Resource::Nofile).current;
    let mut findings = vec![match files {
        Some(files) if files < FILES => Finding::poor(
            "open files",
            format!("{files} at most"),
            format!("`ulimit -n {FILES}`, or `LimitNOFILE` in the systemd unit"),
        ),
        Some(files) => Finding::good("open files", format!("{files} at most")),
        None => Finding::good("open files", "no limit"),
    }];
    let namespaces = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    let is_root = rustix::process::geteuid().is_root();
    if !is_root && namespaces.trim() == "0" {
        findings.push(Finding::bad(
            "user namespaces",
            "this user may make none, which sandboxes are made of",
            "as root: `sysctl -w user.max_user_namespaces=15000`, and in /etc/sysctl.d to keep it",
        ));
    }
    findings
}

pub(super) fn port(address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::good("port", format!("`{address}` is free")),
        Err(error) => Finding::poor(
            "port",
            format!("`{address}` can't be listened at: {error}"),
            "if that is not a server of yours, choose another by `--listen`",
        ),
    }
}
