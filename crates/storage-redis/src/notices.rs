//! What Redis publishes when a record was written, for whoever wants to be told.
//!
//! One connection serves all keys of a storage. It is opened when somebody waits for a first notice,
//! and closed when nobody listens any more. No task watches over it: whoever waits is woken when it
//! is lost, and the first of them opens the next one.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::aio::{AsyncPushSender, MultiplexedConnection, SendError};
use redis::{
    AsyncConnectionConfig, Client, ErrorKind as RedisKind, PushInfo, PushKind, RedisError, Value,
};
use tokenkeeper::{ChangeNotices, Error, ErrorKind, Order};
use tokio::sync::watch;
use tokio::time::{timeout, timeout_at};

use crate::failure::Failure;
use crate::home;
use crate::link::deadline_in;

/// All who listen through one storage.
pub(crate) struct Listeners {
    /// Any of them will do: a cluster hands every message to every node.
    nodes: Vec<Client>,
    limit: Duration,
    /// What was last heard on a channel, and who wants to know.
    channels: Mutex<HashMap<String, watch::Sender<Option<Order>>>>,
    connection: tokio::sync::Mutex<Option<MultiplexedConnection>>,
    /// The number of the connection, odd while it stands or is being made, else even.
    state: AtomicU64,
}

impl Listeners {
    /// The nodes must be set to RESP3, which has room for messages between answers.
    pub(crate) fn new(nodes: Vec<Client>, limit: Duration) -> Arc<Self> {
        Arc::new(Self {
            nodes,
            limit,
            channels: Mutex::default(),
            connection: tokio::sync::Mutex::new(None),
            state: AtomicU64::new(0),
        })
    }

    pub(crate) fn listen(self: &Arc<Self>, channel: String) -> RedisNotices {
        let heard = self.channels.lock().entry(channel.clone()).or_default().subscribe();
        RedisNotices { listeners: Arc::clone(self), channel, heard, subscribed_on: 0 }
    }

    /// Subscribes on the connection that stands, or on a new one, and gives its number.
    async fn subscribe(self: &Arc<Self>, channel: &str) -> Result<u64, Failure> {
        let deadline = deadline_in(self.limit);
        match timeout_at(deadline, self.try_subscribe(channel)).await {
            Ok(result) => Ok(result?),
            Err(_) => {
                // It may hang for ever, and others wait for messages from it.
                self.connection.lock().await.take();
                Err(Failure::late(self.limit, deadline))
            }
        }
    }

    async fn try_subscribe(self: &Arc<Self>, channel: &str) -> Result<u64, RedisError> {
        let mut open = self.connection.lock().await;
        let number = self.state.load(Ordering::SeqCst);
        if let (Some(connection), true) = (open.as_mut(), stands(number)) {
            connection.subscribe(channel).await?;
            return Ok(number);
        }
        *open = None;
        let (number, mut connection) = self.connect().await?;
        connection.subscribe(channel).await?;
        *open = Some(connection);
        Ok(number)
    }

    async fn connect(self: &Arc<Self>) -> Result<(u64, MultiplexedConnection), RedisError> {
        let mut result = Err(RedisError::from((RedisKind::Client, "no node to listen to")));
        for node in &self.nodes {
            let number = self.next_number();
            let lifeline = Lifeline { listeners: Arc::downgrade(self), number };
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(self.limit / 2)) // leaves time for another node
                .set_response_timeout(None)
                .set_push_sender(lifeline);
            let node = node.clone();
            let connecting =
                async move { node.get_multiplexed_async_connection_with_config(&config).await };
            let connected = home::run(Box::pin(connecting)).await.and_then(|connected| connected);
            result = connected.map(|connection| (number, connection));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Makes the state that of a new connection, which is not there yet: whoever finds it waits for
    /// the one who makes it.
    fn next_number(&self) -> u64 {
        let before = self.state.load(Ordering::SeqCst);
        let number = if stands(before) { before + 2 } else { before + 1 };
        self.state.store(number, Ordering::SeqCst);
        if stands(before) {
            self.wake_all(); // it was let go of, and has not noticed yet
        }
        number
    }

    fn wake_all(&self) {
        for heard in self.channels.lock().values() {
            heard.send_replace(None);
        }
    }

    fn server(&self) -> String {
        let nodes = self.nodes.iter().map(|node| node.get_connection_info().addr().to_string());
        nodes.collect::<Vec<_>>().join(", ")
    }

    /// To be called by a listener that goes, with its receiver: two that go at the same moment must
    /// not both count the other.
    fn leave(self: &Arc<Self>, channel: &str, heard: watch::Receiver<Option<Order>>) {
        let mut channels = self.channels.lock();
        drop(heard);
        if channels.get(channel).is_some_and(|heard| heard.receiver_count() > 0) {
            return;
        }
        channels.remove(channel);
        let nobody_is_left = channels.is_empty();
        drop(channels);
        if nobody_is_left {
            if let Ok(mut connection) = self.connection.try_lock() {
                *connection = None;
            }
        } else {
            let (listeners, channel) = (Arc::clone(self), channel.to_owned());
            home::spawn(async move { listeners.unsubscribe(&channel).await });
        }
    }

    async fn unsubscribe(&self, channel: &str) {
        let mut open = self.connection.lock().await;
        let is_wanted = self.channels.lock().contains_key(channel); // again, by now
        if let (Some(connection), false) = (open.as_mut(), is_wanted) {
            // If it fails, messages come that nobody hears.
            let _ = timeout(self.limit, connection.unsubscribe(channel)).await;
        }
        if self.channels.lock().is_empty() {
            *open = None; // whoever was the last to leave found it in use
        }
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connected = stands(self.state.load(Ordering::SeqCst));
        f.debug_struct("Listeners").field("connected", &connected).finish_non_exhaustive()
    }
}

/// What a connection tells, and that it is lost: because it broke, was let go of, or its runtime has
/// ended. In all cases the connection drops this.
struct Lifeline {
    listeners: Weak<Listeners>,
    number: u64,
}

impl AsyncPushSender for Lifeline {
    fn send(&self, push: PushInfo) -> Result<(), SendError> {
        match push.kind {
            PushKind::Message => self.hear(push.data),
            PushKind::Disconnection => self.lost(),
            _ => {}
        }
        Ok(())
    }
}

impl Lifeline {
    fn hear(&self, message: Vec<Value>) {
        let Some(listeners) = self.listeners.upgrade() else { return };
        let mut words = message.into_iter().map(redis::from_redis_value::<String>);
        let (Some(Ok(channel)), Some(Ok(order))) = (words.next(), words.next()) else { return };
        if let Some(heard) = listeners.channels.lock().get(&channel) {
            heard.send_replace(order_of(&order));
        }
    }

    fn lost(&self) {
        let Some(listeners) = self.listeners.upgrade() else { return };
        let next = self.number + 1;
        let state = &listeners.state;
        if state.compare_exchange(self.number, next, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            listeners.wake_all();
        }
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.lost();
    }
}

/// One who listens for the writes of one key.
pub(crate) struct RedisNotices {
    listeners: Arc<Listeners>,
    channel: String,
    heard: watch::Receiver<Option<Order>>,
    /// The number of a connection; even before the first.
    subscribed_on: u64,
}

impl RedisNotices {
    /// Whether the connection that it subscribed on stands.
    fn is_subscribed(&self) -> bool {
        stands(self.subscribed_on)
            && self.subscribed_on == self.listeners.state.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl ChangeNotices for RedisNotices {
    async fn next(&mut self) -> Result<Option<Order>, Error> {
        loop {
            if !self.is_subscribed() {
                let subscribed = self.listeners.subscribe(&self.channel).await;
                self.heard.mark_unchanged(); // whoever is told now and looks finds that, too
                self.subscribed_on = subscribed.map_err(|failure| {
                    let server = self.listeners.server();
                    failure.into_error("cannot listen on", &self.channel, &server)
                })?;
                return Ok(None);
            }
            let gone = |_| Error::new(ErrorKind::Storage, "nobody tells of writes any more");
            self.heard.changed().await.map_err(gone)?;
            if self.is_subscribed() {
                return Ok(*self.heard.borrow_and_update());
            }
        }
    }
}

impl fmt::Debug for RedisNotices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisNotices").field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl Drop for RedisNotices {
    fn drop(&mut self) {
        let (_, nothing) = watch::channel(None);
        let heard = std::mem::replace(&mut self.heard, nothing);
        self.listeners.leave(&self.channel, heard);
    }
}

/// What is published: the order of the record, which tells its writer that it knows it already.
pub(crate) fn message_of(order: Order) -> String {
    format!("{} {}", order.epoch(), order.generation())
}

fn order_of(message: &str) -> Option<Order> {
    let (epoch, generation) = message.split_once(' ')?;
    Some(Order::new(epoch.parse().ok()?, generation.parse().ok()?))
}

fn stands(number: u64) -> bool {
    number % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_gives_the_order_back() {
        let order = Order::new(u64::MAX, 7);

        assert_eq!(order_of(&message_of(order)), Some(order));
        for nonsense in ["", "1", "1 ", "x y", "1 2 3"] {
            assert_eq!(order_of(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn listeners_that_leave_at_the_same_moment_leave_no_channel_behind() {
        let listeners = Listeners::new(Vec::new(), Duration::from_secs(1));

        for _ in 0..2_000 {
            let start = std::sync::Barrier::new(8);
            let all = [0; 8].map(|_| listeners.listen("channel".to_owned()));
            std::thread::scope(|scope| {
                let start = &start;
                for notices in all {
                    scope.spawn(move || {
                        start.wait();
                        drop(notices);
                    });
                }
            });
            assert!(listeners.channels.lock().is_empty());
        }
    }
}
