//! Options of a storage, checked before anything is sent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};
use tokenkeeper::{Error, ErrorKind, Secret};

#[cfg(feature = "cluster")]
use crate::cluster::Cluster;
use crate::keys::{USUAL_PREFIX, check_prefix};
use crate::link::{Link, Replicas, Target};
use crate::notices::Listeners;
use crate::sockets::{plaintext_host, tcp_settings};
use crate::storage::RedisStorage;

/// Makes a [`RedisStorage`]. Nothing is sent before its first use.
#[must_use]
pub struct RedisStorageBuilder {
    urls: Vec<Secret>,
    #[cfg(feature = "cluster")]
    is_cluster: bool,
    username: Option<String>,
    password: Option<Secret>,
    prefix: String,
    timeout: Duration,
    replicas: usize,
    replica_timeout: Duration,
    announces: bool,
    allows_plaintext: bool,
    #[cfg(feature = "tls-rustls")]
    tls: crate::tls::Tls,
}

impl RedisStorage {
    /// A storage at this URL with the usual options: `rediss://[user:password@]host[:port][/db]`
    /// (feature `tls-rustls`), `redis://` for this host, `unix:///path` for a socket.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the URL is none; it is not shown, because it may hold a password. So
    /// is `redis://` to another host: see
    /// [`danger_allow_plaintext`](RedisStorageBuilder::danger_allow_plaintext).
    pub fn new(url: &str) -> Result<Self, Error> {
        Self::builder(url).build()
    }

    /// A storage at this URL with options of your own.
    pub fn builder(url: &str) -> RedisStorageBuilder {
        RedisStorageBuilder::new(url)
    }

    /// A storage on a Redis Cluster, found through any of these nodes. All must have the same user,
    /// password and kind of TLS in their URLs.
    #[cfg(feature = "cluster")]
    pub fn cluster<'a>(urls: impl IntoIterator<Item = &'a str>) -> RedisStorageBuilder {
        RedisStorageBuilder::cluster(urls.into_iter().map(Secret::from).collect())
    }
}

impl RedisStorageBuilder {
    fn new(url: &str) -> Self {
        Self {
            urls: vec![Secret::from(url)],
            #[cfg(feature = "cluster")]
            is_cluster: false,
            username: None,
            password: None,
            prefix: USUAL_PREFIX.to_owned(),
            timeout: USUAL_TIMEOUT,
            replicas: 0,
            replica_timeout: USUAL_REPLICA_TIMEOUT,
            announces: false,
            allows_plaintext: false,
            #[cfg(feature = "tls-rustls")]
            tls: crate::tls::Tls::default(),
        }
    }

    #[cfg(feature = "cluster")]
    fn cluster(urls: Vec<Secret>) -> Self {
        Self { urls, is_cluster: true, ..Self::new("") }
    }

    /// The user of the server's access control list, in the place of one in the URL.
    pub fn username(mut self, username: &str) -> Self {
        self.username = Some(username.to_owned());
        self
    }

    /// The password, in the place of one in the URL. Here nothing needs to be percent-encoded.
    pub fn password(mut self, password: Secret) -> Self {
        self.password = Some(password);
        self
    }

    /// What the names of all keys begin with: at most 200 ASCII characters without spaces and
    /// braces.
    ///
    /// # Default
    ///
    /// `tokenkeeper:`, which gives `tokenkeeper:{v1-…}` and `tokenkeeper:{v1-…}:lease`.
    pub fn key_prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// How long one call may take, connecting and waiting for replicas included. Keep it below the
    /// `storage_timeout` of the manager's policy: whoever gives up first names the reason.
    ///
    /// # Default
    ///
    /// 4 s, because the manager gives a call 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many replicas have to confirm a write (`WAIT`) before it counts as one. If fewer do in
    /// [`replica_timeout`](Self::replica_timeout), the write fails although the primary has it:
    /// whether it survives a failover is not known, and the manager says that its tokens are not
    /// persisted, and writes again.
    ///
    /// It costs no round trip of its own, but a second connection: one that waits for replicas
    /// answers nothing else meanwhile, so writes have theirs, and stand in line there while
    /// replicas are away. Leases are not waited for: a fleet that cannot renew while a replica
    /// restarts would be worse off than one whose lease a failover forgets.
    ///
    /// # Default
    ///
    /// 0: the primary's word is enough.
    pub fn wait_replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// How long replicas may take to confirm. It has to be shorter than the
    /// [`timeout`](Self::timeout).
    ///
    /// # Default
    ///
    /// 1 s.
    pub fn replica_timeout(mut self, timeout: Duration) -> Self {
        self.replica_timeout = timeout;
        self
    }

    /// Whether every write is published on the channel `<prefix>{<key>}:changes`, in the same step
    /// and at no round trip of its own, and whether
    /// [`notices`](tokenkeeper::SharedTokenStorage::notices) listens there, over a second
    /// connection that is opened when somebody does. A message is the order of the record, two
    /// numbers. Without it a process finds what another one wrote at its next renewal.
    ///
    /// # Default
    ///
    /// No.
    pub fn announce_changes(mut self, announces: bool) -> Self {
        self.announces = announces;
        self
    }

    /// Allows `redis://` to another host. Refresh tokens and the password of the server then cross the
    /// network readable: for a network that encrypts by itself (a mesh, a tunnel, a VPN), and for
    /// records that `tokenkeeper-storage-encrypted` encrypts.
    ///
    /// # Default
    ///
    /// No: `build` refuses it. Hosts of the loopback interface and sockets need no permission.
    pub fn danger_allow_plaintext(mut self) -> Self {
        self.allows_plaintext = true;
        self
    }

    /// Certificate authorities to trust in the place of the operating system's, as PEM.
    ///
    /// # Default
    ///
    /// Those of the operating system, read at every connection.
    #[cfg(feature = "tls-rustls")]
    pub fn root_certificates_pem(mut self, certificates: impl Into<Vec<u8>>) -> Self {
        self.tls.root = Some(certificates.into());
        self
    }

    /// The certificate that shows the server who we are, with its key, both as PEM.
    ///
    /// # Default
    ///
    /// None.
    #[cfg(feature = "tls-rustls")]
    pub fn client_certificate_pem(mut self, certificate: impl Into<Vec<u8>>, key: Secret) -> Self {
        self.tls.identity = Some((certificate.into(), key));
        self
    }

    /// Makes the storage.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if an option is wrong; the URL is not shown, because it may hold a
    /// password.
    pub fn build(self) -> Result<RedisStorage, Error> {
        check_prefix(&self.prefix)?;
        if self.timeout.is_zero() {
            return Err(wrong("timeout: must not be zero"));
        }
        if self.replicas > 0 && self.replica_timeout >= self.timeout {
            return Err(wrong("replica_timeout: must be shorter than the timeout of a call"));
        }
        let nodes = self.urls.iter().map(|url| self.node(url)).collect::<Result<Vec<_>, _>>()?;
        let listeners = if self.announces { Some(self.listeners(&nodes)?) } else { None };
        let link = Arc::new(Link::new(self.target(nodes.clone())?, self.timeout));
        let replicas = Replicas { wanted: self.replicas, within: self.replica_timeout };
        let confirmed_by = (self.replicas > 0).then_some(replicas);
        let writes = match confirmed_by {
            Some(_) => Arc::new(Link::new(self.target(nodes)?, self.timeout)),
            None => Arc::clone(&link),
        };
        Ok(RedisStorage::over(link, writes, &self.prefix, confirmed_by, listeners))
    }

    fn target(&self, nodes: Vec<ConnectionInfo>) -> Result<Target, Error> {
        #[cfg(feature = "cluster")]
        if self.is_cluster {
            return Ok(Target::Cluster(Arc::new(self.cluster_target(nodes)?)));
        }
        let node = nodes.into_iter().next().ok_or_else(|| wrong(NO_URL))?;
        self.client(node).map(|client| Target::Single(Box::new(client)))
    }

    fn listeners(&self, nodes: &[ConnectionInfo]) -> Result<Arc<Listeners>, Error> {
        let listening = nodes.iter().map(|node| {
            let settings = node.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
            self.client(node.clone().set_redis_settings(settings))
        });
        Ok(Listeners::new(listening.collect::<Result<_, _>>()?, self.timeout))
    }

    #[cfg(feature = "tls-rustls")]
    fn client(&self, node: ConnectionInfo) -> Result<Client, Error> {
        self.tls.client(node).map_err(|_| wrong(BAD_CERTIFICATE))
    }

    #[cfg(not(feature = "tls-rustls"))]
    #[expect(clippy::unused_self, reason = "with TLS it is used")]
    fn client(&self, node: ConnectionInfo) -> Result<Client, Error> {
        Client::open(node).map_err(|_| wrong(BAD_URL))
    }

    #[cfg(feature = "cluster")]
    fn cluster_target(&self, nodes: Vec<ConnectionInfo>) -> Result<Cluster, Error> {
        if nodes.is_empty() {
            return Err(wrong(NO_URL));
        }
        #[cfg(feature = "tls-rustls")]
        let cluster = Cluster::new(nodes, self.timeout, self.tls.of_cluster());
        #[cfg(not(feature = "tls-rustls"))]
        let cluster = Cluster::new(nodes, self.timeout);
        cluster.map_err(|_| wrong(BAD_CLUSTER))
    }

    fn node(&self, url: &Secret) -> Result<ConnectionInfo, Error> {
        let url = url.expose_secret();
        let asks_for_tls = url.starts_with("rediss:") || url.starts_with("valkeys:");
        if asks_for_tls && !cfg!(feature = "tls-rustls") {
            return Err(wrong(NO_TLS));
        }
        // What the parser complains of may quote the URL.
        let info = url.into_connection_info().map_err(|_| wrong(BAD_URL))?;
        // As it was parsed: the parser forgives capitals and a line feed at the end.
        if let ConnectionAddr::TcpTls { insecure: true, .. } = info.addr() {
            return Err(wrong(INSECURE));
        }
        if let (Some(host), false) = (plaintext_host(info.addr()), self.allows_plaintext) {
            return Err(in_clear(host));
        }
        #[cfg(feature = "tls-rustls")]
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            crate::tls::choose_cryptography();
        }
        let mut settings = info.redis_settings().clone();
        settings = settings.set_lib_name("tokenkeeper", env!("CARGO_PKG_VERSION"));
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password.expose_secret());
        }
        Ok(info.set_redis_settings(settings).set_tcp_settings(tcp_settings()))
    }
}

/// Without URLs and passwords.
impl fmt::Debug for RedisStorageBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStorageBuilder")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .field("replicas", &self.replicas)
            .field("replica_timeout", &self.replica_timeout)
            .field("announces", &self.announces)
            .field("allows_plaintext", &self.allows_plaintext)
            .finish_non_exhaustive()
    }
}

/// The host is that of the URL as it was parsed, so it holds no password.
fn in_clear(host: &str) -> Error {
    let what = format!("Redis storage: redis:// would carry refresh tokens in clear to {host}");
    Error::new(ErrorKind::Config, what).with_advice(
        "use rediss:// (feature `tls-rustls`), or danger_allow_plaintext() where the network \
         encrypts",
    )
}

fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::Config, format!("Redis storage: {what}"))
}

#[cfg(feature = "tls-rustls")]
const BAD_CERTIFICATE: &str = "a certificate or its key is no PEM, or the URL is not rediss://";
#[cfg(feature = "cluster")]
const BAD_CLUSTER: &str = "the nodes of a cluster must have the same user, password, database and \
                           kind of TLS, and cannot be sockets";
const INSECURE: &str = "the URL ends with #insecure, but certificates are always checked; give the \
                        builder the certificate authority instead";
const NO_TLS: &str = "the URL asks for TLS, which is the feature `tls-rustls` of \
                      tokenkeeper-storage-redis";
const BAD_URL: &str = "the URL is none of redis://[user:password@]host[:port][/db], rediss://… and \
                       unix:///path (it is not shown because it may hold a password)";
const NO_URL: &str = "no URL was given; it needs at least one";
const USUAL_TIMEOUT: Duration = Duration::from_secs(4); // the manager gives a storage call 5 s
const USUAL_REPLICA_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refresh_tokens_go_in_clear_to_another_host_only_if_that_was_allowed() {
        for url in ["redis://redis.example.org", "redis://:planted@10.0.0.7:6380/1"] {
            let error = RedisStorage::new(url).unwrap_err();

            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("rediss://"), "{error}");
            assert!(error.to_string().contains("danger_allow_plaintext()"), "{error}");
            assert!(!format!("{error:#?}").contains("planted"), "{error:#?}");
            assert!(RedisStorage::builder(url).danger_allow_plaintext().build().is_ok());
        }
        for here in ["redis://127.0.0.1:1", "redis://localhost", "unix:///run/redis.sock"] {
            assert!(RedisStorage::new(here).is_ok(), "{here}");
        }
    }
}
