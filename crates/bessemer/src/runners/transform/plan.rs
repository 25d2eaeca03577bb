//! From a `CreateTransformJob` to what the engine is asked. Pure.

use bessemer_aws::TransformRequest;
use bessemer_domain::JobId;
use bessemer_transform::payload::PayloadSettings;
use serde_json::Value;

use super::{super::container::Uri, payloads};
use crate::options::EngineOptions;

/// Settings that say nothing of records.
const PAYLOAD_SETTINGS: [&str; 2] = ["BESSEMER_COPIES", "BESSEMER_SERVE"];

/// SageMaker's default of `InvocationsTimeoutInSeconds`.
const INVOCATION_SECONDS: f64 = 600.0;

/// What a job comes to.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) input: Uri,
    pub(super) is_manifest: bool,
    pub(super) output: Uri,
    /// How many instances share the inputs.
    pub(super) instances: usize,
    /// The job whose rejected records are replayed into its outputs.
    pub(super) replay: Option<JobId>,
    /// Where the model's archive is.
    pub(super) model: Uri,
    /// How the model's own code runs, if it has some.
    pub(super) container: Container,
    /// How files become payloads for the model's own code. None: it is called with records, which are
    /// joined, filtered or set apart.
    pub(super) payloads: Option<PayloadSettings>,
    /// How calls are made, whatever they hold.
    pub(super) calls: EngineOptions,
    /// How the engine runs on records, or why it can't.
    pub(super) engine: Result<EngineOptions, String>,
    /// Rejected records fail their file, and it the job, as SageMaker has it. Else they are listed
    /// apart.
    pub(super) is_strict: bool,
    /// Outputs are named `<input>.out`, as SageMaker names them. Else as the engine does.
    pub(super) has_out_names: bool,
}

/// What a container would be given.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) image: String,
    /// The script of the model's own code, and where its archive is, if the user says.
    pub(super) program: Option<String>,
    pub(super) submitted: Option<String>,
    /// The command of a server, which is run in place of a script.
    pub(super) serve: Option<String>,
    /// What it finds in its environment.
    pub(super) variables: Vec<(String, String)>,
    /// Whether it has this machine's network.
    pub(super) has_network: bool,
    /// What it is told that it gets, and asked to answer.
    pub(super) content_type: Option<String>,
    pub(super) accept: Option<String>,
}

impl Plan {
    /// The plan, or why there can't be one.
    pub(super) fn of(request: &TransformRequest) -> Result<Self, String> {
        let TransformRequest { job, model, replay } = request;
        let container = container(model)?;
        let environment =
            Environment { job: &job["Environment"], model: &container["Environment"] };
        let source = &job["TransformInput"]["DataSource"]["S3DataSource"];
        let output = text(&job["TransformOutput"]["S3OutputPath"]).unwrap_or_default();
        let artifacts = text(&container["ModelDataUrl"])
            .ok_or("the model has no ModelDataUrl, and no image is run by itself")?;
        let named = |name: &str| environment.owned(name).filter(|text| !text.is_empty());
        let said = |value: &Value| text(value).filter(|text| !text.is_empty()).map(str::to_owned);
        let by_record = environment.has_settings() || has_processing(&job["DataProcessing"]);
        Ok(Self {
            container: Container {
                image: text(&container["Image"]).unwrap_or_default().to_owned(),
                program: named("SAGEMAKER_PROGRAM"),
                submitted: named("SAGEMAKER_SUBMIT_DIRECTORY"),
                serve: named("BESSEMER_SERVE"),
                variables: environment.all().chain(payloads::variables(job)).collect(),
                has_network: model["EnableNetworkIsolation"] != true,
                content_type: named("BESSEMER_CONTENT_TYPE")
                    .or_else(|| said(&job["TransformInput"]["ContentType"])),
                accept: said(&job["TransformOutput"]["Accept"]),
            },
            payloads: (!by_record).then(|| payloads::settings(job)),
            calls: calls(job, &environment)?,
            input: Uri::read(text(&source["S3Uri"]).unwrap_or_default())?,
            instances: job["TransformResources"]["InstanceCount"].as_u64().unwrap_or(1).max(1)
                as usize,
            is_manifest: source["S3DataType"] == "ManifestFile",
            output: Uri::read(output)?,
            model: Uri::read(artifacts)?,
            replay: replay.map(JobId),
            is_strict: replay.is_none() && environment.get("BESSEMER_MAX_REJECTS").is_none(),
            has_out_names: environment.get("BESSEMER_OUTPUT_FORMAT").is_none(),
            engine: engine(job, &environment),
        })
    }
}

/// A job's settings over its model's.
struct Environment<'r> {
    job: &'r Value,
    model: &'r Value,
}

impl<'r> Environment<'r> {
    fn get(&self, name: &str) -> Option<&'r str> {
        text(&self.job[name]).or_else(|| text(&self.model[name]))
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// All variables; those of the job come after those of the model.
    fn all(&self) -> impl Iterator<Item = (String, String)> {
        let members = [self.model, self.job].into_iter().filter_map(Value::as_object).flatten();
        members.filter_map(|(name, value)| Some((name.clone(), text(value)?.to_owned())))
    }

    /// Whether a setting is about records.
    fn has_settings(&self) -> bool {
        let of_records =
            |name: &str| name.starts_with("BESSEMER_") && !PAYLOAD_SETTINGS.contains(&name);
        self.all().any(|(name, _)| of_records(&name))
    }

    /// A whole number of at least 1.
    fn number(&self, name: &str) -> Result<Option<usize>, String> {
        let Some(said) = self.get(name) else { return Ok(None) };
        match said.trim().parse() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(format!("{name} must be a whole number above 0, it is `{said}`")),
        }
    }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

fn container(model: &Value) -> Result<&Value, String> {
    match (&model["PrimaryContainer"], model["Containers"].as_array().map(Vec::as_slice)) {
        (container @ Value::Object(_), _) | (_, Some([container])) => Ok(container),
        (_, Some(containers)) => Err(format!(
            "the model is a pipeline of {} containers, which is not supported by Bessemer",
            containers.len()
        )),
        _ => Err("the model has no container".to_owned()),
    }
}

/// Whether records are filtered or joined.
fn has_processing(processing: &Value) -> bool {
    let filters = |name: &str| text(&processing[name]).is_some_and(|filter| filter != "$");
    filters("InputFilter") || filters("OutputFilter") || processing["JoinSource"] == "Input"
}

/// How calls are made, whatever they hold.
fn calls(job: &Value, environment: &Environment<'_>) -> Result<EngineOptions, String> {
    let client = &job["ModelClientConfig"];
    let megabytes = job["MaxPayloadInMB"].as_u64().filter(|megabytes| *megabytes > 0);
    Ok(EngineOptions {
        max_payload: megabytes.map(|megabytes| format!("{megabytes}MiB")),
        max_concurrent: payloads::concurrent(job),
        batch_rows: environment.number("BESSEMER_BATCH_ROWS")?,
        copies: environment.number("BESSEMER_COPIES")?,
        retries: client["InvocationsMaxRetries"].as_u64().map(|retries| retries as u32),
        timeout: Some(client["InvocationsTimeoutInSeconds"].as_f64().unwrap_or(INVOCATION_SECONDS)),
        ..EngineOptions::default()
    })
}

fn engine(job: &Value, environment: &Environment<'_>) -> Result<EngineOptions, String> {
    let input_format = match text(&job["TransformInput"]["ContentType"]) {
        None | Some("") => None,
        Some(kind) => Some(format_of(kind).ok_or_else(|| no_such_type("ContentType", kind))?),
    };
    let accept = match text(&job["TransformOutput"]["Accept"]) {
        None | Some("") => None,
        Some(kind) => Some(format_of(kind).ok_or_else(|| no_such_type("Accept", kind))?),
    };
    if let Some(split @ ("RecordIO" | "TFRecord")) = text(&job["TransformInput"]["SplitType"]) {
        return Err(no_such_type("SplitType", split));
    }
    let processing = &job["DataProcessing"];
    let filter = |name: &str| text(&processing[name]).filter(|filter| *filter != "$");
    let joins = text(&processing["JoinSource"]) == Some("Input");
    // SageMaker's own form of a joined record, which CSV has anyway.
    let is_csv = input_format.unwrap_or("csv") == "csv";
    let output_filter = filter("OutputFilter").or((joins && !is_csv).then_some("$"));
    let header = || (input_format == Some("csv")).then(|| "no".to_owned());
    let features = environment.get("BESSEMER_FEATURES").unwrap_or_default();
    Ok(EngineOptions {
        input_format: input_format.map(str::to_owned),
        csv_header: environment.owned("BESSEMER_CSV_HEADER").or_else(header),
        compression: (job["TransformInput"]["CompressionType"] == "Gzip")
            .then(|| "gzip".to_owned()),
        features: features
            .split(',')
            .map(str::trim)
            .filter(|f| !f.is_empty())
            .map(str::to_owned)
            .collect(),
        nulls: environment.owned("BESSEMER_NULLS"),
        input_filter: filter("InputFilter").map(str::to_owned),
        output_format: environment.owned("BESSEMER_OUTPUT_FORMAT").or(accept.map(str::to_owned)),
        join: environment
            .owned("BESSEMER_JOIN")
            .or_else(|| Some(if joins { "input" } else { "none" }.to_owned())),
        rejected: environment.owned("BESSEMER_REJECTED"),
        output_filter: output_filter.map(str::to_owned),
        output_prefix: environment.owned("BESSEMER_OUTPUT_PREFIX"),
        output_schema: environment.owned("BESSEMER_OUTPUT_SCHEMA"),
        max_rejects: environment.owned("BESSEMER_MAX_REJECTS"),
        ..calls(job, environment)?
    })
}

/// The engine's format of a media type.
fn format_of(kind: &str) -> Option<&'static str> {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "text/csv" => Some("csv"),
        "application/jsonlines"
        | "application/x-jsonlines"
        | "application/jsonl"
        | "application/json" => Some("jsonl"),
        "application/x-parquet" | "application/parquet" | "application/vnd.apache.parquet" => {
            Some("parquet")
        }
        _ => None,
    }
}

fn no_such_type(member: &str, kind: &str) -> String {
    format!(
        "{member} `{kind}` is not read by record, which models that Bessemer runs itself, \
         DataProcessing and BESSEMER_ settings need; lines of text/csv, application/jsonlines \
         and application/json, and application/x-parquet are"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request() -> TransformRequest {
        TransformRequest {
            job: json!({
                "TransformInput": {
                    "DataSource": { "S3DataSource": { "S3DataType": "S3Prefix", "S3Uri": "s3://b/in/" } },
                    "ContentType": "text/csv",
                },
                "TransformOutput": { "S3OutputPath": "s3://b/out" },
            }),
            model: json!({
                "PrimaryContainer": { "ModelDataUrl": "s3://m/model.tar.gz", "Environment": {} },
            }),
            replay: None,
        }
    }

    #[test]
    fn a_plain_job_is_strict_and_has_no_header() {
        let plan = Plan::of(&request()).unwrap();
        assert!(plan.is_strict && plan.has_out_names && !plan.is_manifest);
        assert_eq!(plan.input, Uri { bucket: "b".into(), key: "in/".into() });
        let engine = plan.engine.unwrap();
        assert_eq!(engine.csv_header.as_deref(), Some("no"));
        assert_eq!((engine.join.as_deref(), engine.output_filter), (Some("none"), None));
    }

    #[test]
    fn settings_of_the_job_go_before_those_of_the_model() {
        let mut request = request();
        request.model["PrimaryContainer"]["Environment"] =
            json!({ "BESSEMER_MAX_REJECTS": "5", "BESSEMER_OUTPUT_FORMAT": "parquet" });
        request.job["Environment"] = json!({ "BESSEMER_MAX_REJECTS": "1%" });
        let plan = Plan::of(&request).unwrap();
        assert!(!plan.is_strict && !plan.has_out_names);
        let engine = plan.engine.unwrap();
        assert_eq!(engine.max_rejects.as_deref(), Some("1%"));
        assert_eq!(engine.output_format.as_deref(), Some("parquet"));
        assert_eq!(plan.container.variables[2], ("BESSEMER_MAX_REJECTS".into(), "1%".into()));
    }

    #[test]
    fn joined_json_has_sagemakers_form() {
        let mut request = request();
        request.job["DataProcessing"] = json!({ "JoinSource": "Input" });
        assert_eq!(Plan::of(&request).unwrap().engine.unwrap().output_filter, None);
        request.job["TransformInput"]["ContentType"] = json!("application/jsonlines");
        let engine = Plan::of(&request).unwrap().engine.unwrap();
        assert_eq!(engine.output_filter.as_deref(), Some("$"));
        assert_eq!(engine.join.as_deref(), Some("input"));
    }

    #[test]
    fn records_are_looked_at_only_where_that_is_asked_for() {
        let by_record = |change: &dyn Fn(&mut TransformRequest)| {
            let mut request = request();
            change(&mut request);
            Plan::of(&request).unwrap().payloads.is_none()
        };
        assert!(!by_record(&|request| {
            request.job["DataProcessing"] = json!({ "InputFilter": "$", "JoinSource": "None" });
            request.job["Environment"] = json!({ "OTHER": "1", "BESSEMER_COPIES": "1" });
        }));
        assert!(by_record(&|request| {
            request.job["DataProcessing"] = json!({ "JoinSource": "Input" });
        }));
        assert!(by_record(&|request| {
            request.model["PrimaryContainer"]["Environment"] = json!({ "BESSEMER_NULLS": "nan" });
        }));
    }

    #[test]
    fn what_is_not_run_is_said() {
        let refused = |change: &dyn Fn(&mut TransformRequest)| {
            let mut request = request();
            change(&mut request);
            Plan::of(&request).unwrap_err()
        };
        let rows = refused(&|request| {
            request.job["Environment"] = json!({ "BESSEMER_BATCH_ROWS": "0" });
        });
        assert!(rows.contains("BESSEMER_BATCH_ROWS must be"), "{rows}");
        let mut request = request();
        request.job["TransformInput"]["ContentType"] = json!("x/y");
        let kind = Plan::of(&request).unwrap().engine.unwrap_err();
        assert!(kind.contains("`x/y`"), "{kind}");
        let two = refused(&|request| request.model = json!({ "Containers": [{}, {}] }));
        assert!(two.contains("2 containers"), "{two}");
    }
}
