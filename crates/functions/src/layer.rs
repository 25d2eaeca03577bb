//! [`Layer`]: files that functions share, under `/opt`.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Code, CodeSource, Functions, FunctionsError, LayerUse, shared};

/// Layers of a function at most.
const LAYERS: usize = 5;

/// A layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Its ARN, without a version.
    pub arn: String,
    /// The versions that are there.
    #[serde(with = "shared::map")]
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

impl Functions {
    /// All layers, by name.
    #[must_use]
    pub fn layers(&self) -> Vec<Arc<Layer>> {
        self.registry().layers()
    }

    /// The layer of that name, if there is one.
    #[must_use]
    pub fn layer(&self, name: &str) -> Option<Arc<Layer>> {
        self.registry().layer(name)
    }

    /// Publishes a version of a layer.
    pub async fn publish_layer(
        &self,
        publish: PublishLayer,
    ) -> Result<(Arc<Layer>, Arc<LayerVersion>), FunctionsError> {
        let changes = self.registry().changes().await;
        let code = self.keep(publish.source).await?;
        let known = self.registry().layer(&publish.name).map(|layer| Layer::clone(&layer));
        let mut layer = known.unwrap_or_else(|| Layer {
            name: publish.name,
            arn: publish.arn,
            versions: std::collections::BTreeMap::new(),
            last_version: 0,
        });
        layer.last_version += 1;
        let version = Arc::new(LayerVersion {
            number: layer.last_version,
            code,
            description: publish.description,
            runtimes: publish.runtimes,
            architectures: publish.architectures,
            license: publish.license,
            created_at: self.now(),
        });
        layer.versions.insert(version.number, Arc::clone(&version));
        Ok((changes.put_layer(layer).await?, version))
    }

    /// Deletes a version of a layer, which functions that have it keep. That there is none is no error.
    pub async fn delete_layer_version(
        &self,
        name: &str,
        number: u64,
    ) -> Result<(), FunctionsError> {
        let changes = self.registry().changes().await;
        let Some(layer) = self.registry().layer(name) else { return Ok(()) };
        let mut layer = Layer::clone(&layer);
        if layer.versions.remove(&number).is_none() {
            return Ok(());
        }
        changes.put_layer(layer).await?;
        drop(changes);
        self.forget_code().await;
        Ok(())
    }

    /// The versions of layers of these ARNs.
    pub(crate) fn layer_uses(&self, arns: &[String]) -> Result<Vec<LayerUse>, FunctionsError> {
        if arns.len() > LAYERS {
            let message = format!("Cannot reference more than {LAYERS} layers.");
            return Err(FunctionsError::invalid(message));
        }
        let of = |arn: &String| {
            let missing =
                || FunctionsError::invalid(format!("Layer version {arn} does not exist."));
            let mut parts = arn.split(':').skip(6);
            let (name, number) = (parts.next(), parts.next().and_then(|n| n.parse().ok()));
            let layer = name.and_then(|name| self.layer(name)).ok_or_else(missing)?;
            let version = number.and_then(|number: u64| layer.versions.get(&number));
            let version = version.filter(|version| layer.version_arn(version.number) == *arn);
            let code = version.ok_or_else(missing)?.code.clone();
            Ok(LayerUse { arn: arn.clone(), code })
        };
        arns.iter().map(of).collect()
    }
}
