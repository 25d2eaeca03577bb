//! `[storage]`: where jobs' data is.

use crate::{reader::Table, secret::Secret};

/// Where jobs read from and write to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StorageSettings {
    /// An S3 in place of the server's own buckets.
    pub external: Option<ExternalStorage>,
}

/// An S3 elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalStorage {
    /// `http://…` or `https://…`.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The access key that the server uses there, and takes from clients as one of its own.
    pub key: KeyPair,
    /// The access key that jobs' programs get, if they get one.
    pub job_key: Option<KeyPair>,
}

/// Where the halves of an access key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// Its id.
    pub id: Secret,
    /// Its secret.
    pub secret: Secret,
}

const JOB_KEY: [&str; 4] = [
    "job_access_key_id_env",
    "job_access_key_id_file",
    "job_secret_access_key_env",
    "job_secret_access_key_file",
];

impl StorageSettings {
    pub(crate) fn read(top: &Table<'_, '_>) -> Self {
        let Some(table) = top.table("storage") else { return Self::default() };
        let external = ExternalStorage::read(&table);
        table.finish();
        Self { external }
    }
}

impl ExternalStorage {
    fn read(table: &Table<'_, '_>) -> Option<Self> {
        let endpoint: Option<String> = table.required("endpoint");
        if let Some(endpoint) = &endpoint {
            let rest =
                ["http://", "https://"].iter().find_map(|scheme| endpoint.strip_prefix(scheme));
            if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['@', '?', '#'])) {
                // Not shown: it may hold a password.
                table.refuse("endpoint", "is not the http:// or https:// URL of a server");
            }
        }
        let region = table.or("region", "us-east-1".to_owned());
        let id = ["access_key_id_env", "access_key_id_file"];
        let secret = ["secret_access_key_env", "secret_access_key_file"];
        let key = KeyPair::read(table, id, secret);
        let [id, id_file, secret, secret_file] = JOB_KEY;
        let job_key = if JOB_KEY.iter().any(|name| table.has(name)) {
            Some(KeyPair::read(table, [id, id_file], [secret, secret_file])?)
        } else {
            None
        };
        Some(Self { endpoint: endpoint?, region, key: key?, job_key })
    }
}

impl KeyPair {
    fn read(
        table: &Table<'_, '_>,
        id: [&'static str; 2],
        secret: [&'static str; 2],
    ) -> Option<Self> {
        let id = Secret::read(table, "access key's id", id);
        let secret = Secret::read(table, "access key's secret", secret);
        Some(Self { id: id?, secret: secret? })
    }
}
