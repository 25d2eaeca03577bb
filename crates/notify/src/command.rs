//! A command that gets the notification on its standard input.

use std::{process::Stdio, time::Duration};

use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use crate::{deliver::DeliveryError, notification::Notification};

/// What a command keeps of the server's environment: the server's secrets are not among it.
const KEPT: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];

/// Runs the command to its end; it has to exit with 0.
pub(crate) async fn run(
    command: &[String],
    limit: Duration,
    notification: &Notification,
) -> Result<(), DeliveryError> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(DeliveryError::Refused("there is no command".to_owned()));
    };
    let body = serde_json::to_vec(notification)
        .map_err(|error| DeliveryError::Refused(error.to_string()))?;
    let kept = KEPT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(kept)
        .env("BESSEMER_JOB_KIND", &notification.kind)
        .env("BESSEMER_JOB_NAME", &notification.name)
        .env("BESSEMER_JOB_OUTCOME", &notification.outcome)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| DeliveryError::Failed(format!("start `{program}`: {error}")))?;
    let stdin = child.stdin.take();
    let told = async {
        if let Some(mut stdin) = stdin {
            // A command need not read what it is given.
            let _ = stdin.write_all(&body).await;
        }
        child.wait().await
    };
    let status = timeout(limit, told).await;
    let status = status.map_err(|_| {
        let seconds = limit.as_secs_f64();
        DeliveryError::Failed(format!("`{program}` did not end within {seconds} s"))
    })??;
    if status.success() {
        return Ok(());
    }
    Err(DeliveryError::Failed(format!("`{program}` ended with {status}")))
}
