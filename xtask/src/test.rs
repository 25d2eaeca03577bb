//! `cargo xtask test`: the Rust tests, then the end-to-end tests against the real binary.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{
    aws_models,
    environment::{self, Environment},
    workspace,
};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let only = |name: &str| arguments.iter().any(|argument| argument == name);
    let (rust_only, e2e_only) = (only("--rust-only"), only("--e2e-only"));
    if rust_only && e2e_only {
        bail!("`--rust-only` and `--e2e-only` leave nothing to run");
    }
    let environment = Environment::prepare()?;
    if !e2e_only {
        aws_models::check(&environment)?;
        let mut tests = workspace::cargo();
        tests.args(["test", "--workspace", "--quiet"]);
        environment.describe_to(&mut tests)?;
        workspace::run(&mut tests)?;
    }
    if !rust_only {
        workspace::run(workspace::cargo().args(["build", "--quiet", "--package", "bessemer"]))?;
        let own = ["--rust-only", "--e2e-only"];
        let rest: Vec<_> =
            arguments.iter().filter(|argument| !own.contains(&argument.as_str())).collect();
        let mut tests = Command::new(environment.python());
        tests.args(["-m", "pytest"]).args(rest).current_dir(workspace::root().join("tests"));
        tests.env("BESSEMER_BIN", workspace::target_directory()?.join("debug/bessemer"));
        environment.describe_to(&mut tests)?;
        environment::describe_clients_to(&mut tests)?;
        workspace::run(&mut tests)?;
    }
    Ok(())
}
