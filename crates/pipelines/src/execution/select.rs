//! Selective execution: some steps, on the results that another execution has for the rest.

use std::collections::BTreeSet;

use bessemer_domain::nearest_names;

use crate::definition::Definition;

/// The steps whose results `selected` builds on, though they are not selected themselves.
pub fn needs_of(definition: &Definition, selected: &[String]) -> Result<BTreeSet<String>, String> {
    let mut needs = BTreeSet::new();
    for name in selected {
        let Some(step) = definition.step(name) else {
            let known = definition.steps.iter().map(|step| step.name.as_str());
            let near = nearest_names(name, known, 1);
            let hint = near.first().map(|near| format!("; did you mean `{near}`?"));
            return Err(format!("There is no step `{name}` to select{}", hint.unwrap_or_default()));
        };
        needs.extend(step.waits_for.iter().filter(|need| !selected.contains(need)).cloned());
    }
    Ok(needs)
}
