//! The connection to S3: its threads, and two clients a bucket.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey},
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
};

use super::{error, settings::Settings};
use crate::error::{ObjectsError, ObjectsErrorKind};

/// Parts of uploads that are in memory at once, over all uploads.
const BUFFERS: usize = 8;

/// An object as listed.
#[derive(Debug, Clone)]
pub(crate) struct RemoteFile {
    pub(crate) key: String,
    pub(crate) size: u64,
    /// The etag; size and time of change where the store gives none.
    pub(crate) version: String,
}

/// The one connection of this process to S3.
pub(crate) struct Remote {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    settings: Settings,
    buckets: Mutex<HashMap<String, Arc<Bucket>>>,
    pub(super) buffers: Arc<Semaphore>,
}

/// The clients of one bucket.
pub(super) struct Bucket {
    pub(super) name: String,
    /// For what is small and comes first: gives up within seconds, so that a wrong endpoint is
    /// reported at once.
    pub(super) control: AmazonS3,
    /// For content: patient, so that a store that stumbles does not end a long job.
    pub(super) data: AmazonS3,
}

impl Remote {
    /// Reads the configuration and starts the runtime. Connects to nothing.
    pub(crate) fn start(variables: HashMap<String, String>) -> Result<Self, ObjectsError> {
        let settings = Settings::load(variables)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("bessemer-s3")
            .enable_all()
            .build()
            .map_err(|error| {
                ObjectsError::new(
                    ObjectsErrorKind::Io,
                    format!("start the threads for S3: {error}"),
                )
            })?;
        Ok(Self {
            runtime: Some(runtime),
            settings,
            buckets: Mutex::default(),
            buffers: Arc::new(Semaphore::new(BUFFERS)),
        })
    }

    /// Runs `work` to its end on the calling thread.
    pub(super) fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.as_ref().expect("the runtime is there until drop").block_on(work)
    }

    pub(super) fn bucket(&self, name: &str) -> Result<Arc<Bucket>, ObjectsError> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(name) {
            return Ok(Arc::clone(bucket));
        }
        let bucket = Arc::new(self.connect(name)?);
        buckets.insert(name.to_owned(), Arc::clone(&bucket));
        Ok(bucket)
    }

    fn connect(&self, name: &str) -> Result<Bucket, ObjectsError> {
        let control = self.client(name, &hasty(), control_retries())?;
        if self.settings.must_look_for_credentials() {
            let found = self.block_on(control.credentials().get_credential());
            found.map_err(|error| self.settings.no_credentials(name, &error))?;
        }
        let shared = Arc::clone(control.credentials());
        let data = self.builder(name, &patient(), data_retries()).with_credentials(shared);
        let data = data.build().map_err(|error| self.failure("connect to", name, "", &error))?;
        Ok(Bucket { name: name.to_owned(), control, data })
    }

    fn client(
        &self,
        name: &str,
        options: &ClientOptions,
        retries: RetryConfig,
    ) -> Result<AmazonS3, ObjectsError> {
        let built = self.builder(name, options, retries).build();
        built.map_err(|error| self.failure("connect to", name, "", &error))
    }

    fn builder(
        &self,
        name: &str,
        options: &ClientOptions,
        retries: RetryConfig,
    ) -> AmazonS3Builder {
        let plain = self.settings.endpoint().is_some_and(|url| url.starts_with("http://"));
        let options = options.clone().with_allow_http(plain);
        let mut builder = AmazonS3Builder::new().with_client_options(options).with_retry(retries);
        for (key, value) in self.settings.options() {
            builder = builder.with_config(*key, value);
        }
        builder.with_config(AmazonS3ConfigKey::Bucket, name)
    }

    /// A failure of the store as one of ours.
    pub(super) fn failure(
        &self,
        action: &str,
        bucket: &str,
        key: &str,
        error: &object_store::Error,
    ) -> ObjectsError {
        error::translate(action, bucket, key, self.settings.endpoint(), error)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A name look-up that hangs must not hold up the end of the process.
            runtime.shutdown_background();
        }
    }
}

fn hasty() -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(3))
        .with_timeout(Duration::from_secs(10))
}

fn patient() -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout(Duration::from_mins(2))
}

/// A few seconds in all, where the refusals themselves take no time.
fn control_retries() -> RetryConfig {
    RetryConfig {
        backoff: backoff(Duration::from_secs(2)),
        max_retries: 5,
        retry_timeout: Duration::from_secs(8),
    }
}

/// About half a minute in all.
fn data_retries() -> RetryConfig {
    RetryConfig {
        backoff: backoff(Duration::from_secs(15)),
        max_retries: 10,
        retry_timeout: Duration::from_secs(150),
    }
}

/// Each pause is between the shortest one and three times the last.
fn backoff(max_backoff: Duration) -> BackoffConfig {
    BackoffConfig { init_backoff: Duration::from_millis(200), max_backoff, base: 3.0 }
}
