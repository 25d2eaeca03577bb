//! [`Alias`]: a name for a version, or for two by chance.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Function, Functions, FunctionsError, version::new_id};

/// A name for a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alias {
    /// The version: a number or `$LATEST`.
    pub version: String,
    /// For people.
    pub description: String,
    /// Of another version, the part of invocations that it gets.
    pub weights: BTreeMap<String, f64>,
    /// Another one after each change.
    pub revision: String,
}

/// What to change of an alias; what is none stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AliasChange {
    /// The version.
    pub version: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// The weights.
    pub weights: Option<BTreeMap<String, f64>>,
    /// What the caller has seen last.
    pub revision: Option<String>,
}

impl Alias {
    /// The version that an invocation goes to, for a number from 0 to 1 that chance gave.
    #[must_use]
    pub fn choose(&self, chance: f64) -> &str {
        let mut sum = 0.0;
        for (version, weight) in &self.weights {
            sum += weight;
            if chance < sum {
                return version;
            }
        }
        &self.version
    }
}

impl Function {
    /// Makes an alias.
    pub(crate) fn create_alias(
        &mut self,
        name: &str,
        change: AliasChange,
    ) -> Result<(), FunctionsError> {
        if self.aliases.contains_key(name) {
            let arn = format!("{}:{name}", self.arn);
            return Err(FunctionsError::Conflict(format!("Alias already exists: {arn}")));
        }
        let alias = Alias {
            version: change.version.unwrap_or_default(),
            description: change.description.unwrap_or_default(),
            weights: change.weights.unwrap_or_default(),
            revision: new_id(),
        };
        self.check_alias(&alias)?;
        self.aliases.insert(name.to_owned(), alias);
        Ok(())
    }

    /// Changes an alias.
    pub(crate) fn update_alias(
        &mut self,
        name: &str,
        change: AliasChange,
    ) -> Result<(), FunctionsError> {
        let mut alias = self.alias(name)?.clone();
        if change.revision.is_some_and(|seen| seen != alias.revision) {
            return Err(FunctionsError::OldRevision);
        }
        alias.version = change.version.unwrap_or(alias.version);
        alias.description = change.description.unwrap_or(alias.description);
        alias.weights = change.weights.unwrap_or(alias.weights);
        alias.revision = new_id();
        self.check_alias(&alias)?;
        self.aliases.insert(name.to_owned(), alias);
        Ok(())
    }

    /// The alias of that name.
    pub fn alias(&self, name: &str) -> Result<&Alias, FunctionsError> {
        self.aliases.get(name).ok_or_else(|| {
            FunctionsError::NotFound(format!("Cannot find alias arn: {}:{name}", self.arn))
        })
    }

    fn check_alias(&self, alias: &Alias) -> Result<(), FunctionsError> {
        self.version(&alias.version)?;
        if alias.weights.is_empty() {
            return Ok(());
        }
        let is_of_numbers = |version: &str| version.parse::<u64>().is_ok();
        if !is_of_numbers(&alias.version) || !alias.weights.keys().all(|v| is_of_numbers(v)) {
            let message = "$LATEST is not supported for an alias pointing to more than 1 version";
            return Err(FunctionsError::invalid(message));
        }
        if alias.weights.len() > 1 {
            let message = "Number of items in AdditionalVersionWeights cannot be greater than 1";
            return Err(FunctionsError::invalid(message));
        }
        for (version, weight) in &alias.weights {
            self.version(version)?;
            if *version == alias.version {
                return Err(FunctionsError::invalid(format!(
                    "Invalid function version {version}. Function version {version} is already \
                     included in routing configuration."
                )));
            }
            if !(0.0..=1.0).contains(weight) {
                let message = format!("The weight {weight} has to be from 0.0 to 1.0");
                return Err(FunctionsError::invalid(message));
            }
        }
        Ok(())
    }
}

impl Functions {
    /// Makes an alias.
    pub async fn create_alias(
        &self,
        name: &str,
        arn: &str,
        alias: &str,
        change: AliasChange,
    ) -> Result<Arc<Function>, FunctionsError> {
        let created = self.change(name, arn, |function| function.create_alias(alias, change));
        Ok(created.await?.0)
    }

    /// Changes an alias.
    pub async fn update_alias(
        &self,
        name: &str,
        arn: &str,
        alias: &str,
        change: AliasChange,
    ) -> Result<Arc<Function>, FunctionsError> {
        let updated = self.change(name, arn, |function| function.update_alias(alias, change));
        Ok(updated.await?.0)
    }

    /// Deletes an alias; that there is none is no error.
    pub async fn delete_alias(
        &self,
        name: &str,
        arn: &str,
        alias: &str,
    ) -> Result<(), FunctionsError> {
        let deleted = self.change(name, arn, |function| {
            function.aliases.remove(alias);
            function.policies.remove(alias);
            function.event_configs.remove(alias);
            Ok(())
        });
        deleted.await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_shared_by_weight() {
        let mut alias = Alias {
            version: "1".to_owned(),
            description: String::new(),
            weights: BTreeMap::from([("2".to_owned(), 0.25)]),
            revision: String::new(),
        };
        let chosen: Vec<&str> = [0.0, 0.24, 0.25, 0.99].map(|chance| alias.choose(chance)).into();
        assert_eq!(chosen, ["2", "2", "1", "1"]);
        alias.weights.clear();
        assert_eq!(alias.choose(0.0), "1");
    }
}
