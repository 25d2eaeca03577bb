//! The layers of the sandbox that user code runs in.

use std::path::Path;

use bessemer_compute::{Launcher, Layer, LayerState};

use super::{Finding, machine::existing};

pub(super) fn layers(directory: &Path) -> Vec<Finding> {
    // A sandbox may be unable to reach below a home directory: any place will do.
    let probed = Launcher::default()
        .layers(&existing(directory))
        .or_else(|_| Launcher::default().layers(&std::env::temp_dir()));
    match probed {
        Ok(states) => states.iter().map(finding).collect(),
        Err(error) => {
            let causes = std::iter::successors(std::error::Error::source(&error), |cause| {
                std::error::Error::source(*cause)
            });
            let why = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
            vec![Finding::bad(
                "sandbox",
                format!("no sandbox can be made: {why}"),
                "user namespaces must be allowed: see `sysctl user.max_user_namespaces` and, on \
                 Ubuntu, `sysctl kernel.apparmor_restrict_unprivileged_userns`; or run as root",
            )]
        }
    }
}

fn finding(state: &LayerState) -> Finding {
    let name = format!("sandbox: {}", state.layer.name());
    if state.active {
        return Finding::good(name, &state.detail);
    }
    let mend = match state.layer {
        Layer::MemoryGroup | Layer::ProcessGroup | Layer::CpuGroup => {
            return Finding::poor(
                name,
                &state.detail,
                "run the server by the systemd unit, which has `Delegate=yes`",
            );
        }
        Layer::Landlock => "use Linux 5.13 or later with `landlock` in /sys/kernel/security/lsm",
        Layer::Seccomp => "use a kernel with CONFIG_SECCOMP_FILTER",
        _ => "allow namespaces (`sysctl user.max_user_namespaces`), or run the server as root",
    };
    Finding::bad(name, &state.detail, mend)
}
