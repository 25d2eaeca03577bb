//! `bessemer config`: the server's settings.

use bessemer_config::SAMPLE;
use bessemer_domain::ExitCode;
use clap::{Args, Subcommand};

use crate::{failure::Failure, report::print, wiring::data::DataOptions};

/// Show a sample of the server's settings, or check a file
#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    command: ConfigCommand,
    #[command(flatten)]
    data: DataOptions,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print a file with every setting and its default
    Sample,
    /// Check the file that `bessemer serve` would take; says all that is wrong with it
    Check,
}

impl Config {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            ConfigCommand::Sample => print(SAMPLE),
            ConfigCommand::Check => {
                let (_, file) = self.data.settings()?;
                let file = file.ok_or_else(|| {
                    let missing = anyhow::anyhow!("find `{}`", bessemer_config::FILE_NAME);
                    Failure::new(ExitCode::NotFound, missing)
                        .with_hint("name a file by `--config`; without one all is as usual")
                })?;
                print(&format!("{} is in order\n", file.display()));
            }
        }
        Ok(ExitCode::Ok)
    }
}
