//! What becomes of the connection that a 401 came on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::setup::{Way, client, tokens};
use crate::tls::read_request;
use tokenkeeper::TokenManager;
use tokenkeeper_reqwest::Route;
use tokenkeeper_testkit::ScriptedProvider;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

/// Answers the first request of all with these bytes, and all others with 200. Counts connections.
async fn refusing_once(first: String) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = connections.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let (first, requests) = (first.clone(), requests.clone());
            tokio::spawn(async move {
                while !read_request(&mut stream).await.is_empty() {
                    let answer = match requests.fetch_add(1, Ordering::SeqCst) {
                        0 => first.as_str(),
                        _ => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
                    };
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (address, connections)
}

#[tokio::test]
async fn a_401_that_never_ends_does_not_hold_up_the_replay() {
    for way in Way::BOTH {
        let unending = "HTTP/1.1 401 No\r\ncontent-length: 1000000\r\n\r\nto be continued";
        let (address, connections) = refusing_once(unending.to_owned()).await;
        let manager = TokenManager::new(ScriptedProvider::new("svc"));
        let origin = format!("http://{address}");
        let tokens = tokens([Route::new(manager).origin(&origin)]);

        let answer = way.send(&tokens, client().get(origin)).await.unwrap();

        assert_eq!(answer.text().await.unwrap(), "ok", "{way:?}");
        assert_eq!(connections.load(Ordering::SeqCst), 2, "{way:?}");
    }
}

#[tokio::test]
async fn the_connection_of_a_whole_401_is_used_again() {
    for way in Way::BOTH {
        let whole = "HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\nno";
        let (address, connections) = refusing_once(whole.to_owned()).await;
        let manager = TokenManager::new(ScriptedProvider::new("svc"));
        let origin = format!("http://{address}");
        let tokens = tokens([Route::new(manager).origin(&origin)]);

        let answer = way.send(&tokens, client().get(origin)).await.unwrap();

        assert_eq!(answer.text().await.unwrap(), "ok", "{way:?}");
        assert_eq!(connections.load(Ordering::SeqCst), 1, "{way:?}");
    }
}
