//! The data directory, as the server and the commands that talk to it know it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bessemer_aws::{AccessKeyEntry, KeyRing};
use bessemer_domain::ExitCode;
use clap::Args;

use crate::failure::Failure;

/// Where a server keeps what it has.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataOptions {
    /// The server's data directory [default: `$XDG_DATA_HOME/bessemer` or `~/.local/share/bessemer`]
    #[arg(long, value_name = "DIR", env = "BESSEMER_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

impl DataOptions {
    /// The data directory, absolute.
    pub(crate) fn directory(&self) -> PathBuf {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let usual = || {
            let base = variable("XDG_DATA_HOME")
                .map(PathBuf::from)
                .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/share")));
            base.unwrap_or_else(std::env::temp_dir).join("bessemer")
        };
        let chosen = self.data_dir.clone().unwrap_or_else(usual);
        std::path::absolute(&chosen).unwrap_or(chosen)
    }

    /// How to reach the server and with which key: the oldest that may write.
    pub(crate) fn access(&self) -> Result<Access, Failure> {
        let directory = self.directory();
        let hint =
            format!("start a server with `bessemer serve --data-dir {}`", directory.display());
        let address = read_address(&directory).map_err(|error| {
            let missing = anyhow::anyhow!("find a server of `{}`: {error}", directory.display());
            Failure::new(ExitCode::NotFound, missing).with_hint(hint.clone())
        })?;
        let keys = KeyRing::of(&directory)
            .list()
            .map_err(|error| Failure::new(ExitCode::Denied, error))?;
        let key =
            keys.into_iter().find(|key| !key.read_only && key.job.is_none()).ok_or_else(|| {
                let missing = anyhow::anyhow!("find an access key in `{}`", directory.display());
                Failure::new(ExitCode::NotFound, missing)
                    .with_hint("make one with `bessemer keys create`")
            })?;
        Ok(Access { endpoint: format!("http://{address}"), key })
    }
}

/// How to reach a server.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// `http://address:port`.
    pub(crate) endpoint: String,
    pub(crate) key: AccessKeyEntry,
}

/// The region that commands speak of. A server has what it has in every region.
pub(crate) const REGION: &str = "us-east-1";

impl Access {
    /// The variables that point AWS clients to the server.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let region = std::env::var("AWS_DEFAULT_REGION").unwrap_or_else(|_| REGION.to_owned());
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", self.key.id.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.key.secret.clone()),
            ("AWS_DEFAULT_REGION", region.clone()),
            ("AWS_REGION", region),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }
}

/// Records the address that the server of `directory` listens at.
pub(crate) fn write_address(directory: &Path, address: &str) -> io::Result<()> {
    fs::write(directory.join("address"), format!("{address}\n"))
}

fn read_address(directory: &Path) -> io::Result<String> {
    Ok(fs::read_to_string(directory.join("address"))?.trim().to_owned())
}
