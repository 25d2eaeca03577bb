//! [`Front`]: from a request to the service that it is for, and back.

use std::{
    cell::Cell,
    time::{Duration, Instant, UNIX_EPOCH},
};

use bessemer_aws_wire::{
    Protocol, Request as Wire, Service, ServiceError, error_response, service,
    sigv4::{self, Body},
};
use bessemer_store::StoreError;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header, request::Parts};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tower_service::Service as _;

use super::{
    ServerOptions,
    body::{self, BodyError, ResponseBody},
    metrics::{Counted, Gauges, Metrics},
};
use crate::{
    batch, caller::Caller, control, iam, lambda, logs, platform::Platform, s3::S3Service,
    sagemaker, sqs, sts,
};

/// Bytes of a request with the code of a function: an archive of 50 MiB in base64, and what is around it.
const CODE_LIMIT: usize = 70_167_211;

/// What answers requests.
pub(super) struct Front {
    platform: Platform,
    s3: S3Service,
    options: ServerOptions,
    metrics: Metrics,
}

impl Front {
    pub(super) fn new(platform: Platform, options: ServerOptions) -> Self {
        let s3 = crate::s3::service(&platform.storage, platform.keys.clone());
        Self { platform, s3, options, metrics: Metrics::default() }
    }

    /// Answers a request, whatever it is.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        match request.uri().path() {
            "/healthz" if self.platform.store.is_alive() => {
                return text(StatusCode::OK, "ok\n".to_owned());
            }
            "/healthz" => {
                let why = "the database takes no more writes; restart the server\n".to_owned();
                return text(StatusCode::SERVICE_UNAVAILABLE, why);
            }
            "/metrics" => return self.metrics().await,
            _ => {}
        }
        let wire = request_wire(&request);
        let claimed = sigv4::claimed_service(&wire);
        let protocol = Protocol::guess(&wire);
        // Only S3 and its kin, such as `s3express`, speak XML to a bare request.
        let protocol = match (protocol, claimed.as_deref()) {
            (Protocol::RestXml, Some(name)) if !name.starts_with("s3") => Protocol::RestJson,
            (protocol, _) => protocol,
        };
        match claimed.as_deref() {
            Some("s3") => self.s3(request).await,
            None if protocol == Protocol::RestXml => self.s3(request).await,
            Some(name) => match service(name) {
                Some(service) => self.modelled(service, request).await,
                None if name == control::SERVICE => self.control(request).await,
                None => self.unknown(name, protocol, request).await,
            },
            None => self.unknown("", protocol, request).await,
        }
    }

    /// A call of S3, which reads its body by itself. Its head is verified here, since this is
    /// stricter; the service verifies it again with the body.
    async fn s3(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        let (id, begin) = (request_id(), Instant::now());
        let (parts, incoming) = request.into_parts();
        let response = match self.verify(&parts, Body::Streamed) {
            Ok(_) => {
                let request = Request::from_parts(parts, incoming);
                let answered = self.s3.clone().call(request).await;
                answered
                    .unwrap_or_else(|never| match never {})
                    .map(|body| body.map_err(Into::into).boxed_unsync())
            }
            Err(error) => refusal(Protocol::RestXml, &error, &id),
        };
        self.count(begin, "s3", "", response.status());
        response
    }

    /// A call of a service whose model we have.
    async fn modelled(
        &self,
        service: &'static Service,
        request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let (id, begin) = (request_id(), Instant::now());
        let (parts, incoming) = request.into_parts();
        let mut operation = "";
        let wire = Wire::of(&parts);
        let protocol = service.protocol_of(&wire);
        let limit = self.limit_of(service, &parts);
        let answered = match self.read(protocol, &parts, incoming, limit).await {
            Ok((body, caller)) => {
                let is_form = service.name() == "sqs" && protocol == Protocol::Query;
                let query = if is_form { sqs::query(&parts) } else { wire.query.into() };
                match service.decode(&Wire { query: &query, ..wire }, &body) {
                    Ok(call) => {
                        operation = call.operation.name();
                        self.call(&call, &caller, &parts, &id).await
                    }
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        let response =
            answered.unwrap_or_else(|error| service.error_response(protocol, &error, &id));
        self.count(begin, service.name(), operation, response.status());
        body::whole(response)
    }

    async fn call(
        &self,
        call: &bessemer_aws_wire::Call<'static>,
        caller: &Caller,
        parts: &Parts,
        id: &str,
    ) -> Result<Response<Vec<u8>>, ServiceError> {
        caller.may(call.service.name(), call.operation.name())?;
        let output = match call.service.name() {
            "sagemaker" => sagemaker::call(&self.platform, caller, call).await,
            "logs" => logs::call(&self.platform, caller, call).await,
            "lambda" => lambda::call(&self.platform, caller, call, id).await,
            "batch" => batch::call(&self.platform, caller, call).await,
            "sqs" => sqs::call(&self.platform, caller, parts, call).await,
            "sts" => sts::call(caller, call),
            "iam" => iam::call(call),
            _ => Err(unsupported(call.service.name(), call.operation.name())),
        }?;
        call.response(&output, id).map_err(|error| {
            let operation = call.operation.name();
            tracing::error!(operation, %error, "an output does not fit its model");
            ServiceError::internal()
        })
    }

    /// A call of Bessemer's own.
    async fn control(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        let (id, begin) = (request_id(), Instant::now());
        let (parts, incoming) = request.into_parts();
        let answered =
            match self.read(Protocol::RestJson, &parts, incoming, self.options.body_limit).await {
                Ok((body, caller)) => control::call(&self.platform, &caller, &parts, &body).await,
                Err(error) => Err(error),
            };
        let response = match answered {
            Ok(output) => {
                let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
                // All headers are valid.
                response.body(output.to_string().into_bytes()).unwrap_or_default()
            }
            Err(error) => error_response(Protocol::RestJson, &error, &id),
        };
        self.count(begin, control::SERVICE, "", response.status());
        body::whole(response)
    }

    /// A call of a service that we don't have; its sender is told so only if it is known.
    async fn unknown(
        &self,
        name: &str,
        protocol: Protocol,
        request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let (id, begin) = (request_id(), Instant::now());
        let (parts, incoming) = request.into_parts();
        let error = match self.read(protocol, &parts, incoming, self.options.body_limit).await {
            Ok(_) => {
                let message = format!("The service {name} is not supported by Bessemer");
                ServiceError::new("NotImplemented", message).with_status(501)
            }
            Err(error) => error,
        };
        self.count(begin, "unknown", "", StatusCode::from_u16(error.status).unwrap_or_default());
        body::whole(error_response(protocol, &error, &id))
    }

    /// Bytes of a request's body. Code of functions comes in requests, from who names a key that there
    /// is.
    fn limit_of(&self, service: &Service, parts: &Parts) -> usize {
        let usual = self.options.body_limit;
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = header.and_then(|header| header.split_once("Credential=")?.1.split('/').next());
        let is_known =
            || key.is_some_and(|key| matches!(self.platform.keys.find(key), Ok(Some(_))));
        if service.name() == "lambda" && is_known() { usual.max(CODE_LIMIT) } else { usual }
    }

    /// Reads a request's body and says who sent it.
    async fn read(
        &self,
        protocol: Protocol,
        parts: &Parts,
        incoming: Incoming,
        limit: usize,
    ) -> Result<(Bytes, Caller), ServiceError> {
        let read = body::read(incoming, limit, self.options.body_timeout).await;
        let body = read.map_err(|error| match error {
            BodyError::TooLarge => ServiceError::new(
                "RequestEntityTooLargeException",
                format!("A request's body has {limit} bytes at most"),
            )
            .with_status(413),
            BodyError::TooSlow | BodyError::Broken => {
                ServiceError::new("RequestTimeout", "The request's body did not arrive in time")
                    .with_status(408)
            }
        })?;
        let caller = self.verify(parts, Body::Whole(&body));
        Ok((body, caller.map_err(|error| error.to_error(protocol))?))
    }

    fn verify(&self, parts: &Parts, body: Body<'_>) -> Result<Caller, sigv4::AuthError> {
        let now = UNIX_EPOCH + Duration::from_millis(self.platform.clock.now_millis());
        let read_only = Cell::new(true);
        let find = |id: &str| {
            let key = self.platform.keys.known(id)?;
            read_only.set(key.read_only);
            Some(sigv4::AccessKey::lasting(key.secret))
        };
        let verified = sigv4::verify(&Wire::of(parts), body, &find, now)?;
        let (access_key, region) = (verified.access_key, verified.region);
        Ok(Caller { access_key, read_only: read_only.get(), region })
    }

    async fn metrics(&self) -> Response<ResponseBody> {
        match self.gauges().await {
            Ok(gauges) => text(StatusCode::OK, self.metrics.text(&gauges)),
            Err(error) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
        }
    }

    async fn gauges(&self) -> Result<Gauges, StoreError> {
        let store = &self.platform.store;
        let jobs = store.jobs().count_by_phase().await?;
        let outbox_lag = store.outbox().lag().await?;
        let waiting_receives = self.platform.queues.waiting();
        Ok(Gauges { jobs, room: self.platform.jobs.room(), outbox_lag, waiting_receives })
    }

    fn count(
        &self,
        begin: Instant,
        service: &'static str,
        operation: &'static str,
        status: StatusCode,
    ) {
        let code = status.as_u16();
        self.metrics.count(Counted { service, operation, code }, begin.elapsed());
    }
}

/// The error of an operation that AWS has and we don't.
pub(crate) fn unsupported(service: &str, operation: &str) -> ServiceError {
    let message = format!("The operation {operation} of {service} is not supported by Bessemer");
    ServiceError::new("NotImplemented", message).with_status(501)
}

fn request_wire(request: &Request<Incoming>) -> Wire<'_> {
    Wire {
        method: request.method(),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        headers: request.headers(),
        authority: request.uri().authority().map(http::uri::Authority::as_str),
    }
}

fn refusal(protocol: Protocol, error: &sigv4::AuthError, id: &str) -> Response<ResponseBody> {
    body::whole(error_response(protocol, &error.to_error(protocol), id))
}

fn text(status: StatusCode, text: String) -> Response<ResponseBody> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let value = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    body::whole(response)
}

/// A request's id, in the form of AWS's.
fn request_id() -> String {
    let bits: u128 = rand::random();
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
