//! Which crate may use which: the table of ARCHITECTURE.md, as data.

use anyhow::{Context, Result};

use super::Finding;
use crate::workspace;

/// Each crate of ours with the crates of ours that it may use.
const EDGES: &[(&str, &[&str])] = &[
    ("bessemer-domain", &[]),
    ("bessemer-aws-wire", &[]),
    ("bessemer-config", &["bessemer-domain"]),
    ("bessemer-objects", &["bessemer-domain"]),
    ("bessemer-store", &["bessemer-domain"]),
    ("bessemer-compute", &["bessemer-domain"]),
    ("bessemer-jobs", &["bessemer-domain", "bessemer-config", "bessemer-store"]),
    (
        "bessemer-functions",
        &["bessemer-domain", "bessemer-objects", "bessemer-store", "bessemer-compute"],
    ),
    ("bessemer-queues", &["bessemer-domain", "bessemer-store"]),
    ("bessemer-notify", &["bessemer-domain", "bessemer-config", "bessemer-store"]),
    ("bessemer-pipelines", &["bessemer-domain", "bessemer-store"]),
    ("bessemer-trees", &["bessemer-domain"]),
    ("bessemer-transform", &["bessemer-domain", "bessemer-objects"]),
    (
        "bessemer-models",
        &["bessemer-domain", "bessemer-objects", "bessemer-transform", "bessemer-trees"],
    ),
    (
        "bessemer-aws",
        &[
            "bessemer-domain",
            "bessemer-aws-wire",
            "bessemer-objects",
            "bessemer-store",
            "bessemer-compute",
            "bessemer-jobs",
            "bessemer-functions",
            "bessemer-pipelines",
            "bessemer-queues",
        ],
    ),
    (
        "bessemer",
        &[
            "bessemer-domain",
            "bessemer-config",
            "bessemer-notify",
            "bessemer-aws-wire",
            "bessemer-objects",
            "bessemer-store",
            "bessemer-compute",
            "bessemer-jobs",
            "bessemer-functions",
            "bessemer-pipelines",
            "bessemer-queues",
            "bessemer-trees",
            "bessemer-transform",
            "bessemer-models",
            "bessemer-aws",
        ],
    ),
    ("xtask", &[]),
];

pub(super) fn check() -> Result<Vec<Finding>> {
    let metadata = workspace::metadata()?;
    let packages = metadata["packages"].as_array().context("cargo named no packages")?;
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let used = package["dependencies"].as_array().into_iter().flatten();
        let used = used.filter_map(|dependency| dependency["name"].as_str());
        let used: Vec<&str> = used.filter(|name| names.contains(name)).collect();
        findings.extend(breaches(name, &used));
    }
    Ok(findings)
}

fn breaches(name: &str, used: &[&str]) -> Vec<Finding> {
    let Some((_, allowed)) = EDGES.iter().find(|(known, _)| *known == name) else {
        return vec![format!("{name}: not in the table of xtask/src/tidy/edges.rs")];
    };
    let wrong = used.iter().filter(|used| !allowed.contains(used));
    wrong.map(|used| format!("{name}: may not use {used} (see ARCHITECTURE.md)")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_run_downward_only() {
        assert!(breaches("bessemer-objects", &["bessemer-domain"]).is_empty());
        assert_eq!(breaches("bessemer-domain", &["bessemer-objects"]).len(), 1);
        assert_eq!(breaches("bessemer-new", &[]).len(), 1);
    }

    #[test]
    fn the_table_is_in_order() {
        for (index, (name, allowed)) in EDGES.iter().enumerate() {
            for used in *allowed {
                let level = EDGES.iter().position(|(known, _)| known == used);
                assert!(level.is_some_and(|level| level < index), "{name} uses {used}");
            }
        }
    }
}
