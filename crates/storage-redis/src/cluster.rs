//! Redis Cluster: one storage over many nodes, each key on one of them.

use std::time::Duration;

use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, SingleNodeRoutingInfo, SlotAddr};
use redis::{ConnectionInfo, Pipeline, RedisResult, Value};

use crate::sockets::tcp_settings;

/// A client that finds the node of a key, and follows when it moves.
pub(crate) struct Cluster {
    client: ClusterClient,
    nodes: String,
}

impl Cluster {
    pub(crate) fn new(
        nodes: Vec<ConnectionInfo>,
        limit: Duration,
        #[cfg(feature = "tls-rustls")] certificates: Option<redis::TlsCertificates>,
    ) -> RedisResult<Self> {
        let names: Vec<String> = nodes.iter().map(|node| node.addr().to_string()).collect();
        let builder = ClusterClient::builder(nodes)
            .connection_timeout(limit / 2) // so that one node that hangs leaves time for another
            .response_timeout(limit)
            .tcp_settings(tcp_settings())
            .retries(RETRIES);
        #[cfg(feature = "tls-rustls")]
        let builder = match certificates {
            Some(certificates) => builder.certs(certificates),
            None => builder,
        };
        Ok(Self { client: builder.build()?, nodes: names.join(", ") })
    }

    /// The nodes that were named, as they may be shown.
    pub(crate) fn nodes(&self) -> String {
        self.nodes.clone()
    }

    pub(crate) async fn connect(&self) -> RedisResult<ClusterConnection> {
        Box::pin(self.client.get_async_connection()).await
    }
}

/// Sends two commands to the primary of a key, one after the other on one connection.
pub(crate) async fn send_both(
    connection: &mut ClusterConnection,
    both: Pipeline,
    key: &str,
) -> RedisResult<Vec<Value>> {
    let route = SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
    connection.route_pipeline(both, 0, 2, route).await
}

const RETRIES: u32 = 3; // a key that moves takes one; more would outlast the limit of a call
