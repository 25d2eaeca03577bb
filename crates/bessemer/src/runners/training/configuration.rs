//! The files of `/opt/ml/input/config`.

use serde_json::{Map, Value, json};

use super::request::TrainingRequest;
use crate::runners::container::{Failed, Stage, host_name};

/// The group of instances of a job whose instances are all alike.
const GROUP: &str = "homogeneousCluster";

/// Writes them.
pub(super) fn write(request: &TrainingRequest, stage: &Stage) -> Result<(), Failed> {
    let file = |name: &str, content: &Value| {
        stage.write(&format!("/opt/ml/input/config/{name}.json"), &content.to_string())
    };
    file("hyperparameters", &Value::Object(request.hyperparameters.clone()))?;
    file("inputdataconfig", &inputs(request))?;
    file("resourceconfig", &resources(request, stage))
}

/// `inputdataconfig.json`.
pub(super) fn inputs(request: &TrainingRequest) -> Value {
    let of =
        |channel: &super::request::Channel| (channel.name.clone(), channel.configuration.clone());
    request.channels.iter().map(of).collect::<Map<_, _>>().into()
}

/// `resourceconfig.json`.
pub(super) fn resources(request: &TrainingRequest, stage: &Stage) -> Value {
    let mut hosts: Vec<String> = (0..stage.count).map(host_name).collect();
    hosts.sort();
    json!({
        "current_group_name": GROUP,
        "current_host": stage.host(),
        "current_instance_type": request.instance_type,
        "hosts": hosts,
        "instance_groups": [{
            "hosts": hosts,
            "instance_group_name": GROUP,
            "instance_type": request.instance_type,
        }],
        "network_interface_name": "lo",
    })
}
