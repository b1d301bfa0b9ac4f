//! Four processes, one login: `cargo run --example fleet`
//!
//! Every refresh token is good for one refresh, and a process that spends one twice ends the login for all.
//! The four processes share a storage, and nothing else: a folder of its own, or the Redis at
//! `REDIS_URL` if that is set. Each asks for a token fifty times a second; the tokens live two
//! seconds. The authorization server runs in the first process and counts.
//!
//! It takes ten seconds. Where a promise is broken, it ends with an error.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use tokenkeeper::{
    AccessToken, Clock, Event, EventKind, Observer, SystemClock, TokenManager, TokenStorage,
};
use tokenkeeper_providers::{ClientAuth, PasswordProvider};
use tokenkeeper_storage_file::FileStorage;
use tokenkeeper_storage_redis::RedisStorage;
use tokenkeeper_testkit::FakeAuthServer;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let result = match Orders::from_environment() {
        Some(orders) => member(&orders),
        None => env::current_exe()
            .map_err(Into::into)
            .and_then(|this| watch(&|| Command::new(&this), 7, &mut io::stdout())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What a process of the fleet does: it is a service like any other.
pub(crate) fn member(orders: &Orders) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0); // the parent has seen enough, or is gone
    });
    let has_exchanged = Arc::new(HasExchanged::default());
    let manager = orders.manager()?.observer(has_exchanged.clone()).build()?;
    runtime.block_on(async {
        let mut last = None;
        loop {
            let token = manager.token().await?;
            if last != Some(ends(&token)) {
                last = Some(ends(&token));
                let how = if has_exchanged.take() { "exchanged" } else { "adopted" };
                writeln!(io::stdout(), "{LINE} {how} {}", ends(&token))?;
            }
            SystemClock.sleep(Duration::from_millis(20)).await;
        }
    })
}

/// Starts the server and four processes, and says what becomes of each refresh token, until so many
/// have been spent.
pub(crate) fn watch(
    program: &dyn Fn() -> Command,
    rotations: usize,
    out: &mut impl Write,
) -> Result<()> {
    let server = FakeAuthServer::builder().token_lifetime(Duration::from_secs(2)).start();
    let folder = tempfile::tempdir()?;
    let (storage, where_it_is) = match env::var("REDIS_URL") {
        Ok(url) => (url, "the Redis at REDIS_URL".to_owned()),
        Err(_) => {
            let folder = folder.path().join("tokens").display().to_string();
            (folder.clone(), folder)
        }
    };
    let orders = Orders { storage, token_url: server.token_url() };
    writeln!(out, "{SIZE} processes share {where_it_is}.")?;
    writeln!(out, "Tokens live 2 s, and every refresh token is good for one refresh.\n")?;

    let (news, told) = mpsc::channel();
    let _processes: Vec<Process> = (1..=SIZE)
        .map(|number| Process::start(program(), &orders, number, news.clone()))
        .collect::<io::Result<_>>()?;

    let mut tokens: BTreeMap<u128, Token> = BTreeMap::new();
    let mut told_of = BTreeSet::new();
    let mut exchanged: BTreeMap<usize, usize> = BTreeMap::new();
    while told_of.len() <= rotations {
        let (number, how, ends) = told.recv_timeout(LONGEST_WAIT)?;
        let token = tokens.entry(ends).or_default();
        token.holders.insert(number);
        if how == "exchanged" {
            token.exchangers.push(number);
            *exchanged.entry(number).or_default() += 1;
        }
        if token.holders.len() == SIZE && told_of.insert(ends) {
            let [by] = token.exchangers[..] else {
                return Err(format!("{:?} made the same exchange", token.exchangers).into());
            };
            let what = if told_of.len() == 1 { "logged in" } else { "spent a refresh token" };
            let others: Vec<String> =
                token.holders.iter().filter(|n| **n != by).map(usize::to_string).collect();
            writeln!(out, "Process {by} {what}; {} took its tokens over.", others.join(", "))?;
        }
    }

    let (logins, refreshes) = (server.count("password", 200), server.count("refresh_token", 200));
    let reuses = server.reuses();
    writeln!(out, "\nThe server saw {logins} login and {refreshes} refreshes for them.")?;
    for (number, count) in &exchanged {
        writeln!(out, "Process {number} made {count} of the exchanges.")?;
    }
    writeln!(out, "Refresh tokens spent twice: {reuses}.")?;
    // The first of the tokens came from the login, and one more refresh may be under way.
    assert!(logins == 1 && reuses == 0 && (tokens.len() - 1..=tokens.len()).contains(&refreshes));
    orders.forget()
}

/// Who holds a token, and who made the exchange for it.
#[derive(Debug, Default)]
struct Token {
    exchangers: Vec<usize>,
    holders: BTreeSet<usize>,
}

/// What all processes have to know: where the tokens come from, and where they are kept.
#[derive(Debug)]
pub(crate) struct Orders {
    storage: String,
    token_url: String,
}

impl Orders {
    pub(crate) fn from_environment() -> Option<Self> {
        Some(Self { storage: env::var(STORAGE).ok()?, token_url: env::var(TOKEN_URL).ok()? })
    }

    fn manager(&self) -> Result<tokenkeeper::TokenManagerBuilder> {
        let provider = PasswordProvider::builder("fleet", &self.token_url)
            .client("client", ClientAuth::basic("secret"))
            .user("alice", "wonderland")
            .build()?;
        Ok(TokenManager::builder(provider).storage(self.storage()?))
    }

    fn storage(&self) -> Result<Box<dyn TokenStorage>> {
        if self.storage.starts_with("redis") {
            return Ok(Box::new(RedisStorage::new(&self.storage)?));
        }
        Ok(Box::new(FileStorage::directory(&self.storage)?))
    }

    /// Leaves nothing behind in a Redis that others use.
    fn forget(&self) -> Result<()> {
        let (storage, key) = (self.storage()?, self.manager()?.build()?.key().clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(storage.delete(&key))?)
    }
}

/// A process of the fleet, which ends with this value.
struct Process(Child);

impl Process {
    fn start(
        mut command: Command,
        orders: &Orders,
        number: usize,
        news: mpsc::Sender<(usize, String, u128)>,
    ) -> io::Result<Self> {
        command.env(STORAGE, &orders.storage).env(TOKEN_URL, &orders.token_url);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take();
        thread::spawn(move || {
            for line in output.into_iter().flat_map(|o| BufReader::new(o).lines()).flatten() {
                let mut words = line.split(' ').skip_while(|word| *word != LINE).skip(1);
                let (how, ends) = (words.next(), words.next().and_then(|ends| ends.parse().ok()));
                if let (Some(how), Some(ends)) = (how, ends) {
                    let _ = news.send((number, how.to_owned(), ends));
                }
            }
        });
        Ok(Self(child))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Whether the manager made a token request since the last question.
#[derive(Debug, Default)]
struct HasExchanged(AtomicBool);

impl HasExchanged {
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Observer for HasExchanged {
    fn on_event(&self, event: &Event) {
        if let EventKind::TokenRequestSucceeded { .. } = event.kind() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Its end, in milliseconds since 1970: by this we see that two processes hold the same token, and a
/// log should not show more of it.
fn ends(token: &AccessToken) -> u128 {
    let since_1970 = token.expires_at().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since_1970.unwrap_or_default().as_millis()
}

const SIZE: usize = 4;
const STORAGE: &str = "FLEET_STORAGE";
const TOKEN_URL: &str = "FLEET_TOKEN_URL";
const LINE: &str = "fleet:"; // marks the lines that are for us
const LONGEST_WAIT: Duration = Duration::from_secs(60);
