//! The `bessemer` binary.

mod commands;
mod failure;
mod options;
mod remote;
mod report;
mod runners;
mod sts_front;
mod wiring;

fn main() -> std::process::ExitCode {
    if bessemer_compute::is_sandbox_call() {
        return bessemer_compute::sandbox_main();
    }
    commands::main()
}
