//! [`Docker`]: the command `docker`, which speaks to the daemon.

use std::{
    io::{self, Write},
    process::{Command, Output, Stdio},
};

/// Where programs are; nothing of our own environment goes to the command.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why Docker can't do something.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// The command can't be run.
    #[error("run `docker`")]
    Command(#[source] io::Error),
    /// The daemon does not answer.
    #[error("reach Docker's daemon at `{host}`: {reason}")]
    Unreachable {
        /// Its address.
        host: String,
        /// What the command says.
        reason: String,
    },
    /// The daemon says no.
    #[error("{task}: {reason}")]
    Refused {
        /// What it was to do, as a fragment that follows "failed to".
        task: &'static str,
        /// What it says.
        reason: String,
    },
}

/// A daemon.
#[derive(Debug, Clone)]
pub(crate) struct Docker {
    host: String,
}

impl Docker {
    pub(crate) fn at(host: &str) -> Self {
        Self { host: host.to_owned() }
    }

    /// The command, with nothing of our environment.
    pub(super) fn command(&self, verb: &str) -> Command {
        let mut command = Command::new("docker");
        command.env_clear().env("PATH", PATH).env("DOCKER_CONFIG", "/nonexistent");
        command.args(["--host", &self.host, verb]).stdin(Stdio::null());
        command
    }

    /// Runs the command to its end with `input`, and returns what it printed.
    pub(super) fn run(
        &self,
        task: &'static str,
        mut command: Command,
        input: &[u8],
    ) -> Result<String, DockerError> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut run = || -> io::Result<Output> {
            let mut child = command.spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                // One that has ended already says why below.
                let _ = stdin.write_all(input);
            }
            child.wait_with_output()
        };
        let output = run().map_err(DockerError::Command)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        let said = text(&output.stderr);
        let reason = said.lines().next().unwrap_or_default();
        let reason = reason.trim_start_matches("Error response from daemon: ").to_owned();
        let lower = reason.to_ascii_lowercase();
        let is_unreachable = lower.contains("connect to the docker daemon")
            || lower.contains("connecting to")
            || lower.contains("during connect");
        Err(if is_unreachable {
            DockerError::Unreachable { host: self.host.clone(), reason }
        } else {
            DockerError::Refused { task, reason }
        })
    }

    pub(super) fn has_image(&self, image: &str) -> Result<bool, DockerError> {
        let mut command = self.command("image");
        command.args(["inspect", "--format", "{{.Id}}", "--", image]);
        match self.run("look for the image", command, b"") {
            Ok(_) => Ok(true),
            Err(DockerError::Refused { reason, .. }) if reason.contains("No such image") => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn entry_point(&self, image: &str) -> Result<Vec<String>, DockerError> {
        let task = "look at the image";
        let mut command = self.command("image");
        command.args(["inspect", "--format", "{{json .Config.Entrypoint}}", "--", image]);
        let found: Option<Vec<String>> = serde_json::from_str(&self.run(task, command, b"")?)
            .map_err(|error| DockerError::Refused { task, reason: error.to_string() })?;
        Ok(found.unwrap_or_default())
    }

    pub(super) fn version(&self) -> Result<String, DockerError> {
        let mut command = self.command("version");
        command.args(["--format", "{{.Server.Version}}"]);
        self.run("ask for the version", command, b"")
    }

    /// Removes a container with all that runs in it, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), DockerError> {
        let mut command = self.command("rm");
        command.args(["--force", "--volumes", "--", name]);
        match self.run("remove the container", command, b"") {
            Err(DockerError::Refused { reason, .. }) if reason.contains("No such container") => {
                Ok(())
            }
            done => done.map(drop),
        }
    }
}
