//! `bessemer notify`: whether notifications arrive.

use bessemer_config::{Notifications, Target};
use bessemer_domain::{Clock, ExitCode, SystemClock, nearest_names};
use bessemer_notify::{Deliverer, DeliveryError, Notification};
use clap::{Args, Subcommand};

use crate::{failure::Failure, report::print, wiring::data::DataOptions};

/// Try the targets of notifications
#[derive(Debug, Args)]
pub(super) struct Notify {
    #[command(subcommand)]
    command: NotifyCommand,
    #[command(flatten)]
    data: DataOptions,
}

#[derive(Debug, Subcommand)]
enum NotifyCommand {
    /// Send a made-up notification now, with this shell's environment, and say whether it arrived
    Test {
        /// The targets, by their names in the settings [default: all]
        targets: Vec<String>,
    },
}

impl Notify {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let (config, _) = self.data.settings()?;
        let settings = config.notifications;
        let NotifyCommand::Test { targets } = self.command;
        let targets = chosen(&settings, &targets)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(ExitCode::Internal, error))?;
        let deliverer = Deliverer { allow_private: settings.allow_private.clone() };
        let mut failed = Vec::new();
        for target in targets {
            let now = SystemClock.now_millis();
            let sample = Notification::sample(now);
            let done: Result<(), DeliveryError> =
                runtime.block_on(deliverer.deliver(target, &sample, now));
            match done {
                Ok(()) => print(&format!("{}: delivered\n", target.name)),
                Err(error) => failed.push(format!("{}: {error}", target.name)),
            }
        }
        if failed.is_empty() {
            return Ok(ExitCode::Ok);
        }
        Err(Failure::new(ExitCode::Unreachable, anyhow::anyhow!("notify {}", failed.join("; "))))
    }
}

fn chosen<'s>(settings: &'s Notifications, names: &[String]) -> Result<Vec<&'s Target>, Failure> {
    if settings.targets.is_empty() {
        let none = anyhow::anyhow!("find targets of notifications in the settings");
        return Err(Failure::new(ExitCode::NotFound, none)
            .with_hint("`bessemer config sample` shows some; name a file by `--config`"));
    }
    if names.is_empty() {
        return Ok(settings.targets.iter().collect());
    }
    let find = |name: &String| {
        settings.target(name).ok_or_else(|| {
            let known = settings.targets.iter().map(|target| target.name.as_str());
            let failure =
                Failure::new(ExitCode::NotFound, anyhow::anyhow!("find the target `{name}`"));
            match nearest_names(name, known, 1).first() {
                Some(near) => failure.with_hint(format!("did you mean `{near}`?")),
                None => failure,
            }
        })
    };
    names.iter().map(find).collect()
}
