//! A server that is sent whole payloads.

use std::io::Write;

use bessemer_transform::{
    model::CallError,
    payload::{OpenPayload, PayloadLimits, PayloadModel},
};
use bytes::Bytes;

use super::{BatchStrategy, HttpModel, HttpOptions, OpenError};

/// A model behind a server, which gets payloads as they are in the files.
#[derive(Debug)]
pub struct HttpPayloads(HttpModel);

impl HttpPayloads {
    /// Reaches or starts the server. `content_type` is what payloads are said to be, whatever that is.
    pub fn open(options: &HttpOptions, content_type: Option<&str>) -> Result<Self, OpenError> {
        HttpModel::of_payloads(options, content_type).map(Self)
    }
}

impl PayloadModel for HttpPayloads {
    fn limits(&self) -> PayloadLimits {
        let settings = self.0.settings();
        PayloadLimits {
            max_concurrent: settings.max_concurrent,
            max_payload: settings.max_payload,
            single: Some(settings.batch_strategy == BatchStrategy::Single),
        }
    }

    fn invoke(&self, payload: &Bytes) -> Result<Bytes, CallError> {
        // Its settings are the user's own, so what it says of them is said of the payload.
        self.0.send(payload, true).map(|reply| reply.body)
    }

    fn stream(&self, payload: &OpenPayload<'_>, answer: &mut dyn Write) -> Result<(), CallError> {
        self.0.stream(payload, answer)
    }
}
