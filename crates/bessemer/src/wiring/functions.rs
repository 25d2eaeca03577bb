//! What functions need of the rest of the server.

use std::{
    collections::HashMap,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

use bessemer_aws::{AccessKeyEntry, KeyRing, KeyRingError};
use bessemer_config::FunctionSettings;
use bessemer_domain::{Clock, SystemClock};
use bessemer_functions::{Access, Limits};

use crate::runners::container::{Door, Site, variables_of};

/// How the access keys of functions are told from those of jobs.
const OWNER: &str = "function:";

/// Lets functions call this server: each has an access key as long as the server runs.
pub(crate) struct FunctionAccess {
    site: Arc<Site>,
    keys: Mutex<HashMap<String, AccessKeyEntry>>,
}

impl FunctionAccess {
    /// Deletes the keys that the functions of the last server had.
    pub(crate) fn new(site: Arc<Site>) -> Result<Self, KeyRingError> {
        for key in site.keys.list()? {
            if key.job.as_deref().is_some_and(|owner| owner.starts_with(OWNER)) {
                delete(&site.keys, &key.id)?;
            }
        }
        Ok(Self { site, keys: Mutex::default() })
    }

    fn key(&self, function: &str) -> Result<AccessKeyEntry, KeyRingError> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.get(function) {
            return Ok(key.clone());
        }
        let owner = format!("{OWNER}{function}");
        let key = self.site.keys.create_for_job(&owner, SystemClock.now_millis())?;
        keys.insert(function.to_owned(), key.clone());
        Ok(key)
    }
}

impl Access for FunctionAccess {
    fn variables(
        &self,
        function: &str,
        arn: &str,
    ) -> Result<Vec<(String, String)>, Box<dyn Error + Send + Sync>> {
        let (key, s3) = match &self.site.job_key {
            Some(key) => (key.clone(), self.site.storage.external()),
            None => (self.key(function)?, None),
        };
        Ok(variables_of(&Door { endpoint: &self.site.endpoint, key: &key, s3 }, None, arn))
    }

    fn revoke(&self, function: &str) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.remove(function)
            && let Err(error) = delete(&self.site.keys, &key.id)
        {
            tracing::error!(%error, "a function's access key can't be deleted");
        }
    }
}

fn delete(keys: &KeyRing, id: &str) -> Result<(), KeyRingError> {
    match keys.delete(id) {
        Ok(()) | Err(KeyRingError::Unknown(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What functions may take, by the settings.
pub(crate) fn limits(settings: &FunctionSettings) -> Limits {
    Limits {
        concurrency: settings.concurrency,
        idle_processes: settings.idle_processes,
        idle_timeout: settings.idle_timeout,
        retry_delays: settings.retry_delays.clone(),
    }
}
