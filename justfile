# Short names for the common tasks; each is one command that works without just.

# What CI runs.
ci:
    .ci/run

# All tests; arguments go to pytest.
test *arguments:
    cargo xtask test {{ arguments }}

# Format, then check the rules of the house.
tidy:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings
    cargo xtask tidy

# The main job on real data.
demo:
    cargo run --release -- demo

# Measure against other tools: `just bench trees`, `just bench transform`.
bench *arguments:
    cargo xtask bench {{ arguments }}
