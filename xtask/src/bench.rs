//! `cargo xtask bench`: builds the release binary and hands over to the scripts in `bench/`.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{environment::Environment, workspace};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let rest = match arguments.split_first() {
        Some((name, rest)) if name == "transform" => rest,
        Some((name, _)) => bail!("unknown benchmark `{name}` (there is `transform`)"),
        None => bail!("no benchmark named (there is `transform`)"),
    };
    let environment = Environment::prepare()?;
    workspace::run(workspace::cargo().args(["build", "--release", "--package", "bessemer"]))?;
    let target = workspace::target_directory()?;
    let mut script = Command::new(environment.python());
    script.arg(workspace::root().join("bench/transform.py")).args(rest);
    script.env("BESSEMER_BIN", target.join("release/bessemer"));
    script.env("BESSEMER_BENCH_CACHE", target.join("bench"));
    environment.describe_to(&mut script)?;
    workspace::run(&mut script)
}
