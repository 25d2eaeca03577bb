//! The `bessemer` binary.

mod commands;
mod failure;
mod options;
mod report;
mod wiring;

fn main() -> std::process::ExitCode {
    commands::main()
}
