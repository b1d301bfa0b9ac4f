//! Where the browser comes back to: a port of this machine that no other machine can reach.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;

use tokenkeeper::{Error, ErrorKind};
use tokio::net::{TcpListener, TcpStream};

/// The host in the redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    V4,
    V6,
    /// A browser may resolve it to either address, so both are listened at.
    Localhost,
}

impl Host {
    const fn name(self) -> &'static str {
        match self {
            Self::V4 => "127.0.0.1",
            Self::V6 => "[::1]",
            Self::Localhost => "localhost",
        }
    }
}

/// The open port. Dropping it closes it at once.
#[derive(Debug)]
pub(crate) struct Listener {
    sockets: Vec<TcpListener>,
    authority: String,
}

impl Listener {
    /// Opens `port`, or a free one if that is 0.
    pub(crate) async fn bind(host: Host, port: u16) -> Result<Self, Error> {
        let sockets = match host {
            Host::V4 => vec![bind_one(V4, port).await?],
            Host::V6 => vec![bind_one(V6, port).await?],
            Host::Localhost => bind_both(port).await?,
        };
        let port = match sockets.first().map(TcpListener::local_addr) {
            Some(Ok(address)) => address.port(),
            _ => return Err(cannot_listen(V4, port, &io::ErrorKind::AddrNotAvailable.into())),
        };
        // As browsers write it, in URLs and in `Host`: without the port that http has anyway.
        let authority = match port {
            80 => host.name().to_owned(),
            port => format!("{}:{port}", host.name()),
        };
        Ok(Self { sockets, authority })
    }

    /// Host and port, as in the redirect URI.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) async fn accept(&self) -> io::Result<TcpStream> {
        poll_fn(|cx| {
            for socket in &self.sockets {
                if let Poll::Ready(accepted) = socket.poll_accept(cx) {
                    return Poll::Ready(accepted.map(|(stream, _)| stream));
                }
            }
            Poll::Pending
        })
        .await
    }
}

async fn bind_one(address: IpAddr, port: u16) -> Result<TcpListener, Error> {
    let bound = TcpListener::bind(SocketAddr::new(address, port)).await;
    bound.map_err(|error| cannot_listen(address, port, &error))
}

/// The same port of both addresses. A machine without IPv6 has one address.
async fn bind_both(port: u16) -> Result<Vec<TcpListener>, Error> {
    let mut attempts = if port == 0 { 10 } else { 1 };
    loop {
        attempts -= 1;
        let v4 = bind_one(V4, port).await?;
        let chosen = v4.local_addr().map_or(port, |address| address.port());
        match TcpListener::bind(SocketAddr::new(V6, chosen)).await {
            Ok(v6) => return Ok(vec![v4, v6]),
            Err(error) if !is_taken(error.kind()) => return Ok(vec![v4]),
            // Another program would get half of the requests that are meant for this one.
            Err(error) if attempts == 0 => return Err(cannot_listen(V6, chosen, &error)),
            Err(_) => {}
        }
    }
}

/// Whether a port of IPv6 that cannot be bound is there all the same. Windows reserves ranges of
/// ports, for each address family its own, and calls a port of them not permitted.
fn is_taken(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

fn cannot_listen(address: IpAddr, port: u16, error: &io::Error) -> Error {
    let at = SocketAddr::new(address, port);
    let (what, advice) = match error.kind() {
        io::ErrorKind::AddrInUse => {
            ("another program has that port", "end that program, or log in at another port")
        }
        io::ErrorKind::PermissionDenied => (
            "the operating system reserves that port",
            "choose another port above 1023; `netsh interface ipv4 show excludedportrange tcp` \
             lists what Windows reserves",
        ),
        _ => ("this machine does not have that address", "choose the other loopback address"),
    };
    let message = format!("cannot wait for the browser at {at}: {what}");
    Error::new(ErrorKind::Config, message).with_advice(advice)
}

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_reserved_is_not_taken_for_a_machine_without_ipv6() {
        assert!(is_taken(io::ErrorKind::PermissionDenied));
        assert!(is_taken(io::ErrorKind::AddrInUse));
        assert!(!is_taken(io::ErrorKind::AddrNotAvailable));
        assert!(!is_taken(io::ErrorKind::Unsupported));
    }

    #[test]
    fn a_port_that_is_not_permitted_is_explained_with_its_number() {
        let error = cannot_listen(V6, 50_000, &io::ErrorKind::PermissionDenied.into());

        let text = error.to_string();
        assert!(text.contains("[::1]:50000: the operating system reserves that port"), "{text}");
        assert!(text.contains("excludedportrange"), "{text}");
    }
}
