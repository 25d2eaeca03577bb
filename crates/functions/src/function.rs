//! [`Function`]: all that a name stands for.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    Alias, EventConfig, FunctionsError, Policy, Version, shared,
    version::{LATEST, new_id},
};

/// A function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its ARN, without a version.
    pub arn: String,
    /// `$LATEST`.
    #[serde(with = "shared::one")]
    pub latest: Arc<Version>,
    /// The versions that were published and are there.
    #[serde(with = "shared::map")]
    pub versions: BTreeMap<u64, Arc<Version>>,
    /// The number of the last that was published.
    pub last_version: u64,
    /// Names for versions.
    pub aliases: BTreeMap<String, Alias>,
    /// Invocations at once that are reserved for it, and the most that it may have.
    pub reserved: Option<u32>,
    /// Who may call it, by version or alias; `""` for the function itself.
    pub policies: BTreeMap<String, Policy>,
    /// How asynchronous invocations go, by version or alias.
    pub event_configs: BTreeMap<String, EventConfig>,
}

impl Function {
    /// A function with nothing but `$LATEST`.
    pub(crate) fn new(name: String, arn: String, latest: Version) -> Self {
        Self {
            name,
            arn,
            latest: Arc::new(latest),
            versions: BTreeMap::new(),
            last_version: 0,
            aliases: BTreeMap::new(),
            reserved: None,
            policies: BTreeMap::new(),
            event_configs: BTreeMap::new(),
        }
    }

    /// The version that a number or `$LATEST` names.
    pub fn version(&self, name: &str) -> Result<&Arc<Version>, FunctionsError> {
        if name == LATEST {
            return Ok(&self.latest);
        }
        let version = name.parse().ok().and_then(|number: u64| self.versions.get(&number));
        version.ok_or_else(|| self.missing(name))
    }

    /// The version that a qualifier names: a number, `$LATEST`, or an alias, for which `chance` chooses.
    pub fn resolve(
        &self,
        qualifier: Option<&str>,
        chance: f64,
    ) -> Result<&Arc<Version>, FunctionsError> {
        let Some(qualifier) = qualifier else { return Ok(&self.latest) };
        match self.aliases.get(qualifier) {
            Some(alias) => self.version(alias.choose(chance)),
            None => self.version(qualifier),
        }
    }

    /// The ARN of a version or an alias.
    #[must_use]
    pub fn qualified(&self, qualifier: Option<&str>) -> String {
        qualifier.map_or_else(|| self.arn.clone(), |name| format!("{}:{name}", self.arn))
    }

    /// Publishes `$LATEST`, unless the last version that was published is the same. Returns it.
    pub(crate) fn publish(&mut self, description: Option<String>, now: u64) -> Arc<Version> {
        let last = self.versions.get(&self.last_version);
        if let Some(last) = last.filter(|last| last.is_same(&self.latest)) {
            return Arc::clone(last);
        }
        self.last_version += 1;
        let mut version = Version::clone(&self.latest);
        version.number = Some(self.last_version);
        version.revision = new_id();
        version.modified_at = now;
        if let Some(description) = description {
            version.settings.description = description;
        }
        let version = Arc::new(version);
        self.versions.insert(self.last_version, Arc::clone(&version));
        version
    }

    /// Takes a published version away.
    pub(crate) fn remove_version(&mut self, name: &str) -> Result<(), FunctionsError> {
        if name == LATEST {
            let message = "$LATEST version cannot be deleted without deleting the function.";
            return Err(FunctionsError::invalid(message));
        }
        let number = self.version(name)?.number.unwrap_or_default();
        let uses = |alias: &Alias| alias.version == name || alias.weights.contains_key(name);
        let users: Vec<&str> =
            self.aliases.iter().filter(|(_, alias)| uses(alias)).map(|(n, _)| n.as_str()).collect();
        if !users.is_empty() {
            return Err(FunctionsError::Conflict(format!(
                "Unable to delete version because the following aliases reference it: [{}]",
                users.join(", ")
            )));
        }
        self.versions.remove(&number);
        self.policies.remove(name);
        self.event_configs.remove(name);
        Ok(())
    }

    /// Refuses what was asked for by who has not seen the last change.
    pub(crate) fn check_revision(&self, seen: Option<&str>) -> Result<(), FunctionsError> {
        match seen {
            Some(seen) if seen != self.latest.revision => Err(FunctionsError::OldRevision),
            _ => Ok(()),
        }
    }

    /// All versions, `$LATEST` first.
    pub fn all_versions(&self) -> impl Iterator<Item = &Arc<Version>> {
        std::iter::once(&self.latest).chain(self.versions.values())
    }

    pub(crate) fn missing(&self, qualifier: &str) -> FunctionsError {
        FunctionsError::NotFound(format!("Function not found: {}:{qualifier}", self.arn))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{AliasChange, Code, Runtime, Settings, SettingsChange};

    pub(crate) fn function() -> Function {
        let settings = Settings::of_new(SettingsChange {
            runtime: Some(Runtime::parse("python3.11").unwrap()),
            role: Some("role".to_owned()),
            handler: Some("a.b".to_owned()),
            ..SettingsChange::default()
        });
        let version = Version {
            number: None,
            settings: settings.unwrap(),
            code: Code { sha256: "00".to_owned(), size: 1, unpacked: 1 },
            revision: "r".to_owned(),
            modified_at: 0,
        };
        Function::new("f".to_owned(), "arn:f".to_owned(), version)
    }

    fn change(function: &mut Function, handler: &str) {
        let mut latest = Version::clone(&function.latest);
        latest.settings.handler = handler.to_owned();
        function.latest = Arc::new(latest);
    }

    #[test]
    fn a_version_is_published_once_for_each_change_and_stays_as_it_is() {
        let mut function = function();
        assert_eq!(function.publish(None, 1).name(), "1");
        assert_eq!(function.publish(Some("x".to_owned()), 2).name(), "1");
        change(&mut function, "c.d");
        assert_eq!(function.publish(Some("x".to_owned()), 3).name(), "2");
        assert_eq!(function.publish(None, 4).name(), "2");
        assert_eq!(function.version("1").unwrap().settings.handler, "a.b");
        function.remove_version("2").unwrap();
        assert_eq!(function.publish(None, 5).name(), "3");
        assert!(function.version("2").is_err());
    }

    #[test]
    fn an_alias_keeps_its_versions_from_going_away() {
        let mut function = function();
        function.publish(None, 1);
        change(&mut function, "c.d");
        function.publish(None, 2);
        let of = |version: &str, weights: &[(&str, f64)]| AliasChange {
            version: Some(version.to_owned()),
            weights: Some(weights.iter().map(|(v, w)| ((*v).to_owned(), *w)).collect()),
            ..AliasChange::default()
        };
        function.create_alias("live", of("1", &[("2", 0.5)])).unwrap();
        assert_eq!(function.resolve(Some("live"), 0.7).unwrap().name(), "1");
        assert_eq!(function.resolve(Some("live"), 0.3).unwrap().name(), "2");
        for version in ["1", "2"] {
            let refused = function.remove_version(version).unwrap_err();
            assert!(refused.to_string().ends_with("reference it: [live]"), "{refused}");
        }
        for (version, weights) in [
            ("9", &[][..]),
            ("$LATEST", &[("1", 0.5)]),
            ("1", &[("1", 0.5)]),
            ("1", &[("2", 1.5)]),
            ("1", &[("9", 0.5)]),
        ] {
            assert!(function.update_alias("live", of(version, weights)).is_err(), "{version}");
        }
        let old = AliasChange { revision: Some("old".to_owned()), ..AliasChange::default() };
        assert!(matches!(function.update_alias("live", old), Err(FunctionsError::OldRevision)));
        function.update_alias("live", of("2", &[])).unwrap();
        function.remove_version("1").unwrap();
        assert!(function.create_alias("live", of("2", &[])).is_err());
    }
}
