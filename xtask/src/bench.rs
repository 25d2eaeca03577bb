//! `cargo xtask bench`: builds what is measured and hands over to the scripts in `bench/`.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{
    environment::{self, Environment},
    workspace,
};

/// The benchmarks: name, what cargo builds for it, where that lies in the release folder.
const BENCHMARKS: [(&str, &[&str], &str); 4] = [
    ("transform", &["--package", "bessemer"], "bessemer"),
    ("jobs", &["--package", "bessemer"], "bessemer"),
    ("pipelines", &["--package", "bessemer"], "bessemer"),
    ("trees", &["--package", "bessemer-trees", "--example", "kernels"], "examples/kernels"),
];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let names = BENCHMARKS.map(|(name, ..)| format!("`{name}`")).join(", ");
    let Some((wanted, rest)) = arguments.split_first() else {
        bail!("no benchmark named (there are {names})");
    };
    let Some((name, built, program)) = BENCHMARKS.iter().find(|(name, ..)| name == wanted) else {
        bail!("unknown benchmark `{wanted}` (there are {names})");
    };
    let environment = Environment::prepare()?;
    workspace::run(workspace::cargo().args(["build", "--release"]).args(*built))?;
    let target = workspace::target_directory()?;
    let mut script = Command::new(environment.python());
    script.arg(workspace::root().join("bench").join(format!("{name}.py"))).args(rest);
    script.env("BESSEMER_BIN", target.join("release").join(program));
    script.env("BESSEMER_BENCH_CACHE", target.join("bench"));
    environment.describe_to(&mut script)?;
    if *name == "pipelines" {
        environment::describe_orchestrators_to(&mut script)?;
    }
    workspace::run(&mut script)
}
