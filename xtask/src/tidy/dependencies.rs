//! Third-party crates: each has its reason beside it, is used, and comes in one version where two
//! would not understand each other.

use std::fs;

use anyhow::{Context, Result};

use super::{Finding, files};
use crate::workspace;

/// Crates whose types cross our interfaces: two versions of one would not fit together.
const SINGLE: &[&str] = &["arrow", "arrow-schema", "object_store", "parquet"];

pub(super) fn check() -> Result<Vec<Finding>> {
    let read = |name: &str| {
        let path = workspace::root().join(name);
        fs::read_to_string(path).with_context(|| format!("failed to read `{name}`"))
    };
    let mut findings = without_reason(&read("Cargo.toml")?);
    findings.extend(doubled(&read("Cargo.lock")?));
    findings.extend(unused()?);
    Ok(findings)
}

/// The workspace's dependencies that have no comment on their line.
fn without_reason(manifest: &str) -> Vec<Finding> {
    let lines = manifest.lines().enumerate();
    let section = lines.skip_while(|(_, line)| *line != "[workspace.dependencies]").skip(1);
    let entries = section.take_while(|(_, line)| !line.starts_with('['));
    let entries = entries.filter(|(_, line)| line.contains('=') && !line.starts_with('#'));
    let bare = entries.filter(|(_, line)| !line.contains(" # ") && !line.starts_with("bessemer-"));
    bare.map(|(index, line)| {
        let name = line.split([' ', '=']).next().unwrap_or_default();
        format!("Cargo.toml:{}: `{name}` has no reason beside it", index + 1)
    })
    .collect()
}

/// The crates of [`SINGLE`] that the lock file holds more than once.
fn doubled(lock: &str) -> Vec<Finding> {
    let names: Vec<&str> = lock.lines().filter_map(|line| line.strip_prefix("name = ")).collect();
    let count = |name: &str| names.iter().filter(|found| found.trim_matches('"') == name).count();
    let doubled = SINGLE.iter().filter(|name| count(name) > 1);
    doubled.map(|name| format!("Cargo.lock: {} versions of `{name}`", count(name))).collect()
}

/// Dependencies that no source file of their crate names.
fn unused() -> Result<Vec<Finding>> {
    let metadata = workspace::metadata()?;
    let sources = files::sources()?;
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let folder = manifest.trim_end_matches("Cargo.toml");
        let own: Vec<&String> = sources
            .iter()
            .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "rs"))
            .filter(|(path, _)| workspace::root().join(path).starts_with(folder))
            .map(|(_, text)| text)
            .collect();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let name_or_new = dependency["rename"].as_str().or(dependency["name"].as_str());
            let used = name_or_new.unwrap_or_default();
            let word = used.replace('-', "_");
            if !own.iter().any(|text| names_crate(text, &word)) {
                findings.push(format!("{name}: `{used}` is not used"));
            }
        }
    }
    Ok(findings)
}

/// Whether `text` holds `word` as a word of its own.
fn names_crate(text: &str, word: &str) -> bool {
    let boundary = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    text.match_indices(word).any(|(at, _)| {
        boundary(text[..at].chars().next_back()) && boundary(text[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stand_on_the_line() {
        let manifest =
            "[workspace.dependencies]\na = \"1\"  # why\nb = \"1\"\n\n[profile.dev]\nc = 1\n";
        assert_eq!(without_reason(manifest), ["Cargo.toml:3: `b` has no reason beside it"]);
    }

    #[test]
    fn doubles_are_found() {
        let lock = "name = \"arrow\"\nname = \"arrow\"\nname = \"arrow-csv\"\nname = \"parquet\"\n";
        assert_eq!(doubled(lock), ["Cargo.lock: 2 versions of `arrow`"]);
    }

    #[test]
    fn words_are_whole() {
        assert!(names_crate("use url::Url;", "url"));
        assert!(!names_crate("use curl::x; let url_of = 1;", "url"));
    }
}
