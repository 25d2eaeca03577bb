//! A binary that is nothing but the sandbox, for the tests.

fn main() -> std::process::ExitCode {
    bessemer_compute::sandbox_main()
}
