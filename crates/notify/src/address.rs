//! Where webhooks may go: a name is resolved once, its addresses are checked, and the connection is
//! made to one that was checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bessemer_config::HostPort;
use tokio::net::lookup_host;
use url::{Host, Url};

use crate::deliver::DeliveryError;

/// The address to connect to for `url`; none where the URL names it itself.
pub(crate) async fn checked(
    url: &Url,
    allowed: &[HostPort],
) -> Result<Option<SocketAddr>, DeliveryError> {
    let wrong = |why: &str| DeliveryError::Refused(why.to_owned());
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("the address is neither https nor http"));
    }
    let port = url.port_or_known_default().ok_or_else(|| wrong("the address has no port"))?;
    match url.host().ok_or_else(|| wrong("the address has no host"))? {
        Host::Ipv4(ip) => check(IpAddr::V4(ip), &ip.to_string(), port, allowed).map(|()| None),
        Host::Ipv6(ip) => check(IpAddr::V6(ip), &ip.to_string(), port, allowed).map(|()| None),
        Host::Domain(name) => {
            let found = lookup_host((name, port)).await;
            let found =
                found.map_err(|error| DeliveryError::Failed(format!("resolve: {error}")))?;
            let mut refused = None;
            for address in found {
                match check(address.ip(), name, port, allowed) {
                    Ok(()) => return Ok(Some(address)),
                    Err(error) => refused = Some(error),
                }
            }
            Err(refused.unwrap_or_else(|| DeliveryError::Failed("resolve: no address".to_owned())))
        }
    }
}

fn check(ip: IpAddr, host: &str, port: u16, allowed: &[HostPort]) -> Result<(), DeliveryError> {
    let is_allowed = allowed.iter().any(|one| {
        one.host.eq_ignore_ascii_case(host) && one.port.is_none_or(|allowed| allowed == port)
    });
    if is_allowed || is_public(ip) {
        return Ok(());
    }
    let why = "the host's address is private; `notifications.allow_private` may name the host";
    Err(DeliveryError::Refused(why.to_owned()))
}

/// Whether an address is one of the public network, by IANA's registries of special addresses.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !is_special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(mapped) = ip.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    match ip.segments() {
        // Translated and tunnelled addresses of version 4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_special_addresses_are_not_public() {
        for private in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_public(private.parse().expect("an address")), "{private}");
        }
        for public in [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.3.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(public.parse().expect("an address")), "{public}");
        }
    }

    async fn refused(url: &str, allowed: &[&str]) -> Option<DeliveryError> {
        let allowed: Vec<HostPort> =
            allowed.iter().map(|text| text.parse().expect("a host")).collect();
        checked(&Url::parse(url).expect("a URL"), &allowed).await.err()
    }

    #[tokio::test]
    async fn hosts_are_checked_however_they_are_written() {
        for url in [
            "http://127.0.0.1:9/",
            "http://127.1:9/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "https://localhost/",
            "ftp://8.8.8.8/",
        ] {
            let error = refused(url, &[]).await;
            assert!(matches!(error, Some(DeliveryError::Refused(_))), "{url}: {error:?}");
        }
        assert!(refused("http://127.0.0.1:9/", &["127.0.0.1"]).await.is_none());
        assert!(refused("http://127.0.0.1:9/", &["127.0.0.1:9"]).await.is_none());
        assert!(refused("http://localhost:9/", &["localhost:9"]).await.is_none());
        assert!(refused("http://127.0.0.1:9/", &["127.0.0.1:8"]).await.is_some());
        assert!(refused("http://localhost:9/", &["127.0.0.1"]).await.is_some(), "another name");
        assert!(refused("http://8.8.8.8/", &[]).await.is_none());
    }
}
