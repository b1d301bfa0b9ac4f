//! The life of a member: tasks that want a token all the time, and a record of what they got.

use std::collections::BTreeSet;
use std::io::{self, BufRead};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use parking_lot::Mutex;
use tokenkeeper::{
    AccessToken, Clock, Error, Event, EventKind, Observer, SystemClock, TokenManager,
    TokenRequestKind,
};
use tokenkeeper_providers::{BundledTransport, HttpTransport};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::orders::Orders;
use super::report::{Counts, Happening, Report, Span, tell, unix_millis};

/// Does what a member does until its standard input says `end`, then flushes. When the input ends
/// without a word, whoever started it is dead, and it ends at once.
///
/// # Errors
///
/// If the orders cannot be carried out, or the flush fails.
pub fn serve(orders: &Orders) -> Result<(), Error> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let manager = orders.manager()?.observer(Reporter).build()?;
    let transport = orders.transport()?;
    runtime.block_on(async {
        let member = Arc::new(Member { manager, ledger: Ledger::default() });
        let ended = end_of_input();
        let mut tasks = JoinSet::new();
        tasks.spawn(pulse(Arc::clone(&member)));
        for _ in 0..orders.callers {
            let pause = Duration::from_millis(orders.pause_ms);
            tasks.spawn(Arc::clone(&member).call_all_the_time(pause));
        }
        if let Some(url) = orders.resource_url.clone() {
            tasks.spawn(Arc::clone(&member).use_now_and_then(transport, url));
        }
        let _ = ended.await;
        member.ledger.closed.store(true, Relaxed);
        tasks.join_all().await; // calls that wait for a token count too
        tell(&Report::Counts(member.ledger.counts()));
        member.manager.flush().await
    })
}

#[derive(Debug)]
struct Member {
    manager: TokenManager,
    ledger: Ledger,
}

impl Member {
    async fn call_all_the_time(self: Arc<Self>, pause: Duration) {
        while !self.ledger.closed.load(Relaxed) {
            let asked_at = unix_millis(SystemClock.now().wall());
            let result = self.manager.token().await;
            self.ledger.enter(asked_at, result);
            SystemClock.sleep(pause).await;
        }
    }

    /// Every second or so, at a time of its own.
    async fn use_now_and_then(self: Arc<Self>, transport: BundledTransport, url: String) {
        while !self.ledger.closed.load(Relaxed) {
            SystemClock.sleep(Duration::from_millis(fastrand::u64(500..1_500))).await;
            let Some(token) = self.manager.peek() else { continue };
            let Some(status) = present(&transport, &url, &token).await else { continue };
            let is_over = SystemClock.now().wall() >= ends(&token);
            match status {
                StatusCode::OK => drop(self.ledger.accepted.fetch_add(1, Relaxed)),
                StatusCode::UNAUTHORIZED if !is_over => {
                    self.ledger.refused.fetch_add(1, Relaxed);
                    // As a program does; what it gets, it would send again.
                    let asked_at = unix_millis(SystemClock.now().wall());
                    let replaced = self.manager.replace_rejected(&token).await;
                    if let Some(result) = replaced.transpose() {
                        self.ledger.enter(asked_at, result);
                    }
                }
                _ => {}
            }
        }
    }
}

async fn present(
    transport: &BundledTransport,
    url: &str,
    token: &AccessToken,
) -> Option<StatusCode> {
    let request = Request::get(url).header(AUTHORIZATION, token.authorization());
    let answer = transport.send(request.body(Vec::new()).ok()?).await.ok()?;
    Some(answer.status())
}

/// What the callers got.
#[derive(Debug, Default)]
struct Ledger {
    calls: AtomicU64,
    tokens: AtomicU64,
    errors: AtomicU64,
    expired: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    /// Until when some caller has a good token.
    covered_until: AtomicU64,
    /// Errors are told once each: a hundred callers share one.
    said: Mutex<BTreeSet<String>>,
    closed: AtomicBool,
}

impl Ledger {
    fn enter(&self, asked_at: u64, result: Result<Arc<AccessToken>, Error>) {
        self.calls.fetch_add(1, Relaxed);
        let token = match result {
            Ok(token) => token,
            Err(error) => {
                self.errors.fetch_add(1, Relaxed);
                let text = error.to_string();
                if self.said.lock().insert(text.clone()) {
                    tell(&Report::Error(text));
                }
                return;
            }
        };
        self.tokens.fetch_add(1, Relaxed);
        let (now, ends) = (unix_millis(SystemClock.now().wall()), unix_millis(ends(&token)));
        if ends <= asked_at {
            self.expired.fetch_add(1, Relaxed);
            return;
        }
        let covered_until = self.covered_until.fetch_max(ends, Relaxed);
        if covered_until > 0 && covered_until < now && ends > covered_until {
            tell(&Report::Gap(Span { from: covered_until, to: now }));
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            calls: self.calls.load(Relaxed),
            tokens: self.tokens.load(Relaxed),
            errors: self.errors.load(Relaxed),
            expired: self.expired.load(Relaxed),
            accepted: self.accepted.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }
}

/// The servers of these tests say how long their tokens live.
fn ends(token: &AccessToken) -> std::time::SystemTime {
    token.expires_at().expect("a lifetime")
}

/// Notices when the process does not run, and tells the counts now and then.
async fn pulse(member: Arc<Member>) {
    let mut last = unix_millis(SystemClock.now().wall());
    let mut beats = 0_u32;
    while !member.ledger.closed.load(Relaxed) {
        SystemClock.sleep(BEAT).await;
        let now = unix_millis(SystemClock.now().wall());
        if now.saturating_sub(last) > LATE {
            tell(&Report::Stall(Span { from: last, to: now }));
        }
        last = now;
        beats += 1;
        if beats.is_multiple_of(BEATS_PER_COUNT) {
            tell(&Report::Counts(member.ledger.counts()));
        }
    }
}

/// Comes when the test says `end`. When it says nothing more, it is dead, and so are we.
fn end_of_input() -> oneshot::Receiver<()> {
    let (end, ended) = oneshot::channel();
    thread::spawn(move || {
        let mut word = String::new();
        let _ = io::stdin().lock().read_line(&mut word);
        if word.trim() != "end" {
            process::exit(1);
        }
        let _ = end.send(());
    });
    ended
}

/// Tells what the manager tells.
#[derive(Debug)]
struct Reporter;

impl Observer for Reporter {
    fn on_event(&self, event: &Event) {
        let at = unix_millis(SystemClock.now().wall());
        let what = match event.kind() {
            EventKind::TokenRequestStarted { .. } => Happening::TokenRequestStarted,
            EventKind::TokenRequestSucceeded { exchange: TokenRequestKind::Refresh, .. } => {
                Happening::Refreshed
            }
            EventKind::TokenRequestSucceeded { .. } => Happening::LoggedIn,
            EventKind::TokenRequestFailed { error, .. } => {
                Happening::TokenRequestFailed(error.to_string())
            }
            EventKind::AnswerLost { .. } => Happening::AnswerLost,
            EventKind::Adopted => Happening::Adopted,
            EventKind::RefreshTokenDropped => Happening::RefreshTokenDropped,
            EventKind::StorageFailed { call, error } => {
                Happening::StorageFailed(format!("{call}: {error}"))
            }
            EventKind::WriteRecovered => Happening::WriteRecovered,
            EventKind::Rejected { .. } => Happening::Rejected,
            EventKind::LeaseWaited { .. } => return, // by whom a lease is held shows in the exchanges
            other => Happening::Other(other.to_string()),
        };
        tell(&Report::Happened { at, what });
    }
}

const BEAT: Duration = Duration::from_millis(20);
const LATE: u64 = 80; // milliseconds; a process that could run is kept waiting
const BEATS_PER_COUNT: u32 = 10; // what is killed loses a fifth of a second of its counts
