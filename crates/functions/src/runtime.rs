//! [`Runtime`]: which Python a function runs with, and what it holds.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use bessemer_compute::{EnvSpec, Environment, EnvironmentError, Environments};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::FunctionsError;

/// A Python runtime of Lambda's, such as `python3.12`. It stands for the Python of that version that
/// uv finds on this machine or fetches, with AWS's runtime client and boto3.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Runtime(String);

impl Runtime {
    /// Those that there are.
    pub const ALL: [&str; 6] =
        ["python3.8", "python3.9", "python3.10", "python3.11", "python3.12", "python3.13"];

    /// The runtime of that name.
    pub fn parse(name: &str) -> Result<Self, FunctionsError> {
        if Self::ALL.contains(&name) {
            return Ok(Self(name.to_owned()));
        }
        Err(FunctionsError::invalid(format!(
            "The runtime parameter of {name} is not supported by Bessemer, which runs {}",
            Self::ALL.join(", ")
        )))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Its Python's version.
    #[must_use]
    pub fn python(&self) -> &str {
        self.0.trim_start_matches("python")
    }

    fn environment(&self) -> EnvSpec {
        let list = match self.python() {
            "3.8" => include_str!("../runtimes/python3.8.txt"),
            "3.9" => include_str!("../runtimes/python3.9.txt"),
            _ => include_str!("../runtimes/python3.10.txt"),
        };
        EnvSpec {
            python: self.python().to_owned(),
            requirements: list.lines().map(str::to_owned).collect(),
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether functions of a runtime can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Its environment is being built.
    Pending,
    /// They can.
    Ready(Environment),
    /// Its environment can't be built.
    Failed(String),
}

/// The environments of the runtimes, each built when it is first asked for.
#[derive(Debug)]
pub(crate) struct Runtimes {
    environments: Environments,
    known: Mutex<HashMap<Runtime, watch::Receiver<Readiness>>>,
}

impl Runtimes {
    pub(crate) fn new(environments: Environments) -> Self {
        Self { environments, known: Mutex::default() }
    }

    /// How it is with a runtime; what isn't built, or could not be when it was last tried, is begun to
    /// be.
    pub(crate) fn look(&self, runtime: &Runtime) -> Readiness {
        self.watch(runtime, false).borrow().clone()
    }

    /// The environment, when it is built. One that failed is tried again.
    pub(crate) async fn ready(&self, runtime: &Runtime) -> Result<Environment, FunctionsError> {
        let mut watched = self.watch(runtime, true);
        let built = watched.wait_for(|state| *state != Readiness::Pending).await;
        match built.map(|state| state.clone()) {
            Ok(Readiness::Ready(environment)) => Ok(environment),
            Ok(Readiness::Failed(why)) => Err(FunctionsError::InvalidRuntime(why)),
            Ok(Readiness::Pending) | Err(_) => {
                Err(FunctionsError::internal("the building of an environment was given up"))
            }
        }
    }

    fn watch(&self, runtime: &Runtime, again: bool) -> watch::Receiver<Readiness> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = known.get(runtime) {
            let has_failed = matches!(*watched.borrow(), Readiness::Failed(_));
            if !(has_failed && again) {
                return watched.clone();
            }
        }
        let spec = runtime.environment();
        let built = self.environments.find(&spec);
        let is_built = built.is_some();
        let (tell, watched) = watch::channel(built.map_or(Readiness::Pending, Readiness::Ready));
        known.insert(runtime.clone(), watched.clone());
        if !is_built {
            let (environments, runtime) = (self.environments.clone(), runtime.clone());
            tokio::task::spawn_blocking(move || {
                tracing::info!(%runtime, "the environment of a runtime is being built");
                let built = environments.ensure(&spec);
                tell.send_replace(built.map_or_else(
                    |error| Readiness::Failed(reason(&runtime, &error)),
                    Readiness::Ready,
                ));
            });
        }
        watched
    }
}

fn reason(runtime: &Runtime, error: &EnvironmentError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let why = format!("failed to {error}{}", cause.unwrap_or_default());
    tracing::warn!(%runtime, why, "the environment of a runtime can't be built");
    format!("The runtime {runtime} is not available here: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtime_has_its_client() {
        for name in Runtime::ALL {
            let spec = Runtime::parse(name).unwrap().environment();
            assert_eq!(format!("python{}", spec.python), name);
            for package in ["awslambdaric==", "boto3=="] {
                assert!(spec.requirements.iter().any(|line| line.starts_with(package)), "{name}");
            }
        }
        let refused = Runtime::parse("nodejs20.x").unwrap_err().to_string();
        assert!(refused.contains("nodejs20.x") && refused.contains("python3.12"), "{refused}");
    }
}
