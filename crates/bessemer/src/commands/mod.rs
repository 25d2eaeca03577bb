//! The commands, one file a verb.

mod attempt;
mod completion;
mod config;
mod demo;
mod doctor;
mod env;
mod exec;
mod jobs;
mod keys;
mod logs;
mod notify;
mod pipeline;
mod rejects;
mod replay;
mod replay_job;
mod runtime;
mod serve;
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
    Serve(serve::Serve),
    Env(env::Env),
    Exec(exec::Exec),
    Keys(keys::Keys),
    Config(config::Config),
    Notify(notify::Notify),
    Jobs(jobs::Jobs),
    Pipeline(pipeline::Pipeline),
    Logs(logs::Logs),
    Doctor(doctor::Doctor),
    Demo(demo::Demo),
    Runtime(runtime::Runtime),
    Completion(completion::Completion),
    #[command(name = ATTEMPT, hide = true)]
    Attempt(attempt::Attempt),
}

/// The hidden verb of the child processes of jobs.
pub(crate) const ATTEMPT: &str = "__attempt";

/// Runs the command line.
pub(crate) fn main() -> std::process::ExitCode {
    let result = match Cli::parse().command {
        Command::Transform(command) => command.run(),
        Command::Rejects(command) => command.run(),
        Command::Serve(command) => command.run(),
        Command::Env(command) => command.run(),
        Command::Exec(command) => command.run(),
        Command::Keys(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Notify(command) => command.run(),
        Command::Jobs(command) => command.run(),
        Command::Pipeline(command) => command.run(),
        Command::Logs(command) => command.run(),
        Command::Doctor(command) => Ok(command.run()),
        Command::Attempt(command) => command.run(),
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
