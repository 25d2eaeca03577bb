//! The whole file.

use std::{fs, path::Path};

use toml::de::DeTable;

use crate::{
    docker::DockerSettings,
    error::{ConfigError, Problem},
    functions::FunctionSettings,
    images::ImageSettings,
    notifications::Notifications,
    queue::QueueSettings,
    quotas::Quota,
    reader::{Source, Table},
    retries::RetryRule,
    server::ServerSettings,
    storage::StorageSettings,
};

/// All settings, each with its default where the file says nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// `[server]`.
    pub server: ServerSettings,
    /// `[queue]`.
    pub queue: QueueSettings,
    /// `[[quotas]]`.
    pub quotas: Vec<Quota>,
    /// `[[retries]]`; the first that selects a job is for it.
    pub retries: Vec<RetryRule>,
    /// `[[images]]`, which go before those built in.
    pub images: Vec<ImageSettings>,
    /// `[functions]`.
    pub functions: FunctionSettings,
    /// `[docker]`.
    pub docker: DockerSettings,
    /// `[notifications]`.
    pub notifications: Notifications,
    /// `[storage]`.
    pub storage: StorageSettings,
}

/// A file with every setting, which says what each does. It sets nothing: it reads as the defaults.
pub const SAMPLE: &str = include_str!("sample.toml");

impl Config {
    /// Reads `file`.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(file).map_err(|error| ConfigError::read(file, error))?;
        Self::parse(file, &text)
    }

    /// Reads `text`, which stands in `file`.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let source = Source::new(file, text);
        let parsed = DeTable::parse(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            ConfigError::Problems(vec![Problem {
                file: file.to_owned(),
                line: before.matches('\n').count() + 1,
                key: String::new(),
                message: format!("is not TOML: {}", error.message()),
            }])
        })?;
        let top = Table::top(&source, parsed.get_ref());
        let config = Self {
            server: ServerSettings::read(&top),
            queue: QueueSettings::read(&top),
            quotas: Quota::read_all(&top),
            retries: RetryRule::read_all(&top),
            images: ImageSettings::read_all(&top),
            functions: FunctionSettings::read(&top),
            docker: DockerSettings::read(&top),
            notifications: Notifications::read(&top),
            storage: StorageSettings::read(&top),
        };
        top.finish();
        let problems = source.problems();
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Problems(problems)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("bessemer.toml"), text).map_err(|error| error.to_string())
    }

    fn problems(text: &str) -> String {
        parse(text).expect_err("it can't be used")
    }

    #[test]
    fn the_sample_reads_as_the_defaults() {
        assert_eq!(parse(SAMPLE), Ok(Config::default()));
    }

    /// A line that begins with `#` and no space is a setting that the sample leaves out.
    #[test]
    fn every_example_of_the_sample_can_be_taken_in() {
        let taken: Vec<&str> = SAMPLE
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting,
                _ => line,
            })
            .collect();
        let config = parse(&taken.join("\n")).expect("it can be used");
        assert_eq!(config.notifications.targets.len(), 4);
        assert_eq!((config.quotas.len(), config.retries.len(), config.images.len()), (3, 2, 2));
        assert!(!config.queue.weights.is_empty() && config.server.cores.is_some());
        assert!(config.storage.external.is_some_and(|external| external.job_key.is_some()));
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_known_one_and_their_line() {
        let text = "[server]\nlisten = \"127.0.0.1:1\"\nlistn = 3\n\n[qeue]\n";
        let expected = "bessemer.toml:3: `server.listn`: is not a setting; did you mean `listen`?\n\
                        bessemer.toml:5: `qeue`: is not a setting; did you mean `queue`?";
        assert_eq!(problems(text), expected);
    }

    #[test]
    fn values_are_refused_with_what_they_have_to_be() {
        for (text, expected) in [
            (
                "[server]\nlisten = \"here\"",
                "2: `server.listen`: `here` is not an address and a port, such as `127.0.0.1:1856`",
            ),
            ("server = 3", "1: `server`: is a section: write `[server]`"),
            ("[quotas]", "1: `quotas`: is a list of sections: write `[[quotas]]`"),
            (
                "[[quotas]]\nkind = \"train\"\nrunning = 1",
                "2: `quotas.kind`: `train` is not a kind of job; kinds are `transform`, `training`, \
                 `processing` and `batch`",
            ),
            (
                "[[quotas]]\nkind = \"training\"",
                "1: `quotas.in_progress`: is missing; give one of in_progress, queued and running",
            ),
            (
                "[[retries]]\n\nattempts = -1",
                "3: `retries.attempts`: is `-1` and has to be a whole number from 0 on",
            ),
            (
                "[[retries]]\nclasses = [\"invalid\"]",
                "2: `retries.classes`: name `invalid`, which no further attempt could mend",
            ),
            (
                "[queue]\nmax_wait = 30",
                "2: `queue.max_wait`: is `30` and has to be a time such as `\"90s\"`",
            ),
            (
                "[storage]\nendpoint = \"minio:9000\"\naccess_key_id_env = \"ID\"\n\
                 secret_access_key_env = \"SECRET\"",
                "2: `storage.endpoint`: is not the http:// or https:// URL of a server",
            ),
            (
                "[storage]\n\nendpoint = \"http://minio:9000\"\naccess_key_id_env = \"ID\"",
                "1: `storage.secret_access_key_env`: is missing: name the variable that holds the \
                 access key's secret, or a file by `secret_access_key_file`",
            ),
            ("[server\n", "1: is not TOML: "),
        ] {
            let told = problems(text);
            assert!(told.starts_with(&format!("bessemer.toml:{expected}")), "{told}");
        }
    }

    #[test]
    fn rules_name_targets_that_there_are_and_secrets_are_elsewhere() {
        let text = "[[notifications.targets]]\nname = \"team\"\ntype = \"slack\"\n\
                    url = \"https://hooks.slack.com/services/T\"\n\
                    [[notifications.rules]]\nsend = [\"taem\"]\n";
        let told = problems(text);
        assert!(told.contains("4: `notifications.targets.url`: is not a setting"), "{told}");
        assert!(told.contains("`notifications.targets.url_env`: is missing"), "{told}");
        assert!(!told.contains("hooks.slack.com"), "{told}");
        let pasted = problems(&text.replace("url =", "url_env ="));
        assert!(pasted.contains("is not the name of an environment variable"), "{pasted}");
        assert!(!pasted.contains("hooks.slack.com"), "{pasted}");
    }
}
