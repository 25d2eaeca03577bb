//! Where objects are, by the settings.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use bessemer_aws::AccessKeyEntry;
use bessemer_config::{KeyPair, StorageSettings};
use bessemer_domain::ExitCode;
use bessemer_objects::{
    buckets::BucketDir,
    storage::{ExternalOptions, ExternalS3, Storage},
};

use super::data::DataOptions;
use crate::failure::Failure;

/// The access keys of an S3 elsewhere, which are taken for calls of this server too.
#[derive(Debug, Clone)]
pub(crate) struct ExternalKeys {
    /// The server's own there, and clients'.
    pub(crate) key: AccessKeyEntry,
    /// That of jobs' programs.
    pub(crate) job_key: Option<AccessKeyEntry>,
}

impl ExternalKeys {
    /// Both.
    pub(crate) fn all(&self) -> Vec<AccessKeyEntry> {
        [Some(&self.key), self.job_key.as_ref()].into_iter().flatten().cloned().collect()
    }
}

/// Reads them from where the settings say.
pub(crate) fn external_keys(settings: &StorageSettings) -> anyhow::Result<Option<ExternalKeys>> {
    let Some(external) = &settings.external else { return Ok(None) };
    let key = load(&external.key).context("failed to get the access key of `[storage]`")?;
    let job_key = external.job_key.as_ref().map(load).transpose();
    let job_key = job_key.context("failed to get the jobs' access key of `[storage]`")?;
    Ok(Some(ExternalKeys { key, job_key }))
}

/// The variables by which a server's objects are reached, wherever they are.
pub(crate) fn variables(data: &DataOptions) -> Result<Vec<(String, String)>, Failure> {
    let (settings, _) = data.settings()?;
    let keys = external_keys(&settings.storage)
        .map_err(|error| Failure::new(ExitCode::Configuration, error))?;
    let pairs = match (&settings.storage.external, keys) {
        (Some(external), Some(keys)) => vec![
            ("AWS_ENDPOINT_URL_S3", external.endpoint.clone()),
            ("AWS_REGION", external.region.clone()),
            ("AWS_ACCESS_KEY_ID", keys.key.id.clone()),
            ("AWS_SECRET_ACCESS_KEY", keys.key.secret.clone()),
        ],
        _ => data.access()?.variables(),
    };
    Ok(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The objects of the server of `directory`; `scratch` is where its jobs' folders are.
pub(crate) fn open(
    directory: &Path,
    scratch: &Path,
    settings: &StorageSettings,
    keys: Option<&ExternalKeys>,
) -> anyhow::Result<Storage> {
    let (Some(external), Some(keys)) = (&settings.external, keys) else {
        let buckets = BucketDir::open(&directory.join("buckets"))?;
        return Ok(Storage::Folder(Arc::new(buckets)));
    };
    let external = ExternalS3::new(ExternalOptions {
        endpoint: external.endpoint.clone(),
        region: external.region.clone(),
        key: keys.key.id.clone(),
        secret: keys.key.secret.clone(),
        scratch: scratch.to_owned(),
    });
    Ok(Storage::External(Arc::new(external.context("failed to use `[storage]`")?)))
}

fn load(pair: &KeyPair) -> anyhow::Result<AccessKeyEntry> {
    Ok(AccessKeyEntry {
        id: pair.id.load()?.reveal().to_owned(),
        secret: pair.secret.load()?.reveal().to_owned(),
        created_at: 0,
        read_only: false,
    })
}
