//! `[notifications]`: who hears of jobs that came to their end, and by which way.

use std::{fmt, str::FromStr, time::Duration};

use bessemer_domain::{Phase, nearest_names};
use toml::de::DeValue;

use crate::{
    reader::Table,
    secret::Secret,
    select::Selector,
    values::{self, Setting},
};

/// The targets and the rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Notifications {
    /// Private addresses that webhooks may be sent to all the same.
    pub allow_private: Vec<HostPort>,
    /// How long a delivery that fails is tried again.
    pub give_up_after: Duration,
    /// Where notifications can go.
    pub targets: Vec<Target>,
    /// Which ones go where.
    pub rules: Vec<NotificationRule>,
}

/// A place that notifications can go to.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// What rules call it.
    pub name: String,
    /// How it is reached.
    pub kind: TargetKind,
}

/// How a target is reached.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetKind {
    /// A webhook that takes Slack's messages. Its address is the secret.
    Slack {
        /// The address.
        url: Secret,
    },
    /// A webhook that gets the whole notification as JSON, signed.
    Webhook {
        /// The address.
        url: String,
        /// The key of the signature.
        secret: Secret,
    },
    /// Mail by SMTP.
    Email(EmailTarget),
    /// A command that gets the notification as JSON on its standard input.
    Command {
        /// The command and its arguments.
        command: Vec<String>,
        /// How long it may take.
        timeout: Duration,
    },
}

/// Mail by SMTP.
#[derive(Debug, Clone, PartialEq)]
pub struct EmailTarget {
    /// The server.
    pub server: HostPort,
    /// How the connection is kept secret.
    pub security: SmtpSecurity,
    /// Who logs in, and with what.
    pub login: Option<(String, Secret)>,
    /// The sender.
    pub from: String,
    /// The receivers.
    pub to: Vec<String>,
}

/// How a connection to a mail server is kept secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// By TLS from the start (port 465).
    Tls,
    /// By TLS from `STARTTLS` on (port 587).
    StartTls,
    /// Not at all.
    None,
}

/// A host, with or without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: Option<u16>,
}

/// Which ends of which jobs go where.
#[derive(Debug, Clone, PartialEq)]
pub struct NotificationRule {
    /// The jobs.
    pub jobs: Selector,
    /// Their ends.
    pub outcomes: Vec<Outcome>,
    /// The names of the targets.
    pub send: Vec<String>,
}

/// How a job ended, as rules name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded.
    Completed,
    /// It failed for good.
    Failed,
    /// It was stopped.
    Stopped,
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            allow_private: Vec::new(),
            give_up_after: Duration::from_hours(24),
            targets: Vec::new(),
            rules: Vec::new(),
        }
    }
}

impl Notifications {
    pub(crate) fn read(top: &Table<'_, '_>) -> Self {
        let usual = Self::default();
        let Some(table) = top.table("notifications") else { return usual };
        let mut targets: Vec<Target> = Vec::new();
        for entry in table.tables("targets") {
            let name: Option<String> = entry.required("name");
            let kind = target(&entry);
            if let Some(name) = &name
                && targets.iter().any(|known| known.name == *name)
            {
                entry.refuse("name", format!("`{name}` is the name of another target"));
            }
            entry.finish();
            if let (Some(name), Some(kind)) = (name, kind) {
                targets.push(Target { name, kind });
            }
        }
        let read = Self {
            allow_private: table.or("allow_private", usual.allow_private),
            give_up_after: table.or("give_up_after", usual.give_up_after),
            rules: table
                .tables("rules")
                .into_iter()
                .filter_map(|rule| read_rule(rule, &targets))
                .collect(),
            targets,
        };
        table.finish();
        read
    }

    /// The target of that name.
    pub fn target(&self, name: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.name == name)
    }
}

fn target(table: &Table<'_, '_>) -> Option<TargetKind> {
    let kind: String = table.required("type")?;
    match kind.as_str() {
        "slack" => {
            let url = Secret::read(table, "address", ["url_env", "url_file"])?;
            Some(TargetKind::Slack { url })
        }
        "webhook" => {
            let url: Option<String> = table.required("url");
            let secret = Secret::read(table, "key of the signature", ["secret_env", "secret_file"]);
            if let Some(url) = &url
                && !(url.starts_with("https://") || url.starts_with("http://"))
            {
                table.refuse("url", format!("`{url}` does not begin with `https://`"));
            }
            Some(TargetKind::Webhook { url: url?, secret: secret? })
        }
        "email" => email(table).map(TargetKind::Email),
        "command" => {
            let command: Vec<String> = table.required("command")?;
            if command.is_empty() {
                table.refuse("command", "is empty");
            }
            let timeout = table.or("timeout", Duration::from_mins(1));
            Some(TargetKind::Command { command, timeout })
        }
        other => {
            let known = ["slack", "webhook", "email", "command"];
            let near = nearest_names(other, known, 1);
            let hint = match near.first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", known.join(", ")),
            };
            table.refuse("type", format!("`{other}` is not a type of target; {hint}"));
            None
        }
    }
}

fn email(table: &Table<'_, '_>) -> Option<EmailTarget> {
    let server = table.required("server");
    let security = table.or("security", SmtpSecurity::Tls);
    let user: Option<String> = table.maybe("username");
    let login = match user {
        Some(user) => {
            let password = Secret::read(table, "password", ["password_env", "password_file"])?;
            if security == SmtpSecurity::None {
                table.refuse("username", "would be sent in the clear; set `security`");
            }
            Some((user, password))
        }
        None => None,
    };
    let from = table.required("from");
    let to: Option<Vec<String>> = table.required("to");
    if to.as_ref().is_some_and(Vec::is_empty) {
        table.refuse("to", "is empty");
    }
    Some(EmailTarget { server: server?, security, login, from: from?, to: to? })
}

fn read_rule(table: Table<'_, '_>, targets: &[Target]) -> Option<NotificationRule> {
    let jobs = Selector::read(&table);
    let outcomes = table.or("outcomes", vec![Outcome::Failed]);
    let send: Option<Vec<String>> = table.required("send");
    for name in send.iter().flatten() {
        if !targets.iter().any(|target| target.name == *name) {
            let near = nearest_names(name, targets.iter().map(|target| target.name.as_str()), 1);
            let hint = near.first().map(|near| format!("; did you mean `{near}`?"));
            let hint = hint.unwrap_or_default();
            table.refuse("send", format!("there is no target `{name}`{hint}"));
        }
    }
    table.finish();
    Some(NotificationRule { jobs, outcomes, send: send? })
}

impl Outcome {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Completed, "completed"), (Self::Failed, "failed"), (Self::Stopped, "stopped")];

    /// The outcome that a phase is, if it is an end.
    #[must_use]
    pub fn of(phase: Phase) -> Option<Self> {
        match phase {
            Phase::Completed => Some(Self::Completed),
            Phase::Failed => Some(Self::Failed),
            Phase::Stopped => Some(Self::Stopped),
            Phase::InProgress | Phase::Stopping => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

impl Setting for Outcome {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = String::read(value)?;
        let found = Self::ALL.into_iter().find(|(_, name)| *name == text);
        found.map(|(outcome, _)| outcome).ok_or_else(|| {
            format!("`{text}` is not an outcome; there are completed, failed and stopped")
        })
    }
}

impl Setting for SmtpSecurity {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = String::read(value)?;
        match text.as_str() {
            "tls" => Ok(Self::Tls),
            "starttls" => Ok(Self::StartTls),
            "none" => Ok(Self::None),
            other => Err(format!(
                "`{other}` is not a kind of security; there are tls, starttls and none"
            )),
        }
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is not a host with or without a port, such as `smtp.example.com:465`")
        };
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            let port = if port.is_empty() {
                None
            } else {
                Some(port.strip_prefix(':').ok_or_else(wrong)?)
            };
            (host, port)
        } else if text.matches(':').count() > 1 {
            (text, None)
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let port = port.map(|port| port.parse().map_err(|_| wrong())).transpose()?;
        if host.is_empty() || host.contains(['/', '@', ' ']) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl Setting for HostPort {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        values::parse(value)
    }
}
