//! `bessemer jobs submit`: a job from a file or from options, through the server's own API.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use bessemer_aws_wire::service;
use bessemer_domain::{ExitCode, JobKind, nearest_names};
use clap::Args;
use serde_json::{Map, Value, json};

use super::{Which, document, wait};
use crate::{
    failure::Failure,
    remote::Remote,
    report::{event, print},
};

/// The members are those of the Create call of the job's kind, in AWS's or in snake case.
#[derive(Debug, Args)]
pub(super) struct Submit {
    /// YAML or JSON with the call's members, and `kind` and `name`; `-` reads standard input
    file: Option<PathBuf>,
    /// The kind: transform, training or processing [default: the file's `kind`]
    #[arg(long)]
    kind: Option<JobKind>,
    /// The job's name [default: the file's]
    #[arg(long)]
    name: Option<String>,
    /// Set a member, such as `resource_config.instance_count=2`; JSON, or else a text
    #[arg(long, value_name = "MEMBER=VALUE")]
    set: Vec<String>,
    /// Add a tag
    #[arg(long, value_name = "KEY=VALUE")]
    tag: Vec<String>,
    /// Set an environment variable
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Wait for its end; the exit code is 10 if it failed, 12 if it was stopped
    #[arg(long)]
    wait: bool,
    /// The answer as a JSON object
    #[arg(long)]
    json: bool,
}

impl Submit {
    pub(super) fn run(self, remote: &Remote) -> Result<ExitCode, Failure> {
        let (kind, input) = self.input()?;
        let operation = match kind {
            JobKind::Transform => "CreateTransformJob",
            JobKind::Training => "CreateTrainingJob",
            JobKind::Processing => "CreateProcessingJob",
            JobKind::Batch => {
                return Err(Failure::usage("jobs of Batch are not submitted by this command")
                    .with_hint("use `aws batch submit-job`"));
            }
        };
        let sagemaker = service("sagemaker")
            .ok_or_else(|| Failure::new(ExitCode::Internal, anyhow::anyhow!("find SageMaker")))?;
        let named = sagemaker.named(operation, &input).map_err(|unknown| {
            let member = unknown.path.rsplit('.').next().unwrap_or_default();
            let plain = member.replace('_', "");
            let near = nearest_names(&plain, unknown.known.iter().map(String::as_str), 1);
            let hint = match near.first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("{operation} has {}", unknown.known.join(", ")),
            };
            Failure::usage(&unknown).with_hint(hint)
        })?;
        let name = named[member_of(kind)].as_str().map(str::to_owned);
        let name = name.ok_or_else(|| {
            Failure::usage("the job has no name").with_hint("give it one by `--name`")
        })?;
        let answer = remote.sagemaker(operation, &named)?;
        let arn = answer.as_object().and_then(|members| members.values().next()?.as_str());
        let arn = arn.unwrap_or_default();
        if self.json && !self.wait {
            event(&json!({ "kind": kind.as_str(), "name": name, "arn": arn }));
        } else if !self.json {
            print(&format!("{name}\n{arn}\n"));
        }
        if !self.wait {
            return Ok(ExitCode::Ok);
        }
        wait(remote, &Which { name, kind: Some(kind.to_string()), json: self.json })
    }

    /// The call's members as they were given, and the kind.
    fn input(&self) -> Result<(JobKind, Value), Failure> {
        let mut members = match &self.file {
            Some(file) => read(file)?,
            None => Map::new(),
        };
        let of_file = match members.shift_remove("kind") {
            Some(kind) => {
                let text = kind.as_str().unwrap_or_default();
                Some(text.parse::<JobKind>().map_err(Failure::usage)?)
            }
            None => None,
        };
        let kind = self.kind.or(of_file).ok_or_else(|| {
            Failure::usage("the job has no kind")
                .with_hint("say `kind: training` in the file, or `--kind training`")
        })?;
        let of_file = members.shift_remove("name");
        if let Some(name) = self.name.as_ref().map(|name| json!(name)).or(of_file) {
            set(&mut members, member_of(kind), name)?;
        }
        for text in &self.set {
            let (path, value) = pair(text, "--set")?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
            set(&mut members, path, value)?;
        }
        for text in &self.env {
            let (name, value) = pair(text, "--env")?;
            let environment = entry(&mut members, "Environment", json!({}));
            if let Some(environment) = environment.as_object_mut() {
                environment.insert(name.to_owned(), json!(value));
            }
        }
        for text in &self.tag {
            let (key, value) = pair(text, "--tag")?;
            match entry(&mut members, "Tags", json!([])) {
                Value::Array(tags) => tags.push(json!({ "Key": key, "Value": value })),
                Value::Object(tags) => {
                    tags.insert(key.to_owned(), json!(value));
                }
                _ => return Err(Failure::usage("the file's tags are neither a list nor a map")),
            }
        }
        Ok((kind, Value::Object(members)))
    }
}

fn member_of(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Transform => "TransformJobName",
        JobKind::Training => "TrainingJobName",
        JobKind::Processing => "ProcessingJobName",
        JobKind::Batch => "jobName",
    }
}

fn read(file: &Path) -> Result<Map<String, Value>, Failure> {
    let mut text = String::new();
    let done = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    done.map_err(|error| {
        let code = ExitCode::of_io(&error, ExitCode::Configuration);
        Failure::new(code, anyhow::anyhow!("read `{}`: {error}", file.display()))
    })?;
    let parsed = document::parse(&text);
    parsed.map_err(|why| Failure::usage(format!("`{}` can't be read: {why}", file.display())))
}

fn pair<'t>(text: &'t str, option: &str) -> Result<(&'t str, &'t str), Failure> {
    let wrong = || Failure::usage(format!("`{option} {text}` has no `=`"));
    text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(wrong)
}

/// The value of a member, however it is written; `otherwise` if it is not there.
fn entry<'m>(members: &'m mut Map<String, Value>, name: &str, otherwise: Value) -> &'m mut Value {
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    let known = members.keys().find(|known| plain(known) == plain(name)).cloned();
    members.entry(known.unwrap_or_else(|| name.to_owned())).or_insert(otherwise)
}

/// Sets the member at `path`, which goes through the members around it.
fn set(members: &mut Map<String, Value>, path: &str, value: Value) -> Result<(), Failure> {
    match path.split_once('.') {
        None => *entry(members, path, Value::Null) = value,
        Some((first, rest)) => {
            let inner = entry(members, first, json!({}));
            let inner = inner.as_object_mut();
            let inner = inner.ok_or_else(|| Failure::usage(format!("`{first}` has no members")))?;
            set(inner, rest, value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_set_where_they_are_however_they_are_written() {
        let mut members = Map::new();
        members.insert("resource_config".to_owned(), json!({ "instance_count": 1, "x": 2 }));
        set(&mut members, "ResourceConfig.InstanceCount", json!(3)).expect("it can be set");
        set(&mut members, "a.b", json!("c")).expect("it can be set");
        let expected =
            json!({ "resource_config": { "instance_count": 3, "x": 2 }, "a": { "b": "c" } });
        assert_eq!(Value::Object(members.clone()), expected);
        assert!(set(&mut members, "a.b.c", json!(1)).is_err(), "a text has no members");
    }
}
