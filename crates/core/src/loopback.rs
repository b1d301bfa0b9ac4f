//! Which hosts are this machine, so that clear text to them is seen by nobody else.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether the host is this machine: 127.0.0.0/8, `[::1]` or `localhost` (RFC 8252 §7.3).
///
/// The host as URLs have it, normalised: an IPv6 address in brackets. Names that merely resolve to
/// this machine do not count, because a resolver may say something else tomorrow.
///
/// # Examples
///
/// ```
/// assert!(tokenkeeper::is_loopback_host("127.0.0.1"));
/// assert!(!tokenkeeper::is_loopback_host("127.0.0.1.example.com"));
/// ```
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return address.is_loopback();
    }
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare.map(str::parse::<Ipv6Addr>) {
        Some(address) => address.is_ok_and(|address| address.is_loopback()),
        None => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_addresses_and_one_name() {
        for host in ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "LocalHost"] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "",
            "128.0.0.1",
            "0.0.0.0",
            "10.0.0.1",
            "[::2]",
            "[::]",
            "::1",
            "[127.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[localhost]",
            "localhost.",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "127.1",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
