//! Secrets: named in files of settings, never written there.

use std::{env, fmt, fs, io, path::PathBuf, sync::Arc};

use crate::reader::Table;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// In this environment variable of the server.
    Env(String),
    /// In this file, which is read each time; white space around it does not count.
    File(PathBuf),
}

/// A secret, which shows itself only to whom asks for it by name.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

/// Why a secret is not there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or empty, or no text.
    #[error("the environment variable `{0}` is not set")]
    Unset(String),
    /// The file can't be read.
    #[error("read the secret in `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The file has nothing in it.
    #[error("the secret in `{}` is empty", .0.display())]
    Empty(PathBuf),
}

impl Secret {
    /// Reads `<name>_env` or `<name>_file`: exactly one has to be there.
    pub(crate) fn read(
        table: &Table<'_, '_>,
        name: &str,
        [env, file]: [&'static str; 2],
    ) -> Option<Self> {
        let folder = table.file().parent().map(PathBuf::from).unwrap_or_default();
        let in_env = table.maybe::<String>(env);
        if in_env.as_deref().is_some_and(|name| !is_variable(name)) {
            // It may be the secret itself, which is not to be shown.
            table.refuse(env, "is not the name of an environment variable");
        }
        let in_env = in_env.map(Self::Env);
        let in_file = table.maybe::<PathBuf>(file).map(|path| Self::File(folder.join(path)));
        match (in_env, in_file) {
            (Some(_), Some(_)) => {
                table.refuse(file, format!("stands beside `{env}`; give one of the two"));
                None
            }
            (None, None) => {
                if !table.has(env) && !table.has(file) {
                    let message = format!(
                        "is missing: name the variable that holds the {name}, \
                                           or a file by `{file}`"
                    );
                    table.refuse(env, message);
                }
                None
            }
            (in_env, in_file) => in_env.or(in_file),
        }
    }

    /// The secret as it is now.
    pub fn load(&self) -> Result<SecretText, SecretError> {
        match self {
            Self::Env(name) => {
                let value = env::var(name).ok().filter(|value| !value.trim().is_empty());
                let value = value.ok_or_else(|| SecretError::Unset(name.clone()))?;
                Ok(SecretText(value.trim().to_owned()))
            }
            Self::File(path) => {
                let text = fs::read_to_string(path).map_err(|source| SecretError::Read {
                    path: path.clone(),
                    source: Arc::new(source),
                })?;
                let text = text.trim();
                if text.is_empty() {
                    return Err(SecretError::Empty(path.clone()));
                }
                Ok(SecretText(text.to_owned()))
            }
        }
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl SecretText {
    /// The secret itself; not for logs, messages or the database.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}
