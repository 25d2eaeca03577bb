//! Finds uv, or fetches it once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::{EnvironmentError, create, failed, lock, remove};

/// Lines of a failed command's output that are kept.
const TAIL_LINES: usize = 20;

/// The uv on the path, or one that pip fetches into `folder`.
pub(super) fn find(folder: &Path) -> Result<PathBuf, EnvironmentError> {
    let on_path = Command::new("uv").arg("--version").output();
    if on_path.is_ok_and(|output| output.status.success()) {
        return Ok("uv".into());
    }
    let target = folder.join("uv");
    let program = target.join("bin/uv");
    if program.exists() {
        return Ok(program);
    }
    create(folder)?;
    let _lock = lock(&folder.join("uv.lock"))?;
    if !program.exists() {
        let unfinished = folder.join("uv.unfinished");
        remove(&unfinished)?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--target"]).arg(&unfinished).arg("uv");
        run(&mut pip, "fetch uv by pip (or install uv and put it on the path)")?;
        fs::rename(&unfinished, &target).map_err(failed(&target))?;
    }
    Ok(program)
}

/// Runs `command`, which is to do `task`.
pub(super) fn run(command: &mut Command, task: &str) -> Result<Output, EnvironmentError> {
    let output = command.output().map_err(|source| {
        let program = command.get_program().display().to_string();
        EnvironmentError::Run { program, source }
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    Err(EnvironmentError::Failed {
        task: task.to_owned(),
        reason: reason(&lines).unwrap_or_else(|| format!("it said nothing ({})", output.status)),
        output: tail.join("\n"),
    })
}

/// The line that says why: uv marks it, else it is the last.
fn reason(lines: &[&str]) -> Option<String> {
    let plain =
        |line: &str| line.trim_start_matches([' ', '×', '╰', '─', '▶', '│']).trim().to_owned();
    let marked = lines.iter().find(|line| line.contains('╰') || line.contains('×'));
    let error = lines.iter().find(|line| line.starts_with("error:"));
    marked.or(error).or(lines.last()).map(|line| plain(line))
}
