//! Where a pipeline's definition comes from.

use std::io::Read;

use bessemer_objects::storage::Storage;
use bessemer_pipelines::Definition;
use serde::Deserialize;

use super::super::error::Error;
use crate::platform::Platform;

/// Bytes that a definition or a property file may have.
const LARGEST: u64 = 16 << 20;

/// An object that holds a definition.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DefinitionLocation {
    bucket: String,
    object_key: String,
}

/// The definition that a request gives or names, if it does; checked.
pub(super) async fn given(
    platform: &Platform,
    text: Option<String>,
    location: Option<DefinitionLocation>,
) -> Result<Option<(String, Definition)>, Error> {
    let text = match (text, location) {
        (Some(_), Some(_)) => {
            let message = "Both PipelineDefinition and PipelineDefinitionS3Location are given, \
                           give one of them";
            return Err(Error::Validation(message.to_owned()));
        }
        (Some(text), None) => text,
        (None, Some(location)) => {
            let DefinitionLocation { bucket, object_key } = location;
            let read = object(&platform.storage, bucket, object_key).await;
            read.map_err(|why| {
                Error::Validation(format!("PipelineDefinitionS3Location can't be read: {why}"))
            })?
        }
        (None, None) => return Ok(None),
    };
    let definition = Definition::parse(&text).map_err(|error| {
        Error::Validation(format!("Unable to parse pipeline definition: {error}"))
    })?;
    Ok(Some((text, definition)))
}

/// The text of an object.
pub(super) async fn object(
    storage: &Storage,
    bucket: String,
    key: String,
) -> Result<String, String> {
    let storage = storage.clone();
    let read = tokio::task::spawn_blocking(move || {
        let failed = |error: &dyn std::fmt::Display| format!("s3://{bucket}/{key}: {error}");
        let object = storage.open(&bucket, &key).map_err(|error| failed(&error))?;
        if object.size > LARGEST {
            return Err(failed(&format!("it has more than {LARGEST} bytes")));
        }
        let mut text = String::new();
        let mut content = object.file.take(LARGEST);
        content.read_to_string(&mut text).map_err(|error| failed(&error))?;
        Ok(text)
    });
    read.await.unwrap_or_else(|_| Err("the server is shutting down".to_owned()))
}
