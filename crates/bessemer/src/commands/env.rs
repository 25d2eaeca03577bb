//! `bessemer env`: the variables that point AWS clients to the server.

use bessemer_domain::ExitCode;
use clap::Args;

use crate::{failure::Failure, report::print, wiring::data::DataOptions};

/// Print the variables that point AWS clients to the server, for `eval "$(bessemer env)"`
#[derive(Debug, Args)]
pub(super) struct Env {
    #[command(flatten)]
    data: DataOptions,
}

impl Env {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let access = self.data.client_access()?;
        for (name, value) in access.variables() {
            print(&format!("export {name}='{value}'\n"));
        }
        Ok(ExitCode::Ok)
    }
}
