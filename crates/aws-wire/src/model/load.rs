//! Reading a compact model.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::{
    Shape,
    service::{Operation, Route, Service},
};
use crate::Protocol;

/// Why a compact model can't be used: it was not made by `cargo xtask aws-models`.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It is not the JSON of a model.
    #[error("the model is malformed")]
    Json(#[from] serde_json::Error),
    /// A shape that something refers to is missing.
    #[error("the model has no shape `{0}`")]
    MissingShape(String),
    /// A protocol that is not known here.
    #[error("the protocol `{0}` is not known")]
    Protocol(String),
}

#[derive(Deserialize)]
struct File {
    metadata: Metadata,
    operations: BTreeMap<String, RawOperation>,
    unsupported: Vec<String>,
    shapes: HashMap<String, Shape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    api_version: String,
    protocol: String,
    json_version: Option<String>,
    target_prefix: Option<String>,
    xml_namespace: Option<String>,
    signing_name: Option<String>,
    endpoint_prefix: String,
    aws_query_compatible: Option<serde_json::Value>,
    validation_error: String,
}

#[derive(Deserialize)]
struct RawOperation {
    method: String,
    uri: String,
    status: Option<u16>,
    input: Option<String>,
    output: Option<String>,
    wrapper: Option<String>,
    errors: Vec<String>,
}

impl Service {
    /// Reads a compact model.
    pub fn from_json(text: &str) -> Result<Self, ModelError> {
        let File { metadata, operations, unsupported, shapes } = serde_json::from_str(text)?;
        let protocol = match (metadata.protocol.as_str(), metadata.json_version.as_deref()) {
            ("json", Some("1.0")) => Protocol::Json10,
            ("json", _) => Protocol::Json11,
            ("query", _) => Protocol::Query,
            ("rest-json", _) => Protocol::RestJson,
            (other, _) => return Err(ModelError::Protocol(other.to_owned())),
        };
        let operations: Vec<Operation> = operations
            .into_iter()
            .map(|(name, raw)| Operation {
                name,
                route: Route::new(&raw.method, &raw.uri),
                status: raw.status.unwrap_or(200),
                input: raw.input,
                output: raw.output,
                wrapper: raw.wrapper,
                errors: raw.errors,
            })
            .collect();
        let roots = operations.iter().flat_map(|operation| {
            operation.input.iter().chain(&operation.output).chain(&operation.errors)
        });
        let parts = shapes.values().flat_map(Shape::parts).map(|member| &member.shape);
        if let Some(missing) = roots.chain(parts).find(|name| !shapes.contains_key(*name)) {
            return Err(ModelError::MissingShape(missing.clone()));
        }
        Ok(Self {
            name: metadata.signing_name.unwrap_or(metadata.endpoint_prefix),
            protocol,
            version: metadata.api_version,
            target_prefix: metadata.target_prefix.unwrap_or_default(),
            namespace: metadata.xml_namespace.unwrap_or_default(),
            query_compatible: metadata.aws_query_compatible.is_some(),
            validation_error: metadata.validation_error,
            operations,
            unsupported: unsupported.iter().map(|line| Route::named(line)).collect(),
            shapes,
        })
    }
}
