//! `bessemer keys`: who may call the server.

use bessemer_aws::{AccessKeyEntry, KeyRing, KeyRingError};
use bessemer_domain::{Clock, ExitCode, SystemClock};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    failure::Failure,
    report::{event, print},
    wiring::data::DataOptions,
};

/// Show, make and delete access keys; a running server sees them at once
#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(subcommand)]
    command: KeysCommand,
    #[command(flatten)]
    data: DataOptions,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Show the keys, without their secrets
    Ls {
        /// One JSON object a key
        #[arg(long)]
        json: bool,
    },
    /// Make a key and print it
    Create {
        /// A key that can't change anything
        #[arg(long)]
        read_only: bool,
        /// The key as a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Delete a key
    Delete {
        /// The key's id
        id: String,
    },
}

impl Keys {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let keys = KeyRing::of(&self.data.directory());
        match self.command {
            KeysCommand::Ls { json } => {
                for key in keys.list().map_err(failed)? {
                    show(&key, json);
                }
            }
            KeysCommand::Create { read_only, json } => {
                let key = keys.create(read_only, SystemClock.now_millis()).map_err(failed)?;
                if json {
                    event(&json!({ "id": key.id, "secret": key.secret, "read_only": read_only }));
                } else {
                    print(&format!("access key id      {}\n", key.id));
                    print(&format!("secret access key  {}\n", key.secret));
                }
            }
            KeysCommand::Delete { id } => keys.delete(&id).map_err(failed)?,
        }
        Ok(ExitCode::Ok)
    }
}

fn show(key: &AccessKeyEntry, json: bool) {
    if json {
        event(&json!({
            "id": key.id, "read_only": key.read_only, "created_at": key.created_at,
        }));
    } else {
        print(&format!("{}  {}\n", key.id, if key.read_only { "read-only" } else { "full" }));
    }
}

fn failed(error: KeyRingError) -> Failure {
    let code = match &error {
        KeyRingError::Unknown(_) => ExitCode::NotFound,
        KeyRingError::Io { source, .. }
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            ExitCode::Denied
        }
        _ => ExitCode::Internal,
    };
    Failure::new(code, error)
}
