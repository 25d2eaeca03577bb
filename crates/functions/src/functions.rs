//! [`Functions`]: the handle on all functions.

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use bessemer_compute::{Environments, Launcher, logs::LogFolder};
use bessemer_domain::Clock;
use bessemer_objects::storage::Storage;
use bessemer_store::{Store, Tag};
use rand::RngExt;

use crate::{
    Access, Code, CodeSource, Function, FunctionsError, Invoke, Invoked, MessageQueues, Readiness,
    Runtime, Settings, SettingsChange, Version,
    asynchronous::{self, Waiting},
    code::CodeStore,
    invoke::{self, Run, check_payload},
    mappings::Pollers,
    pool::Pool,
    process::{self, Site, api::RuntimeApi},
    registry::Registry,
    runtime::Runtimes,
    version::new_id,
};

/// Bytes that its code and its layers may hold together.
const UNPACKED: u64 = 262_144_000;

/// What functions may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Invocations at once.
    pub concurrency: u32,
    /// Idle processes.
    pub idle_processes: u32,
    /// How long a process may be idle.
    pub idle_timeout: Duration,
    /// After how long asynchronous invocations that failed are run again: after the first run, the
    /// second, and so on.
    pub retry_delays: Vec<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 100,
            idle_processes: 16,
            idle_timeout: Duration::from_mins(10),
            retry_delays: vec![Duration::from_mins(1), Duration::from_mins(2)],
        }
    }
}

/// What functions are made of.
pub struct FunctionsOptions {
    /// The database.
    pub store: Store,
    /// The folder of their code and processes.
    pub folder: PathBuf,
    /// Where code may come from.
    pub storage: Storage,
    /// Where they log to.
    pub logs: LogFolder,
    /// Where their Pythons are.
    pub environments: Environments,
    /// How their processes are started.
    pub launcher: Launcher,
    /// How they call this server.
    pub access: Arc<dyn Access>,
    /// The queues that they are told of by ARN.
    pub queues: Arc<dyn MessageQueues>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What they may take.
    pub limits: Limits,
}

/// All functions. Clones share them.
#[derive(Clone)]
pub struct Functions {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    registry: Registry,
    pool: Arc<Pool>,
    queues: Arc<dyn MessageQueues>,
    waiting: Waiting,
    pollers: Pollers,
}

/// A function to make.
#[derive(Debug, Clone)]
pub struct CreateFunction {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its code.
    pub source: CodeSource,
    /// What is set.
    pub settings: SettingsChange,
    /// ARNs of its layers.
    pub layers: Vec<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Whether version 1 is published.
    pub publish: bool,
}

/// New code for a function.
#[derive(Debug, Clone)]
pub struct CodeUpdate {
    /// The code.
    pub source: CodeSource,
    /// Whether a version is published.
    pub publish: bool,
    /// Whether nothing is changed.
    pub dry_run: bool,
    /// What the caller has seen last.
    pub revision: Option<String>,
}

/// A version to publish.
#[derive(Debug, Clone, Default)]
pub struct Publish {
    /// Its description, if not that of the function.
    pub description: Option<String>,
    /// The hash that the code must have, in hexadecimal.
    pub sha256: Option<String>,
    /// What the caller has seen last.
    pub revision: Option<String>,
}

impl Functions {
    /// Loads all functions, and starts what runs them. Processes of the last server are ended.
    pub async fn start(
        options: FunctionsOptions,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let registry = Registry::load(options.store.clone()).await?;
        let folder = options.folder.join("processes");
        let (launcher, cleared) = (options.launcher.clone(), folder.clone());
        let (root, storage) = (options.folder.clone(), options.storage);
        let code = tokio::task::spawn_blocking(move || {
            process::clear(&cleared, &launcher)?;
            CodeStore::open(&root, storage)
        })
        .await??;
        let site = Arc::new(Site {
            launcher: options.launcher,
            logs: options.logs,
            code,
            access: options.access,
            folder,
            api: RuntimeApi::start().await?,
            clock: options.clock,
            started: std::sync::atomic::AtomicU64::default(),
        });
        let pool = Pool::new(site, Runtimes::new(options.environments), options.limits);
        for function in registry.functions() {
            pool.reserve(&function.name, function.reserved);
        }
        let shared = Shared {
            store: options.store,
            registry,
            pool,
            queues: options.queues,
            waiting: Waiting::default(),
            pollers: Pollers::default(),
        };
        let functions = Self { shared: Arc::new(shared) };
        for mapping in functions.mappings() {
            functions.pollers().follow(&functions, &mapping);
        }
        tokio::spawn(functions.clone().dispatch());
        Ok(functions)
    }

    /// Ends all idle processes; those that are busy end with the server.
    pub async fn shutdown(&self) {
        self.pollers().stop();
        self.shared.pool.close().await;
    }

    /// What functions may take.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.pool.limits
    }

    /// All functions, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Function>> {
        self.registry().functions()
    }

    /// The function of that name; `arn` is the one that is asked for.
    pub fn get(&self, name: &str, arn: &str) -> Result<Arc<Function>, FunctionsError> {
        let missing = || FunctionsError::NotFound(format!("Function not found: {arn}"));
        self.registry().function(name).ok_or_else(missing)
    }

    /// Whether functions of this runtime can run; if not, what they need is being built.
    #[must_use]
    pub fn readiness(&self, runtime: &Runtime) -> Readiness {
        self.shared.pool.runtimes.look(runtime)
    }

    /// The path of a code archive.
    #[must_use]
    pub fn archive(&self, code: &Code) -> PathBuf {
        self.shared.pool.site.code.archive(&code.sha256)
    }

    /// Makes a function.
    pub async fn create(&self, create: CreateFunction) -> Result<Arc<Function>, FunctionsError> {
        let mut change = create.settings;
        change.layers = Some(self.layer_uses(&create.layers)?);
        let settings = Settings::of_new(change)?;
        self.check_dead_letter(&settings).await?;
        let changes = self.registry().changes().await;
        if self.registry().function(&create.name).is_some() {
            let message = format!("Function already exist: {}", create.name);
            return Err(FunctionsError::Conflict(message));
        }
        let code = self.keep(create.source).await?;
        check_size(&settings, &code)?;
        self.shared.pool.runtimes.look(&settings.runtime);
        let now = self.now();
        let latest = Version { number: None, settings, code, revision: new_id(), modified_at: now };
        let mut function = Function::new(create.name, create.arn, latest);
        if create.publish {
            function.publish(None, now);
        }
        changes.put_function(function, create.tags).await
    }

    /// Gives a function new code. Returns `$LATEST`, or the version that was published.
    pub async fn update_code(
        &self,
        name: &str,
        arn: &str,
        update: CodeUpdate,
    ) -> Result<(Arc<Function>, Arc<Version>), FunctionsError> {
        let changes = self.registry().changes().await;
        let mut function = Function::clone(&*self.get(name, arn)?);
        function.check_revision(update.revision.as_deref())?;
        let code = self.keep(update.source).await?;
        check_size(&function.latest.settings, &code)?;
        let mut latest = Version::clone(&function.latest);
        latest.code = code;
        latest.revision = new_id();
        latest.modified_at = self.now();
        function.latest = Arc::new(latest);
        let mut version = Arc::clone(&function.latest);
        if update.dry_run {
            return Ok((Arc::new(function), version));
        }
        if update.publish {
            version = function.publish(None, self.now());
        }
        let function = changes.put_function(function, Vec::new()).await?;
        self.clear_away(&function);
        Ok((function, version))
    }

    /// Changes the settings of a function.
    pub async fn update_settings(
        &self,
        name: &str,
        arn: &str,
        mut change: SettingsChange,
        (layers, revision): (Option<Vec<String>>, Option<String>),
    ) -> Result<Arc<Function>, FunctionsError> {
        change.layers = layers.map(|layers| self.layer_uses(&layers)).transpose()?;
        let changes = self.registry().changes().await;
        let mut function = Function::clone(&*self.get(name, arn)?);
        function.check_revision(revision.as_deref())?;
        let mut latest = Version::clone(&function.latest);
        latest.settings.apply(change)?;
        self.check_dead_letter(&latest.settings).await?;
        check_size(&latest.settings, &latest.code)?;
        self.shared.pool.runtimes.look(&latest.settings.runtime);
        latest.revision = new_id();
        latest.modified_at = self.now();
        function.latest = Arc::new(latest);
        let function = changes.put_function(function, Vec::new()).await?;
        self.clear_away(&function);
        Ok(function)
    }

    /// Publishes `$LATEST`.
    pub async fn publish(
        &self,
        name: &str,
        arn: &str,
        publish: Publish,
    ) -> Result<(Arc<Function>, Arc<Version>), FunctionsError> {
        let now = self.now();
        self.change(name, arn, |function| {
            function.check_revision(publish.revision.as_deref())?;
            let code = &function.latest.code.sha256;
            if publish.sha256.as_ref().is_some_and(|wanted| wanted != code) {
                return Err(FunctionsError::invalid(
                    "CodeSha256 provided does not match the CodeSha256 of the latest version",
                ));
            }
            Ok(function.publish(publish.description, now))
        })
        .await
    }

    /// Deletes a function, or a version of it.
    pub async fn delete(
        &self,
        name: &str,
        arn: &str,
        qualifier: Option<&str>,
    ) -> Result<(), FunctionsError> {
        if let Some(qualifier) = qualifier {
            let removed = self.change(name, arn, |function| function.remove_version(qualifier));
            let (function, ()) = removed.await?;
            self.clear_away(&function);
            return Ok(());
        }
        let changes = self.registry().changes().await;
        let function = self.get(name, arn)?;
        changes.delete_function(&function).await?;
        drop(changes);
        self.shared.pool.reserve(name, None);
        self.shared.pool.retire(name, &HashSet::new());
        self.shared.pool.site.access.revoke(name);
        self.forget_code().await;
        Ok(())
    }

    /// Sets what a function reserves of the invocations at once.
    pub async fn reserve(
        &self,
        name: &str,
        arn: &str,
        reserved: Option<u32>,
    ) -> Result<(), FunctionsError> {
        let others = self.list().into_iter().filter(|other| other.name != name);
        let others: u32 = others.filter_map(|other| other.reserved).sum();
        let concurrency = self.limits().concurrency;
        if reserved.is_some_and(|reserved| reserved > concurrency.saturating_sub(others)) {
            return Err(FunctionsError::invalid(
                "Specified ReservedConcurrentExecutions for function decreases account's \
                 UnreservedConcurrentExecution below its minimum value of [0].",
            ));
        }
        self.change(name, arn, |function| {
            function.reserved = reserved;
            Ok(())
        })
        .await?;
        self.shared.pool.reserve(name, reserved);
        Ok(())
    }

    /// Calls a function and waits for what comes of it.
    pub async fn invoke(&self, invoke: Invoke) -> Result<Invoked, FunctionsError> {
        let run = self.resolve(invoke, invoke::LARGEST)?;
        run.go(Arc::clone(&self.shared.pool)).await
    }

    /// Has a function called later. It is on disk when this returns.
    pub async fn invoke_later(&self, invoke: Invoke) -> Result<(), FunctionsError> {
        let run = self.resolve(invoke, asynchronous::LARGEST)?;
        self.accept(run.invoke).await
    }

    /// That a function could be called so.
    pub fn could_invoke(&self, invoke: Invoke) -> Result<(), FunctionsError> {
        self.resolve(invoke, invoke::LARGEST).map(drop)
    }

    fn resolve(&self, mut invoke: Invoke, most: usize) -> Result<Run, FunctionsError> {
        let function = self.registry().function(&invoke.function).ok_or_else(|| {
            FunctionsError::NotFound(format!("Function not found: {}", invoke.function))
        })?;
        invoke.payload = check_payload(std::mem::take(&mut invoke.payload), most)?;
        let qualifier = invoke.qualifier.as_deref();
        let version = Arc::clone(function.resolve(qualifier, rand::rng().random())?);
        let invoked_arn = function.qualified(qualifier);
        Ok(Run { function, version, invoked_arn, invoke })
    }

    /// Changes a function. It is on disk when this returns.
    pub(crate) async fn change<T>(
        &self,
        name: &str,
        arn: &str,
        change: impl FnOnce(&mut Function) -> Result<T, FunctionsError>,
    ) -> Result<(Arc<Function>, T), FunctionsError> {
        let changes = self.registry().changes().await;
        let mut function = Function::clone(&*self.get(name, arn)?);
        let result = change(&mut function)?;
        Ok((changes.put_function(function, Vec::new()).await?, result))
    }

    pub(crate) async fn keep(&self, source: CodeSource) -> Result<Code, FunctionsError> {
        let site = Arc::clone(&self.shared.pool.site);
        let kept = tokio::task::spawn_blocking(move || site.code.keep(&source));
        kept.await.map_err(FunctionsError::internal)?
    }

    /// Ends what runs versions that are gone, and forgets archives that nothing uses.
    fn clear_away(&self, function: &Arc<Function>) {
        let current = function.all_versions().map(|version| version.revision.as_str()).collect();
        self.shared.pool.retire(&function.name, &current);
        let functions = self.clone();
        tokio::spawn(async move { functions.forget_code().await });
    }

    pub(crate) async fn forget_code(&self) {
        // Nobody is about to use an archive that nothing uses yet.
        let _changes = self.registry().changes().await;
        let used = self.registry().used_code();
        let site = Arc::clone(&self.shared.pool.site);
        let forgotten = tokio::task::spawn_blocking(move || site.code.forget_others(&used)).await;
        if let Ok(Err(error)) = forgotten {
            tracing::warn!(%error, "code that nothing uses can't be removed");
        }
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

    pub(crate) fn queues(&self) -> &Arc<dyn MessageQueues> {
        &self.shared.queues
    }

    pub(crate) fn pollers(&self) -> &Pollers {
        &self.shared.pollers
    }

    pub(crate) fn waiting(&self) -> &Waiting {
        &self.shared.waiting
    }

    pub(crate) fn retry_delays(&self) -> &[Duration] {
        &self.limits().retry_delays
    }

    pub(crate) fn now(&self) -> u64 {
        self.shared.pool.clock().now_millis()
    }
}

fn check_size(settings: &Settings, code: &Code) -> Result<(), FunctionsError> {
    let layers: u64 = settings.layers.iter().map(|layer| layer.code.unpacked).sum();
    if layers + code.unpacked <= UNPACKED {
        return Ok(());
    }
    Err(FunctionsError::invalid(format!(
        "Function code combined with layers exceeds the maximum allowed size of {UNPACKED} bytes. \
         The actual size is {} bytes.",
        layers + code.unpacked
    )))
}
