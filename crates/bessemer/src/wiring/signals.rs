//! SIGINT and SIGTERM: the first one ends the run cleanly, the second at once.

use std::sync::{Arc, atomic::AtomicBool};

use bessemer_domain::ExitCode;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use crate::failure::Failure;

/// Sets `stop` on a signal; a second signal ends the process.
pub(crate) fn stop_on_signal(stop: &Arc<AtomicBool>) -> Result<(), Failure> {
    for signal in [SIGINT, SIGTERM] {
        // The order matters: the second signal finds the flag set by the first.
        flag::register_conditional_shutdown(signal, ExitCode::Stopped as i32, Arc::clone(stop))
            .and_then(|_| flag::register(signal, Arc::clone(stop)))
            .map_err(|error| Failure::new(ExitCode::Internal, error))?;
    }
    Ok(())
}
