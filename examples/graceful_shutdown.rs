//! What a service does when it is told to stop: `cargo run --example graceful_shutdown`
//!
//! A refresh is under way at that moment. The server has spent the old refresh token, and the only
//! copy of the new one is an answer on its way to us: a process that ends now has lost the login.
//! This one stops taking work, finishes what it has, and flushes, with a deadline.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use tokenkeeper::{ManualClock, TokenManager, TokenSet};
use tokenkeeper_providers::{ClientAuth, RefreshTokenProvider};
use tokenkeeper_storage_file::FileStorage;
use tokenkeeper_testkit::FakeAuthServer;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    tour(&mut io::stdout()).await
}

/// Takes work until it is told to stop. Says whether everything is in the storage.
async fn serve(
    manager: TokenManager,
    mut work: mpsc::Receiver<&'static str>,
    stop: oneshot::Receiver<()>, // in a real service: tokio::signal::ctrl_c(), or a SIGTERM
) -> Result<Vec<String>> {
    let (mut tasks, mut said) = (JoinSet::new(), Vec::new());
    let mut start = |name| {
        let manager = manager.clone();
        tasks.spawn(async move { manager.token().await.map(|_token| name) });
    };
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            biased;
            _ = &mut stop => break,
            Some(name) = work.recv() => start(name),
        }
    }
    work.close(); // 1. callers that send work from now on get an error, and go elsewhere
    while let Some(name) = work.recv().await {
        start(name); // 2. what was accepted before is finished
    }
    while let Some(done) = tasks.join_next().await {
        said.push(format!("{} is done", done??));
    }
    said.sort();
    match timeout(DEADLINE, manager.flush()).await {
        Ok(flushed) => flushed?, // 3. exchanges and writes too, though no task waits for them
        Err(_) => said.push(format!("not everything was stored within {DEADLINE:?}")),
    }
    Ok(said)
}

pub(crate) async fn tour(out: &mut impl Write) -> Result<()> {
    let clock = ManualClock::new();
    let server =
        FakeAuthServer::builder().token_lifetime(TOKEN_LIFETIME).clock(clock.clone()).start();
    let folder = tempfile::tempdir()?;
    let (stored, as_if_killed) = (folder.path().join("tokens"), folder.path().join("killed"));

    writeln!(out, "The first start, with a refresh token from a login in a browser.")?;
    let manager = manager(&server, &clock, &stored)?;
    let login = server.issue_refresh_token("client", "alice");
    manager.install_if_absent(TokenSet::from_refresh_token(login)).await?;
    manager.token().await?;
    manager.flush().await?; // the lease too: while the clock stands, it would never end
    writeln!(out, "  {}", manager.status())?;

    // The token is due: the next caller gets it at once, and it is renewed behind its back.
    clock.advance(TOKEN_LIFETIME * 4 / 5);
    let held = server.hold();
    let (give, work) = mpsc::channel(8);
    let (stop, stopped) = oneshot::channel();
    give.send("invoice 1").await?;
    let service = tokio::spawn(serve(manager.clone(), work, stopped));
    held.arrived(1).await;
    writeln!(out, "\nThe service works, and a refresh is at the server: {}", manager.status())?;
    fs::copy(&stored, &as_if_killed)?; // what a process leaves behind that is killed now

    writeln!(out, "It is told to stop, with an invoice still in its queue.")?;
    give.send("invoice 2").await?;
    let _ = stop.send(());
    give.closed().await;
    assert!(give.send("invoice 3").await.is_err());
    held.release(); // the answer arrives while flush() waits for it
    for line in service.await?? {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "  {}", manager.status())?;
    drop(manager);

    clock.advance(TOKEN_LIFETIME);
    let next = self::manager(&server, &clock, &stored)?;
    next.token().await?;
    writeln!(out, "\nThe second start, when that token has ended, too: {}", next.status())?;
    writeln!(out, "  It went on with the refresh token that arrived in the last moment.")?;
    next.flush().await?;
    assert_eq!((server.count("refresh_token", 200), server.reuses()), (3, 0));

    let killed = self::manager(&server, &clock, &as_if_killed)?;
    let Err(error) = killed.token().await else { return Err("a spent token was accepted".into()) };
    writeln!(out, "\nHad it been killed instead of stopped, that second start would say:")?;
    writeln!(out, "  {error}")?;
    assert_eq!(server.reuses(), 1);
    Ok(())
}

fn manager(server: &FakeAuthServer, clock: &ManualClock, stored: &Path) -> Result<TokenManager> {
    let provider = RefreshTokenProvider::builder("calendar", &server.token_url())
        .client("client", ClientAuth::basic("secret"))
        .subject("alice")
        .build()?;
    let storage = FileStorage::single_file(stored)?;
    Ok(TokenManager::builder(provider).storage(storage).clock(clock.clone()).build()?)
}

const TOKEN_LIFETIME: Duration = Duration::from_secs(900);
/// A refresh takes 15 s at most by default, a write 5 s; Kubernetes kills after 30 s.
const DEADLINE: Duration = Duration::from_secs(25);
