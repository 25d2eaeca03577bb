//! A server that was there before us.

use std::{
    fs,
    net::TcpListener,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use arrow::{array::Int64Array, record_batch::RecordBatch};
use bessemer_domain::{ExitCode, RejectClass};
use bessemer_models::http::{BatchStrategy, ContentType, HttpModel, HttpOptions};
use bessemer_transform::{
    model::{Answer, CallErrorKind, Limits, Model},
    records::Records,
};

use crate::support::{Server, call, eventually};

#[test]
fn every_text_type_is_sent_and_read() {
    let server = Server::start(&[]);
    let json = ["1", "{\"x\": 2}", "3"];
    let doubled = ["2", "{\"y\": 4}", "6"];
    let model = server.open_with(ContentType::JsonLines);
    assert_eq!(call(&model, &json).unwrap(), doubled);
    let model = server.open_with(ContentType::Json);
    assert_eq!(call(&model, &["1", "{\"x\":2}"]).unwrap(), ["2", "{   \"y\": 4  }"]);
    assert_eq!(call(&model, &["4"]).unwrap(), ["8"]);
    let model = server.open_with(ContentType::JsonInstances);
    assert_eq!(call(&model, &["1", "2", "3"]).unwrap(), ["2", "4", "6"]);
    let model = server.open_with(ContentType::Csv);
    assert_eq!(call(&model, &["1", "2.5", "a"]).unwrap(), ["2", "5.0", "\"A\""]);
    assert_eq!(call(&model, &["a,b", "c,d"]).unwrap(), ["[\"A\",\"B\"]", "[\"C\",\"D\"]"]);
    let model = server.open_with(ContentType::Text);
    assert_eq!(call(&model, &["héllo", "1"]).unwrap(), ["\"HÉLLO\"", "\"2\""]);

    let sent: Vec<(String, String, String)> = server
        .calls()
        .iter()
        .map(|call| {
            let header = |name: &str| call["headers"][name].as_str().unwrap().to_owned();
            let body = call["body"].as_str().unwrap().to_owned();
            (header("content-type"), header("accept"), body)
        })
        .collect();
    let json = "application/json";
    let lines = "application/jsonlines";
    let expected = [
        (lines, lines, "1\n{\"x\": 2}\n3\n"),
        (json, json, "[1,{\"x\":2}]"),
        (json, json, "[4]"),
        (json, json, "{\"instances\":[1,2,3]}"),
        ("text/csv", "text/csv", "1\n2.5\na\n"),
        ("text/csv", "text/csv", "a,b\nc,d\n"),
        ("text/plain", "text/plain", "h\u{c3}\u{a9}llo\n1\n"),
    ];
    let sent: Vec<(&str, &str, &str)> =
        sent.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    assert_eq!(sent, expected);
}

#[test]
fn columns_are_sent_and_read() {
    let server = Server::start(&[]);
    let column = Arc::new(Int64Array::from_iter_values(0..1000));
    let batch = RecordBatch::try_from_iter([("a", column as _)]).unwrap();
    for content_type in [ContentType::Parquet, ContentType::ArrowStream] {
        let model = server.open_with(content_type);
        let records = Records::Columns(batch.slice(10, 500));
        let Answer::Columns(back) = model.call(&records).unwrap() else { panic!("no columns") };
        assert_eq!(back, batch.slice(10, 500));
    }
    let accepts: Vec<_> =
        server.calls().iter().map(|call| call["headers"]["accept"].clone()).collect();
    assert_eq!(accepts, ["application/jsonlines", "application/vnd.apache.arrow.stream"]);
}

#[test]
fn the_answers_type_decides_over_accept() {
    let csv = Server::start(&[("ANSWER", "text/csv; charset=utf-8")]);
    assert_eq!(call(&csv.open(), &["1", "2"]).unwrap(), ["2", "4"]);
    let unknown = Server::start(&[("ANSWER", "application/octet-stream")]);
    assert_eq!(call(&unknown.open(), &["1", "2"]).unwrap(), ["2", "4"]);
    let wrapped = Server::start(&[("ANSWER", "application/json"), ("WRAP", "predictions")]);
    assert_eq!(call(&wrapped.open(), &["1", "2"]).unwrap(), ["2", "4"]);
    assert_eq!(call(&wrapped.open(), &["1"]).unwrap(), ["2"]);
}

#[test]
fn single_record_requests_hold_the_record_alone() {
    let server = Server::start(&[]);
    let options = HttpOptions {
        content_type: ContentType::Json,
        batch_strategy: Some(BatchStrategy::Single),
        ..server.options("")
    };
    let model = HttpModel::open(&options).unwrap();
    assert_eq!(model.limits().max_rows, Some(1));
    assert_eq!(call(&model, &["21"]).unwrap(), ["42"]);
    assert_eq!(server.calls()[0]["body"], "21");
}

#[test]
fn bodies_and_answers_may_be_gzipped() {
    let server = Server::start(&[("GZIP_ANSWER", "1")]);
    let options = HttpOptions { gzip_bodies: true, ..server.options("") };
    let model = HttpModel::open(&options).unwrap();
    assert_eq!(call(&model, &["1", "2"]).unwrap(), ["2", "4"]);
    assert_eq!(server.calls()[0]["headers"]["content-encoding"], "gzip");
    assert!(server.calls()[0]["body"].as_str().unwrap().starts_with("\u{1f}\u{8b}"));
}

#[test]
fn large_payloads_are_told_from_other_failures() {
    let server = Server::start(&[("MAX_BYTES", "10")]);
    let error = call(&server.open(), &["1", "2", "3", "4", "5", "6"]).unwrap_err();
    assert_eq!((error.kind, error.class), (CallErrorKind::TooLarge, RejectClass::TooLarge));
    assert_eq!(error.message, "413 Payload Too Large");

    let options = HttpOptions { max_payload: Some(4), ..server.options("") };
    let model = HttpModel::open(&options).unwrap();
    let calls = server.calls().len();
    let error = call(&model, &["1", "2", "3"]).unwrap_err();
    assert_eq!((error.kind, error.class), (CallErrorKind::TooLarge, RejectClass::TooLarge));
    assert_eq!(error.message, "the payload of 6 bytes is over the limit of 4 B (4 bytes)");
    assert_eq!(server.calls().len(), calls, "no call is made for it");
    assert_eq!(call(&model, &["1", "2"]).unwrap(), ["2", "4"]);
}

#[test]
fn statuses_become_kinds_with_what_the_server_said() {
    let server = Server::start(&[("BUSY", "1")]);
    let model = server.open();
    let error = call(&model, &["1"]).unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Transient);
    assert_eq!(error.message, "429 Too Many Requests (retry after 1): slow down");
    assert_eq!(call(&model, &["1"]).unwrap(), ["2"]);
    let error = call(&model, &["1", "\"boom\""]).unwrap_err();
    assert_eq!((error.kind, error.class), (CallErrorKind::Suspect, RejectClass::Model));
    assert_eq!(error.message, "500 Internal Server Error: ValueError: boom in the model");
    let error = call(&model, &["\"refuse\""]).unwrap_err();
    assert_eq!((error.kind, error.class), (CallErrorKind::Records, RejectClass::Model));
    assert_eq!(error.message, "400 Bad Request: this record is refused");
    let error = call(&model, &["\"redirect\""]).unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Records);
    assert_eq!(error.message, "302 Found to `/other`");
}

#[test]
fn a_wrong_address_stops_instead_of_rejecting_every_record() {
    let server = Server::start(&[]);
    let model = HttpModel::open(&server.options("/models/invocations")).unwrap();
    let error = call(&model, &["1"]).unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Unreachable);
    assert_eq!(error.message, "404 Not Found: Not Found");
}

#[test]
fn too_few_answers_are_counted() {
    let server = Server::start(&[]);
    for content_type in [ContentType::JsonLines, ContentType::Json, ContentType::Csv] {
        let error = call(&server.open_with(content_type), &["1", "2", "\"short\""]).unwrap_err();
        assert_eq!((error.kind, error.class), (CallErrorKind::Records, RejectClass::WrongCount));
        let expected = "the model answered 2 records for 3; its answer begins `";
        assert!(error.message.starts_with(expected), "{}", error.message);
    }
}

#[test]
fn a_hanging_or_dripping_server_is_left_in_time() {
    let server = Server::start(&[]);
    let options = HttpOptions { timeout: Duration::from_millis(300), ..server.options("") };
    let model = HttpModel::open(&options).unwrap();
    for word in ["\"hang\"", "\"drip\""] {
        let since = Instant::now();
        let error = call(&model, &["1", word]).unwrap_err();
        assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
        assert_eq!((error.kind, error.class), (CallErrorKind::Transient, RejectClass::Timeout));
        assert!(error.message.starts_with("no whole answer within 0.3 s"), "{}", error.message);
    }
    assert_eq!(call(&model, &["1"]).unwrap(), ["2"]);
}

#[test]
fn broken_answers_are_errors_of_their_kind() {
    use CallErrorKind::{Records, Suspect, TooLarge, Transient};
    let server = Server::start(&[]);
    let options = HttpOptions { memory: Some(1), ..server.options("") };
    let model = HttpModel::open(&options).unwrap();
    let cases = [
        ("\"reset\"", Transient, "the connection broke: "),
        ("\"cut\"", Transient, "the connection broke: "),
        ("\"nonsense\"", Suspect, "the answer is malformed: "),
        ("\"headers\"", Suspect, "the answer is malformed: "),
        (
            "\"latin\"",
            Records,
            "the model's answer is not application/jsonlines: no UTF-8 at byte 0",
        ),
        ("\"flood\"", TooLarge, "the answer is larger than 16777216 bytes"),
    ];
    for (word, kind, message) in cases {
        let error = call(&model, &["1", word]).unwrap_err();
        assert!(error.message.starts_with(message), "{word}: {}", error.message);
        assert_eq!(error.kind, kind, "{word}: {}", error.message);
        assert!(!error.message.contains('\n'), "{word}: {}", error.message);
    }
    assert_eq!(call(&model, &["1"]).unwrap(), ["2"]);
}

#[test]
fn what_the_container_asks_for_becomes_limits() {
    let asked = "{\"MaxConcurrentTransforms\": 3, \"BatchStrategy\": \"SINGLE_RECORD\", \
                 \"MaxPayloadInMB\": 1}";
    let server = Server::start(&[("PARAMETERS", asked)]);
    let limits = Limits {
        max_concurrent: Some(3),
        start_concurrent: Some(2),
        max_payload: Some((1 << 20) - 32),
        max_rows: Some(1),
        start_rows: Some(1),
    };
    assert_eq!(server.open().limits(), limits);
    let silent = Server::start(&[]);
    let limits = Limits { start_concurrent: Some(2), ..Limits::default() };
    assert_eq!(silent.open().limits(), limits);
}

#[test]
fn a_server_that_dies_is_unreachable_from_then_on() {
    let mut server = Server::start(&[]);
    let model = server.open();
    let error = call(&model, &["\"die\""]).unwrap_err();
    assert_eq!((error.kind, error.class), (CallErrorKind::Transient, RejectClass::Model));
    server.kill();
    let error = call(&model, &["1"]).unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Unreachable);
    assert!(error.message.starts_with("cannot connect: Connection refused"), "{}", error.message);
}

#[test]
fn nobody_at_the_address_is_an_error_at_once() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut options = HttpOptions::new(bessemer_models::http::Target::Endpoint(
        format!("http://127.0.0.1:{port}").parse().unwrap(),
    ));
    options.ping_timeout = Duration::from_millis(200);
    let error = HttpModel::open(&options).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Unreachable);
    let message = error.to_string();
    let expected =
        format!("reach the model server at `http://127.0.0.1:{port}/ping`: cannot connect: ");
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn https_to_a_plain_server_is_an_error() {
    let server = Server::start(&[]);
    let mut options = server.options("");
    let url = format!("https://localhost:{}", server.port).parse().unwrap();
    options.target = bessemer_models::http::Target::Endpoint(url);
    options.ping_timeout = Duration::from_millis(200);
    let error = HttpModel::open(&options).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Unreachable, "{error}");
}

#[test]
fn a_server_without_ping_is_taken_for_ready_and_one_that_is_not_ready_waited_for() {
    let server = Server::start(&[("PING_STATUS", "404")]);
    assert_eq!(call(&server.open(), &["1"]).unwrap(), ["2"]);

    let never = Server::start(&[("PING_STATUS", "503")]);
    let options = HttpOptions { ping_timeout: Duration::from_millis(300), ..never.options("") };
    let error = HttpModel::open(&options).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Unreachable);
    assert!(error.to_string().ends_with("ready within 0.3 s: it says 503 Service Unavailable"));

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ready");
    let late = Server::start(&[("PING_AFTER_FILE", file.to_str().unwrap())]);
    let options = late.options("");
    let opening = thread::spawn(move || HttpModel::open(&options).map(|_| ()));
    assert!(!opening.is_finished());
    fs::write(&file, "").unwrap();
    eventually("the model opens", || opening.is_finished());
    opening.join().unwrap().unwrap();
}
