//! Models made of packages: containers that name one get what it has.

use serde_json::Value;

use super::super::error::Error;
use crate::platform::Platform;

/// Gives the containers of a model that name a package what the package has.
pub(in super::super) async fn fill_containers(
    platform: &Platform,
    model: &mut Value,
) -> Result<(), Error> {
    if let Some(container) = model.get_mut("PrimaryContainer") {
        fill(platform, container).await?;
    }
    if let Some(containers) = model.get_mut("Containers").and_then(Value::as_array_mut) {
        for container in containers {
            fill(platform, container).await?;
        }
    }
    Ok(())
}

async fn fill(platform: &Platform, container: &mut Value) -> Result<(), Error> {
    let Some(name) = container["ModelPackageName"].as_str().map(str::to_owned) else {
        return Ok(());
    };
    let refused = |why: &str| Error::Validation(format!("ModelPackage {name} {why}"));
    let package = platform.store.packages().get(&name).await?;
    let package = package.ok_or_else(|| refused("does not exist."))?;
    if package.approval.as_deref() == Some("Rejected") {
        return Err(refused("is rejected: no model can be made of it."));
    }
    let request: Value = serde_json::from_str(&package.request).unwrap_or_default();
    let held = request["InferenceSpecification"]["Containers"][0].as_object();
    let held = held.ok_or_else(|| refused("has no container that a model could be made of."))?;
    for member in ["Image", "ModelDataUrl", "ModelDataSource"] {
        if let (None, Some(value)) = (container.get(member), held.get(member)) {
            container[member] = value.clone();
        }
    }
    for (variable, value) in
        held.get("Environment").and_then(Value::as_object).into_iter().flatten()
    {
        if container["Environment"].get(variable).is_none() {
            container["Environment"][variable.as_str()] = value.clone();
        }
    }
    Ok(())
}
