//! Mail by SMTP.

use std::time::Duration;

use bessemer_config::{EmailTarget, SmtpSecurity};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::authentication::Credentials,
};

use crate::{deliver::DeliveryError, notification::Notification};

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// How long each step of the conversation may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends a notification as a message of plain text.
pub(crate) async fn send(
    target: &EmailTarget,
    notification: &Notification,
) -> Result<(), DeliveryError> {
    let message = message(target, notification)?;
    let failed = |error: lettre::transport::smtp::Error| DeliveryError::Failed(error.to_string());
    let host = target.server.host.as_str();
    let mut transport = match target.security {
        SmtpSecurity::Tls => Transport::relay(host).map_err(failed)?,
        SmtpSecurity::StartTls => Transport::starttls_relay(host).map_err(failed)?,
        SmtpSecurity::None => Transport::builder_dangerous(host),
    };
    transport = transport.timeout(Some(TIMEOUT));
    if let Some(port) = target.server.port {
        transport = transport.port(port);
    }
    if let Some((user, password)) = &target.login {
        let password = password.load()?.reveal().to_owned();
        transport = transport.credentials(Credentials::new(user.clone(), password));
    }
    match transport.build().send(message).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_permanent() => Err(DeliveryError::Refused(error.to_string())),
        Err(error) => Err(failed(error)),
    }
}

fn message(target: &EmailTarget, notification: &Notification) -> Result<Message, DeliveryError> {
    let mailbox = |text: &str| {
        let wrong = |_| DeliveryError::Refused(format!("`{text}` is not a mail address"));
        text.parse::<Mailbox>().map_err(wrong)
    };
    let mut builder = Message::builder()
        .from(mailbox(&target.from)?)
        .subject(format!("[Bessemer] {}", notification.headline()))
        .header(ContentType::TEXT_PLAIN);
    for to in &target.to {
        builder = builder.to(mailbox(to)?);
    }
    let body = format!("{}\n\n{}\n", notification.headline(), notification.details());
    builder.body(body).map_err(|error| DeliveryError::Refused(error.to_string()))
}
