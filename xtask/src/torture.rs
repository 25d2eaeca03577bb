//! `cargo xtask torture`: kills the server at random moments for as long as is asked for.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{environment::Environment, workspace};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (mut kills, mut seed) = (1_000_u32, None);
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        let value = rest.next().with_context(|| format!("`{option}` has no value"))?;
        let number = value.parse::<u32>();
        let number = number.with_context(|| format!("`{option} {value}` is no number"))?;
        match option.as_str() {
            "--kills" => kills = number,
            "--seed" => seed = Some(number),
            other => bail!("unknown option `{other}`: --kills N and --seed S are there"),
        }
    }
    let environment = Environment::prepare()?;
    workspace::run(workspace::cargo().args(["build", "--quiet", "--package", "bessemer"]))?;
    let mut torture = Command::new(environment.python());
    torture.args(["-m", "pytest", "test_torture.py", "--numprocesses", "0", "--capture", "no"]);
    torture.current_dir(workspace::root().join("tests"));
    torture.env("BESSEMER_BIN", workspace::target_directory()?.join("debug/bessemer"));
    torture.env("BESSEMER_TORTURE_KILLS", kills.to_string());
    torture.env("BESSEMER_TORTURE_SEED", seed.map(|seed| seed.to_string()).unwrap_or_default());
    environment.describe_to(&mut torture)?;
    workspace::run(&mut torture)
}
