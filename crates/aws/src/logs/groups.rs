//! Log groups: making, describing and deleting them, their retention and tags.

use std::{collections::BTreeMap, fs, io, path::Path, time::UNIX_EPOCH};

use bessemer_compute::logs::LogFolder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{error::Error, group_name};
use crate::caller::Caller;

/// Groups and streams on a page at most.
pub(super) const PAGE: usize = 50;
/// What is kept of a group, in its folder.
const FILE: &str = "group.json";
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;
/// The days for which events may be kept.
const RETENTIONS: [u64; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

/// What clients said of a group.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Group {
    retention_in_days: Option<u64>,
    kms_key_id: Option<String>,
    log_group_class: Option<String>,
    deletion_protection: bool,
    tags: BTreeMap<String, String>,
}

impl Group {
    /// What is known of a group; nothing, if it came into being with a job's first line.
    pub(super) fn read(logs: &LogFolder, name: &str) -> Result<Self, Error> {
        match fs::read(logs.group(name).join(FILE)) {
            Ok(text) => {
                serde_json::from_slice(&text).map_err(|error| Error::Internal(error.into()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// The time of the oldest events that are still shown.
    pub(super) fn oldest(&self, now_millis: u64) -> u64 {
        let kept = self.retention_in_days.map(|days| days * DAY_MILLIS);
        kept.map_or(0, |kept| now_millis.saturating_sub(kept))
    }

    fn write(&self, logs: &LogFolder, name: &str) -> Result<(), Error> {
        let folder = logs.group(name);
        let mut file = tempfile::Builder::new().prefix(".group").tempfile_in(&folder)?;
        serde_json::to_writer(&mut file, self).map_err(io::Error::from)?;
        file.as_file().sync_all()?;
        file.persist(folder.join(FILE)).map_err(|error| error.error)?;
        fs::File::open(&folder)?.sync_all()?;
        Ok(())
    }

    fn change(
        logs: &LogFolder,
        name: &str,
        change: impl FnOnce(&mut Self),
    ) -> Result<Value, Error> {
        if !logs.group(name).is_dir() {
            return Err(Error::NoGroup);
        }
        let mut group = Self::read(logs, name)?;
        change(&mut group);
        group.write(logs, name)?;
        Ok(json!({}))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateLogGroup {
    log_group_name: String,
    kms_key_id: Option<String>,
    log_group_class: Option<String>,
    #[serde(default)]
    deletion_protection_enabled: bool,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

pub(super) fn create(logs: &LogFolder, input: CreateLogGroup) -> Result<Value, Error> {
    let name = input.log_group_name;
    if name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws/")) {
        let message = "Log groups starting with AWS/ are reserved for AWS.";
        return Err(Error::Parameter(message.to_owned()));
    }
    if !logs.create_group(&name)? {
        return Err(Error::GroupExists);
    }
    let group = Group {
        retention_in_days: None,
        kms_key_id: input.kms_key_id,
        log_group_class: input.log_group_class,
        deletion_protection: input.deletion_protection_enabled,
        tags: input.tags,
    };
    group.write(logs, &name)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NamedGroup {
    log_group_name: String,
}

pub(super) fn delete(logs: &LogFolder, input: &NamedGroup) -> Result<Value, Error> {
    let name = &input.log_group_name;
    if Group::read(logs, name)?.deletion_protection {
        return Err(Error::Protected(name.clone()));
    }
    if logs.delete_group(name)? { Ok(json!({})) } else { Err(Error::NoGroup) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutRetentionPolicy {
    log_group_name: String,
    retention_in_days: u64,
}

pub(super) fn put_retention(logs: &LogFolder, input: &PutRetentionPolicy) -> Result<Value, Error> {
    let days = input.retention_in_days;
    if !RETENTIONS.contains(&days) {
        let message = format!(
            "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy \
             constraint: Member must satisfy enum value set: {RETENTIONS:?}"
        );
        return Err(Error::Parameter(message));
    }
    Group::change(logs, &input.log_group_name, |group| group.retention_in_days = Some(days))
}

pub(super) fn delete_retention(logs: &LogFolder, input: &NamedGroup) -> Result<Value, Error> {
    Group::change(logs, &input.log_group_name, |group| group.retention_in_days = None)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tagging {
    resource_arn: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

impl Tagging {
    fn group(&self, logs: &LogFolder) -> Result<String, Error> {
        let name = group_name(None, Some(self.resource_arn.clone()))?;
        if logs.group(&name).is_dir() { Ok(name) } else { Err(Error::NoGroup) }
    }
}

pub(super) fn tag(logs: &LogFolder, input: Tagging) -> Result<Value, Error> {
    let name = input.group(logs)?;
    Group::change(logs, &name, |group| group.tags.extend(input.tags))
}

pub(super) fn untag(logs: &LogFolder, input: &Tagging) -> Result<Value, Error> {
    let name = input.group(logs)?;
    Group::change(logs, &name, |group| group.tags.retain(|key, _| !input.tag_keys.contains(key)))
}

pub(super) fn tags(logs: &LogFolder, input: &Tagging) -> Result<Value, Error> {
    let group = Group::read(logs, &input.group(logs)?)?;
    Ok(json!({ "tags": group.tags }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogGroups {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    log_group_identifiers: Option<Vec<String>>,
    log_group_class: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

pub(super) fn describe(
    logs: &LogFolder,
    caller: &Caller,
    input: DescribeLogGroups,
) -> Result<Value, Error> {
    if input.log_group_name_prefix.is_some() && input.log_group_name_pattern.is_some() {
        let message =
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.";
        return Err(Error::Parameter(message.to_owned()));
    }
    let mut names = logs.groups()?;
    let prefix = input.log_group_name_prefix.unwrap_or_default();
    let part = input.log_group_name_pattern.unwrap_or_default();
    names.retain(|name| name.starts_with(&prefix) && name.contains(&part));
    if let Some(identifiers) = input.log_group_identifiers {
        let wanted = identifiers.into_iter().map(|identifier| group_name(None, Some(identifier)));
        let wanted = wanted.collect::<Result<Vec<String>, Error>>()?;
        names.retain(|name| wanted.contains(name));
    }
    if let Some(class) = input.log_group_class {
        let class_of = |name: &String| Group::read(logs, name).map(|group| class_of(&group));
        names.retain(|name| class_of(name).is_ok_and(|found| found == class));
    }
    let (names, next) = page(names, input.next_token, input.limit);
    let groups: Result<Vec<Value>, Error> =
        names.iter().map(|name| described(logs, caller, name)).collect();
    Ok(json!({ "logGroups": groups?, "nextToken": next }))
}

fn described(logs: &LogFolder, caller: &Caller, name: &str) -> Result<Value, Error> {
    let group = Group::read(logs, name)?;
    let arn = caller.arn("logs", &format!("log-group:{name}"));
    let folder = logs.group(name);
    let mut stored = 0;
    for entry in fs::read_dir(&folder)? {
        // A stream may be deleted meanwhile.
        stored += entry?.metadata().map_or(0, |metadata| metadata.len());
    }
    Ok(json!({
        "logGroupName": name,
        "arn": format!("{arn}:*"),
        "logGroupArn": arn,
        "logGroupClass": class_of(&group),
        "creationTime": created_millis(&folder)?,
        "retentionInDays": group.retention_in_days,
        "kmsKeyId": group.kms_key_id,
        "deletionProtectionEnabled": group.deletion_protection,
        "metricFilterCount": 0,
        "storedBytes": stored,
    }))
}

fn class_of(group: &Group) -> String {
    group.log_group_class.clone().unwrap_or_else(|| "STANDARD".to_owned())
}

/// When a file or folder was made, or last changed where the file system does not keep that.
pub(super) fn created_millis(path: &Path) -> io::Result<u64> {
    let metadata = fs::metadata(path)?;
    let created = metadata.created().or_else(|_| metadata.modified())?;
    let since = created.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The names after `last`, as many as asked for, and the token of the next page.
pub(super) fn page(
    mut names: Vec<String>,
    last: Option<String>,
    limit: Option<usize>,
) -> (Vec<String>, Option<String>) {
    names.sort();
    if let Some(last) = last {
        names.retain(|name| *name > last);
    }
    let limit = limit.unwrap_or(PAGE).max(1);
    let more = names.len() > limit;
    names.truncate(limit);
    let next = names.last().filter(|_| more).cloned();
    (names, next)
}
