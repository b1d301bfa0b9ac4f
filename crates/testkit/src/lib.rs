//! Test tools for [`tokenkeeper`]: for those who write a storage, a provider, or a program that
//! lives on tokens, and want to know what happens on a bad day.
//!
//! | part | what it is for |
//! |---|---|
//! | [`FakeAuthServer`] | a real authorization server and protected resource on a local port, with faults to order |
//! | [`ScriptedProvider`], [`Step`] | a provider that follows a script and speaks no HTTP |
//! | [`FaultyStorage`], [`PlainStorage`] | storages that fail on demand, or hide that they can be shared |
//! | [`Gate`] | holds futures until a test lets them go, so that no test is ordered by sleeping |
//! | [`contract`], [`storage_contract!`], [`shared_storage_contract!`], [`shared_backend_contract!`] | what every storage must do, one test for each rule |
//!
//! # A storage of your own
//!
//! One line makes one test of each rule, and the name of a failing test is the rule that is
//! broken:
//!
//! ```
//! mod my_storage {
//!     use tokenkeeper::MemoryStorage as MyStorage;
//!
//!     tokenkeeper_testkit::storage_contract!(MyStorage::new());
//!
//!     mod shared {
//!         use super::MyStorage;
//!
//!         tokenkeeper_testkit::shared_storage_contract!(MyStorage::new());
//!     }
//! }
//! ```
//!
//! `docs/writing-a-storage.md` in the repository goes from nothing to a shared storage that passes.
//!
//! # A service on a bad day
//!
//! The server acts on a request whose answer is lost, so a client that asks again with the same
//! refresh token is taken for a thief:
//!
//! ```
//! use tokenkeeper_testkit::{ClientAuth, FakeAuthServer, Fault, RetryAfter};
//!
//! let server = FakeAuthServer::builder().client("id", "s3cret", ClientAuth::Basic).start();
//! server.fail_next(1, Fault::TooManyRequests(Some(RetryAfter::Seconds(7))));
//! server.fail_next(1, Fault::LostResponse);
//! // … let the code under test ask `server.token_url()` for tokens …
//! assert_eq!(server.reuses(), 0, "{}", server.stats());
//! ```
//!
//! # People who log in
//!
//! The server plays the browser and the person too, so a login is tested in one process, and so is
//! what happens when a person declines or an attacker sends the answer:
//! [`FakeAuthServer`](FakeAuthServer#a-login-without-a-person) shows how. Devices wait for
//! [`approve_device`](FakeAuthServer::approve_device).
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `signatures` | off | the fake server checks signatures that were made with a private key, and signs ID tokens with keys of its own (RS256, ES256, `EdDSA`), at the price of a crypto library |
//!
//! # Callers at once
//!
//! A gate names the moment that a test is about, for futures of any runtime:
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use tokenkeeper::{Clock, FetchContext, ManualClock, TokenProvider};
//! use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};
//!
//! let (provider, gate) = (ScriptedProvider::new("billing"), Gate::closed());
//! provider.on_fetch(Step::issue().held(&gate));
//! let inside = provider.clone();
//! let fetch = std::thread::spawn(move || {
//!     let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
//!     let cx = FetchContext::detached(&clock, Duration::from_secs(15));
//!     pollster::block_on(inside.fetch_token(&cx)).is_ok()
//! });
//! pollster::block_on(gate.arrived(1));
//! assert_eq!((provider.running(), provider.issued()), (1, 0));
//! gate.release();
//! assert!(fetch.join().unwrap());
//! ```
//!
//! # Storages that fail
//!
//! ```
//! use tokenkeeper::{MemoryStorage, Order, StorageKey, TokenRecord, TokenStorage};
//! use tokenkeeper_testkit::{FaultyStorage, StorageFault, StorageOperation};
//!
//! # pollster::block_on(async {
//! let storage = FaultyStorage::new(MemoryStorage::new());
//! let (key, order) = (StorageKey::new("alice")?, Order::new(1, 1));
//! let record = TokenRecord::from_parts(b"tokens".to_vec(), order, None, false);
//! storage.fault_next(StorageOperation::Set, 1, StorageFault::FailAfterwards);
//! assert!(storage.set(&key, &record).await.is_err()); // says so, and yet
//! assert!(storage.exists(&key).await?);
//! # Ok::<(), tokenkeeper::Error>(()) })?;
//! # Ok::<(), tokenkeeper::Error>(())
//! ```

mod auth_server;
pub mod contract;
mod faulty_storage;
mod gate;
mod plain_storage;
mod recording_observer;
mod scripted_provider;
mod step;

pub use auth_server::{
    Browser, ClientAuth, Decision, EchoForm, Endpoint, FakeAuthServer, FakeAuthServerBuilder,
    Fault, HeldRequests, IdTokenSigning, Page, Pkce, ReceivedRequest, RetryAfter, Stats,
    TokenAnswer,
};
pub use faulty_storage::{FaultyStorage, StorageFault, StorageOperation};
pub use gate::Gate;
pub use plain_storage::PlainStorage;
pub use recording_observer::RecordingObserver;
pub use scripted_provider::ScriptedProvider;
pub use step::{ScriptedCall, Step};
