//! The two processes between a server and the user's command.
//!
//! Everything here runs in fresh, single-threaded processes that were started with `exec`, so each
//! layer is set up step by step with plain code; nothing runs between a `fork` and an `exec`.

mod beneath;
mod etc;
mod init;
mod landlock;
mod loopback;
mod privileges;
pub(crate) mod protocol;
mod root;
mod seccomp;
mod supervisor;
mod system_calls;

use std::{ffi::OsStr, process::ExitCode};

/// The hidden verb of the binary that runs [`sandbox_main`].
pub const SANDBOX_VERB: &str = "__sandbox";
/// The argument after the verb that makes it the first process of a sandbox.
const INIT: &str = "init";

/// Whether this process was started as a part of a sandbox, so that `main` has to do nothing but
/// return [`sandbox_main`]. To be asked before threads are started or arguments are read.
#[must_use]
pub fn is_sandbox_call() -> bool {
    std::env::args_os().nth(1).is_some_and(|verb| verb == OsStr::new(SANDBOX_VERB))
}

/// Runs a part of a sandbox: the whole of a process that a [`crate::Launcher`] starts.
#[must_use]
pub fn sandbox_main() -> ExitCode {
    let is_init = std::env::args_os().nth(2).is_some_and(|part| part == OsStr::new(INIT));
    if is_init { init::main() } else { supervisor::main() }
}

/// Leaves the namespaces of the process that started us.
#[expect(deprecated, reason = "it is unsafe for `FILES` only, which is never among our flags")]
fn unshare(flags: rustix::thread::UnshareFlags) -> rustix::io::Result<()> {
    rustix::thread::unshare(flags)
}
