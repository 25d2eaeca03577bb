//! The two processes between a server and the user's command.
//!
//! Both are copies of one process of ours, which a server starts once and which asks for little
//! ([`spawner`]). Everything here runs in processes with a single thread, so each layer is set up step
//! by step with plain code; nothing is ever forked from the server itself, which has many threads.

mod beneath;
mod etc;
pub(crate) mod forked;
mod init;
mod landlock;
mod loopback;
mod privileges;
pub(crate) mod protocol;
mod root;
mod seccomp;
pub(crate) mod spawner;
mod supervisor;
mod system_calls;

use std::{ffi::OsStr, process::ExitCode};

pub(crate) use supervisor::Init;

/// The hidden verb of the binary that runs [`sandbox_main`].
pub const SANDBOX_VERB: &str = "__sandbox";

/// Whether this process was started as a part of a sandbox, so that `main` has to do nothing but
/// return [`sandbox_main`]. To be asked before threads are started or arguments are read.
#[must_use]
pub fn is_sandbox_call() -> bool {
    std::env::args_os().nth(1).is_some_and(|verb| verb == OsStr::new(SANDBOX_VERB))
}

/// The whole of the process that a [`crate::Launcher`] starts, and of its copies.
#[must_use]
pub fn sandbox_main() -> ExitCode {
    spawner::main()
}

/// Leaves the namespaces of the process that started us.
#[expect(deprecated, reason = "it is unsafe for `FILES` only, which is never among our flags")]
fn unshare(flags: rustix::thread::UnshareFlags) -> rustix::io::Result<()> {
    rustix::thread::unshare(flags)
}
