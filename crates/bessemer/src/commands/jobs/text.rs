//! Jobs in words.

use serde_json::Value;

/// A job on one line.
pub(super) fn line(job: &Value) -> String {
    let text = |name: &str| job[name].as_str().unwrap_or_default();
    let message = match job["message"].as_str() {
        Some(message) => format!("  {message}"),
        None => String::new(),
    };
    format!("{:11} {:10} {}{message}\n", text("state"), text("kind"), text("name"))
}

/// A job with its attempts and history.
pub(super) fn whole(job: &Value) -> String {
    let mut text = line(job);
    text += &format!("arn         {}\n", job["arn"].as_str().unwrap_or_default());
    if let Some(note) = job["note"].as_str() {
        text += &format!("note        {note}\n");
    }
    let began = job["created_at"].as_u64().unwrap_or_default();
    for attempt in job["attempts"].as_array().into_iter().flatten() {
        let outcome = match (attempt["class"].as_str(), attempt["message"].as_str()) {
            (Some(class), message) => {
                format!("failed for {class}: {}", message.unwrap_or_default())
            }
            (None, _) if attempt["ended_at"].is_null() => "under way".to_owned(),
            (None, _) => "ended".to_owned(),
        };
        text += &format!("attempt {:3} {outcome}\n", attempt["number"]);
    }
    for entry in job["history"].as_array().into_iter().flatten() {
        let seconds =
            entry["at"].as_u64().unwrap_or_default().saturating_sub(began) as f64 / 1000.0;
        let event = entry["event"].as_str().unwrap_or_default();
        text += &format!("+{seconds:9.3} s  {event}\n");
    }
    text
}
