//! The sessions of one model: as many as there are calls at once.
//!
//! `ort` lets a session run one call at a time. So each call takes a session of its own, with one
//! thread, and all sessions share the weights that ONNX Runtime packs for its kernels. Measured side by
//! side on 2 cores that had other work too (1,024 rows a run; the best of 7 rounds, averaged over two
//! runs for the trees, three for the MLP, one for logistic regression):
//!
//! | rows/s | two sessions, shared weights | two sessions | one session, two threads |
//! |---|---|---|---|
//! | 200 trees of depth 6 | 295k | 279k | 273k |
//! | MLP 28-256-256-1 | 1.13M | 0.97M | 1.02M |
//! | logistic regression | 92M | 90M | 54M |
//!
//! One session with two threads was ahead only where it does not matter: logistic regression with 4,096
//! rows and more (112M against 99M), which no file can feed.
//!
//! Sessions come into being when calls wait for one. A model so large that a second copy of it would
//! hurt ([`LARGE`]), or with its weights in other files, has one session with all the threads.

use std::{
    path::Path,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use ort::{
    environment::Environment,
    logging::LogLevel,
    session::{
        Session,
        builder::{PrepackedWeights, SessionBuilder},
    },
};

/// Bytes from which on a model is loaded once only.
const LARGE: usize = 256 << 20;

/// The sessions of one model.
pub(super) struct Sessions {
    state: Mutex<State>,
    freed: Condvar,
    most: usize,
    environment: Environment,
    weights: PrepackedWeights,
}

struct State {
    /// The model, as long as more sessions may be made of it. It is kept because the file might
    /// change during a run, and all sessions must be the same model.
    bytes: Vec<u8>,
    idle: Vec<Session>,
    made: usize,
}

/// The model that sessions are made of.
pub(super) struct Source<'a> {
    /// Where the model was read from.
    pub(super) path: &'a Path,
    /// The model.
    pub(super) bytes: Vec<u8>,
    /// Whether `bytes` are no longer what stands at `path`.
    pub(super) edited: bool,
    /// Whether weights stand in files beside `path`.
    pub(super) external_data: bool,
}

impl Sessions {
    /// Makes the first session.
    pub(super) fn open(
        environment: &Environment,
        source: Source,
        threads: usize,
    ) -> ort::Result<Self> {
        let Source { path, bytes, edited, external_data } = source;
        let single = external_data || bytes.len() >= LARGE || threads == 1;
        let weights = PrepackedWeights::new();
        let session = if single {
            let mut builder = builder(environment, threads)?;
            if external_data && !edited {
                builder.commit_from_file(path)?
            } else {
                if external_data {
                    let folder = path.parent().map_or_else(Default::default, Path::to_string_lossy);
                    let key = "session.model_external_initializers_file_folder_path";
                    builder = builder.with_config_entry(key, folder)?;
                }
                builder.commit_from_memory(&bytes)?
            }
        } else {
            sharing(environment, &weights, &bytes)?
        };
        let bytes = if single { Vec::new() } else { bytes };
        Ok(Self {
            state: Mutex::new(State { bytes, idle: vec![session], made: 1 }),
            freed: Condvar::new(),
            most: if single { 1 } else { threads },
            environment: environment.clone(),
            weights,
        })
    }

    /// How many calls can run at once.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// A session for the caller alone, until it is dropped. Waits if all are in use.
    pub(super) fn take(&self) -> Taken<'_> {
        let mut state = self.lock();
        loop {
            if let Some(session) = state.idle.pop() {
                return Taken { session: Some(session), sessions: self };
            }
            if state.made < self.most {
                // Made under the lock: ONNX Runtime packs the shared weights of one session at a time.
                match sharing(&self.environment, &self.weights, &state.bytes) {
                    Ok(session) => {
                        state.made += 1;
                        if state.made == self.most {
                            state.bytes = Vec::new();
                        }
                        return Taken { session: Some(session), sessions: self };
                    }
                    // No memory for one more: those that there are will do.
                    Err(_) => state.made = self.most,
                }
            }
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session of one thread that shares its packed weights with others.
fn sharing(
    environment: &Environment,
    weights: &PrepackedWeights,
    bytes: &[u8],
) -> ort::Result<Session> {
    builder(environment, 1)?.with_prepacked_weights(weights)?.commit_from_memory(bytes)
}

fn builder(environment: &Environment, threads: usize) -> ort::Result<SessionBuilder> {
    Ok(Session::builder(environment)?
        .with_log_level(LogLevel::Fatal)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        // The engine's other stages need the cores between the runs.
        .with_config_entry("session.intra_op.allow_spinning", "0")?)
}

/// A session in use; goes back when dropped.
pub(super) struct Taken<'a> {
    session: Option<Session>,
    sessions: &'a Sessions,
}

impl Taken<'_> {
    pub(super) fn get(&mut self) -> &mut Session {
        self.session.as_mut().expect("the session is here until the drop")
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.sessions.lock().idle.extend(self.session.take());
        self.sessions.freed.notify_one();
    }
}
