//! What users call the files of a job's folder, in words that come from the engine.

use std::path::Path;

use super::{plan::Plan, sandbox};

/// Paths, and what stands for them.
#[derive(Debug)]
pub(super) struct Names(Vec<(String, String)>);

impl Names {
    /// `base`: what comes before the inputs' names, if that is known.
    pub(super) fn of(folder: &Path, plan: &Plan, base: Option<&str>) -> Self {
        let path = |name: &str| folder.join(name).display().to_string();
        let model = plan.model.to_string();
        let file = model.rsplit('/').next().unwrap_or_default();
        let mut names = vec![
            (path(&format!("model/{file}")), model.clone()),
            (super::code::unpacked(folder, 0).display().to_string(), model.clone()),
        ];
        if let Some(code) = &plan.container.submitted {
            names.push((path("model/sourcedir.tar.gz"), code.clone()));
        }
        let inputs = base.map_or_else(|| plan.input.to_string(), |base| format!("s3://{base}"));
        names.push((format!("{}/", path("inputs")), inputs.clone()));
        names.push((format!("{}/", sandbox::INPUTS), inputs));
        Self(names)
    }

    /// `text` with the names in the place of the paths.
    pub(super) fn told(&self, text: &str) -> String {
        let told = |text: String, (path, name): &(String, String)| text.replace(path, name);
        self.0.iter().fold(text.to_owned(), told)
    }
}
