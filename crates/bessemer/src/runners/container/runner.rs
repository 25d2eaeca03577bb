//! [`ContainerRunner`]: an attempt from its inputs to its results, whichever kind of job it is.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use bessemer_compute::ProcessSpec;
use bessemer_domain::{FailureClass, JobId, Outcome, ProcessId};
use bessemer_jobs::{Attempt, Control, Runner};

use super::{
    CONTROL, Demand, End, Ended, Failed, Finished, Group, HostLogs, Place, Program, Seen, Site,
    Stage, Work, blocking, environment, host_name,
    order::{Concluded, Order},
    place::Runtime,
    program::{self, Door},
};

/// Seconds between tries to put results in place: about a quarter of an hour in all.
const PAUSES: [u64; 8] = [1, 5, 15, 30, 60, 120, 300, 300];

/// Runs the jobs of a kind.
#[derive(Debug)]
pub(crate) struct ContainerRunner<W> {
    site: Arc<Site>,
    work: PhantomData<W>,
}

impl<W> ContainerRunner<W> {
    pub(crate) fn new(site: Arc<Site>) -> Self {
        Self { site, work: PhantomData }
    }
}

impl<W: Work> Runner for ContainerRunner<W> {
    async fn run(&self, attempt: Attempt, control: Control) -> Outcome {
        self.go(attempt, control, false).await
    }

    /// Processes live on without their server: they are found again and waited for. If they never
    /// began, the attempt begins anew.
    async fn resume(&self, attempt: Attempt, left: Option<ProcessId>, control: Control) -> Outcome {
        self.go(attempt, control, left.is_some()).await
    }

    async fn forget(&self, job: JobId, number: u32) {
        let site = Arc::clone(&self.site);
        let cleared = blocking(move || {
            site.clear(job, number);
            Ok(())
        });
        if let Err(Failed { message, .. }) = cleared.await {
            tracing::error!(%job, message, "what an attempt left can't be cleared away");
        }
    }
}

impl<W: Work> ContainerRunner<W> {
    async fn go(&self, attempt: Attempt, control: Control, is_left: bool) -> Outcome {
        match self.attempt(&attempt, &control, is_left).await {
            Ok(outcome) => outcome,
            Err(Failed { class, message }) => {
                W::logs(&self.site.logs, &attempt, 1).say(&message);
                Outcome::failed(class, message)
            }
        }
    }

    async fn attempt(
        &self,
        attempt: &Attempt,
        control: &Control,
        is_left: bool,
    ) -> Result<Outcome, Failed> {
        let folder = self.site.folder(attempt.job.id, attempt.number);
        if is_left && let Some(concluded) = Concluded::read(&folder) {
            return Ok(concluded.into_outcome());
        }
        let work = Arc::new(W::read(attempt)?);
        let logs = W::logs(&self.site.logs, attempt, work.demand().instances);
        let (order, group) = match Order::read(&folder).filter(|_| is_left) {
            Some(order) => {
                let notes: Vec<_> =
                    order.hosts(&folder).iter().map(|host| host.join(CONTROL)).collect();
                let group = Group::attach(&self.site.launcher, &notes)?;
                (order, group)
            }
            None => self.start(attempt, control, &work, &logs).await?,
        };
        let hosts = Arc::new(order.hosts(&folder));
        let seen = Arc::new(std::sync::Mutex::new(Seen::default()));
        let look = || {
            let (site, work) = (Arc::clone(&self.site), Arc::clone(&work));
            let (hosts, seen) = (Arc::clone(&hosts), Arc::clone(&seen));
            tokio::spawn(async move {
                if !work.demand().is_watched {
                    return;
                }
                let looked = blocking(move || {
                    let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    work.look(&site, &hosts, &mut seen)
                });
                if let Err(Failed { message, .. }) = looked.await {
                    tracing::warn!(message, "what a job wrote can't be put in place yet");
                }
            })
        };
        let ended = group.wait(control, look).await?;
        if is_left && ended.never_ran() && control.stop().is_none() {
            // The last server ended between recording the processes and letting them go.
            return Box::pin(self.attempt(attempt, control, false)).await;
        }
        self.site.keys.close_for_attempt(attempt.job.id.0, attempt.number);
        // What is left takes no more than the server itself.
        control.give_back_room();
        if W::HAS_STAGES {
            control.stage("Uploading").await.map_err(Failed::internal)?;
            // Whoever was replaced must not put anything in place.
            control.confirm().await.map_err(Failed::internal)?;
        }
        let is_stopped = control.stop().is_some();
        let site = Arc::clone(&self.site);
        let conclude = move || {
            let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let finished = (&ended, hosts.as_slice(), &logs);
            let concluded = conclude(&site, work.as_ref(), finished, &mut seen, is_stopped)?;
            concluded.write(&folder).map_err(Failed::internal)?;
            Ok(concluded)
        };
        Ok(patiently(conclude, control).await?.into_outcome())
    }

    /// Gets everything ready, and lets the programs go.
    async fn start(
        &self,
        attempt: &Attempt,
        control: &Control,
        work: &Arc<W>,
        logs: &HostLogs,
    ) -> Result<(Order, Group), Failed> {
        let place = {
            let (site, work) = (Arc::clone(&self.site), Arc::clone(work));
            blocking(move || site.place(&work.demand().image)).await?
        };
        if W::HAS_STAGES {
            control.stage("Downloading").await.map_err(Failed::internal)?;
        }
        let staged = {
            let (site, work, place) = (Arc::clone(&self.site), Arc::clone(work), place.clone());
            let (job, number) = (attempt.job.id, attempt.number);
            blocking(move || stage(&site, work.as_ref(), &place, (job, number))).await?
        };
        let runtime = {
            let (site, logs) = (Arc::clone(&self.site), logs.clone());
            let own = staged.first().and_then(|(_, program)| program.requirements.clone());
            blocking(move || {
                let image = match place {
                    Place::Container(image) => return Ok(Runtime::Container(image)),
                    Place::Environment(image) => image.environment,
                };
                let say = |text: &str| logs.say(text);
                let built = environment::ensure(&site.environments, &image, own.as_deref(), &say);
                built.map(Runtime::Environment)
            })
        };
        let runtime = tokio::select! {
            runtime = runtime => runtime?,
            // What is being built is for whoever asks for it next.
            _ = control.stopping() => return Err(Failed::internal("it was stopped before it ran")),
        };
        let (order, specs) = {
            let (site, work, logs) = (Arc::clone(&self.site), Arc::clone(work), logs.clone());
            let attempt = attempt.clone();
            blocking(move || order(&site, work.demand(), &attempt, (staged, &runtime), &logs))
                .await?
        };
        if W::HAS_STAGES {
            control.stage(W::RUNNING).await.map_err(Failed::internal)?;
        }
        let group = Group::start(&self.site.launcher, specs, control).await?;
        Ok((order, group))
    }
}

/// Puts results in place, again and again if what fails may pass: the program's work is done, and
/// would be done anew by the next attempt.
async fn patiently<T: Send + 'static>(
    put: impl Fn() -> Result<T, Failed> + Send + Sync + 'static,
    control: &Control,
) -> Result<T, Failed> {
    let put = Arc::new(put);
    for pause in PAUSES.map(Duration::from_secs) {
        let again = Arc::clone(&put);
        match blocking(move || again()).await {
            Err(failed) if failed.may_pass() => {
                let message = &failed.message;
                tracing::warn!(message, ?pause, "a job's results can't be put in place yet");
            }
            done => return done,
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = control.stopping() => break,
        }
        // Whoever was replaced meanwhile must not put anything in place.
        control.renew().await.map_err(Failed::internal)?;
    }
    blocking(move || put()).await
}

/// An instance's folder, and what it runs.
type Staged = (Stage, Program);

/// Fills the folders of the instances.
fn stage<W: Work>(
    site: &Site,
    work: &W,
    place: &Place,
    (job, number): (JobId, u32),
) -> Result<Vec<Staged>, Failed> {
    site.clear_all(job);
    let image = match place {
        Place::Environment(image) => Some(image),
        Place::Container(_) => None,
    };
    let (folder, count) = (site.folder(job, number), work.demand().instances);
    let one = |index: usize| {
        let host = folder.join(host_name(index));
        std::fs::create_dir_all(&host).map_err(Failed::internal)?;
        let storage = site.storage.clone();
        let mut stage = Stage { storage, folder: host, index, count, mounts: Vec::new() };
        let program = work.stage(&mut stage, image)?;
        Ok((stage, program))
    };
    (0..count).map(one).collect()
}

/// Writes down what is about to run, and gives it an access key.
fn order(
    site: &Site,
    demand: &Demand,
    attempt: &Attempt,
    (staged, runtime): (Vec<Staged>, &Runtime),
    logs: &HostLogs,
) -> Result<(Order, Vec<ProcessSpec>), Failed> {
    let (job, number) = (attempt.job.id, attempt.number);
    let order = Order { instances: demand.instances };
    order.write(&site.folder(job, number)).map_err(Failed::internal)?;
    let is_own = demand.has_network && site.job_key.is_none();
    let open = || site.keys.open_for_attempt(job.0, number);
    let own = is_own.then(open).transpose().map_err(Failed::internal)?;
    let key = own.as_ref().or(site.job_key.as_ref()).filter(|_| demand.has_network);
    let s3 = site.job_key.as_ref().and_then(|_| site.storage.external());
    let door = key.map(|key| Door { endpoint: &site.endpoint, key, s3 });
    let specs = staged.into_iter().map(|(stage, program)| {
        program::spec(attempt, demand, &stage, program, (runtime, door.as_ref()), (site, logs))
    });
    Ok((order, specs.collect::<Result<_, _>>()?))
}

/// Puts the results in place, and says what became of the attempt.
fn conclude<W: Work>(
    site: &Site,
    work: &W,
    (ended, hosts, logs): (&Ended, &[std::path::PathBuf], &HostLogs),
    seen: &mut Seen,
    is_stopped: bool,
) -> Result<Concluded, Failed> {
    let failed = work.verdict(ended, hosts, logs);
    let end = match &failed {
        None => End::Succeeded,
        Some(_) if is_stopped => End::Stopped,
        Some(_) => End::Failed,
    };
    let finished = Finished { hosts, logs, ended, seen, end };
    let result = work.conclude(site, finished)?;
    if let Some(Failed { message, .. }) = failed.as_ref().filter(|_| !is_stopped) {
        logs.say(message);
    }
    let failure = failed.map(|Failed { class, message }| (class.as_str().to_owned(), message));
    let is_final = failure.is_some() && work.is_final(&result);
    Ok(Concluded { failure, is_final, result: Some(result.to_string()) })
}

impl Concluded {
    fn into_outcome(self) -> Outcome {
        let Self { failure, is_final, result } = self;
        match failure {
            None => Outcome::Succeeded { result },
            Some((class, message)) => {
                let class = class.parse().unwrap_or(FailureClass::Infrastructure);
                if is_final {
                    return Outcome::FailedForGood { class, message, result };
                }
                Outcome::Failed { class, message, result }
            }
        }
    }
}
