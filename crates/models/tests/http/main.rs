//! `HttpModel` against a real server: `fixtures/contract_server.py`, run by bare `python3`.

#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

mod endpoint;
mod serve;
mod support;
