//! `[server]`: the address, the folder, the limits.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use bessemer_domain::ByteSize;

use crate::reader::Table;

/// The server itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether that may be an address that others can reach, though nothing is encrypted.
    pub insecure_listen: bool,
    /// Where it keeps what it has; none for the user's own folder.
    pub data_dir: Option<PathBuf>,
    /// Cores that jobs may take, all together; none for all there are.
    pub cores: Option<u32>,
    /// Memory that jobs may take, all together; none for all there is.
    pub memory: Option<ByteSize>,
    /// Connections at once; more wait to be accepted.
    pub connections: u32,
    /// How long a client may take for a request's head, or between two requests.
    pub header_timeout: Duration,
    /// How long a client may take for a request's body, S3's aside.
    pub body_timeout: Duration,
    /// The size of a request's body, S3's aside.
    pub body_limit: ByteSize,
    /// How long requests under way may take to end when the server is stopped.
    pub shutdown_grace: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 1856)),
            insecure_listen: false,
            data_dir: None,
            cores: None,
            memory: None,
            connections: 1024,
            header_timeout: Duration::from_mins(1),
            body_timeout: Duration::from_mins(1),
            body_limit: ByteSize(8 << 20),
            shutdown_grace: Duration::from_secs(5),
        }
    }
}

impl ServerSettings {
    pub(crate) fn read(top: &Table<'_, '_>) -> Self {
        let usual = Self::default();
        let Some(table) = top.table("server") else { return usual };
        let folder = table.file().parent().map(PathBuf::from).unwrap_or_default();
        let read = Self {
            listen: table.or("listen", usual.listen),
            insecure_listen: table.or("insecure_listen", usual.insecure_listen),
            data_dir: table.maybe::<PathBuf>("data_dir").map(|path| folder.join(path)),
            cores: table.maybe("cores"),
            memory: table.maybe("memory"),
            connections: table.or("connections", usual.connections),
            header_timeout: table.or("header_timeout", usual.header_timeout),
            body_timeout: table.or("body_timeout", usual.body_timeout),
            body_limit: table.or("body_limit", usual.body_limit),
            shutdown_grace: table.or("shutdown_grace", usual.shutdown_grace),
        };
        for (key, is_zero) in [
            ("cores", read.cores == Some(0)),
            ("memory", read.memory == Some(ByteSize(0))),
            ("connections", read.connections == 0),
            ("header_timeout", read.header_timeout.is_zero()),
            ("body_timeout", read.body_timeout.is_zero()),
            ("body_limit", read.body_limit == ByteSize(0)),
        ] {
            if is_zero {
                table.refuse(key, "has to be more than nothing");
            }
        }
        table.finish();
        read
    }
}
