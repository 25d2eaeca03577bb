//! How to reach a model server and what to say to it.

use std::{path::PathBuf, str::FromStr, time::Duration};

use bessemer_transform::model::{TextFormat, Wants};
use url::Url;

/// How to reach a model server and what to say to it.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Where the server is, or how to start it.
    pub target: Target,
    /// In what form records are sent.
    pub content_type: ContentType,
    /// What the `Accept` header says. `None`: [`ContentType::default_accept`].
    pub accept: Option<String>,
    /// Whether a request holds one record or several. `None`: the server's choice
    /// (`/execution-parameters`), else several.
    pub batch_strategy: Option<BatchStrategy>,
    /// Whether bodies are sent with `Content-Encoding: gzip`.
    pub gzip_bodies: bool,
    /// How long one call may take, from the connection to the last byte of the answer.
    pub timeout: Duration,
    /// How long a server may take until it first answers 200 to `/ping`.
    pub ping_timeout: Duration,
    /// How many copies of a command to run. `None`: as many as cores and memory allow.
    pub copies: Option<usize>,
    /// The port of a command's only copy. `None`: a free one for each.
    pub port: Option<u16>,
    /// Bytes of memory that copies and answers may take. `None`: what the machine has free.
    pub memory: Option<u64>,
    /// Further environment variables of a command.
    pub env: Vec<(String, String)>,
    /// Bytes of a body before gzip, at most. Wins over what the server asks for.
    pub max_payload: Option<u64>,
    /// Calls at once, at most, over all copies. Wins over what the server asks for.
    pub max_concurrent: Option<usize>,
    /// Where goes what a command prints. `None`: its last lines are kept for messages, no more.
    pub log: Option<ServerLog>,
}

impl HttpOptions {
    /// The defaults for `target`: JSON Lines, 60 s a call, 60 s until the first ping.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target,
            content_type: ContentType::JsonLines,
            accept: None,
            batch_strategy: None,
            gzip_bodies: false,
            timeout: Duration::from_mins(1),
            ping_timeout: Duration::from_mins(1),
            copies: None,
            port: None,
            memory: None,
            env: Vec::new(),
            max_payload: None,
            max_concurrent: None,
            log: None,
        }
    }
}

/// Where goes what a command prints, each line with its copy's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerLog {
    /// To the end of this file.
    File(PathBuf),
    /// To our stderr.
    Stderr,
}

/// Where a model server is, or how to start it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A running server. An address without a path gets `/invocations` appended; one with a path is
    /// called as it is.
    Endpoint(Url),
    /// A command for `sh -c` that serves on the loopback port `$PORT`, in the foreground.
    Serve {
        /// The command. `{port}` in it stands for the port, too.
        command: String,
    },
}

/// Whether a request holds one record or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchStrategy {
    /// As many records as fit (`MultiRecord`).
    Multi,
    /// One record (`SingleRecord`).
    Single,
}

/// In what form records are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentType {
    /// `application/jsonlines`: one JSON value a line.
    JsonLines,
    /// `text/csv`: one row a record, no header.
    Csv,
    /// `application/json`: an array of the records, or the one record of a single-record request.
    Json,
    /// `application/json` as `{"instances": [record, …]}`. Written `application/json; format=instances`.
    JsonInstances,
    /// `application/x-parquet`: one Parquet file.
    Parquet,
    /// `application/vnd.apache.arrow.stream`: one Arrow IPC stream.
    ArrowStream,
    /// `text/plain`: the input's lines as they are.
    Text,
}

impl ContentType {
    /// What the `Content-Type` header says.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::JsonLines => "application/jsonlines",
            Self::Csv => "text/csv",
            Self::Json | Self::JsonInstances => "application/json",
            Self::Parquet => "application/x-parquet",
            Self::ArrowStream => "application/vnd.apache.arrow.stream",
            Self::Text => "text/plain",
        }
    }

    /// What the `Accept` header says unless the user says otherwise: the type that is sent, but JSON
    /// Lines for Parquet, since servers that read Parquet seldom write it.
    #[must_use]
    pub fn default_accept(self) -> &'static str {
        match self {
            Self::Parquet => Self::JsonLines.header(),
            other => other.header(),
        }
    }

    /// In what form the engine hands over records.
    #[must_use]
    pub fn wants(self) -> Wants {
        match self {
            Self::JsonLines | Self::Json | Self::JsonInstances => {
                Wants::Text(TextFormat::JsonLines)
            }
            Self::Csv => Wants::Text(TextFormat::Csv),
            Self::Text => Wants::Text(TextFormat::Raw),
            Self::Parquet | Self::ArrowStream => Wants::Columns,
        }
    }

    /// The content type that a media type names, whatever its parameters; `None` for others.
    pub(super) fn of_media_type(text: &str) -> Option<Self> {
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Some(match essence.as_str() {
            "application/jsonlines"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/x-ndjson"
            | "application/ndjson" => Self::JsonLines,
            "text/csv" | "application/csv" => Self::Csv,
            "application/json" | "text/json" => Self::Json,
            "application/x-parquet" | "application/vnd.apache.parquet" | "application/parquet" => {
                Self::Parquet
            }
            "application/vnd.apache.arrow.stream" => Self::ArrowStream,
            "text/plain" => Self::Text,
            _ if essence.ends_with("+json") => Self::Json,
            _ => return None,
        })
    }
}

/// A text that names none of an option's values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a {option}; it is one of {known}")]
pub struct ParseOptionError {
    option: &'static str,
    value: String,
    known: &'static str,
}

impl FromStr for ContentType {
    type Err = ParseOptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let instances =
            text.to_ascii_lowercase().replace([' ', '"'], "").ends_with(";format=instances");
        match Self::of_media_type(text) {
            Some(Self::Json) if instances => Ok(Self::JsonInstances),
            Some(known) => Ok(known),
            None => Err(ParseOptionError {
                option: "content type",
                value: text.to_owned(),
                known: "application/jsonlines, text/csv, application/json, \
                        application/json; format=instances, application/x-parquet, \
                        application/vnd.apache.arrow.stream, text/plain",
            }),
        }
    }
}

impl FromStr for BatchStrategy {
    type Err = ParseOptionError;

    /// Reads `multi` and `single`, and SageMaker's `MultiRecord` / `MULTI_RECORD` and the like.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().replace('_', "").as_str() {
            "multi" | "multirecord" => Ok(Self::Multi),
            "single" | "singlerecord" => Ok(Self::Single),
            _ => Err(ParseOptionError {
                option: "batch strategy",
                value: text.to_owned(),
                known: "multi, single",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_read_with_their_parameters_and_other_names() {
        assert_eq!("application/jsonlines".parse(), Ok(ContentType::JsonLines));
        assert_eq!("Application/X-NDJSON".parse(), Ok(ContentType::JsonLines));
        assert_eq!("text/csv; charset=utf-8".parse(), Ok(ContentType::Csv));
        assert_eq!("application/json".parse(), Ok(ContentType::Json));
        assert_eq!("application/json; format=instances".parse(), Ok(ContentType::JsonInstances));
        let error = "application/x-recordio".parse::<ContentType>().unwrap_err().to_string();
        assert!(error.starts_with("`application/x-recordio` is not a content type"), "{error}");
    }

    #[test]
    fn batch_strategies_are_read_in_both_spellings() {
        assert_eq!("single".parse(), Ok(BatchStrategy::Single));
        assert_eq!("MULTI_RECORD".parse(), Ok(BatchStrategy::Multi));
        assert_eq!("SingleRecord".parse(), Ok(BatchStrategy::Single));
        assert!("both".parse::<BatchStrategy>().is_err());
    }
}
