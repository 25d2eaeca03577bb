//! A model server that is started by us: copies of one command on free loopback ports.
//!
//! Each copy is a process group of its own. Its processes end with it, with the model (`Drop`:
//! SIGTERM, 2 s, SIGKILL) and with us, however we end: a watchdog ends every group once we are gone,
//! even by SIGKILL (see `watchdog`). What leaves its group on purpose (`setsid`, a container of the
//! Docker daemon) is ended only by what its parent does on SIGTERM.

mod copy;
mod memory;
mod output;
mod pool;
mod process;
mod watchdog;

pub(super) use copy::{Command, PING, StartError, at};
pub(super) use memory::copies_that_fit;
pub(super) use pool::{Aftermath, Lease, NoCopy, Pool};
