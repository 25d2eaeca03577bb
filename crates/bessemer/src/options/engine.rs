//! How records are read, joined, written, and how hard the model is worked.

use std::{str::FromStr, sync::Arc, time::Duration};

use bessemer_domain::ByteSize;
use bessemer_transform::{
    Join, Rejected, Settings,
    answers::parse_output_schema,
    filter::Filter,
    text::{
        detect::{Compression, Format},
        reader::CsvHeader,
    },
};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Options of the engine.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[group(id = "engine_options")]
pub(crate) struct EngineOptions {
    /// The inputs' format: parquet, jsonl, csv or lines [default: told by content, then by name]
    #[arg(long, value_name = "FORMAT", help_heading = "Input")]
    pub(crate) input_format: Option<String>,
    /// Whether CSV inputs begin with a header: auto, yes or no [default: auto]
    #[arg(long, value_name = "WHETHER", help_heading = "Input")]
    pub(crate) csv_header: Option<String>,
    /// The inputs' compression: auto, none, gzip or zstd [default: auto]
    #[arg(long, value_name = "CODEC", help_heading = "Input")]
    pub(crate) compression: Option<String>,
    /// The columns that the model reads, in its order
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', help_heading = "Input")]
    pub(crate) features: Vec<String>,
    /// What a null in a floating-point feature is to a model that knows no null: reject or nan. With
    /// nan, a feature that a JSON record lacks counts as null for every model [default: reject]
    #[arg(long, value_name = "WHAT", help_heading = "Input")]
    pub(crate) nulls: Option<String>,
    /// The part of a record that the model is given: a JSONPath, as in Batch Transform
    #[arg(long, value_name = "JSONPATH", help_heading = "Input")]
    pub(crate) input_filter: Option<String>,

    /// The outputs' format: parquet, jsonl or csv [default: the input's]
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub(crate) output_format: Option<String>,
    /// What stands beside the outputs: input, none, or names of input columns [default: input]
    #[arg(long, value_name = "WHAT", help_heading = "Output")]
    pub(crate) join: Option<String>,
    /// The place of a rejected record: keep (with null outputs) or drop [default: keep]
    #[arg(long, value_name = "WHAT", help_heading = "Output")]
    pub(crate) rejected: Option<String>,
    /// The part of the joined record that is written
    #[arg(long, value_name = "JSONPATH", help_heading = "Output")]
    pub(crate) output_filter: Option<String>,
    /// Put in front of the names of output columns
    #[arg(long, value_name = "PREFIX", help_heading = "Output")]
    pub(crate) output_prefix: Option<String>,
    /// The output columns, such as 'prediction: float64, tags: list<utf8>' [default: the model's, or
    /// as its first answers show]
    #[arg(long, value_name = "COLUMNS", help_heading = "Output")]
    pub(crate) output_schema: Option<String>,

    /// Bytes that a call gives the model, at most, such as 6MB; a larger record is rejected
    #[arg(long, value_name = "SIZE", help_heading = "Settings (found at run time unless given)")]
    pub(crate) max_payload: Option<String>,
    /// Calls at once, at most
    #[arg(long, value_name = "N", help_heading = "Settings (found at run time unless given)")]
    pub(crate) max_concurrent: Option<usize>,
    /// Rows of a call
    #[arg(long, value_name = "N", help_heading = "Settings (found at run time unless given)")]
    pub(crate) batch_rows: Option<usize>,
    /// Copies of a served model or handler, all from the start
    #[arg(long, value_name = "N", help_heading = "Settings (found at run time unless given)")]
    pub(crate) copies: Option<usize>,
    /// Memory to stay under; a quarter of it may be records in flight [default: 256MiB]
    #[arg(long, value_name = "SIZE", help_heading = "Settings (found at run time unless given)")]
    pub(crate) memory: Option<String>,
    /// Threads that read and write [default: one a core]
    #[arg(long, value_name = "N", help_heading = "Settings (found at run time unless given)")]
    pub(crate) threads: Option<usize>,

    /// Further tries of a call that failed for a reason that may pass [default: 3]
    #[arg(long, value_name = "N", help_heading = "Failures")]
    pub(crate) retries: Option<u32>,
    /// Seconds that a call may take [default: 60]
    #[arg(long, value_name = "SECONDS", help_heading = "Failures")]
    pub(crate) timeout: Option<f64>,
    /// Rejects that are no failure: a number, or a share such as 1% [default: 0]
    #[arg(long, value_name = "N|P%", help_heading = "Failures")]
    pub(crate) max_rejects: Option<String>,
}

const DEFAULT_MEMORY: u64 = 256 << 20;
const DEFAULT_TIMEOUT: f64 = 60.0;
/// How long a model that cannot be reached is tried.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(30);

impl EngineOptions {
    /// The engine's settings.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        let output_format = parse::<Format>("--output-format", self.output_format.as_deref())?;
        if output_format == Some(Format::Lines) {
            return Err(Failure::usage("`--output-format` is parquet, jsonl or csv"));
        }
        let at_least_one = |name: &str, value: Option<usize>| match value {
            Some(0) => Err(Failure::usage(format!("`{name}` must be at least 1"))),
            value => Ok(value),
        };
        let filter = |name: &str, text: &Option<String>| {
            text.as_deref()
                .map(|text| {
                    text.parse::<Filter>()
                        .map_err(|error| Failure::usage(format!("`{name}`: {error}")))
                })
                .transpose()
        };
        let output_schema = match &self.output_schema {
            Some(text) => Some(Arc::new(
                parse_output_schema(text)
                    .map_err(|error| Failure::usage(format!("`--output-schema`: {error}")))?,
            )),
            None => None,
        };
        Ok(Settings {
            join: match self.join.as_deref() {
                None | Some("input") => Join::Input,
                Some("none") => Join::Nothing,
                Some(names) => {
                    Join::Columns(names.split(',').map(|name| name.trim().to_owned()).collect())
                }
            },
            rejected: match self.rejected.as_deref() {
                None | Some("keep") => Rejected::Keep,
                Some("drop") => Rejected::Drop,
                Some(other) => return Err(choice("--rejected", other, "keep or drop")),
            },
            input_format: parse("--input-format", self.input_format.as_deref())?,
            compression: match self.compression.as_deref() {
                None | Some("auto") => None,
                text => parse::<Compression>("--compression", text)?,
            },
            csv_header: match self.csv_header.as_deref() {
                None | Some("auto") => CsvHeader::Auto,
                Some("yes") => CsvHeader::Yes,
                Some("no") => CsvHeader::No,
                Some(other) => return Err(choice("--csv-header", other, "auto, yes or no")),
            },
            output_format,
            features: (!self.features.is_empty()).then(|| self.features.clone()),
            nulls_as_nan: self.nulls_as_nan()?,
            output_prefix: self.output_prefix.clone().unwrap_or_default(),
            output_schema,
            input_filter: filter("--input-filter", &self.input_filter)?,
            output_filter: filter("--output-filter", &self.output_filter)?,
            max_payload: self.max_payload()?,
            max_concurrent: at_least_one("--max-concurrent", self.max_concurrent)?,
            batch_rows: at_least_one("--batch-rows", self.batch_rows)?,
            memory: self.memory()?.unwrap_or(DEFAULT_MEMORY),
            threads: at_least_one("--threads", self.threads)?.unwrap_or_else(cores),
            retries: self.retries.unwrap_or(3),
            unreachable_after: UNREACHABLE_AFTER,
        })
    }

    pub(crate) fn nulls_as_nan(&self) -> Result<bool, Failure> {
        match self.nulls.as_deref() {
            None | Some("reject") => Ok(false),
            Some("nan") => Ok(true),
            Some(other) => Err(choice("--nulls", other, "reject or nan")),
        }
    }

    pub(crate) fn max_payload(&self) -> Result<Option<u64>, Failure> {
        Ok(parse::<ByteSize>("--max-payload", self.max_payload.as_deref())?.map(|size| size.0))
    }

    pub(crate) fn memory(&self) -> Result<Option<u64>, Failure> {
        let memory = parse::<ByteSize>("--memory", self.memory.as_deref())?.map(|size| size.0);
        match memory {
            Some(bytes) if bytes < 16 << 20 => {
                Err(Failure::usage("`--memory` must be at least 16MiB"))
            }
            memory => Ok(memory),
        }
    }

    pub(crate) fn timeout(&self) -> Result<Duration, Failure> {
        let seconds = self.timeout.unwrap_or(DEFAULT_TIMEOUT);
        if seconds > 0.0 && seconds <= 86_400.0 {
            return Ok(Duration::from_secs_f64(seconds));
        }
        Err(Failure::usage("`--timeout` is a number of seconds above 0, at most 86400"))
    }

    /// How many of `rows` may be rejected.
    pub(crate) fn allowed_rejects(&self, rows: u64) -> Result<u64, Failure> {
        let text = self.max_rejects.as_deref().unwrap_or("0");
        let wrong = || {
            Failure::usage(format!(
                "`--max-rejects` is a number or a share such as 1%, not `{text}`"
            ))
        };
        match text.strip_suffix('%') {
            Some(share) => {
                let share: f64 = share.trim().parse().map_err(|_| wrong())?;
                if !(0.0..=100.0).contains(&share) {
                    return Err(wrong());
                }
                Ok((rows as f64 * share / 100.0).floor() as u64)
            }
            None => text.parse().map_err(|_| wrong()),
        }
    }
}

/// Cores of this machine.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

fn parse<T: FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: Option<&str>,
) -> Result<Option<T>, Failure> {
    text.map(|text| {
        text.parse().map_err(|error: T::Err| Failure::usage(format!("`{name}`: {error}")))
    })
    .transpose()
}

fn choice(name: &str, got: &str, choices: &str) -> Failure {
    Failure::usage(format!("`{name}` is {choices}, not `{got}`"))
}
