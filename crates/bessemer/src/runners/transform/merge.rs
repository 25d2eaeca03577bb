//! The ends of a job's instances as one. Pure.

use std::collections::HashMap;

use bessemer_domain::ExitCode;
use serde_json::Value;

use super::{End, FileEnd, stage::Staged};
use crate::options::EngineOptions;

/// What came of all instances, by index. An instance that could not go on speaks for all.
pub(super) fn merged(mut ends: Vec<End>, staged: &Staged, engine: Option<&EngineOptions>) -> End {
    let hosts = ends.len();
    if hosts == 1
        && staged.replay.is_none()
        && let Some(one) = ends.pop()
    {
        return one;
    }
    let lost =
        ends.iter().position(|end| end.summary.is_none() || end.code == ExitCode::Stopped as i32);
    if let Some(lost) = lost {
        return ends.swap_remove(lost);
    }
    let place: HashMap<&str, usize> =
        staged.names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let mut summary: Option<Value> = None;
    let mut files: Vec<(usize, FileEnd)> = Vec::new();
    for (host, end) in ends.iter_mut().enumerate() {
        match (&mut summary, end.summary.take()) {
            (Some(summary), Some(other)) => add(summary, other),
            (none, other) => *none = other,
        }
        // Of another's files nobody is heard.
        let own = end.files.drain(..).filter_map(|file| {
            let at = *place.get(file.file.as_str())?;
            (at % hosts == host).then_some((at, file))
        });
        files.extend(own);
    }
    files.sort_by_key(|(at, _)| *at);
    let mut summary = summary.unwrap_or_default();
    if let Some(kept) = &staged.replay {
        // Limits are of all records, not of those that were replayed.
        summary["rows"] = kept.rows.into();
    }
    let number = |name: &str| summary[name].as_u64().unwrap_or_default();
    let has_failed = match &summary["files"]["failed"] {
        Value::Array(failed) => !failed.is_empty(),
        failed => failed.as_u64().unwrap_or_default() > 0,
    };
    // The share that may be rejected is one of all records.
    let allowed = engine.and_then(|engine| engine.allowed_rejects(number("rows")).ok());
    let code = if has_failed || number("rejected") > allowed.unwrap_or_default() {
        ExitCode::Rejected
    } else {
        ExitCode::Ok
    };
    let status = if code == ExitCode::Ok { "succeeded" } else { "rejected" };
    summary["status"] = status.into();
    let files = files.into_iter().map(|(_, file)| file).collect();
    End { code: code as i32, message: None, summary: Some(summary), settings: None, files }
}

/// Adds the figures of another instance: counts are summed, lists put together, settings kept.
fn add(summary: &mut Value, other: Value) {
    match (summary, other) {
        (Value::Object(members), Value::Object(others)) => {
            for (name, other) in others {
                match members.get_mut(&name) {
                    Some(_) if name == "settings" => {}
                    // They ran side by side.
                    Some(wall) if name == "wall" => {
                        *wall = wall
                            .as_f64()
                            .unwrap_or_default()
                            .max(other.as_f64().unwrap_or_default())
                            .into();
                    }
                    Some(member) => add(member, other),
                    None => {
                        members.insert(name, other);
                    }
                }
            }
        }
        (Value::Array(items), Value::Array(others)) => items.extend(others),
        (number @ Value::Number(_), other) => {
            *number = match (number.as_u64(), other.as_u64()) {
                (Some(one), Some(other)) => one.saturating_add(other).into(),
                _ => (number.as_f64().unwrap_or_default() + other.as_f64().unwrap_or_default())
                    .into(),
            };
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::{super::code::StagedModel, *};

    fn staged(names: &[&str]) -> Staged {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let model = StagedModel::Native(PathBuf::new());
        Staged { model, names, replay: None, base: String::new() }
    }

    fn end(rows: u64, rejected: u64, files: &[&str]) -> End {
        let file = |name: &&str| FileEnd { file: (*name).to_owned(), ..FileEnd::default() };
        End {
            code: (if rejected > 0 { ExitCode::Rejected } else { ExitCode::Ok }) as i32,
            summary: Some(json!({
                "status": "succeeded", "rows": rows, "rejected": rejected,
                "files": { "total": files.len(), "failed": [] },
                "seconds": { "wall": rows as f64, "read": 0.5 },
                "settings": { "batch_rows": rows },
            })),
            files: files.iter().map(file).collect(),
            ..End::default()
        }
    }

    fn limit(rejects: &str) -> EngineOptions {
        EngineOptions { max_rejects: Some(rejects.to_owned()), ..EngineOptions::default() }
    }

    #[test]
    fn figures_are_summed_and_files_stand_in_order() {
        let ends = vec![end(10, 0, &["a", "c"]), end(5, 0, &["b"])];
        let all = merged(ends, &staged(&["a", "b", "c"]), None);
        assert_eq!(all.code, ExitCode::Ok as i32);
        let expected = json!({
            "status": "succeeded", "rows": 15, "rejected": 0,
            "files": { "total": 3, "failed": [] },
            "seconds": { "wall": 10.0, "read": 1.0 },
            "settings": { "batch_rows": 10 },
        });
        assert_eq!(all.summary, Some(expected));
        let names: Vec<&str> = all.files.iter().map(|file| file.file.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn rejects_are_limited_over_all_instances() {
        let ends = || vec![end(90, 0, &["a"]), end(10, 2, &["b"])];
        let code = |engine: &EngineOptions| merged(ends(), &staged(&["a", "b"]), Some(engine)).code;
        assert_eq!(code(&limit("2%")), ExitCode::Ok as i32);
        assert_eq!(code(&limit("1%")), ExitCode::Rejected as i32);
        assert_eq!(merged(ends(), &staged(&["a", "b"]), None).code, ExitCode::Rejected as i32);
    }

    #[test]
    fn nobody_tells_of_anothers_files_and_who_is_lost_speaks_for_all() {
        let ends = vec![end(1, 0, &["a", "b"]), end(1, 0, &["unknown"])];
        assert_eq!(merged(ends, &staged(&["a", "b"]), None).files.len(), 1);
        let lost = End { code: 5, message: Some("it is lost".into()), ..End::default() };
        let ends = vec![end(1, 0, &["a"]), lost];
        assert_eq!(merged(ends, &staged(&["a", "b"]), None).message.as_deref(), Some("it is lost"));
    }
}
