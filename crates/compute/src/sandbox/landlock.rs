//! The allowlist of files that the kernel holds apart from mounts.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
    path_beneath_rules,
};

use crate::{Layer, LayerState, ProcessSpec};

/// The newest version whose rights we know. Older kernels hold as much of it as they can.
const VERSION: ABI = ABI::V6;

/// Restricts this process and all that it will start: reading anywhere, which is what the mounts
/// show; writing where `spec` lets it, in `/tmp`, `/dev` and `/proc`. No signals and no abstract
/// sockets across.
pub(super) fn restrict(spec: &ProcessSpec) -> LayerState {
    match try_restrict(spec) {
        Ok(RulesetStatus::FullyEnforced) => {
            LayerState::active(Layer::Landlock, "files, sockets, signals")
        }
        Ok(RulesetStatus::PartiallyEnforced) => {
            LayerState::active(Layer::Landlock, "as far as this kernel knows it")
        }
        Ok(RulesetStatus::NotEnforced) => LayerState::missing(
            Layer::Landlock,
            "this kernel has none; it comes with Linux 5.13 and may need `lsm=landlock,…` at boot",
        ),
        Err(error) => LayerState::missing(Layer::Landlock, error.to_string()),
    }
}

fn try_restrict(spec: &ProcessSpec) -> Result<RulesetStatus, landlock::RulesetError> {
    let writable =
        spec.mounts.iter().filter(|bind| !bind.read_only).map(|bind| bind.target.clone());
    let own = ["/tmp", "/dev", "/proc"].map(PathBuf::from);
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(VERSION))?
        .scope(Scope::from_all(VERSION))?
        .create()?
        .add_rules(path_beneath_rules(["/"], AccessFs::from_read(VERSION)))?
        .add_rules(path_beneath_rules(writable.chain(own), AccessFs::from_all(VERSION)))?
        .restrict_self()?;
    Ok(status.ruleset)
}
