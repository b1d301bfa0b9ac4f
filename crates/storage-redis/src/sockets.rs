//! How the sockets to Redis are set, and which of them leave this host.

use std::time::Duration;

use redis::ConnectionAddr;
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use tokenkeeper::is_loopback_host;

/// Small commands are sent at once, and a server that vanished is noticed by those who only listen.
pub(crate) fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3);
    TcpSettings::default().set_nodelay(true).set_keepalive(keepalive)
}

/// The host to which everything would go readable by the network, if it is another than this one.
pub(crate) fn plaintext_host(addr: &ConnectionAddr) -> Option<&str> {
    match addr {
        ConnectionAddr::Tcp(host, _) if !is_this_host(host) => Some(host),
        _ => None,
    }
}

/// The host is without the brackets that an address of IPv6 has in a URL.
fn is_this_host(host: &str) -> bool {
    if host.contains(':') { is_loopback_host(&format!("[{host}]")) } else { is_loopback_host(host) }
}

const KEEPALIVE: Duration = Duration::from_secs(30); // less than middleboxes forget connections after

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_loopback_interface_are_this_host() {
        for here in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "::1"] {
            let addr = ConnectionAddr::Tcp(here.to_owned(), 6379);
            assert_eq!(plaintext_host(&addr), None, "{here}");
        }
        for away in ["redis", "localhost.example.org", "10.0.0.1", "0.0.0.0", "::", "127.0.0.1.nip"]
        {
            let addr = ConnectionAddr::Tcp(away.to_owned(), 6379);
            assert_eq!(plaintext_host(&addr), Some(away));
        }
    }
}
