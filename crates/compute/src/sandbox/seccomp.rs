//! The filter of system calls.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op,
    SeccompCondition as Condition, SeccompFilter, SeccompRule as Rule, apply_filter,
};

use super::system_calls::{REFUSED, REFUSED_HERE};
use crate::{Layer, LayerState};

/// Set in the numbers of x86-64's second table, which hold the same calls once more.
const X32: i64 = 0x4000_0000;
/// Bits of a socket's type that say what it is; the others are flags.
const SOCKET_TYPE: u64 = 0xf;
/// Flags of `clone` that make a namespace (`CLONE_NEW*`).
const NAMESPACES: [i32; 8] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    0x80, // CLONE_NEWTIME
];

/// Filters this process and all that it will start.
pub(super) fn restrict() -> LayerState {
    match try_restrict() {
        Ok(()) => LayerState::active(
            Layer::Seccomp,
            format!("{} calls", REFUSED.len() + REFUSED_HERE.len()),
        ),
        Err(reason) => LayerState::missing(Layer::Seccomp, reason),
    }
}

fn try_restrict() -> Result<(), String> {
    let text = |error: BackendError| error.to_string();
    let refused = program(refused().map_err(text)?, libc::EPERM).map_err(text)?;
    // Its arguments can't be filtered. Told that there is no such call, programs use `clone`.
    let absent = [(libc::SYS_clone3, vec![])].into_iter().collect();
    let absent = program(absent, libc::ENOSYS).map_err(text)?;
    apply_filter(&absent).map_err(|error| error.to_string())?;
    apply_filter(&refused).map_err(|error| error.to_string())
}

/// A program that answers the calls of `rules` with `error`.
fn program(rules: BTreeMap<i64, Vec<Rule>>, error: i32) -> Result<BpfProgram, BackendError> {
    let twins = rules.clone().into_iter().map(|(number, rule)| (number | X32, rule));
    let all =
        if cfg!(target_arch = "x86_64") { twins.chain(rules.clone()).collect() } else { rules };
    let machine = std::env::consts::ARCH.try_into()?;
    let action = SeccompAction::Errno(error as u32);
    SeccompFilter::new(all, SeccompAction::Allow, action, machine)?.try_into()
}

fn refused() -> Result<BTreeMap<i64, Vec<Rule>>, BackendError> {
    let mut rules: BTreeMap<i64, Vec<Rule>> =
        REFUSED.iter().chain(REFUSED_HERE).map(|number| (*number, vec![])).collect();
    let mut clone = Vec::new();
    for flag in NAMESPACES {
        clone.push(Rule::new(vec![when(0, Len::Qword, Op::MaskedEq(flag as u64), flag as u64)?])?);
    }
    rules.insert(libc::SYS_clone, clone);
    rules.insert(libc::SYS_socket, sockets()?);
    // A terminal's input, typed by a program: TIOCSTI and TIOCLINUX.
    let typed = [0x5412, 0x541c].map(|call| when(1, Len::Dword, Op::Eq, call));
    let typed = typed.into_iter().map(|condition| Rule::new(vec![condition?]));
    rules.insert(libc::SYS_ioctl, typed.collect::<Result<_, _>>()?);
    Ok(rules)
}

/// No families but local, IPv4, IPv6 and the kernel's tables of addresses; no raw sockets.
fn sockets() -> Result<Vec<Rule>, BackendError> {
    let family = |op, value: i32| when(0, Len::Dword, op, value as u64);
    let unknown = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let unknown = unknown.into_iter().map(|known| family(Op::Ne, known));
    let raw = |family_name| {
        let raw = when(1, Len::Dword, Op::MaskedEq(SOCKET_TYPE), libc::SOCK_RAW as u64)?;
        Rule::new(vec![family(Op::Eq, family_name)?, raw])
    };
    Ok(vec![
        Rule::new(unknown.collect::<Result<_, _>>()?)?,
        raw(libc::AF_INET)?,
        raw(libc::AF_INET6)?,
        Rule::new(vec![
            family(Op::Eq, libc::AF_NETLINK)?,
            when(2, Len::Dword, Op::Ne, libc::NETLINK_ROUTE as u64)?,
        ])?,
    ])
}

fn when(argument: u8, length: Len, op: Op, value: u64) -> Result<Condition, BackendError> {
    Condition::new(argument, length, op, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_compiles_and_is_short_enough() {
        let filter = program(refused().unwrap(), libc::EPERM).unwrap();
        assert!(filter.len() < 4096, "{}", filter.len());
    }
}
