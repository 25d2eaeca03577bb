//! Asking the server: signed calls over its port.

use std::time::{Duration, UNIX_EPOCH};

use bessemer_aws_wire::sigv4::sign;
use bessemer_domain::{Clock, ExitCode, SystemClock};
use serde_json::Value;

use crate::{
    failure::Failure,
    wiring::data::{Access, DataOptions, REGION},
};

/// A line to the server of a data directory.
pub(crate) struct Remote {
    access: Access,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

/// Longer than the server lets any call wait.
const PATIENCE: Duration = Duration::from_mins(1);

impl Remote {
    pub(crate) fn open(options: &DataOptions) -> Result<Self, Failure> {
        let access = options.access()?;
        let internal = |error: anyhow::Error| Failure::new(ExitCode::Internal, error);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
        Ok(Self {
            access,
            runtime: runtime.map_err(|error| internal(error.into()))?,
            client: client.map_err(|error| internal(error.into()))?,
        })
    }

    /// Calls `operation` of Bessemer's own.
    pub(crate) fn call(&self, operation: &str, input: &Value) -> Result<Value, Failure> {
        let address = format!("{}/_bessemer/{operation}", self.access.endpoint);
        let request = http::Request::post(address).header("content-type", "application/json");
        self.ask(request, input, "bessemer")
    }

    /// Calls `operation` of SageMaker.
    pub(crate) fn sagemaker(&self, operation: &str, input: &Value) -> Result<Value, Failure> {
        let request = http::Request::post(format!("{}/", self.access.endpoint))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("SageMaker.{operation}"));
        self.ask(request, input, "sagemaker")
    }

    fn ask(
        &self,
        request: http::request::Builder,
        input: &Value,
        service: &str,
    ) -> Result<Value, Failure> {
        let now = UNIX_EPOCH + Duration::from_millis(SystemClock.now_millis());
        let request = request.body(input.to_string().into_bytes());
        let mut request = request.map_err(|error| Failure::new(ExitCode::Configuration, error))?;
        let key = &self.access.key;
        if !sign(&mut request, &key.id, &key.secret, (REGION, service), now) {
            let error = anyhow::anyhow!("sign a request to `{}`", self.access.endpoint);
            return Err(Failure::new(ExitCode::Configuration, error));
        }
        let request = reqwest::Request::try_from(request)
            .map_err(|error| Failure::new(ExitCode::Internal, error))?;
        self.runtime.block_on(self.send(request))
    }

    async fn send(&self, request: reqwest::Request) -> Result<Value, Failure> {
        let unreachable = |error: reqwest::Error| {
            let text = anyhow::anyhow!("reach the server at `{}`: {error}", self.access.endpoint);
            Failure::new(ExitCode::Unreachable, text).with_hint("start it with `bessemer serve`")
        };
        let response = self.client.execute(request).await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let code = match status.as_u16() {
            403 => ExitCode::Denied,
            404 => ExitCode::NotFound,
            500.. => ExitCode::Unreachable,
            _ => ExitCode::Configuration,
        };
        let message = answer["message"].as_str().or_else(|| answer["Message"].as_str());
        let message = message.unwrap_or("the server gave no reason");
        // AWS's services name the error, which is worth knowing beside its words.
        let error = match answer["__type"].as_str().and_then(|kind| kind.rsplit('#').next()) {
            Some(kind) => anyhow::anyhow!("{kind}: {message}"),
            None => anyhow::anyhow!("{message}"),
        };
        Err(Failure::new(code, error))
    }
}
