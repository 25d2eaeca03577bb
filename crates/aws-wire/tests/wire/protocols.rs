//! Every protocol: requests that SDKs were recorded to make, and boto3 reading what we answer.

use bessemer_aws_wire::{Call, Protocol, Request, Service, ServiceError, error_response, service};
use http::{HeaderMap, HeaderName, Method, Response};
use serde_json::{Value, json};

use crate::kit::{Boto, Received};

/// A service of ours, or one whose model is there for the tests.
fn model(name: &str) -> Service {
    let text = match name {
        "sagemaker" => include_str!("../../models/sagemaker.json"),
        "logs" => include_str!("../../models/logs.json"),
        "sts" => include_str!("../../models/sts.json"),
        "iam" => include_str!("../../models/iam.json"),
        "sqs" => include_str!("../../models/sqs.json"),
        "sns" => include_str!("../models/sns.json"),
        "batch" => include_str!("../../models/batch.json"),
        "lambda" => include_str!("../../models/lambda.json"),
        other => panic!("no model of {other}"),
    };
    Service::from_json(text).unwrap()
}

fn recorded(section: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../recorded.json")).unwrap();
    all[section].as_array().unwrap().clone()
}

/// The request of a recording.
fn received(row: &Value) -> Received {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in row["headers"].as_object().into_iter().flatten() {
        headers
            .insert(name.parse::<HeaderName>().unwrap(), value.as_str().unwrap().parse().unwrap());
    }
    let form = row["form"].as_object().map(|form| {
        let escape = |text: &str| {
            let bytes = text.bytes().map(|byte| match byte {
                b' ' => "+".to_owned(),
                byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            });
            bytes.collect::<String>()
        };
        let pairs = form.iter();
        let pairs =
            pairs.map(|(name, value)| format!("{name}={}", escape(value.as_str().unwrap())));
        pairs.collect::<Vec<_>>().join("&")
    });
    Received {
        method: text("method").parse().unwrap(),
        path: text("path"),
        query: text("query"),
        headers,
        body: form.unwrap_or_else(|| text("body")).into_bytes(),
    }
}

#[test]
fn recorded_requests_are_decoded_whole() {
    let rows = recorded("supported");
    for row in &rows {
        let name = format!("{} {}", row["service"], row["operation"]);
        let service = model(row["service"].as_str().unwrap());
        let received = received(row);
        let call = service.decode(&received.request(), &received.body);
        let call = call.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(call.operation.name(), row["operation"], "{name}");
        assert_eq!(call.input, row["input"], "{name}");
    }
    assert_eq!(rows.len(), 80);
}

#[test]
fn what_aws_has_and_we_lack_is_said() {
    for row in &recorded("unsupported") {
        let service = model(row["service"].as_str().unwrap());
        let received = received(row);
        let error = service.decode(&received.request(), &received.body).unwrap_err();
        let operation = row["operation"].as_str().unwrap();
        assert_eq!((error.code.as_str(), error.status), ("NotImplemented", 501), "{operation}");
        let message = format!(
            "The operation {operation} of {} is not supported by Bessemer",
            row["service"].as_str().unwrap()
        );
        assert_eq!(error.message, Some(message));
    }
}

/// Answers a call of boto3 by `handle`, as a server would.
fn serve(
    boto: &mut Boto,
    call: &Value,
    handle: impl FnOnce(&Call<'_>) -> Result<Value, ServiceError>,
) -> Value {
    let service = model(call["service"].as_str().unwrap());
    boto.call(call, |received| {
        received.verify(None, received.signed_at()).unwrap();
        let answered = service
            .decode(&received.request(), &received.body)
            .and_then(|call| Ok(call.response(&handle(&call)?, "req-1").unwrap()));
        let protocol = service.protocol_of(&received.request());
        answered.unwrap_or_else(|error| service.error_response(protocol, &error, "req-1"))
    })
}

fn without_metadata(mut answer: Value) -> Value {
    assert!(answer["result"].is_object(), "boto3 got no result: {answer}");
    let result = answer["result"].as_object_mut().unwrap();
    let metadata = result.remove("ResponseMetadata").unwrap();
    assert_eq!(metadata["RequestId"], "req-1");
    Value::Object(result.clone())
}

/// Calls of boto3, each with our output and what boto3 makes of it.
fn check_outputs(
    table: impl IntoIterator<Item = (&'static str, &'static str, Value, Value, Value)>,
) {
    let mut boto = Boto::start();
    for (service, operation, parameters, output, expected) in table {
        let call = json!({"service": service, "operation": operation, "parameters": parameters});
        let answer = serve(&mut boto, &call, |call| {
            assert_eq!(call.operation.name(), operation);
            Ok(output)
        });
        assert_eq!(without_metadata(answer), expected, "{service} {operation}");
    }
}

#[test]
fn boto3_reads_our_json() {
    let at = 1_700_000_000.25;
    let read_at = "2023-11-14T22:13:20.250000+00:00";
    let base64 = json!({"base64": "AAEC/w=="});
    let table = [
        (
            "sagemaker",
            "DescribeModel",
            json!({"ModelName": "m"}),
            json!({"ModelName": "m", "ModelArn": "arn", "ExecutionRoleArn": null, "CreationTime": at, "Secret": "not declared",
                "PrimaryContainer": {"Image": "i", "Environment": {"K": "v", "EMPTY": ""}}}),
            json!({"ModelName": "m", "ModelArn": "arn", "CreationTime": read_at,
                "PrimaryContainer": {"Image": "i", "Environment": {"K": "v", "EMPTY": ""}}}),
        ),
        ("sagemaker", "DeleteModel", json!({"ModelName": "m"}), json!({}), json!({})),
        (
            "logs",
            "GetLogEvents",
            json!({"logGroupName": "g", "logStreamName": "s"}),
            json!({"events": [{"timestamp": 5, "message": "a <&> \u{1} \u{1F600}", "ingestionTime": 6}], "nextForwardToken": "f/1"}),
            json!({"events": [{"timestamp": 5, "message": "a <&> \u{1} \u{1F600}", "ingestionTime": 6}], "nextForwardToken": "f/1"}),
        ),
        (
            "sqs",
            "ReceiveMessage",
            json!({"QueueUrl": "http://q"}),
            json!({"Messages": [{"MessageId": "1", "ReceiptHandle": "r", "Body": "b", "MD5OfBody": "92eb5ffee6ae2fec3ad71c777531578f",
                "MessageAttributes": {"k": {"DataType": "Binary", "BinaryValue": "AAEC/w=="}}}]}),
            json!({"Messages": [{"MessageId": "1", "ReceiptHandle": "r", "Body": "b", "MD5OfBody": "92eb5ffee6ae2fec3ad71c777531578f",
                "MessageAttributes": {"k": {"DataType": "Binary", "BinaryValue": base64}}}]}),
        ),
        (
            "batch",
            "SubmitJob",
            json!({"jobName": "j", "jobQueue": "q", "jobDefinition": "d"}),
            json!({"jobName": "j", "jobId": "1"}),
            json!({"jobName": "j", "jobId": "1"}),
        ),
        (
            "lambda",
            "Invoke",
            json!({"FunctionName": "f", "Payload": base64}),
            json!({"StatusCode": 202, "FunctionError": "Unhandled", "Payload": "AAEC/w=="}),
            json!({"StatusCode": 202, "FunctionError": "Unhandled", "Payload": {"base64": "AAEC/w=="}}),
        ),
    ];
    check_outputs(table);
}

#[test]
fn boto3_reads_our_xml() {
    let whole = "2023-11-14T22:13:20+00:00";
    let table = [
        (
            "sts",
            "GetCallerIdentity",
            json!({}),
            json!({"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:role/x", "UserId": "a<&>\"'"}),
            json!({"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:role/x", "UserId": "a<&>\"'"}),
        ),
        (
            "iam",
            "GetRole",
            json!({"RoleName": "r"}),
            json!({"Role": {"Path": "/", "RoleName": "r", "RoleId": "AROA", "Arn": "arn", "CreateDate": 1_700_000_000,
                "MaxSessionDuration": 3600, "Tags": [{"Key": "a", "Value": " b "}, {"Key": "c", "Value": ""}]}}),
            json!({"Role": {"Path": "/", "RoleName": "r", "RoleId": "AROA", "Arn": "arn", "CreateDate": whole,
                "MaxSessionDuration": 3600, "Tags": [{"Key": "a", "Value": " b "}, {"Key": "c", "Value": ""}]}}),
        ),
        (
            "iam",
            "SimulatePrincipalPolicy",
            json!({"PolicySourceArn": "arn:aws:iam::123456789012:role/x", "ActionNames": ["s3:PutObject"]}),
            json!({"EvaluationResults": [{"EvalActionName": "s3:PutObject", "EvalDecision": "allowed", "EvalDecisionDetails": {"a": "allowed"}}], "IsTruncated": false}),
            json!({"EvaluationResults": [{"EvalActionName": "s3:PutObject", "EvalDecision": "allowed", "EvalDecisionDetails": {"a": "allowed"}}], "IsTruncated": false}),
        ),
        (
            "sns",
            "Publish",
            json!({"TopicArn": "t", "Message": "m"}),
            json!({"MessageId": "1"}),
            json!({"MessageId": "1"}),
        ),
    ];
    check_outputs(table);
}

#[test]
fn members_are_found_wherever_rest_puts_them() {
    let mut boto = Boto::start();
    let arn = "arn:aws:batch:us-west-2:123456789012:job-queue/q 1";
    let table = [
        (
            "lambda",
            "Invoke",
            json!({"FunctionName": "f:1", "InvocationType": "Event", "LogType": "Tail", "Qualifier": "$LATEST", "Payload": {"base64": "e30="}}),
            json!({"FunctionName": "f:1", "InvocationType": "Event", "LogType": "Tail", "Qualifier": "$LATEST", "Payload": "e30="}),
        ),
        (
            "lambda",
            "ListFunctions",
            json!({"MaxItems": 7, "Marker": "a b&c+d"}),
            json!({"MaxItems": 7, "Marker": "a b&c+d"}),
        ),
        (
            "lambda",
            "UntagResource",
            json!({"Resource": "arn:aws:lambda:us-west-2:123456789012:function:f", "TagKeys": ["a b", "c"]}),
            json!({"Resource": "arn:aws:lambda:us-west-2:123456789012:function:f", "TagKeys": ["a b", "c"]}),
        ),
        (
            "batch",
            "TagResource",
            json!({"resourceArn": arn, "tags": {"a": "b"}}),
            json!({"resourceArn": arn, "tags": {"a": "b"}}),
        ),
    ];
    for (service, operation, parameters, expected) in table {
        let call = json!({"service": service, "operation": operation, "parameters": parameters});
        let answer = serve(&mut boto, &call, |call| {
            assert_eq!(call.input, expected, "{operation}");
            Ok(json!({}))
        });
        assert!(answer.get("result").is_some(), "{operation}: {answer}");
    }
}

#[test]
fn boto3_reads_our_errors() {
    let mut boto = Boto::start();
    let role = json!({"RoleName": "r"});
    let model_name = json!({"ModelName": "m"});
    let table = [
        (
            "sagemaker",
            "DescribeModel",
            model_name,
            "ResourceNotFound",
            "ResourceNotFound",
            "ResourceNotFound",
            400,
        ),
        (
            "iam",
            "GetRole",
            role,
            "NoSuchEntityException",
            "NoSuchEntity",
            "NoSuchEntityException",
            404,
        ),
        (
            "lambda",
            "GetFunction",
            json!({"FunctionName": "f"}),
            "ResourceNotFoundException",
            "ResourceNotFoundException",
            "ResourceNotFoundException",
            404,
        ),
        (
            "batch",
            "DescribeJobs",
            json!({"jobs": ["1"]}),
            "ServerException",
            "ServerException",
            "ServerException",
            500,
        ),
        (
            "logs",
            "DescribeLogStreams",
            json!({"logGroupName": "g"}),
            "ResourceNotFoundException",
            "ResourceNotFoundException",
            "ResourceNotFoundException",
            400,
        ),
        (
            "sagemaker",
            "ListModels",
            json!({}),
            "CapacityError",
            "CapacityError",
            "ClientError",
            400,
        ),
    ];
    for (service, operation, parameters, code, read_code, exception, status) in table {
        let call = json!({"service": service, "operation": operation, "parameters": parameters});
        let message = "it's <not> there";
        let answer = serve(&mut boto, &call, |call| Err(call.service.error(code, message)));
        let error = &answer["error"];
        assert_eq!(error["Error"]["Code"], read_code, "{answer}");
        assert_eq!(error["Error"]["Message"], message, "{answer}");
        assert_eq!(error["ResponseMetadata"]["HTTPStatusCode"], status, "{answer}");
        assert_eq!(error["ResponseMetadata"]["RequestId"], "req-1", "{answer}");
        assert_eq!(answer["exception"], exception, "{answer}");
    }
}

#[test]
fn clients_of_the_old_query_protocol_get_its_codes() {
    let mut boto = Boto::start();
    let call =
        json!({"service": "sqs", "operation": "GetQueueUrl", "parameters": {"QueueName": "q"}});
    let answer = serve(&mut boto, &call, |call| {
        let error = call.service.error("QueueDoesNotExist", "The specified queue does not exist.");
        Err(error.with_query_code("AWS.SimpleQueueService.NonExistentQueue"))
    });
    let error = &answer["error"]["Error"];
    assert_eq!(error["Code"], "AWS.SimpleQueueService.NonExistentQueue");
    assert_eq!(error["Type"], "Sender");
    assert_eq!(answer["exception"], "QueueDoesNotExist");
}

#[test]
fn unsupported_operations_are_client_errors() {
    let mut boto = Boto::start();
    for (service, operation, parameters) in [
        ("sagemaker", "ListEndpoints", json!({})),
        ("iam", "ListUsers", json!({})),
        ("lambda", "ListCodeSigningConfigs", json!({})),
    ] {
        let call = json!({"service": service, "operation": operation, "parameters": parameters});
        let answer = serve(&mut boto, &call, |_| panic!("{operation} is not supported"));
        assert_eq!(answer["error"]["Error"]["Code"], "NotImplemented", "{answer}");
        let message = answer["error"]["Error"]["Message"].as_str().unwrap();
        assert!(message.contains(operation), "{message}");
    }
}

fn post(headers: &[(&'static str, &str)], body: &str) -> Received {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    let (path, query) = ("/".to_owned(), String::new());
    Received { method: Method::POST, path, query, headers: map, body: body.as_bytes().to_vec() }
}

fn refusal(service: &Service, received: &Received) -> (Response<Vec<u8>>, String) {
    let error = service.decode(&received.request(), &received.body).unwrap_err();
    let protocol = service.protocol_of(&received.request());
    let response = service.error_response(protocol, &error, "req-1");
    let body = String::from_utf8(response.body().clone()).unwrap();
    (response, body)
}

#[test]
fn unknown_operations_are_errors_of_their_protocol() {
    let target = |target| post(&[("x-amz-target", target)], "{}");
    let sagemaker = service("sagemaker").unwrap();
    for wrong in ["SageMaker.Nothing", "Other.DescribeModel", "DescribeModel", ""] {
        let (response, body) = refusal(sagemaker, &target(wrong));
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.1");
        assert_eq!(response.headers()["x-amzn-requestid"], "req-1");
        assert!(body.starts_with(r#"{"__type":"UnknownOperationException""#), "{body}");
    }
    let form = |text| post(&[("content-type", "application/x-www-form-urlencoded")], text);
    let sts = service("sts").unwrap();
    for (text, code) in [
        ("Action=Nothing&Version=2011-06-15", "InvalidAction"),
        ("Action=GetCallerIdentity&Version=2010-01-01", "InvalidAction"),
        ("Version=2011-06-15", "MissingAction"),
        ("", "MissingAction"),
    ] {
        let (response, body) = refusal(sts, &form(text));
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["content-type"], "text/xml");
        assert!(body.starts_with("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>"), "{body}");
        assert!(body.contains(&format!("<Code>{code}</Code>")), "{body}");
        assert!(body.ends_with("<RequestId>req-1</RequestId></ErrorResponse>"), "{body}");
    }
    let mut nowhere = post(&[], "");
    nowhere.path = "/2015-03-31/nothing".to_owned();
    let (response, body) = refusal(&model("lambda"), &nowhere);
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["x-amzn-errortype"], "UnknownOperationException");
    assert_eq!(body, "{}");
}

#[test]
fn the_protocol_of_a_stranger_is_guessed() {
    let guess = |received: Received| Protocol::guess(&received.request());
    let json = |kind| post(&[("x-amz-target", "X.Y"), ("content-type", kind)], "{}");
    assert_eq!(guess(json("application/x-amz-json-1.1")), Protocol::Json11);
    assert_eq!(guess(json("application/x-amz-json-1.0")), Protocol::Json10);
    let form = post(&[("content-type", "application/x-www-form-urlencoded; charset=utf-8")], "");
    assert_eq!(guess(form), Protocol::Query);
    assert_eq!(guess(post(&[("content-type", "application/json")], "")), Protocol::RestJson);
    assert_eq!(guess(post(&[], "")), Protocol::RestXml);
    let error = ServiceError::new("AccessDenied", "no <entry>").with_status(403);
    let response = error_response(Protocol::RestXml, &error, "req-1");
    assert_eq!(
        String::from_utf8(response.into_body()).unwrap(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code>\
         <Message>no &lt;entry&gt;</Message><RequestId>req-1</RequestId></Error>"
    );
}

#[test]
fn outputs_of_the_wrong_type_are_our_fault() {
    let sagemaker = service("sagemaker").unwrap();
    let operation = sagemaker.operation("DescribeTransformJob").unwrap();
    let output = json!({"TransformInput": {"DataSource": {"S3DataSource": {"S3Uri": 5}}}});
    let protocol = sagemaker.protocol();
    let error = sagemaker.response(protocol, operation, &output, "req-1").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the output has a number at `TransformInput.DataSource.S3DataSource.S3Uri`, where the \
         model has a string"
    );
}

#[test]
fn a_form_in_the_query_is_one_too() {
    let received = Received {
        method: Method::GET,
        query: "Action=GetCallerIdentity&Version=2011-06-15".to_owned(),
        ..post(&[], "")
    };
    let sts = service("sts").unwrap();
    let call = sts.decode(&received.request(), b"").unwrap();
    assert_eq!(call.operation.name(), "GetCallerIdentity");
    let request: Request<'_> = received.request();
    assert_eq!(Protocol::guess(&request), Protocol::Query);
}
