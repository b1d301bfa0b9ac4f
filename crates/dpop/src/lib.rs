//! Tokens that are bound to a key: DPoP (RFC 9449) for `tokenkeeper`.
//!
//! A bearer token is good for anyone who has it. A token that is bound to a key is good only together
//! with a proof that its holder has the key, made anew for every request. So a token that leaks, in
//! a log or through an API, is worth nothing to the finder.
//!
//! # Examples
//!
//! The key goes to the provider, so that tokens are bound to it, and its presenter onto the route of
//! the API that they are for:
//!
//! ```
//! use tokenkeeper::{StorageKey, TokenManager, TokenStorage};
//! use tokenkeeper_dpop::DpopKey;
//! use tokenkeeper_http::{TokenRoutes, Route};
//! use tokenkeeper_providers::{ClientAuth, RefreshTokenProvider};
//!
//! async fn calendar(storage: impl TokenStorage + Clone) -> Result<TokenRoutes, tokenkeeper::Error> {
//!     let place = StorageKey::new("calendar-dpop-key")?;
//!     let key = DpopKey::load_or_generate(&storage, &place).await?;
//!     let provider = RefreshTokenProvider::builder("calendar", "https://auth.example.org/token")
//!         .client("desktop-app", ClientAuth::none())
//!         .proof_of_possession(key.clone())
//!         .build()?;
//!     let manager = TokenManager::builder(provider).storage(storage).build()?;
//!     let route = Route::new(manager).origin("https://calendar.example.com");
//!     TokenRoutes::new([route.presenter(key.presenter())])
//! }
//! # let routes = pollster::block_on(calendar(tokenkeeper::MemoryStorage::new()))?;
//! # assert_eq!(routes.headers().collect::<Vec<_>>(), ["authorization", "dpop"]);
//! # Ok::<(), tokenkeeper::Error>(())
//! ```
//!
//! `TokenRoutes` is what `tokenkeeper-reqwest` and `tokenkeeper-tower` are given, and what
//! `tokenkeeper-http` shows how to use without them. A client that uses neither puts the proof onto a
//! request with [`prove`](tokenkeeper_providers::ProofOfPossession::prove), and hands every answer to
//! [`take_notice`](tokenkeeper_providers::ProofOfPossession::take_notice).
//!
//! # What it does
//!
//! - **Proofs.** Every request to the token endpoint and to the API gets a new one, also the second
//!   attempt after a refusal and the next hop of a redirect, with the method and the URL of that
//!   request, without query and fragment. It goes where the token goes and no further.
//! - **Nonces** are kept for each origin, those of token endpoints apart from those of APIs, and the
//!   newest one counts. They are taken from every answer, so that a server that hands out the next
//!   one in time never refuses. After `use_dpop_nonce` the request is sent once more, with the nonce of
//!   that refusal, so that a server may take each nonce once; if its body is
//!   a stream, which is gone, the caller gets that answer, and the next request has the nonce.
//! - **Types are not mixed.** A token endpoint that answers with a bearer token although a key is set
//!   is refused, a bearer token is not presented as a bound one, nor a bound one as a bearer token.
//! - **The key tells tokens apart.** Its thumbprint is part of the provider's identity, from which a
//!   manager that is given no storage key of its own makes one; so tokens are never used with a key
//!   that they are not bound to.
//!
//! # When the key is lost
//!
//! A refresh token of a public client works with its key alone (RFC 9449 §5), so
//! [`DpopKey::load_or_generate`] keeps the key beside the tokens. With another key the identity is
//! another: the manager finds no tokens, and says
//! [`LoginRequired`](tokenkeeper::ErrorKind::LoginRequired) where it cannot log in by itself. The old
//! tokens stay under their own storage key, and are worth nothing. A confidential client may lose
//! the key at any time: its refresh tokens are bound to the client, and its access tokens are issued
//! anew; but it too begins again with a login, because the identity is another.
//!
//! A key is not changed while a login lasts, because the server would not take it: a new key is a new
//! login. Whoever wants one logs out, deletes the record of the key, and starts again.
//!
//! # Behind a proxy
//!
//! A proof names the URL that was asked. An API that is told another one by a proxy in front of it
//! refuses every proof (`invalid_dpop_proof`), which is for the API to mend.

mod dpop;
mod dpop_key;
mod nonces;
mod proof;
mod stored_key;

pub use dpop::Dpop;
pub use dpop_key::DpopKey;
pub use tokenkeeper_jwt::{Algorithm, SigningKey};
