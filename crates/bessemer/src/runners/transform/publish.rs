//! From what the engine left to outputs in their bucket and the job's outcome.

use std::{fs::File, path::Path, sync::Arc};

use bessemer_domain::{ExitCode, FailureClass, Outcome};
use bessemer_objects::buckets::{BucketDir, Condition, ObjectKey, Record};

use super::{
    End, Failed,
    end::FileEnd,
    plan::{Place, Plan},
    stage::{Staged, bucket_name, from_bucket},
    streams::Streams,
};

/// Puts in place what may be, and says what became of the job. It may be done again: the same
/// objects come out.
pub(super) fn conclude(
    buckets: &Arc<BucketDir>,
    plan: &Plan,
    folder: &Path,
    end: &End,
    streams: &Streams,
) -> Result<Outcome, Failed> {
    let output = folder.join("output");
    if end.summary.is_none() {
        let message = end.message.clone().unwrap_or_else(|| "the engine failed".to_owned());
        return Err(Failed {
            class: class_of(end.code),
            message: format!("ClientError: {message}"),
        });
    }
    if end.code == ExitCode::Stopped as i32 {
        return Err(Failed::infrastructure("the engine was stopped"));
    }
    let base = Staged::read(folder).map(|staged| staged.base).unwrap_or_default();
    let mut failed = Vec::new();
    for file in &end.files {
        let is_whole = file.output.is_some() && (file.rejected == 0 || !plan.is_strict);
        match &file.output {
            Some(name) if is_whole => {
                let key = key_of(plan, &file.file, name);
                put(buckets, &plan.output.bucket, &key, &output.join(name))?;
            }
            _ => failed.push(file),
        }
        if !plan.is_strict && file.rejected > 0 {
            let name = format!("_rejects/{}.parquet", file.file);
            put(buckets, &plan.output.bucket, &below(&plan.output, &name), &output.join(&name))?;
        }
    }
    for file in &failed {
        streams.say_of_data(&data_log(&base, file));
    }
    let result = end.summary.as_ref().map(ToString::to_string);
    if end.code == ExitCode::Ok as i32 && failed.is_empty() {
        return Ok(Outcome::Succeeded { result });
    }
    let message = reason(plan, end, &base, &failed);
    Ok(Outcome::Failed { class: FailureClass::Algorithm, message, result })
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

fn reason(plan: &Plan, end: &End, base: &str, failed: &[&FileEnd]) -> String {
    let total = end.files.len();
    if let Some(first) = failed.first() {
        let why = first.reason.as_deref().unwrap_or("see the data log");
        let (failed, file) = (failed.len(), &first.file);
        return format!("ClientError: {failed} of {total} files failed; s3://{base}{file}: {why}");
    }
    let number = |name: &str| end.summary.as_ref().and_then(|summary| summary[name].as_u64());
    format!(
        "ClientError: {} of {} records were rejected, more than BESSEMER_MAX_REJECTS allows; the \
         rest is delivered, they are listed in {}",
        number("rejected").unwrap_or_default(),
        number("rows").unwrap_or_default(),
        plan.output.uri(&below(&plan.output, "_rejects/")),
    )
}

/// A failed file in the words that SageMaker's data log has.
fn data_log(base: &str, file: &FileEnd) -> String {
    let uri = format!("{base}{}", file.file);
    let why = file.reason.as_deref().unwrap_or_default();
    format!("{uri}: ClientError: 400\n{uri}: Message:\n{uri}: {why}")
}

/// The key of an output.
fn key_of(plan: &Plan, input: &str, output: &str) -> String {
    if plan.has_out_names {
        below(&plan.output, &format!("{input}.out"))
    } else {
        below(&plan.output, output)
    }
}

fn below(output: &Place, name: &str) -> String {
    match output.key.trim_end_matches('/') {
        "" => name.to_owned(),
        prefix => format!("{prefix}/{name}"),
    }
}

/// Makes the file `path` the object `key`.
fn put(buckets: &Arc<BucketDir>, bucket: &str, key: &str, path: &Path) -> Result<(), Failed> {
    let place = Place { bucket: bucket.to_owned(), key: key.to_owned() };
    let failed = |error: std::io::Error| {
        Failed::infrastructure(format!("read the output `{}`: {error}", path.display()))
    };
    let key = ObjectKey::parse(key).map_err(|error| from_bucket(&error))?;
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let bucket = bucket_name(&place)?;
    let put = || {
        let mut incoming = buckets.receive()?;
        incoming.copy(&file, 0, size)?;
        // Not an MD5, which a dash says; reading everything once more for it would be no use.
        let etag = format!("{:032x}-1", rand::random::<u128>());
        let record = Record { etag, ..Record::default() };
        buckets.put(&bucket, &key, incoming, record, &Condition::None)
    };
    put().map(drop).map_err(|error| from_bucket(&error))
}
