//! The layers of a sandbox, and whether they hold on this machine.

use serde::{Deserialize, Serialize};

/// A layer of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Layer {
    /// A user of its own (as root), or a user namespace without any rights outside.
    User,
    /// Processes outside can't be seen, signalled or traced.
    PidNamespace,
    /// A file system of its own: nothing but the mounts, read-only outside the writable ones.
    MountNamespace,
    /// System V and POSIX message queues, semaphores and shared memory of its own.
    IpcNamespace,
    /// A host name of its own.
    UtsNamespace,
    /// No network but a loopback of its own.
    NetworkNamespace,
    /// A `/proc` of its own, in which only own processes are seen.
    Proc,
    /// No capability, and no program that gives any.
    NoPrivileges,
    /// An allowlist of files, and no abstract sockets or signals to others, held by the kernel apart
    /// from mounts.
    Landlock,
    /// System calls that only attacks on the kernel need are refused.
    Seccomp,
    /// Memory limited by a control group; else looked after by a watcher.
    MemoryGroup,
    /// Processes limited by a control group; else by the limit of the user.
    ProcessGroup,
    /// Cores limited by a control group; else not at all.
    CpuGroup,
}

impl Layer {
    /// Every layer.
    pub const ALL: [Self; 13] = [
        Self::User,
        Self::PidNamespace,
        Self::MountNamespace,
        Self::IpcNamespace,
        Self::UtsNamespace,
        Self::NetworkNamespace,
        Self::Proc,
        Self::NoPrivileges,
        Self::Landlock,
        Self::Seccomp,
        Self::MemoryGroup,
        Self::ProcessGroup,
        Self::CpuGroup,
    ];

    /// A name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::PidNamespace => "PID namespace",
            Self::MountNamespace => "mount namespace",
            Self::IpcNamespace => "IPC namespace",
            Self::UtsNamespace => "UTS namespace",
            Self::NetworkNamespace => "network namespace",
            Self::Proc => "own /proc",
            Self::NoPrivileges => "no privileges",
            Self::Landlock => "Landlock",
            Self::Seccomp => "seccomp",
            Self::MemoryGroup => "memory control group",
            Self::ProcessGroup => "process control group",
            Self::CpuGroup => "CPU control group",
        }
    }
}

/// Whether a layer holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerState {
    /// Which.
    pub layer: Layer,
    /// How it is done, or why it is missing.
    pub detail: String,
    /// Whether it holds.
    pub active: bool,
}

impl LayerState {
    pub(crate) fn active(layer: Layer, detail: impl Into<String>) -> Self {
        Self { layer, detail: detail.into(), active: true }
    }

    pub(crate) fn missing(layer: Layer, reason: impl Into<String>) -> Self {
        Self { layer, detail: reason.into(), active: false }
    }
}
