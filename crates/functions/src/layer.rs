//! [`Layer`]: files that functions share, under `/opt`.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Code, CodeSource};

/// A layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Its ARN, without a version.
    pub arn: String,
    /// The versions that are there.
    pub versions: BTreeMap<u64, Arc<LayerVersion>>,
    /// The number of the last that was published.
    pub last_version: u64,
}

/// A version of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerVersion {
    /// Its number.
    pub number: u64,
    /// What it holds.
    pub code: Code,
    /// For people.
    pub description: String,
    /// Names of the runtimes that it is for.
    pub runtimes: Vec<String>,
    /// Names of the processors that it is for.
    pub architectures: Vec<String>,
    /// Its licence.
    pub license: Option<String>,
    /// When it was published, in milliseconds since 1970.
    pub created_at: u64,
}

/// A version to publish.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishLayer {
    /// The layer's name.
    pub name: String,
    /// The layer's ARN.
    pub arn: String,
    /// Its content.
    pub source: CodeSource,
    /// For people.
    pub description: String,
    /// Names of the runtimes that it is for.
    pub runtimes: Vec<String>,
    /// Names of the processors that it is for.
    pub architectures: Vec<String>,
    /// Its licence.
    pub license: Option<String>,
}

impl Layer {
    /// The ARN of a version.
    #[must_use]
    pub fn version_arn(&self, number: u64) -> String {
        format!("{}:{number}", self.arn)
    }
}
