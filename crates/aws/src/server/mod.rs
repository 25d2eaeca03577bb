//! The server: one port for every service. A request goes to the service that its signature names.

mod body;
mod connection;
mod front;
mod metrics;

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch};

use crate::platform::Platform;
use front::Front;

pub(crate) use front::unsupported;

/// The limits of a server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// How long a client may take for a request's head, or between two requests.
    pub header_timeout: Duration,
    /// How long a client may take for a request's body, S3's aside.
    pub body_timeout: Duration,
    /// Bytes of a request's body, S3's aside.
    pub body_limit: usize,
    /// How long requests under way may take to end when the server shuts down.
    pub shutdown_grace: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            connections: 1024,
            header_timeout: Duration::from_mins(1),
            body_timeout: Duration::from_mins(1),
            body_limit: 8 << 20,
            shutdown_grace: Duration::from_secs(5),
        }
    }
}

/// A server that is ready to take connections.
pub struct Server {
    front: Arc<Front>,
    options: ServerOptions,
}

impl Server {
    /// A server of all services over `platform`.
    pub fn new(platform: Platform, options: ServerOptions) -> Self {
        Self { front: Arc::new(Front::new(platform, options.clone())), options }
    }

    /// Takes connections from `listener` until `shutdown` is true, then lets requests under way end.
    pub async fn run(self, listener: TcpListener, shutdown: watch::Receiver<bool>) {
        connection::accept(listener, self.front, &self.options, shutdown).await;
    }
}
