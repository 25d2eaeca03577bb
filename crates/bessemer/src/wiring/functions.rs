//! What functions need of the rest of the server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bessemer_aws::AccessKeyEntry;
use bessemer_config::FunctionSettings;
use bessemer_domain::{Clock, SystemClock};
use bessemer_functions::{Access, Limits};

use crate::runners::container::{Door, Site, variables_of};

/// Lets functions call this server: each has an access key as long as the server runs.
pub(crate) struct FunctionAccess {
    site: Arc<Site>,
    keys: Mutex<HashMap<String, AccessKeyEntry>>,
}

impl FunctionAccess {
    pub(crate) fn new(site: Arc<Site>) -> Self {
        Self { site, keys: Mutex::default() }
    }

    fn key(&self, function: &str) -> AccessKeyEntry {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || self.site.keys.open_new(SystemClock.now_millis());
        keys.entry(function.to_owned()).or_insert_with(open).clone()
    }
}

impl Access for FunctionAccess {
    fn variables(&self, function: &str, arn: &str) -> Vec<(String, String)> {
        let (key, s3) = match &self.site.job_key {
            Some(key) => (key.clone(), self.site.storage.external()),
            None => (self.key(function), None),
        };
        variables_of(&Door { endpoint: &self.site.endpoint, key: &key, s3 }, None, arn)
    }

    fn revoke(&self, function: &str) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.remove(function) {
            self.site.keys.close(&key.id);
        }
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
