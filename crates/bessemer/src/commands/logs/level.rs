//! The level of a line of a log, by the ways that Python, Java, Spark and JSON loggers have of
//! saying it.

use serde_json::Value;

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

/// Words at the beginning of a line that its level may stand among: after date, time, thread.
const WORDS: usize = 8;
/// Members of JSON logs that hold the level.
const MEMBERS: [&str; 6] = ["level", "levelname", "severity", "log.level", "lvl", "loglevel"];

/// The level that a line says it has.
pub(super) fn of(line: &str) -> Option<Level> {
    let text = line.trim_start();
    if text.starts_with('{')
        && let Ok(value) = serde_json::from_str::<Value>(text)
    {
        return MEMBERS.iter().find_map(|name| of_json(value.get(name)?));
    }
    if text.starts_with("Traceback (most recent call last)") {
        return Some(Level::Error);
    }
    let mut words = text.split_ascii_whitespace().take(WORDS);
    words.next().and_then(of_first).or_else(|| {
        text.split_ascii_whitespace().take(WORDS).find_map(|word| {
            word.split(|next: char| !next.is_ascii_alphanumeric()).find_map(of_word)
        })
    })
}

/// A level as loggers write it: in capitals, so that prose is not taken for it.
fn of_word(word: &str) -> Option<Level> {
    Some(match word {
        "TRACE" | "FINEST" | "FINER" => Level::Trace,
        "DEBUG" | "FINE" => Level::Debug,
        "INFO" | "NOTICE" | "CONFIG" => Level::Info,
        "WARN" | "WARNING" => Level::Warn,
        "ERROR" | "SEVERE" | "ERR" => Level::Error,
        "FATAL" | "CRITICAL" | "PANIC" => Level::Fatal,
        _ => return None,
    })
}

/// What only a line's first word can be: `[warning]`, `error:`, `ValueError: …`, `E1121 …` of glog.
fn of_first(word: &str) -> Option<Level> {
    let marked = word.strip_suffix(':').or_else(|| {
        word.strip_prefix('[').and_then(|word| word.trim_end_matches(':').strip_suffix(']'))
    });
    if let Some(name) = marked {
        if let Some(level) = of_word(&name.to_ascii_uppercase()) {
            return Some(level);
        }
        if name.ends_with("Error") || name.ends_with("Exception") {
            return Some(Level::Error);
        }
    }
    let (first, digits) = word.split_at_checked(1)?;
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(match first {
        "I" => Level::Info,
        "W" => Level::Warn,
        "E" => Level::Error,
        "F" => Level::Fatal,
        _ => return None,
    })
}

/// A level's name, or its number in tens (as pino and bunyan write it).
fn of_json(value: &Value) -> Option<Level> {
    match value {
        Value::String(name) => of_word(&name.to_ascii_uppercase()),
        Value::Number(number) => Some(match number.as_u64()? {
            10 => Level::Trace,
            20 => Level::Debug,
            30 => Level::Info,
            40 => Level::Warn,
            50 => Level::Error,
            60 => Level::Fatal,
            _ => return None,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_found_where_loggers_put_them() {
        for (line, level) in [
            ("WARNING:root:disk is low", Some(Level::Warn)),
            ("2026-11-21 17:00:00,123 - train - ERROR - no data", Some(Level::Error)),
            ("2026-11-21 17:00:00,123 INFO [main] o.a.s.SparkContext: Running", Some(Level::Info)),
            ("26/11/21 17:00:00 WARN TaskSetManager: Lost task 0.0", Some(Level::Warn)),
            ("[2026-11-21 17:00:00] CRITICAL: out of memory", Some(Level::Fatal)),
            ("Nov 21, 2026 5:00:00 PM com.acme.Job run SEVERE: x", None),
            ("SEVERE: failed", Some(Level::Error)),
            ("[error] it broke", Some(Level::Error)),
            ("warning: unused", Some(Level::Warn)),
            ("E1121 17:00:00.123456 1 x.cc:1] bad", Some(Level::Error)),
            ("Traceback (most recent call last):", Some(Level::Error)),
            ("ValueError: no columns", Some(Level::Error)),
            ("java.lang.IllegalStateException: closed", Some(Level::Error)),
            (r#"{"level": "warn", "msg": "x"}"#, Some(Level::Warn)),
            (r#"{"severity": "CRITICAL"}"#, Some(Level::Fatal)),
            (r#"{"level": 50, "msg": "x"}"#, Some(Level::Error)),
            (r#"{"message": "ERROR"}"#, None),
            ("epoch 3: no error so far", None),
            ("the information is here", None),
            ("", None),
        ] {
            assert_eq!(of(line), level, "{line}");
        }
    }
}
