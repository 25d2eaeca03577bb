//! Inputs of several arguments as one list.

use std::{
    collections::{HashMap, HashSet},
    fs,
};

use super::find::Input;
use crate::{error::ObjectsError, location::Location};

/// Keeps each file once and sees to it that no two outputs would have the same place.
#[derive(Debug, Default)]
pub(super) struct InputSet {
    inputs: Vec<Input>,
    seen: HashSet<Location>,
    /// Index into `inputs`, by relative name.
    names: HashMap<String, usize>,
}

impl InputSet {
    /// Adds `inputs`; `may_repeat` says that some may be here already.
    pub(super) fn extend(
        &mut self,
        inputs: Vec<Input>,
        may_repeat: bool,
    ) -> Result<(), ObjectsError> {
        for input in inputs {
            if may_repeat && !self.seen.insert(identity(&input.location)) {
                continue;
            }
            if let Some(other) = self.names.insert(input.relative.clone(), self.inputs.len()) {
                return Err(same_name(&self.inputs[other], &input));
            }
            self.inputs.push(input);
        }
        Ok(())
    }

    /// The inputs in the order in which they were added.
    pub(super) fn finish(self) -> Result<Vec<Input>, ObjectsError> {
        for input in &self.inputs {
            for (slash, _) in input.relative.match_indices('/') {
                if let Some(&file) = self.names.get(&input.relative[..slash]) {
                    return Err(file_and_folder(&self.inputs[file], input));
                }
            }
        }
        Ok(self.inputs)
    }
}

/// The location by its one true name.
fn identity(location: &Location) -> Location {
    match location {
        Location::Local(path) => {
            Location::Local(fs::canonicalize(path).unwrap_or_else(|_| path.clone()))
        }
        Location::S3 { .. } => location.clone(),
    }
}

fn same_name(first: &Input, second: &Input) -> ObjectsError {
    let message = format!(
        "name the outputs: `{}` and `{}` would both become `{}`",
        first.location, second.location, first.relative
    );
    ObjectsError::invalid(message).with_hint(
        "give the folder above them, so that their folders stay in their names, or run them apart",
    )
}

fn file_and_folder(file: &Input, inside: &Input) -> ObjectsError {
    let message = format!(
        "name the outputs: `{}` becomes the file `{}`, which `{}` needs as a folder",
        file.location, file.relative, inside.location
    );
    ObjectsError::invalid(message).with_hint("run them apart, into two output folders")
}
