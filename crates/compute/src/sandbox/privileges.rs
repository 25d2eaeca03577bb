//! Limits, user, capabilities: what a process may do by what it is.

use std::io;

use rustix::{
    process::{
        DumpableBehavior, Gid, Resource, Rlimit, Uid, getrlimit, set_dumpable_behavior, setrlimit,
    },
    thread::{
        CapabilitiesSecureBits, CapabilitySet, CapabilitySets, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits,
        set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};

use crate::{Limits, SetupError, error::Trying};

/// The highest number that a capability can have.
const LAST_CAPABILITY: u32 = 63;

/// Sets the limits that the kernel keeps for each process or user. `backstop`: bound memory, too,
/// since no control group does. `ours`: processes of ours that the limit of processes counts, too.
pub(super) fn limit(limits: &Limits, backstop: bool, ours: u64) -> Result<(), SetupError> {
    set(Resource::Core, Some(0))?;
    set(Resource::Nofile, limits.open_files.map(u64::from))?;
    set(Resource::Fsize, limits.file_size.or(limits.disk))?;
    set(Resource::Nproc, limits.processes.map(|count| u64::from(count) + ours))?;
    if backstop {
        // What a process may take between two looks of the watcher. Not the address space, of which
        // many runtimes reserve more than they ever use.
        set(Resource::Data, limits.memory.map(|bytes| bytes.saturating_mul(2) + (1 << 30)))?;
    }
    Ok(())
}

fn set(resource: Resource, value: Option<u64>) -> Result<(), SetupError> {
    let Some(value) = value else { return Ok(()) };
    let most = getrlimit(resource).maximum.map_or(value, |most| most.min(value));
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
        .trying(|| format!("limit {resource:?} to {most}"))
}

/// Gives up every right for good: becomes `uid` if there is one, and keeps no capability.
pub(super) fn drop_all(uid: Option<u32>) -> Result<(), SetupError> {
    for number in 0..=LAST_CAPABILITY {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if remove_capability_from_bounding_set(capability).is_err() {
            break; // beyond the last that this kernel knows
        }
    }
    // Even root of a namespace gets nothing by running a program.
    let bits = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
    set_capabilities_secure_bits(bits).trying(|| "give up root's rights".to_owned())?;
    if let Some(uid) = uid {
        become_user(uid).trying(|| format!("become user {uid}"))?;
    }
    let none = CapabilitySet::empty();
    let _ = clear_ambient_capability_set(); // empty already where the kernel has none
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .trying(|| "give up all capabilities".to_owned())?;
    set_no_new_privs(true).trying(|| "give up new privileges".to_owned())?;
    // After the change of user, which sets it anew: nobody may read our memory or open our program.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).trying(|| "close our memory".to_owned())
}

fn become_user(uid: u32) -> io::Result<()> {
    set_thread_groups(&[])?;
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    Ok(())
}
