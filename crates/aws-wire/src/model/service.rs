//! A service's API, and the ones that we serve.

use std::{collections::HashMap, sync::LazyLock};

use super::Shape;
use crate::{Protocol, Request, ServiceError};

/// One of AWS's APIs, as far as its compact model goes.
#[derive(Debug)]
pub struct Service {
    pub(super) name: String,
    pub(super) protocol: Protocol,
    pub(super) version: String,
    pub(super) target_prefix: String,
    pub(super) namespace: String,
    pub(super) query_compatible: bool,
    pub(super) validation_error: String,
    pub(super) operations: Vec<Operation>,
    /// Operations that AWS has and we don't: their names and, for REST, where they are.
    pub(super) unsupported: Vec<(String, Route)>,
    pub(super) shapes: HashMap<String, Shape>,
}

/// One operation of a service.
#[derive(Debug)]
pub struct Operation {
    pub(super) name: String,
    pub(super) route: Route,
    pub(super) status: u16,
    pub(super) input: Option<String>,
    pub(super) output: Option<String>,
    pub(super) wrapper: Option<String>,
    pub(super) errors: Vec<String>,
}

impl Operation {
    /// Its name, as in `CreateTransformJob`.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// The element around a result of the query protocol.
    pub(crate) fn wrapper(&self) -> Option<&str> {
        self.wrapper.as_deref()
    }
}

impl Service {
    /// The name that requests are signed for, as in `sagemaker`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The protocol that it speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The operations that the model supports, in the order of their names.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// A supported operation.
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.name == name)
    }

    /// An error of the service, with the code on the wire and the status that its model gives to
    /// `code`. A code that the model doesn't have gets status 400.
    pub fn error(&self, code: &str, message: impl Into<String>) -> ServiceError {
        let error = ServiceError::new(code, message);
        let Some(shape) = self.shapes.get(code) else { return error };
        let default = if shape.fault { 500 } else { 400 };
        let Some(traits) = &shape.error else { return error.with_status(default) };
        let code = traits.code.clone().unwrap_or(error.code);
        ServiceError { code, ..error }.with_status(traits.http_status_code.unwrap_or(default))
    }

    /// What the service answers to a request whose members break its constraints.
    pub fn validation_error(&self, message: impl Into<String>) -> ServiceError {
        let error = self.error(&self.validation_error, message);
        match self.validation_error.strip_suffix("Exception") {
            Some(code) if self.query_compatible => error.with_query_code(code),
            _ => error,
        }
    }

    pub(crate) fn unsupported(&self) -> &[(String, Route)] {
        &self.unsupported
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn target_prefix(&self) -> &str {
        &self.target_prefix
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn query_compatible(&self) -> bool {
        self.query_compatible
    }

    /// The protocol that a request to this service is in: some still speak the query protocol
    /// that they had before.
    pub fn protocol_of(&self, request: &Request<'_>) -> Protocol {
        match Protocol::guess(request) {
            Protocol::Query if self.query_compatible => Protocol::Query,
            _ => self.protocol,
        }
    }

    /// A shape that the model refers to.
    pub(crate) fn shape(&self, name: &str) -> &Shape {
        self.shapes.get(name).expect("a loaded model has every shape it refers to")
    }

    pub(crate) fn input(&self, operation: &Operation) -> Option<&Shape> {
        operation.input.as_deref().map(|name| self.shape(name))
    }

    pub(crate) fn output(&self, operation: &Operation) -> Option<&Shape> {
        operation.output.as_deref().map(|name| self.shape(name))
    }

    /// The shape of an error with this code on the wire.
    pub(crate) fn error_shape(&self, code: &str) -> Option<&Shape> {
        self.shapes.get(code).or_else(|| {
            let coded = |shape: &&Shape| {
                let traits = shape.error.as_ref();
                traits.and_then(|traits| traits.code.as_deref()) == Some(code)
            };
            self.shapes.values().find(coded)
        })
    }
}

/// A method and a path with labels, as in `POST /functions/{FunctionName}/invocations`.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) method: String,
    pub(crate) segments: Vec<Segment>,
    /// Parameters that the query must have: names, with values where they are fixed.
    pub(crate) query: Vec<(String, Option<String>)>,
}

/// A part of a path between slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(String),
    Label(String),
    /// A label that takes the rest of the path, slashes and all.
    Greedy(String),
}

impl Route {
    pub(super) fn new(method: &str, uri: &str) -> Self {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let segment = |text: &str| match text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
            Some(label) => match label.strip_suffix('+') {
                Some(greedy) => Segment::Greedy(greedy.to_owned()),
                None => Segment::Label(label.to_owned()),
            },
            None => Segment::Literal(text.to_owned()),
        };
        let query = query.split('&').filter(|pair| !pair.is_empty());
        let pair = |text: &str| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text.to_owned(), None),
        };
        Self {
            method: method.to_owned(),
            segments: segments.map(segment).collect(),
            query: query.map(pair).collect(),
        }
    }

    /// `Name` or `Name METHOD /path`.
    pub(super) fn named(line: &str) -> (String, Self) {
        let mut words = line.splitn(3, ' ');
        let name = words.next().unwrap_or_default().to_owned();
        (name, Self::new(words.next().unwrap_or_default(), words.next().unwrap_or_default()))
    }
}

macro_rules! model {
    ($name:literal) => {
        LazyLock::new(|| {
            let text = include_str!(concat!("../../models/", $name, ".json"));
            Service::from_json(text).expect("the models are made by xtask and tested")
        })
    };
}

static SAGEMAKER: LazyLock<Service> = model!("sagemaker");
static STS: LazyLock<Service> = model!("sts");
static IAM: LazyLock<Service> = model!("iam");
static LOGS: LazyLock<Service> = model!("logs");
static LAMBDA: LazyLock<Service> = model!("lambda");
static BATCH: LazyLock<Service> = model!("batch");
static SQS: LazyLock<Service> = model!("sqs");

/// The services whose models we have. S3 is none of them.
pub fn services() -> [&'static Service; 7] {
    [&SAGEMAKER, &STS, &IAM, &LOGS, &BATCH, &SQS, &LAMBDA]
}

/// The service that requests for `signing_name` go to. Its model is read at the first call.
pub fn service(signing_name: &str) -> Option<&'static Service> {
    match signing_name {
        "sagemaker" => Some(&SAGEMAKER),
        "sts" => Some(&STS),
        "iam" => Some(&IAM),
        "logs" => Some(&LOGS),
        "lambda" => Some(&LAMBDA),
        "batch" => Some(&BATCH),
        "sqs" => Some(&SQS),
        _ => None,
    }
}
