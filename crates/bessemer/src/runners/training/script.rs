//! Script mode: what the program `sagemaker-training` does in AWS's images, done outside of the sandbox
//! and without Python: the source, the variables `SM_…`, and the arguments.

use std::{fs, path::Path};

use bessemer_models::archive::{ArchiveLimits, extract};
use serde_json::{Map, Value, json};

use super::{configuration, request::TrainingRequest};
use crate::runners::container::{Failed, OWN_PACKAGES, Program, Stage, Uri, of_host, open};

const PROGRAM: &str = "sagemaker_program";
const SOURCE: &str = "sagemaker_submit_directory";
/// What hyperparameters start with that are not the script's; the other is a search's word of what it
/// seeks.
const NOT_THE_SCRIPTS: [&str; 2] = ["sagemaker_", "_tuning_objective_metric"];

/// Whether the job names a script.
pub(super) fn is_asked_for(request: &TrainingRequest) -> bool {
    request.hyperparameters.contains_key(PROGRAM)
}

/// Puts the source into `/opt/ml/code`, and says how the script is run.
pub(super) fn stage(request: &TrainingRequest, stage: &Stage) -> Result<Program, Failed> {
    let script = request.hyperparameter(PROGRAM).unwrap_or_default();
    let source = request.hyperparameter(SOURCE).ok_or_else(|| {
        Failed::client(format!(
            "the hyperparameter `{SOURCE}` is missing, which says where `{script}` is"
        ))
    })?;
    unpack(&Uri::parse(&source)?, stage)?;
    let code = stage.folder("/opt/ml/code")?;
    let unpacked = of_host(&stage.folder, "code").map_err(Failed::internal)?;
    if unpacked.and_then(|code| code.file(&script).ok().flatten()).is_none() {
        return Err(Failed::client(format!("there is no file `{script}` in `{source}`")));
    }
    let requirements = fs::read_to_string(code.join("requirements.txt")).ok();
    let hyperparameters = of_script(request);
    let arguments = arguments(&hyperparameters);
    let environment = variables(request, stage, &script, &hyperparameters, &arguments);
    let command = [interpreter(&script), vec![script]].concat();
    let command = [command, arguments].concat();
    Ok(Program { command, environment, requirements, ..Program::default() })
}

fn unpack(source: &Uri, stage: &Stage) -> Result<(), Failed> {
    let target = stage.folder("/opt/ml/code")?;
    let archive = stage.folder.join("source.tar.gz");
    let object = open(&stage.storage, source)?;
    let copy = || {
        let mut copy = fs::File::create(&archive)?;
        std::io::copy(&mut &object.file, &mut copy)
    };
    copy().map_err(Failed::internal)?;
    extract(&archive, &target, &ArchiveLimits::default())
        .map_err(|error| Failed::client(format!("unpack `{source}`: {error}")))?;
    fs::remove_file(&archive).map_err(Failed::internal)
}

/// What runs the script.
fn interpreter(script: &str) -> Vec<String> {
    let is = |extension: &str| Path::new(script).extension().is_some_and(|is| is == extension);
    if is("py") { vec!["python".to_owned()] } else { vec!["/bin/bash".to_owned()] }
}

/// The script's own hyperparameters: their values are JSON, or else texts.
fn of_script(request: &TrainingRequest) -> Map<String, Value> {
    let is_own = |name: &str| !NOT_THE_SCRIPTS.iter().any(|begin| name.starts_with(begin));
    let own = request.hyperparameters.iter().filter(|(name, _)| is_own(name));
    let mut all: Vec<(String, Value)> =
        own.map(|(name, value)| (name.clone(), decoded(value))).collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all.into_iter().collect()
}

fn decoded(value: &Value) -> Value {
    let text = value.as_str().unwrap_or_default();
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// `--name value`, or `-n value` for names of one letter.
fn arguments(hyperparameters: &Map<String, Value>) -> Vec<String> {
    let of = |(name, value): (&String, &Value)| {
        let dashes = if name.chars().count() > 1 { "--" } else { "-" };
        [format!("{dashes}{name}"), in_python(value)]
    };
    hyperparameters.iter().flat_map(of).collect()
}

/// A value as Python's `str` writes it; an object as `key=value,…`.
fn in_python(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Object(members) => {
            let members =
                members.iter().map(|(name, value)| format!("{name}={}", in_python(value)));
            members.collect::<Vec<_>>().join(",")
        }
        other => literal(other),
    }
}

/// A value as Python's `repr` writes it.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.contains('\'') && !text.contains('"') => format!("\"{text}\""),
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", "))
        }
        Value::Object(members) => {
            let members = members.iter();
            let members = members
                .map(|(name, value)| format!("{}: {}", literal(&json!(name)), literal(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

/// The variables `SM_…`, and where Python looks for modules.
fn variables(
    request: &TrainingRequest,
    stage: &Stage,
    script: &str,
    hyperparameters: &Map<String, Value>,
    arguments: &[String],
) -> Vec<(String, String)> {
    let all = environment(request, stage, script, hyperparameters);
    let channels = all["channel_input_dirs"].as_object().cloned().unwrap_or_default();
    let mut variables = Vec::new();
    let mut add = |name: &str, value: &Value| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => sorted(other).to_string(),
        };
        variables.push((format!("SM_{}", name.to_uppercase()), text));
    };
    let alike = [
        "hosts",
        "network_interface_name",
        "user_entry_point",
        "resource_config",
        "input_data_config",
        "output_data_dir",
        "current_host",
        "current_instance_type",
        "current_instance_group",
        "current_instance_group_hosts",
        "instance_groups",
        "module_name",
        "log_level",
        "input_dir",
        "input_config_dir",
        "output_dir",
        "num_cpus",
        "num_gpus",
        "num_neurons",
        "model_dir",
        "module_dir",
        "output_intermediate_dir",
        "framework_module",
        "is_hetero",
        "distribution_instance_groups",
    ];
    for name in alike {
        add(name, &all[name]);
    }
    add("hps", &Value::Object(hyperparameters.clone()));
    add("framework_params", &json!({}));
    add("channels", &channels.keys().cloned().collect::<Vec<_>>().into());
    add("user_args", &arguments.into());
    add("training_env", &all);
    for (name, folder) in &channels {
        add(&format!("channel_{name}"), folder);
    }
    for (name, value) in hyperparameters {
        add(&format!("hp_{name}"), value);
    }
    variables.push(("PYTHONPATH".to_owned(), format!("/opt/ml/code:{OWN_PACKAGES}")));
    variables
}

/// What `SM_TRAINING_ENV` holds.
fn environment(
    request: &TrainingRequest,
    stage: &Stage,
    script: &str,
    hyperparameters: &Map<String, Value>,
) -> Value {
    let resources = configuration::resources(request, stage);
    let folders = request.channels.iter().map(|channel| {
        (channel.name.clone(), Value::from(format!("/opt/ml/input/data/{}", channel.name)))
    });
    let level = request.hyperparameter("sagemaker_container_log_level");
    let level = level.and_then(|level| level.parse::<u32>().ok()).unwrap_or(20);
    let module = script.strip_suffix(".py").unwrap_or(script);
    json!({
        "additional_framework_parameters": {},
        "channel_input_dirs": folders.collect::<Map<_, _>>(),
        "current_host": stage.host(),
        "current_instance_group": resources["current_group_name"],
        "current_instance_group_hosts": resources["hosts"],
        "current_instance_type": request.instance_type,
        "distribution_hosts": resources["hosts"],
        "distribution_instance_groups": [],
        "framework_module": null,
        "hosts": resources["hosts"],
        "hyperparameters": hyperparameters,
        "input_config_dir": "/opt/ml/input/config",
        "input_data_config": configuration::inputs(request),
        "input_dir": "/opt/ml/input",
        "instance_groups": [resources["current_group_name"]],
        "is_hetero": false,
        "is_master": stage.index == 0,
        "job_name": request.name,
        "log_level": level,
        "master_hostname": "algo-1",
        "model_dir": "/opt/ml/model",
        "module_dir": request.hyperparameter(SOURCE),
        "module_name": module,
        "network_interface_name": resources["network_interface_name"],
        "num_cpus": request.cores,
        "num_gpus": 0,
        "num_neurons": 0,
        "output_data_dir": "/opt/ml/output/data",
        "output_dir": "/opt/ml/output",
        "output_intermediate_dir": "/opt/ml/output/intermediate",
        "resource_config": resources,
        "user_entry_point": script,
    })
}

/// The same with members in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members = members.into_iter().map(|(name, value)| (name.clone(), sorted(value)));
            members.collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::request::tests::request, *};

    #[test]
    fn hyperparameters_become_arguments_as_in_awss_images() {
        let values = json!({ "HyperParameters": {
            "n": "10", "name": "\"str\"", "plain": "a b", "flag": "true", "rate": "0.1", "none": "null",
            "list": "[1, \"x\"]", "object": "{\"a\": 1}", "sagemaker_program": "\"t.py\"",
        }});
        let request = request(&values).unwrap();
        let expected = [
            "--flag", "True", "--list", "[1, 'x']", "-n", "10", "--name", "str", "--none", "",
            "--object", "a=1", "--plain", "a b", "--rate", "0.1",
        ];
        assert_eq!(arguments(&of_script(&request)), expected);
    }

    #[test]
    fn the_variables_are_those_of_awss_images() {
        let folder = tempfile::tempdir().unwrap();
        let buckets = bessemer_objects::buckets::BucketDir::open(folder.path()).unwrap();
        let stage = Stage {
            storage: bessemer_objects::storage::Storage::Folder(buckets.into()),
            folder: folder.path().to_owned(),
            index: 1,
            count: 2,
            mounts: Vec::new(),
        };
        let request = request(&json!({})).unwrap();
        let own = of_script(&request);
        let all = variables(&request, &stage, "train.py", &own, &arguments(&own));
        let of = |name: &str| all.iter().find(|(known, _)| known == name).unwrap().1.as_str();
        for (name, value) in [
            ("SM_MODEL_DIR", "/opt/ml/model"),
            ("SM_OUTPUT_DATA_DIR", "/opt/ml/output/data"),
            ("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"),
            ("SM_CHANNELS", r#"["train"]"#),
            ("SM_HP_N", "10"),
            ("SM_HP_S", "str"),
            ("SM_HP_FLAG", "true"),
            ("SM_HPS", r#"{"f":0.1,"flag":true,"n":10,"s":"str"}"#),
            ("SM_USER_ARGS", r#"["-f","0.1","--flag","True","-n","10","-s","str"]"#),
            ("SM_HOSTS", r#"["algo-1","algo-2"]"#),
            ("SM_CURRENT_HOST", "algo-2"),
            ("SM_NUM_CPUS", "1"),
            ("SM_NUM_GPUS", "0"),
            ("SM_MODULE_NAME", "train"),
            ("SM_MODULE_DIR", "s3://b/source/sourcedir.tar.gz"),
            ("SM_LOG_LEVEL", "20"),
            ("SM_FRAMEWORK_PARAMS", "{}"),
        ] {
            assert_eq!(of(name), value, "{name}");
        }
        let environment: Value = serde_json::from_str(of("SM_TRAINING_ENV")).unwrap();
        assert_eq!(environment["is_master"], false);
        assert_eq!(environment["hyperparameters"]["n"], 10);
    }
}
