//! `HttpModel` against a real server: `fixtures/contract_server.py`, run by bare `python3`.

mod endpoint;
mod serve;
mod support;
