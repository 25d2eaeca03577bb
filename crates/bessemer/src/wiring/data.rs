//! The data directory, as the server and the commands that talk to it know it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bessemer_aws::{AccessKeyEntry, KeyRing};
use bessemer_config::{Config, ConfigError, Located};
use bessemer_domain::ExitCode;
use clap::Args;

use super::storage::{ExternalKeys, external_keys};
use crate::failure::Failure;

/// Where a server keeps what it has.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataOptions {
    /// The server's data directory [default: `$XDG_DATA_HOME/bessemer` or `~/.local/share/bessemer`]
    #[arg(long, value_name = "DIR", env = "BESSEMER_DATA_DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// The server's settings [default: `bessemer.toml` in the data directory or here]
    #[arg(long, value_name = "FILE", env = "BESSEMER_CONFIG", global = true)]
    config: Option<PathBuf>,
}

impl DataOptions {
    /// The settings, and the file that they are from.
    pub(crate) fn settings(&self) -> Result<(Config, Option<PathBuf>), Failure> {
        let directory = self.directory();
        let (file, is_free) = match bessemer_config::locate(self.config.as_deref(), &directory) {
            Located::Free(file) => (file, true),
            Located::InDataDir(file) => (file, false),
            Located::Nowhere => return Ok((Config::default(), None)),
        };
        let config = Config::read(&file).map_err(|error| not_read(&error))?;
        if !is_free && config.server.data_dir.is_some() {
            let text = format!("`{}` is in the data directory and names one", file.display());
            return Err(Failure::configuration(anyhow::anyhow!("{text}"))
                .with_hint("remove `server.data_dir`, or start with `--config FILE`"));
        }
        Ok((config, Some(file)))
    }

    /// The data directory, absolute: the option's, the variable's, that of the settings, the usual.
    pub(crate) fn directory(&self) -> PathBuf {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let usual = || {
            let base = variable("XDG_DATA_HOME")
                .map(PathBuf::from)
                .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/share")));
            base.unwrap_or_else(std::env::temp_dir).join("bessemer")
        };
        let chosen = self.data_dir.clone().or_else(|| {
            match bessemer_config::locate(self.config.as_deref(), &usual()) {
                Located::Free(file) => bessemer_config::data_dir_of(&file),
                Located::InDataDir(_) | Located::Nowhere => None,
            }
        });
        let chosen = chosen.unwrap_or_else(usual);
        std::path::absolute(&chosen).unwrap_or(chosen)
    }

    /// How AWS clients reach the server and where its objects are: if that is an S3 elsewhere, with the
    /// key that both take.
    pub(crate) fn client_access(&self) -> Result<Access, Failure> {
        let access = self.access()?;
        let settings = self.settings()?.0.storage;
        let keys = external_keys(&settings).map_err(|error| {
            Failure::new(ExitCode::Configuration, error)
                .with_hint("clients use the same access key for both; give it here too")
        })?;
        match (settings.external, keys) {
            (Some(external), Some(ExternalKeys { key, .. })) => {
                let s3 = Some((external.endpoint, external.region));
                Ok(Access { key, s3, ..access })
            }
            _ => Ok(access),
        }
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
        let key = keys.into_iter().find(|key| !key.read_only).ok_or_else(|| {
            let missing = anyhow::anyhow!("find an access key in `{}`", directory.display());
            Failure::new(ExitCode::NotFound, missing)
                .with_hint("make one with `bessemer keys create`")
        })?;
        Ok(Access { endpoint: format!("http://{address}"), key, s3: None })
    }
}

/// Settings that can't be used.
fn not_read(error: &ConfigError) -> Failure {
    let (code, hint) = match error {
        ConfigError::Read { source, .. } => {
            let code = ExitCode::of_io(source, ExitCode::Configuration);
            (code, "`bessemer config sample` prints a file to start from")
        }
        ConfigError::Problems(_) => {
            (ExitCode::Configuration, "`bessemer config sample` shows every setting")
        }
    };
    Failure::new(code, error.clone()).with_hint(hint)
}

/// How to reach a server.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// `http://address:port`.
    pub(crate) endpoint: String,
    pub(crate) key: AccessKeyEntry,
    /// The endpoint and the region of the S3 elsewhere that has the objects.
    pub(crate) s3: Option<(String, String)>,
}

/// The region that commands speak of. A server has what it has in every region.
pub(crate) const REGION: &str = "us-east-1";

impl Access {
    /// The variables that point AWS clients to the server.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let usual = self.s3.as_ref().map_or(REGION, |(_, region)| region).to_owned();
        let region = std::env::var("AWS_DEFAULT_REGION").unwrap_or(usual);
        let s3 = self.s3.iter().map(|(s3, _)| ("AWS_ENDPOINT_URL_S3", s3.clone()));
        let variables = [
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", self.key.id.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.key.secret.clone()),
            ("AWS_DEFAULT_REGION", region.clone()),
            ("AWS_REGION", region),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        variables.into_iter().chain(s3).collect()
    }
}

/// Records the address that the server of `directory` listens at.
pub(crate) fn write_address(directory: &Path, address: &str) -> io::Result<()> {
    fs::write(directory.join("address"), format!("{address}\n"))
}

fn read_address(directory: &Path) -> io::Result<String> {
    Ok(fs::read_to_string(directory.join("address"))?.trim().to_owned())
}
