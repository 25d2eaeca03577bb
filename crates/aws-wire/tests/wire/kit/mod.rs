//! Boto3 as a client of the tests: it makes real requests, and reads our responses.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::SystemTime,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bessemer_aws_wire::{
    Request,
    sigv4::{AccessKey, AuthError, Body, Verified, verify},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use serde_json::{Value, json};

pub(crate) const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A request as a server has it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn of(request: &Value) -> Self {
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        let mut headers = HeaderMap::new();
        for pair in request["headers"].as_array().into_iter().flatten() {
            let name: HeaderName = pair[0].as_str().unwrap().parse().unwrap();
            headers.append(name, HeaderValue::from_str(pair[1].as_str().unwrap()).unwrap());
        }
        Self {
            method: text("method").parse().unwrap(),
            path: text("path"),
            query: text("query"),
            headers,
            body: STANDARD.decode(text("body")).unwrap(),
        }
    }

    pub(crate) fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            authority: None,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// When it was signed; for version 2, a time within the ten minutes that the tests ask for.
    pub(crate) fn signed_at(&self) -> SystemTime {
        let date = self.header("x-amz-date").or_else(|| self.parameter("X-Amz-Date"));
        if let Some(date) = date {
            let time = chrono::NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ").unwrap();
            return time.and_utc().into();
        }
        let end: u64 = self.parameter("Expires").unwrap().parse().unwrap();
        SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(end - 600)
    }

    pub(crate) fn verify(
        &self,
        token: Option<&str>,
        now: SystemTime,
    ) -> Result<Verified, AuthError> {
        let keys = |id: &str| {
            let key = AccessKey::lasting(SECRET);
            (id == ACCESS_KEY).then(|| AccessKey { token: token.map(str::to_owned), ..key })
        };
        verify(&self.request(), Body::Whole(&self.body), &keys, now)
    }
}

/// A Python that has boto3.
pub(crate) struct Boto {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Boto {
    pub(crate) fn start() -> Self {
        let python = std::env::var_os("BESSEMER_TEST_PYTHON")
            .expect("BESSEMER_TEST_PYTHON names a Python with boto3 (see `cargo xtask test`)");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/kit/boto.py");
        let mut command = Command::new(python);
        command.arg("-Wignore").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        // The machine's own configuration must not show.
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.input, "{message}").unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("boto3 ended: {line:?}"))
    }

    /// Makes a call, answers it by `respond`, and returns what the caller of boto3 gets.
    pub(crate) fn call(
        &mut self,
        call: &Value,
        respond: impl FnOnce(Received) -> Response<Vec<u8>>,
    ) -> Value {
        self.say(call);
        let heard = self.hear();
        let response = respond(Received::of(&heard["request"]));
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), Value::from(value.to_str().unwrap()))
        };
        let headers: serde_json::Map<String, Value> =
            response.headers().iter().map(header).collect();
        let body = STANDARD.encode(response.body());
        self.say(&json!({"status": response.status().as_u16(), "headers": headers, "body": body}));
        self.hear()
    }

    /// The request of a call.
    pub(crate) fn request(&mut self, call: &Value) -> Received {
        let mut received = None;
        self.call(call, |request| {
            received = Some(request);
            Response::new(Vec::new())
        });
        received.unwrap()
    }

    /// The request that a presigned URL stands for.
    pub(crate) fn presigned(&mut self, call: &Value) -> Received {
        self.say(call);
        Received::of(&self.hear()["request"])
    }
}

impl Drop for Boto {
    fn drop(&mut self) {
        // A child that has ended already is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
