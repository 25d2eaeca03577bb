//! The proxy: `CONNECT host:port`, and then bytes.

use std::{io, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::certificate::is_sts;

/// The longest head of a request.
const HEAD: usize = 16 * 1024;
/// How long a client may take for it.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(super) struct Proxy {
    acceptor: TlsAcceptor,
    server: String,
    /// What `Proxy-Authorization` has to be: the front is the command's alone.
    authorization: Arc<str>,
    /// The proxy that was set before, as `http://[user:password@]host:port`.
    upstream: Option<Upstream>,
}

#[derive(Clone)]
struct Upstream {
    address: String,
    authorization: Option<String>,
}

impl Proxy {
    pub(super) fn new(
        acceptor: TlsAcceptor,
        server: String,
        token: &str,
        upstream: Option<&str>,
    ) -> Self {
        let authorization = format!("Basic {}", STANDARD.encode(format!("bessemer:{token}")));
        let upstream = upstream.and_then(Upstream::parse);
        Self { acceptor, server, authorization: authorization.into(), upstream }
    }

    /// Takes connections until the runtime ends.
    pub(super) async fn run(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let proxy = self.clone();
            // A connection that breaks is its client's to tell.
            tokio::spawn(async move { drop(proxy.serve(stream).await) });
        }
    }

    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let head = tokio::time::timeout(PATIENCE, read_head(&mut client)).await??;
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some("CONNECT"), Some(target)) = (words.next(), words.next()) else {
            return refuse(&mut client, "405 Method Not Allowed").await;
        };
        let authorized = lines.filter_map(|line| line.split_once(':')).any(|(name, value)| {
            name.eq_ignore_ascii_case("proxy-authorization") && value.trim() == &*self.authorization
        });
        if !authorized {
            return refuse(&mut client, "407 Proxy Authentication Required").await;
        }
        let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
        if is_sts(host) {
            let mut server = TcpStream::connect(&self.server).await?;
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            let mut client = self.acceptor.accept(client).await?;
            copy_bidirectional(&mut client, &mut server).await?;
            return Ok(());
        }
        let opened = match &self.upstream {
            Some(upstream) => upstream.open(target).await,
            None => TcpStream::connect(target).await,
        };
        let Ok(mut server) = opened else { return refuse(&mut client, "502 Bad Gateway").await };
        if self.upstream.is_none() {
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        }
        copy_bidirectional(&mut client, &mut server).await.map(drop)
    }
}

impl Upstream {
    fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?.trim_end_matches('/');
        let (user, address) = match rest.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, rest),
        };
        let authorization = user.map(|user| format!("Basic {}", STANDARD.encode(user)));
        Some(Self { address: address.to_owned(), authorization })
    }

    /// A connection on which the upstream proxy's own answer comes first.
    async fn open(&self, target: &str) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let mut head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(authorization) = &self.authorization {
            head += &format!("Proxy-Authorization: {authorization}\r\n");
        }
        head += "\r\n";
        stream.write_all(head.as_bytes()).await?;
        Ok(stream)
    }
}

/// Reads to the end of a request's head. Clients send nothing behind it before they are answered.
async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.push(stream.read_u8().await?);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

async fn refuse(client: &mut TcpStream, status: &str) -> io::Result<()> {
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}
