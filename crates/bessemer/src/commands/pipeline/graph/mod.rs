//! `bessemer pipeline graph`: a pipeline's steps and what they wait for, drawn.

mod layers;
mod svg;

use bessemer_domain::ExitCode;
use bessemer_pipelines::{Definition, Step};
use clap::{Args, ValueEnum};

use super::source::Source;
use crate::{failure::Failure, remote::Remote, report::print, wiring::data::DataOptions};

#[derive(Debug, Args)]
pub(super) struct Graph {
    #[command(flatten)]
    source: Source,
    /// The language to draw in
    #[arg(long, value_enum, default_value_t = Language::Mermaid)]
    format: Language,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Language {
    Svg,
    Mermaid,
    Dot,
}

impl Graph {
    pub(super) fn run(self, remote: &Remote, data: &DataOptions) -> Result<ExitCode, Failure> {
        let text = self.source.definition(remote, data)?;
        let definition = Definition::parse(&text).map_err(Failure::usage)?;
        print(&match self.format {
            Language::Svg => svg::draw(&definition),
            Language::Mermaid => mermaid(&definition),
            Language::Dot => dot(&definition),
        });
        Ok(ExitCode::Ok)
    }
}

/// What leads from one step to another, and what stands beside the arrow.
fn arrows(step: &Step) -> impl Iterator<Item = (&str, Option<&'static str>)> {
    step.waits_for.iter().map(|name| {
        let branch = step.branch.as_ref().filter(|branch| branch.condition == *name);
        (name.as_str(), branch.map(|branch| if branch.if_true { "true" } else { "false" }))
    })
}

fn mermaid(definition: &Definition) -> String {
    let id = |name: &str| {
        let place = definition.steps.iter().position(|step| step.name == name);
        format!("s{}", place.unwrap_or_default())
    };
    let mut text = "flowchart TD\n".to_owned();
    for step in &definition.steps {
        let (name, kind) = (&step.name, step.kind.as_str());
        let (open, close) = if kind == "Condition" { ("{", "}") } else { ("[", "]") };
        text.push_str(&format!("  {}{open}\"{name}<br/>{kind}\"{close}\n", id(name)));
    }
    for step in &definition.steps {
        for (from, label) in arrows(step) {
            let label = label.map(|label| format!("|{label}|")).unwrap_or_default();
            text.push_str(&format!("  {} -->{label} {}\n", id(from), id(&step.name)));
        }
    }
    text
}

fn dot(definition: &Definition) -> String {
    let mut text = "digraph pipeline {\n".to_owned();
    for step in &definition.steps {
        let (name, kind) = (&step.name, step.kind.as_str());
        let shape = if kind == "Condition" { "diamond" } else { "box" };
        text.push_str(&format!("  \"{name}\" [label=\"{name}\\n{kind}\", shape={shape}];\n"));
    }
    for step in &definition.steps {
        for (from, label) in arrows(step) {
            let label = label.map(|label| format!(" [label=\"{label}\"]")).unwrap_or_default();
            text.push_str(&format!("  \"{from}\" -> \"{}\"{label};\n", step.name));
        }
    }
    text + "}\n"
}
