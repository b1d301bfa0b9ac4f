//! The connections to the port, until the login has ended.
//!
//! Browsers open connections that they never use, and anything else on this machine can open more.
//! None of them may keep the one from being heard that brings the callback.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokenkeeper::Clock;
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use crate::callback_handler::CallbackHandler;
use crate::listener::Listener;
use crate::turned_away::TurnedAway;

/// Serves every connection to the port. Dropping it closes the port, and ends its connections.
#[derive(Debug)]
pub(crate) struct AcceptLoop {
    listener: Listener,
    handler: Arc<CallbackHandler>,
    clock: Arc<dyn Clock>,
    connections: JoinSet<()>,
    /// One for each connection that has not asked for anything yet, the oldest first.
    waiting: VecDeque<oneshot::Sender<Infallible>>,
}

impl AcceptLoop {
    pub(crate) fn new(listener: Listener, handler: CallbackHandler, clock: Arc<dyn Clock>) -> Self {
        let (connections, waiting) = (JoinSet::new(), VecDeque::new());
        Self { listener, handler: Arc::new(handler), clock, connections, waiting }
    }

    /// Accepts connections for as long as it is polled.
    pub(crate) async fn run(&mut self) -> Infallible {
        loop {
            let Ok(stream) = self.listener.accept().await else {
                // Out of file descriptors, say. The login is not over, so try again.
                self.clock.sleep(PAUSE_AFTER_REFUSAL).await;
                continue;
            };
            while self.connections.try_join_next().is_some() {}
            self.waiting.retain(|place| !place.is_closed());
            if self.waiting.len() == MOST_WAITING {
                self.waiting.pop_front(); // hangs up on it
            }
            let (place, hang_up) = oneshot::channel();
            self.waiting.push_back(place);
            let (handler, clock) = (self.handler.clone(), self.clock.clone());
            self.connections.spawn(serve(stream, handler, clock, hang_up));
        }
    }

    /// What came that was not the callback.
    pub(crate) fn turned_away(&self) -> &TurnedAway {
        self.handler.turned_away()
    }

    /// Closes the port, and waits until those who brought the callback have their page.
    pub(crate) async fn close(self) {
        let Self { listener, clock, mut connections, .. } = self;
        drop(listener);
        tokio::select! {
            () = async { while connections.join_next().await.is_some() {} } => {}
            () = clock.sleep(LONGEST_FAREWELL) => {}
        }
    }
}

/// One request and one answer; then the connection is closed.
async fn serve(
    stream: TcpStream,
    handler: Arc<CallbackHandler>,
    clock: Arc<dyn Clock>,
    hang_up: oneshot::Receiver<Infallible>,
) {
    let heard = Notify::new();
    let service = service_fn(async |request| {
        heard.notify_one();
        Ok::<_, Infallible>(handler.answer(&request).await)
    });
    let mut http = http1::Builder::new();
    // A client may end its side right behind the request (RFC 9112 §9.6), and is answered all the same.
    http.keep_alive(false).half_close(true).max_buf_size(LARGEST_HEAD);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let silence = async {
        tokio::select! {
            biased;
            () = heard.notified() => pending().await,
            () = clock.sleep(LONGEST_HEAD) => {}
            _ = hang_up => {}
            _ = handler.outcome() => {}
        }
    };
    tokio::select! {
        biased;
        _ = connection => {}
        () = silence => {}
    }
}

const LARGEST_HEAD: usize = 16 * 1024; // bytes; a code, a state and the cookies of other local servers
const LONGEST_HEAD: Duration = Duration::from_secs(10); // it comes from this machine
const LONGEST_FAREWELL: Duration = Duration::from_secs(2); // for a page of one packet
const MOST_WAITING: usize = 64; // browsers open half a dozen
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(100);
