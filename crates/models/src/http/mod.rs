//! Servers that speak the SageMaker container contract: `GET /ping`, `GET /execution-parameters`
//! (optional) and `POST /invocations`, at an address or started by us as copies of one command.
//!
//! Entry point: [`HttpModel::open`] (`open` reaches or starts the server). A call takes the path `body` (records to request) → `client`
//! (request to reply) → `failure` (a reply that is none) or `answer` (reply to one entry a record).
//! `serve` owns the processes of a command and hands each call the copy with the fewest in flight.

mod answer;
mod body;
mod chunks;
mod client;
mod failure;
mod model;
mod open;
mod options;
mod parameters;
mod payloads;
mod serve;

pub use model::HttpModel;
pub use open::OpenError;
pub use options::{BatchStrategy, ContentType, HttpOptions, ParseOptionError, ServerLog, Target};
pub use payloads::HttpPayloads;
