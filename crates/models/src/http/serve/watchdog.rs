//! Ends the copies' process groups when we are gone.
//!
//! The watchdog is a shell that reads from a pipe of which only we hold the other end, so it sees
//! the end of the pipe when we end, be it by SIGKILL. A copy inherits that end as its standard input
//! just long enough to write down its own group, before the command starts: no moment is left in
//! which a command runs unwatched. (A death signal asked for with `prctl` reaches the shell only,
//! not what it starts, and follows the thread that spawned it rather than the process.)

use std::{
    io::{self, PipeWriter, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use rustix::process::Pid;

/// Reads `+ GROUP` and `- GROUP` lines; at the end, ends the groups that are left.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
groups=
while read -r sign group; do
    left=
    for each in $groups; do [ "$each" = "$group" ] || left="$left $each"; done
    groups=$left
    [ "$sign" = + ] && groups="$groups $group"
done
each_group() { for each in $groups; do kill -s "$1" -- "-$each" && alive=1; done 2>/dev/null; }
each_group TERM
for tenth in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    alive=
    each_group 0
    [ -n "$alive" ] || exit 0
    sleep 0.1
done
each_group KILL
"#;

/// Runs `$1` after telling the watchdog, at the other end of standard input, about its group. A
/// watchdog that is gone is no reason not to run.
const REGISTERED: &str = r#"
trap '' PIPE
echo "+ $$" 2>/dev/null >&0
trap - PIPE
exec sh -c "$1" </dev/null
"#;

/// The running watchdog.
#[derive(Debug)]
pub(super) struct Watchdog {
    child: Mutex<Child>,
    /// `None` only while the watchdog is dropped.
    pipe: Option<PipeWriter>,
}

impl Watchdog {
    pub(super) fn start() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "bessemer-watchdog"])
            .stdin(reader)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { child: Mutex::new(child), pipe: Some(writer) })
    }

    /// `sh -c command` in a process group of its own, which the watchdog knows before it runs.
    pub(super) fn watched(&self, command: &str) -> io::Result<Command> {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", REGISTERED, "sh", command])
            .stdin(self.pipe().try_clone()?)
            .process_group(0);
        Ok(shell)
    }

    /// Tells that `group` has ended, so that its number may come to mean another.
    pub(super) fn forget(&self, group: Pid) {
        let mut pipe = self.pipe();
        // A watchdog that was killed ends nothing, wrongly or rightly.
        let _ = pipe.write_all(format!("- {}\n", group.as_raw_nonzero()).as_bytes());
    }

    fn pipe(&self) -> &PipeWriter {
        self.pipe.as_ref().expect("the pipe is open until drop")
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.pipe = None;
        if let Ok(child) = self.child.get_mut() {
            let _ = child.wait();
        }
    }
}
