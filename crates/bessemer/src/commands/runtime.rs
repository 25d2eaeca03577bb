//! `bessemer runtime`: the ONNX Runtime library that ONNX models need.

use std::path::PathBuf;

use bessemer_domain::ExitCode;
use bessemer_models::onnx::runtime;
use clap::{Args, Subcommand};

use crate::{failure::Failure, report::print};

/// Find or install ONNX Runtime
#[derive(Debug, Args)]
pub(super) struct Runtime {
    #[command(subcommand)]
    command: RuntimeCommand,
    /// The Python whose packages are looked at and whose pip installs
    #[arg(long, value_name = "PATH", default_value = "python3", global = true)]
    python: PathBuf,
}

#[derive(Debug, Subcommand)]
enum RuntimeCommand {
    /// Install the library into the cache, from its Python wheel
    Install,
    /// List the libraries that are found, the one in use first
    Ls,
}

impl Runtime {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        match self.command {
            RuntimeCommand::Install => {
                let found = runtime::install(&self.python).map_err(failed)?;
                print(&format!("{}\n", found.path.display()));
                Ok(ExitCode::Ok)
            }
            RuntimeCommand::Ls => {
                let found = runtime::list(None, &self.python);
                if found.is_empty() {
                    return Err(Failure::new(
                        ExitCode::NotFound,
                        anyhow::anyhow!("no ONNX Runtime library is found"),
                    )
                    .with_hint("bessemer runtime install"));
                }
                for library in found {
                    print(&format!("{}\t{}\n", library.path.display(), library.origin));
                }
                Ok(ExitCode::Ok)
            }
        }
    }
}

fn failed(error: runtime::RuntimeError) -> Failure {
    let (code, hint) = (error.exit_code(), error.hint());
    Failure { hint, ..Failure::new(code, error) }
}
