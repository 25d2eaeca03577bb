//! The commands, one file a verb.

mod completion;
mod demo;
mod rejects;
mod replay;
mod runtime;
mod transform;

use bessemer_domain::ExitCode;
use clap::{Parser, Subcommand};

use crate::{failure::Failure, report};

/// Batch machine learning in production, on machines that you own
#[derive(Debug, Parser)]
#[command(name = "bessemer", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Transform(Box<transform::Transform>),
    Rejects(Box<rejects::Rejects>),
    Demo(demo::Demo),
    Runtime(runtime::Runtime),
    Completion(completion::Completion),
}

/// Runs the command line.
pub(crate) fn main() -> std::process::ExitCode {
    let result = match Cli::parse().command {
        Command::Transform(command) => command.run(),
        Command::Rejects(command) => command.run(),
        Command::Demo(command) => command.run(),
        Command::Runtime(command) => command.run(),
        Command::Completion(command) => Ok(command.run()),
    };
    let code = result.unwrap_or_else(|failure: Failure| {
        report::failure(&failure);
        failure.code
    });
    exit(code)
}

/// Ends the process without waiting for threads that may hang in a call.
fn exit(code: ExitCode) -> ! {
    std::process::exit(code as i32)
}
