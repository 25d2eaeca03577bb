//! A local front for the one address that the SageMaker SDK writes down: `https://sts.<region>.
//! amazonaws.com`. It is an HTTPS proxy that answers for these names itself, by a certificate of its
//! own, and passes on what it decrypts to the server; to every other host it opens a plain tunnel.

mod certificate;
mod proxy;

use std::{net::SocketAddr, path::Path};

use tokio::net::TcpListener;

/// A front that takes connections for as long as its runtime lives.
pub(crate) struct StsFront {
    address: SocketAddr,
    token: String,
    certificate: String,
}

/// Bundles of certificates where systems keep them.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

impl StsFront {
    /// Starts the front, in the runtime that it is called in. `server` is `address:port`.
    pub(crate) async fn start(server: &str) -> anyhow::Result<Self> {
        let (acceptor, certificate) = certificate::make()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let token = format!("{:032x}", rand::random::<u128>());
        let upstream = ["HTTPS_PROXY", "https_proxy"].iter().find_map(|n| std::env::var(n).ok());
        let proxy = proxy::Proxy::new(acceptor, server.to_owned(), &token, upstream.as_deref());
        tokio::spawn(proxy.run(listener));
        Ok(Self { address, token, certificate })
    }

    /// The variables that lead a command's clients through the front. Certificates are written to
    /// `bundle`: the system's, or those of `AWS_CA_BUNDLE`, and the front's.
    pub(crate) fn variables(&self, bundle: &Path) -> std::io::Result<Vec<(&'static str, String)>> {
        let own = std::env::var("AWS_CA_BUNDLE").ok().filter(|path| !path.is_empty());
        let mut known = own.into_iter().chain(BUNDLES.map(str::to_owned));
        let found = known.find_map(|path| std::fs::read_to_string(path).ok());
        let text = format!("{}\n{}", found.unwrap_or_default(), self.certificate);
        std::fs::write(bundle, text)?;
        let proxy = format!("http://bessemer:{}@{}", self.token, self.address);
        let spared = std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy"));
        let spared = spared.map(|names| format!("{names},")).unwrap_or_default();
        let spared = format!("{spared}127.0.0.1,localhost,::1");
        Ok(vec![
            ("HTTPS_PROXY", proxy.clone()),
            ("https_proxy", proxy),
            ("NO_PROXY", spared.clone()),
            ("no_proxy", spared),
            ("AWS_CA_BUNDLE", bundle.to_string_lossy().into_owned()),
        ])
    }
}
