//! The project's own tasks: `cargo xtask test`, `cargo xtask tidy`, `cargo xtask bench`,
//! `cargo xtask torture`, `cargo xtask aws-models`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "tasks talk to the terminal")]

mod aws_models;
mod bench;
mod environment;
mod test;
mod tidy;
mod torture;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask TASK

  test [--rust-only | --e2e-only] [PYTEST ARGUMENT...]   run the tests
  tidy                                                   check crate edges, file sizes, docs
  bench transform [OPTION...]                            measure the whole job against other tools
  bench trees [OPTION...]                                measure the tree kernels against libraries
  torture [--kills N] [--seed S]                         kill the server at random moments
  aws-models [--check] [BOTOCORE FOLDER]                 derive the compact models of AWS's APIs
  python [ARGUMENT...]                                   run the tests' Python";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((task, rest)) = arguments.split_first() else { bail!("no task named\n{USAGE}") };
    match task.as_str() {
        "test" => test::run(rest),
        "tidy" => tidy::run(),
        "bench" => bench::run(rest),
        "torture" => torture::run(rest),
        "aws-models" => aws_models::run(rest),
        "python" => environment::run_python(rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("unknown task `{other}`\n{USAGE}"),
    }
}
