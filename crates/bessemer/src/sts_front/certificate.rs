//! The front's certificate: made anew each time, its key never on disk.

use std::sync::Arc;

use anyhow::Context;
use rcgen::{CertificateParams, KeyPair};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

/// AWS's regions, whose STS has a name of its own.
const REGIONS: [&str; 33] = [
    "af-south-1",
    "ap-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "us-gov-west-1",
];

/// Whether `host` is an address of STS that the certificate is for.
pub(super) fn is_sts(host: &str) -> bool {
    names().any(|name| name == host)
}

fn names() -> impl Iterator<Item = String> {
    let regional = REGIONS.iter().map(|region| format!("sts.{region}.amazonaws.com"));
    regional.chain(["sts.amazonaws.com".to_owned()])
}

/// What answers TLS for STS, and the certificate to be trusted (PEM).
pub(super) fn make() -> anyhow::Result<(TlsAcceptor, String)> {
    let key = KeyPair::generate().context("failed to make a key")?;
    let mut parameters = CertificateParams::new(names().collect::<Vec<_>>())?;
    parameters.use_authority_key_identifier_extension = true;
    let certificate = parameters.self_signed(&key).context("failed to make a certificate")?;
    let secret = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)?;
    Ok((TlsAcceptor::from(Arc::new(config)), certificate.pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sts_is_answered_for() {
        assert!(is_sts("sts.eu-west-1.amazonaws.com") && is_sts("sts.amazonaws.com"));
        for other in ["s3.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com.evil.org", "sts"] {
            assert!(!is_sts(other), "{other}");
        }
        assert!(make().unwrap().1.starts_with("-----BEGIN CERTIFICATE-----"));
    }
}
