//! [`Policy`]: who may call a function, which is kept and shown.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Functions, FunctionsError, version::new_id};

/// Characters of a policy at most.
const POLICY: usize = 20_480;

/// Statements on who may call a function.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The statements, as a policy has them.
    pub statements: Vec<Value>,
    /// Another one after each change.
    pub revision: String,
}

/// A statement to add.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Permission {
    /// Its id.
    pub statement_id: String,
    /// What may be done, such as `lambda:InvokeFunction`.
    pub action: String,
    /// A service, an account or an ARN.
    pub principal: String,
    /// Through which resource.
    pub source_arn: Option<String>,
    /// Through whose resource.
    pub source_account: Option<String>,
    /// In which organization.
    pub principal_org_id: Option<String>,
    /// What the caller has seen last.
    pub revision: Option<String>,
}

impl Policy {
    /// The policy as a document.
    #[must_use]
    pub fn document(&self) -> String {
        json!({ "Version": "2012-10-17", "Id": "default", "Statement": self.statements })
            .to_string()
    }

    /// Adds a statement about `resource`. Returns it.
    pub(crate) fn add(
        &mut self,
        permission: Permission,
        resource: &str,
    ) -> Result<Value, FunctionsError> {
        self.check_revision(permission.revision.as_deref())?;
        let id = &permission.statement_id;
        if self.statements.iter().any(|statement| statement["Sid"] == **id) {
            return Err(FunctionsError::Conflict(format!(
                "The statement id ({id}) provided already exists. Please provide a new statement id, \
                 or remove the existing statement."
            )));
        }
        let statement = statement(permission, resource);
        self.statements.push(statement.clone());
        self.revision = new_id();
        Ok(statement)
    }

    /// Takes the statement of that id away; whether it was there.
    pub(crate) fn remove(&mut self, id: &str, seen: Option<&str>) -> Result<bool, FunctionsError> {
        self.check_revision(seen)?;
        let before = self.statements.len();
        self.statements.retain(|statement| statement["Sid"] != *id);
        self.revision = new_id();
        Ok(self.statements.len() < before)
    }

    fn check_revision(&self, seen: Option<&str>) -> Result<(), FunctionsError> {
        match seen {
            Some(seen) if seen != self.revision => Err(FunctionsError::OldRevision),
            _ => Ok(()),
        }
    }
}

impl Functions {
    /// Adds a statement to a policy. Returns it.
    pub async fn add_permission(
        &self,
        name: &str,
        arn: &str,
        qualifier: Option<&str>,
        permission: Permission,
    ) -> Result<Value, FunctionsError> {
        let added = self.change(name, arn, |function| {
            function.resolve(qualifier, 0.0)?;
            let resource = function.qualified(qualifier);
            let key = qualifier.unwrap_or_default().to_owned();
            let policy: &mut Policy = function.policies.entry(key).or_default();
            let statement = policy.add(permission, &resource)?;
            if policy.document().len() > POLICY {
                let message = format!("The final policy size is bigger than the limit ({POLICY}).");
                return Err(FunctionsError::invalid(message));
            }
            Ok(statement)
        });
        Ok(added.await?.1)
    }

    /// Takes a statement from a policy.
    pub async fn remove_permission(
        &self,
        name: &str,
        arn: &str,
        qualifier: Option<&str>,
        (statement, revision): (&str, Option<&str>),
    ) -> Result<(), FunctionsError> {
        let removed = self.change(name, arn, |function| {
            let key = qualifier.unwrap_or_default();
            let missing = || {
                let message = format!("Statement {statement} is not found in resource policy.");
                FunctionsError::NotFound(message)
            };
            let policy = function.policies.get_mut(key).ok_or_else(missing)?;
            if !policy.remove(statement, revision)? {
                return Err(missing());
            }
            if policy.statements.is_empty() {
                function.policies.remove(key);
            }
            Ok(())
        });
        removed.await.map(drop)
    }
}

fn statement(permission: Permission, resource: &str) -> Value {
    let principal = permission.principal;
    let is_account = principal.len() == 12 && principal.bytes().all(|byte| byte.is_ascii_digit());
    let principal = if principal == "*" {
        json!("*")
    } else if is_account {
        json!({ "AWS": format!("arn:aws:iam::{principal}:root") })
    } else if principal.starts_with("arn:") {
        json!({ "AWS": principal })
    } else {
        json!({ "Service": principal })
    };
    let mut conditions = Map::new();
    let mut equals = Map::new();
    if let Some(account) = permission.source_account {
        equals.insert("AWS:SourceAccount".to_owned(), json!(account));
    }
    if let Some(organization) = permission.principal_org_id {
        equals.insert("aws:PrincipalOrgID".to_owned(), json!(organization));
    }
    if !equals.is_empty() {
        conditions.insert("StringEquals".to_owned(), Value::Object(equals));
    }
    if let Some(source) = permission.source_arn {
        conditions.insert("ArnLike".to_owned(), json!({ "AWS:SourceArn": source }));
    }
    let mut statement = json!({
        "Sid": permission.statement_id,
        "Effect": "Allow",
        "Principal": principal,
        "Action": permission.action,
        "Resource": resource,
    });
    if !conditions.is_empty() {
        statement["Condition"] = Value::Object(conditions);
    }
    statement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart_by_their_ids() {
        let mut policy = Policy::default();
        let permission = |id: &str, principal: &str| Permission {
            statement_id: id.to_owned(),
            action: "lambda:InvokeFunction".to_owned(),
            principal: principal.to_owned(),
            ..Permission::default()
        };
        let service = policy.add(permission("a", "events.amazonaws.com"), "arn:f").unwrap();
        assert_eq!(service["Principal"], json!({ "Service": "events.amazonaws.com" }));
        let account = policy.add(permission("b", "123456789012"), "arn:f").unwrap();
        assert_eq!(account["Principal"], json!({ "AWS": "arn:aws:iam::123456789012:root" }));
        assert!(matches!(
            policy.add(permission("a", "*"), "arn:f"),
            Err(FunctionsError::Conflict(_))
        ));
        assert!(matches!(policy.remove("a", Some("old")), Err(FunctionsError::OldRevision)));
        assert!(policy.remove("a", None).unwrap());
        assert!(!policy.remove("a", None).unwrap());
    }
}
