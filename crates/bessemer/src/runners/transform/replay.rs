//! A replay: what an earlier job's output has of its rejected records, beside their inputs.

use std::{
    collections::HashSet,
    fs::{self, File},
    path::Path,
};

use bessemer_objects::storage::Storage;

use super::{
    super::container::{Input, Uri, host_name, inputs_below, open},
    Failed,
    kept::Kept,
    plan::Plan,
    publish::{rejects_of, uri_of},
    sandbox,
};

/// Of `inputs`, those whose rejected records are in the job's output.
pub(super) fn rejected(
    storage: &Storage,
    plan: &Plan,
    kept: &Kept,
    inputs: Vec<Input>,
) -> Result<Vec<Input>, Failed> {
    let listed = inputs_below(storage, &plan.output.below("_rejects/"))?;
    let listed: HashSet<String> = listed.into_iter().map(|input| input.uri.key).collect();
    let mut wanted: HashSet<&str> =
        kept.names().filter(|name| listed.contains(&rejects_of(plan, name).key)).collect();
    let inputs: Vec<Input> =
        inputs.into_iter().filter(|input| wanted.remove(input.relative.as_str())).collect();
    match wanted.into_iter().min() {
        Some(gone) => Err(Failed::invalid(format!(
            "ClientError: the input `{gone}`, whose records were rejected, is gone from `{}`",
            plan.input
        ))),
        None => Ok(inputs),
    }
}

/// Puts copies of the outputs and the rejected records of the inputs `names` where the engine of
/// their instance, of `hosts`, looks for them.
pub(super) fn stage_outputs(
    storage: &Storage,
    plan: &Plan,
    kept: &Kept,
    (folder, names, hosts): (&Path, &[String], usize),
) -> Result<(), Failed> {
    for (at, name) in names.iter().enumerate() {
        let input = folder.join("inputs").join(name);
        if !kept.is_unchanged(name, &input).map_err(Failed::infrastructure)? {
            return Err(Failed::invalid(format!(
                "ClientError: the input `{name}` in `{}` has changed since its records were rejected; \
                 run the job anew",
                plan.input
            )));
        }
        let Some(output) = kept.output_of(name) else { continue };
        let place = sandbox::left(&folder.join(host_name(at % hosts))).join("output");
        copy(storage, &uri_of(plan, name, &output), &place.join(&output))?;
        let rejects = place.join(format!("_rejects/{name}.parquet"));
        copy(storage, &rejects_of(plan, name), &rejects)?;
    }
    Ok(())
}

/// Makes `target` a copy of the object at `uri`, which may be changed.
fn copy(storage: &Storage, uri: &Uri, target: &Path) -> Result<(), Failed> {
    let object = open(storage, uri)?;
    let copy = || {
        fs::create_dir_all(target.parent().unwrap_or(Path::new(".")))?;
        std::io::copy(&mut &object.file, &mut File::create(target)?)
    };
    copy().map(drop).map_err(|error| Failed::infrastructure(format!("copy `{uri}`: {error}")))
}
