//! `bessemer completion`.

use bessemer_domain::ExitCode;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Print a completion script for a shell
#[derive(Debug, Args)]
pub(super) struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    pub(super) fn run(&self) -> ExitCode {
        let mut command = super::Cli::command();
        clap_complete::generate(self.shell, &mut command, "bessemer", &mut std::io::stdout());
        ExitCode::Ok
    }
}
