//! What AWS's front says of inputs that break their constraints, word for word.

use bessemer_aws_wire::{Request, ServiceError, service};
use http::{HeaderMap, Method};
use serde_json::{Value, json};

fn decode(target: &str, input: &str) -> Result<Value, ServiceError> {
    let (prefix, _) = target.split_once('.').unwrap();
    let name = if prefix == "SageMaker" { "sagemaker" } else { "logs" };
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-target", target.parse().unwrap());
    let method = Method::POST;
    let request =
        Request { method: &method, path: "/", query: "", headers: &headers, authority: None };
    service(name).unwrap().decode(&request, input.as_bytes()).map(|call| call.input)
}

fn refused(target: &str, input: &Value) -> (String, String) {
    let error = decode(target, &input.to_string()).unwrap_err();
    assert_eq!(error.status, 400);
    (error.code, error.message.unwrap())
}

/// A transform job that is in order.
fn transform_job() -> Value {
    json!({
        "TransformJobName": "job",
        "ModelName": "model",
        "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in"}}},
        "TransformOutput": {"S3OutputPath": "s3://b/out"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1}
    })
}

fn changed(pointer: &str, value: Value) -> Value {
    let mut job = transform_job();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = job.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(name);
    } else {
        parent.insert(name.to_owned(), value);
    }
    job
}

#[test]
fn constraints_are_told_in_awss_words() {
    assert!(decode("SageMaker.CreateTransformJob", &transform_job().to_string()).is_ok());
    let name = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}";
    let long = "a".repeat(64);
    let key = r"[a-zA-Z_][a-zA-Z0-9_]{0,1023}";
    let table = [
        ("/TransformJobName", json!("a_b"), format!("Value 'a_b' at 'transformJobName' failed to satisfy constraint: Member must satisfy regular expression pattern: {name}")),
        ("/TransformJobName", json!("job\n"), format!("Value 'job\n' at 'transformJobName' failed to satisfy constraint: Member must satisfy regular expression pattern: {name}")),
        ("/ModelName", Value::Null, "Value null at 'modelName' failed to satisfy constraint: Member must not be null".to_owned()),
        ("/TransformInput/DataSource/S3DataSource/S3Uri", Value::Null, "Value null at 'transformInput.dataSource.s3DataSource.s3Uri' failed to satisfy constraint: Member must not be null".to_owned()),
        ("/TransformInput/DataSource/S3DataSource/S3DataType", json!("Folder"), "Value 'Folder' at 'transformInput.dataSource.s3DataSource.s3DataType' failed to satisfy constraint: Member must satisfy enum value set: [ManifestFile, S3Prefix, AugmentedManifestFile, Converse]".to_owned()),
        ("/MaxPayloadInMB", json!(-1), "Value '-1' at 'maxPayloadInMB' failed to satisfy constraint: Member must have value greater than or equal to 0".to_owned()),
        ("/TransformResources/InstanceCount", json!(0), "Value '0' at 'transformResources.instanceCount' failed to satisfy constraint: Member must have value greater than or equal to 1".to_owned()),
        ("/BatchStrategy", json!("Both"), "Value 'Both' at 'batchStrategy' failed to satisfy constraint: Member must satisfy enum value set: [MultiRecord, SingleRecord]".to_owned()),
        ("/Tags", json!([{"Key": "ok", "Value": ""}, {"Key": "", "Value": "v"}]), "Value '' at 'tags.2.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1".to_owned()),
        ("/Environment", json!({"1A": "v"}), format!("Value '{{1A=v}}' at 'environment' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: {key}]")),
    ];
    for (pointer, value, text) in table {
        let (code, message) = refused("SageMaker.CreateTransformJob", &changed(pointer, value));
        assert_eq!(code, "ValidationException");
        assert_eq!(message, format!("1 validation error detected: {text}"), "{pointer}");
    }
    let (_, message) =
        refused("SageMaker.CreateTransformJob", &changed("/TransformJobName", json!(long)));
    assert_eq!(
        message,
        format!(
            "2 validation errors detected: Value '{long}' at 'transformJobName' failed to satisfy constraint: \
            Member must have length less than or equal to 63; Value '{long}' at 'transformJobName' failed to satisfy \
            constraint: Member must satisfy regular expression pattern: {name}"
        )
    );
}

#[test]
fn all_that_is_missing_is_told_at_once() {
    let (_, message) = refused("SageMaker.CreateTransformJob", &json!({"ModelName": null}));
    let null = |name: &str| {
        format!("Value null at '{name}' failed to satisfy constraint: Member must not be null")
    };
    let names = [
        "transformJobName",
        "modelName",
        "transformInput",
        "transformOutput",
        "transformResources",
    ];
    let all = names.map(null).join("; ");
    assert_eq!(message, format!("5 validation errors detected: {all}"));
}

#[test]
fn lists_of_scalars_are_judged_as_one() {
    let input = json!({"ModelName": "m", "VpcConfig": {"SecurityGroupIds": ["sg-1", "no_good"], "Subnets": ["subnet-1"]}});
    let (_, message) = refused("SageMaker.CreateModel", &input);
    assert_eq!(
        message,
        "1 validation error detected: Value '[sg-1, no_good]' at 'vpcConfig.securityGroupIds' failed to satisfy \
         constraint: Member must satisfy constraint: [Member must have length less than or equal to 32, Member must \
         have length greater than or equal to 0, Member must satisfy regular expression pattern: [-0-9a-zA-Z]+]"
    );
}

#[test]
fn services_have_their_own_code() {
    let (code, message) = refused("Logs_20140328.CreateLogGroup", &json!({"logGroupName": "a b"}));
    assert_eq!(code, "InvalidParameterException");
    assert_eq!(
        message,
        "1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"
    );
}

#[test]
fn wrong_types_are_serialization_exceptions() {
    let table = [
        ("/MaxPayloadInMB", json!("6"), "STRING_VALUE can not be converted to an Integer"),
        ("/MaxPayloadInMB", json!(true), "TRUE_VALUE can not be converted to an Integer"),
        ("/MaxPayloadInMB", json!(1.5), "NUMBER_VALUE can not be converted to an Integer"),
        ("/MaxPayloadInMB", json!([1]), "Start of list found where not expected"),
        ("/MaxPayloadInMB", json!({}), "Start of structure or map found where not expected."),
        ("/ModelName", json!(1), "NUMBER_VALUE can not be converted to a String"),
        ("/Tags", json!("x"), "Expected list or null"),
        ("/TransformInput", json!("x"), "Expected null"),
        ("/Environment", json!({"A": false}), "FALSE_VALUE can not be converted to a String"),
    ];
    for (pointer, value, text) in table {
        let (code, message) = refused("SageMaker.CreateTransformJob", &changed(pointer, value));
        assert_eq!(
            (code.as_str(), message.as_str()),
            ("SerializationException", text),
            "{pointer}"
        );
    }
    for body in ["{", "null", "\"x\"", "{\"ModelName\": 1,}"] {
        let error = decode("SageMaker.DescribeModel", body).unwrap_err();
        assert_eq!(error, ServiceError::bare("SerializationException"), "{body}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(decode("SageMaker.DescribeModel", &deep).is_err());
}

#[test]
fn what_is_unknown_or_null_is_not_there() {
    let input = json!({"ModelName": "m", "Unknown": {"a": [1]}, "Containers": null, "EnableNetworkIsolation": true});
    let decoded = decode("SageMaker.CreateModel", &input.to_string()).unwrap();
    assert_eq!(decoded, json!({"ModelName": "m", "EnableNetworkIsolation": true}));
    assert_eq!(decode("SageMaker.ListModels", "").unwrap(), json!({}));
}

#[test]
fn timestamps_are_seconds_however_they_are_written() {
    for written in [json!(1_700_000_000), json!("2023-11-14T22:13:20Z"), json!(1.7e9)] {
        let input = json!({"CreationTimeAfter": written}).to_string();
        let decoded = decode("SageMaker.ListTransformJobs", &input).unwrap();
        assert_eq!(decoded["CreationTimeAfter"].as_f64(), Some(1.7e9), "{written}");
    }
    let error = decode("SageMaker.ListTransformJobs", r#"{"CreationTimeAfter": "soon"}"#);
    assert_eq!(error.unwrap_err().code, "SerializationException");
}

#[test]
fn one_message_does_not_outgrow_its_request() {
    let tags: Vec<Value> = (0..5000).map(|_| json!({"Key": "", "Value": "v"})).collect();
    let input =
        json!({"ResourceArn": "arn:aws:sagemaker:us-west-2:123456789012:model/m", "Tags": tags});
    let (_, message) = refused("SageMaker.AddTags", &input);
    assert!(message.len() < 2 * input.to_string().len(), "{}", message.len());
}
