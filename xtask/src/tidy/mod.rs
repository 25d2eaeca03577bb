//! `cargo xtask tidy`: the rules of the house that no compiler checks.

mod dependencies;
mod edges;
mod files;

use anyhow::{Result, bail};

/// A breach of a rule: where, and what is wrong.
pub(crate) type Finding = String;

pub(crate) fn run() -> Result<()> {
    let mut findings = edges::check()?;
    findings.extend(dependencies::check()?);
    findings.extend(files::check()?);
    if findings.is_empty() {
        println!("tidy: all is in order");
        return Ok(());
    }
    for finding in &findings {
        println!("{finding}");
    }
    bail!("{} findings", findings.len())
}
