//! Programs that jobs are run with.

use std::{io, process::Command};

use super::Finding;

pub(super) fn all(docker_host: &str) -> Vec<Finding> {
    let python = version("python3", &["--version"]);
    let uv = match version("uv", &["--version"]) {
        Ok(version) => Finding::good("uv", version),
        Err(_) if version("python3", &["-m", "pip", "--version"]).is_ok() => {
            Finding::good("uv", "not on the path; the first job that needs it fetches it by pip")
        }
        Err(why) => Finding::poor("uv", why, "install it: https://docs.astral.sh/uv/"),
    };
    let python = match python {
        Ok(version) => Finding::good("Python", version),
        Err(why) => Finding::poor(
            "Python",
            why,
            "install python3: script-mode jobs and models with code need it",
        ),
    };
    let docker = match bessemer_compute::docker::daemon_version(docker_host) {
        Ok(version) => Finding::good("Docker", format!("Docker {version} at {docker_host}")),
        Err(error) => Finding::poor(
            "Docker",
            format!("failed to {error}"),
            "only images that no environment stands for need it: install Docker and let this user \
             into the group `docker`",
        ),
    };
    vec![python, uv, docker]
}

/// The first line that a program says, or why it says nothing.
fn version(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            format!("`{program}` is not on the path")
        } else {
            format!("`{program}` can't be run: {error}")
        }
    })?;
    let line = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.lines().next().unwrap_or_default().trim().to_owned()
    };
    if output.status.success() { Ok(line(&output.stdout)) } else { Err(line(&output.stderr)) }
}
