//! The files themselves: sizes, opening docs, words that don't belong, links that lead nowhere.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::Finding;
use crate::workspace;

/// Lines of a source file, its tests not counted.
const BUDGET: usize = 500;

/// Text that belongs in no file: notes to self, and paths of somebody's machine.
const BANNED: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("/wo", "rk/"), concat!("/ro", "ot/")];

pub(super) fn check() -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (path, text) in sources()? {
        let shown = path.display();
        findings.extend(banned(&path, &text));
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => {
                if !text.starts_with("//!") {
                    findings.push(format!("{shown}:1: does not open with `//!`"));
                }
                let lines = lines_without_tests(&path, &text);
                if lines > BUDGET {
                    findings.push(format!("{shown}: {lines} lines, {BUDGET} are allowed"));
                }
            }
            Some("md") => findings.extend(dead_links(&path, &text)),
            _ => {}
        }
    }
    Ok(findings)
}

/// The text files that git knows or would take in.
pub(super) fn sources() -> Result<Vec<(PathBuf, String)>> {
    let mut list = Command::new("git");
    list.current_dir(workspace::root());
    let list = list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let names = workspace::output(list)?;
    let names = names.split_terminator('\0').map(PathBuf::from);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(workspace::root().join(&path)).ok()?;
        Some((path, text))
    };
    Ok(names.filter_map(read).collect())
}

/// Lines up to the unit tests at the file's end. Files of tests count none.
fn lines_without_tests(path: &Path, text: &str) -> usize {
    let of_tests = path
        .components()
        .any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "benches" | "tests.rs")));
    if of_tests {
        return 0;
    }
    let lines: Vec<&str> = text.lines().collect();
    let opens_tests = |at: &usize| {
        lines[*at] == "#[cfg(test)]"
            && lines.get(at + 1).is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'))
    };
    (0..lines.len()).find(opens_tests).unwrap_or(lines.len())
}

fn banned(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for word in BANNED.iter().filter(|word| line.contains(**word)) {
            findings.push(format!("{}:{}: holds `{word}`", path.display(), index + 1));
        }
    }
    findings
}

/// Links of a Markdown file to files that are not there.
fn dead_links(path: &Path, text: &str) -> Vec<Finding> {
    let folder = workspace::root().join(path.parent().unwrap_or(Path::new("")));
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    let files = local.map(|target| target.split('#').next().unwrap_or(target));
    let dead = files.filter(|file| !file.is_empty() && !folder.join(file).exists());
    dead.map(|file| format!("{}: links to `{file}`, which is not there", path.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_do_not_count() {
        let text = "//! x\n\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        assert_eq!(lines_without_tests(Path::new("src/a.rs"), text), 4);
        assert_eq!(lines_without_tests(Path::new("src/tests/a.rs"), text), 0);
        let declared = "#[cfg(test)]\nmod tests;\nfn a() {}\n";
        assert_eq!(lines_without_tests(Path::new("src/a.rs"), declared), 3);
    }

    #[test]
    fn banned_words_are_found() {
        let text = format!("a\n// {}: later\n", BANNED[0]);
        assert_eq!(banned(Path::new("a.rs"), &text).len(), 1);
    }

    #[test]
    fn dead_links_are_found() {
        let text = "[a](Cargo.toml#x) [b](nowhere.md) [c](https://example.com) [d](#here)";
        let found = dead_links(Path::new("README.md"), text);
        assert_eq!(found, ["README.md: links to `nowhere.md`, which is not there"]);
    }
}
