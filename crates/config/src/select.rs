//! Which jobs a rule is for.

use std::{collections::BTreeMap, fmt, str::FromStr};

use bessemer_domain::JobKind;
use glob::Pattern;
use toml::de::DeValue;

use crate::{
    reader::Table,
    values::{self, Setting},
};

/// What rules look at of a job.
#[derive(Debug, Clone)]
pub struct Facts<'j> {
    /// What it does.
    pub kind: JobKind,
    /// Its name.
    pub name: &'j str,
    /// The type of its instances.
    pub instance_type: &'j str,
    /// Its tags.
    pub tags: BTreeMap<&'j str, &'j str>,
}

/// Which jobs: those that all that is given is true of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selector {
    /// Of this kind.
    pub kind: Option<JobKind>,
    /// With a name of this pattern.
    pub name: Option<Pattern>,
    /// With instances of a type of this pattern.
    pub instance_type: Option<Pattern>,
    /// With this tag.
    pub tag: Option<TagPattern>,
}

impl Selector {
    pub(crate) fn read(table: &Table<'_, '_>) -> Self {
        Self {
            kind: table.maybe("kind"),
            name: table.maybe("name"),
            instance_type: table.maybe("instance_type"),
            tag: table.maybe("tag"),
        }
    }

    /// Whether `job` is one of them.
    pub fn selects(&self, job: &Facts<'_>) -> bool {
        let fits = |pattern: &Option<Pattern>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.matches(text))
        };
        self.kind.is_none_or(|kind| kind == job.kind)
            && fits(&self.name, job.name)
            && fits(&self.instance_type, job.instance_type)
            && self.tag.as_ref().is_none_or(|tag| tag.value_in(job).is_some())
    }
}

/// A tag: `team=search`, or `team` for whatever value it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPattern {
    /// The tag's key.
    pub key: String,
    /// The value that it has to have.
    pub value: Option<String>,
}

impl TagPattern {
    /// The tag's value in `job`, if it has it as it has to be.
    pub fn value_in<'j>(&self, job: &Facts<'j>) -> Option<&'j str> {
        let value = *job.tags.get(self.key.as_str())?;
        self.value.as_ref().is_none_or(|wanted| wanted == value).then_some(value)
    }
}

impl FromStr for TagPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        if key.is_empty() {
            return Err(format!("`{text}` is not a tag; write `key` or `key=value`"));
        }
        Ok(Self { key: key.to_owned(), value })
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

impl Setting for TagPattern {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        values::parse(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_asks_for_all_that_it_names() {
        let job = Facts {
            kind: JobKind::Training,
            name: "churn-7",
            instance_type: "ml.p3.2xlarge",
            tags: BTreeMap::from([("team", "search")]),
        };
        let tag = |text: &str| Selector { tag: text.parse().ok(), ..Selector::default() };
        assert!(Selector::default().selects(&job));
        assert!(tag("team").selects(&job) && tag("team=search").selects(&job));
        assert!(!tag("team=ads").selects(&job) && !tag("owner").selects(&job));
        let gpu = Selector { instance_type: Pattern::new("ml.p*").ok(), ..tag("team") };
        assert!(gpu.selects(&job));
        assert!(!gpu.selects(&Facts { instance_type: "ml.m5.large", ..job.clone() }));
        let named = Selector { name: Pattern::new("churn-*").ok(), ..gpu };
        assert!(named.selects(&job));
        assert!(!named.selects(&Facts { name: "other", ..job.clone() }));
        let kind = Selector { kind: Some(JobKind::Transform), ..Selector::default() };
        assert!(!kind.selects(&job));
    }
}
