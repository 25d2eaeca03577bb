//! From what the engine left to outputs in their bucket and the job's outcome.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use bessemer_domain::{ExitCode, FailureClass, Outcome};
use bessemer_objects::storage::Storage;

use super::{
    super::container::{self, Uri, host_name},
    End, Failed,
    code::StagedModel,
    end::{BAD_RECORD, FileEnd, open_beneath},
    kept::Kept,
    merge::merged,
    names::Names,
    plan::Plan,
    sandbox,
    stage::Staged,
    streams::Streams,
};

/// Puts in place what may be, and says what became of the job. It may be done again: the same
/// objects come out. `kept_at`: where what a replay needs is kept.
pub(super) fn conclude(
    storage: &Storage,
    plan: &Plan,
    folder: &Path,
    staged: &Staged,
    (hosts, kept_at): (Vec<(End, Streams)>, &Path),
) -> Result<Outcome, Failed> {
    let (ends, streams): (Vec<End>, Vec<Streams>) = hosts.into_iter().unzip();
    for (end, streams) in ends.iter().zip(&streams) {
        if let Some(settings) = &end.settings {
            streams.say_of_data(settings);
        }
    }
    let end = &merged(ends, staged, plan.engine.as_ref().ok());
    if end.summary.is_none() {
        let message = end.message.clone().unwrap_or_else(|| "the engine failed".to_owned());
        return Err(Failed {
            class: class_of(end.code),
            message: format!("{}: {message}", blame(&staged.model, end.code)),
        });
    }
    if end.code == ExitCode::Stopped as i32 {
        return Err(Failed::infrastructure("the engine was stopped"));
    }
    let base = staged.base.clone();
    let names = Names::of(folder, plan, Some(&base));
    let host_of: HashMap<&str, usize> = staged
        .names
        .iter()
        .enumerate()
        .map(|(at, name)| (name.as_str(), at % streams.len()))
        .collect();
    let mut failed = Vec::new();
    for file in &end.files {
        let Some(host) = host_of.get(file.file.as_str()) else { continue };
        let output = sandbox::left(&folder.join(host_name(*host))).join("output");
        let is_whole = file.output.is_some() && (file.rejected == 0 || !plan.is_strict);
        match &file.output {
            Some(name) if is_whole => {
                let uri = uri_of(plan, &file.file, name);
                put(storage, &uri, (&output, name))?;
            }
            _ => failed.push((file, &streams[*host])),
        }
        let rejects = rejects_of(plan, &file.file);
        if !plan.is_strict && file.rejected > 0 {
            put(storage, &rejects, (&output, &format!("_rejects/{}.parquet", file.file)))?;
        } else if plan.replay.is_some() && file.output.is_some() {
            let deleted = storage.delete(&rejects.bucket, &rejects.key);
            deleted.map_err(|error| container::Failed::from_storage(&error))?;
        }
    }
    if !plan.is_strict && plan.replay.is_none() {
        let rejected = end.files.iter().filter(|file| file.rejected > 0);
        let rejected: HashSet<&str> = rejected.map(|file| file.file.as_str()).collect();
        let left: Vec<PathBuf> =
            (0..streams.len()).map(|index| sandbox::left(&folder.join(host_name(index)))).collect();
        let rows = end.summary.as_ref().and_then(|summary| summary["rows"].as_u64());
        Kept::of(folder, &left, (rows.unwrap_or_default(), &rejected))
            .and_then(|kept| kept.write(kept_at))
            .map_err(Failed::infrastructure)?;
    }
    for (file, streams) in &failed {
        streams.say_of_data(&names.told(&data_log(&base, file)));
    }
    let result = end.summary.as_ref().map(ToString::to_string);
    if end.code == ExitCode::Ok as i32 && failed.is_empty() {
        return Ok(Outcome::Succeeded { result });
    }
    let message = names.told(&reason(plan, end, &base, &failed));
    Ok(Outcome::Failed { class: FailureClass::Algorithm, message, result })
}

/// Whose fault it is, in SageMaker's words, that an engine could not begin.
fn blame(model: &StagedModel, code: i32) -> &'static str {
    let is_of_model = [ExitCode::Configuration, ExitCode::Unreachable]
        .iter()
        .any(|of_model| *of_model as i32 == code);
    match model {
        StagedModel::Native(_) => "ClientError",
        _ if is_of_model => "AlgorithmError",
        _ => "ClientError",
    }
}

/// What a run that could not go on failed for.
fn class_of(code: i32) -> FailureClass {
    let passing = [ExitCode::Internal, ExitCode::Unreachable, ExitCode::Timeout];
    if passing.iter().any(|passes| *passes as i32 == code) {
        FailureClass::Infrastructure
    } else {
        FailureClass::Invalid
    }
}

fn reason(plan: &Plan, end: &End, base: &str, failed: &[(&FileEnd, &Streams)]) -> String {
    let total = end.files.len();
    if let Some((first, _)) = failed.first() {
        let why = first.reason.as_deref().unwrap_or("see the data log");
        let (failed, file) = (failed.len(), &first.file);
        let status = first.status.as_deref().unwrap_or(BAD_RECORD);
        let whose =
            if status.starts_with("ClientError") { "ClientError" } else { "AlgorithmError" };
        return format!("{whose}: {failed} of {total} files failed; s3://{base}{file}: {why}");
    }
    let number = |name: &str| end.summary.as_ref().and_then(|summary| summary[name].as_u64());
    format!(
        "ClientError: {} of {} records were rejected, more than BESSEMER_MAX_REJECTS allows; the \
         rest is delivered, they are listed in {}",
        number("rejected").unwrap_or_default(),
        number("rows").unwrap_or_default(),
        plan.output.below("_rejects/"),
    )
}

/// A failed file in the words that SageMaker's data log has.
fn data_log(base: &str, file: &FileEnd) -> String {
    let uri = format!("{base}{}", file.file);
    let why = file.reason.as_deref().unwrap_or_default();
    let status = file.status.as_deref().unwrap_or(BAD_RECORD);
    format!("{uri}: {status}\n{uri}: Message:\n{uri}: {why}")
}

/// Where an output goes.
pub(super) fn uri_of(plan: &Plan, input: &str, output: &str) -> Uri {
    if plan.has_out_names {
        plan.output.below(&format!("{input}.out"))
    } else {
        plan.output.below(output)
    }
}

/// Where the rejected records of an input go.
pub(super) fn rejects_of(plan: &Plan, input: &str) -> Uri {
    plan.output.below(&format!("_rejects/{input}.parquet"))
}

/// Makes the file `name` of the outputs the object at `uri`.
fn put(storage: &Storage, uri: &Uri, (output, name): (&Path, &str)) -> Result<(), Failed> {
    let failed = |error: std::io::Error| {
        Failed::infrastructure(format!("read the output `{name}`: {error}"))
    };
    let file = match open_beneath(output, name) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let why = format!("AlgorithmError: the output `{name}` is no plain file: {error}");
            return Err(Failed::invalid(why));
        }
        opened => opened.map_err(failed)?,
    };
    let done = storage.put_file(&uri.bucket, &uri.key, &file);
    done.map_err(|error| container::Failed::from_storage(&error).into())
}
