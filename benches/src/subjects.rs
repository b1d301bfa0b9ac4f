//! What is measured: tokenkeeper, and its peers with a source that does the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use huskarl::cache::{InMemoryTokenCache, TokenError, TokenSource};
use huskarl::core::RetryAdvice;
use huskarl::core::platform::MaybeSendBoxFuture;
use huskarl::grant::core::{RawTokenResponse, TokenResponse};
use tokenkeeper::{
    AccessToken, Error, ErrorKind, FetchContext, ProviderIdentity, TokenManager, TokenProvider,
    TokenSet, async_trait,
};

pub const LIFE: Duration = Duration::from_secs(3_600);

/// A source that answers after one yield, with a token or with a failure.
#[derive(Debug)]
pub struct Source {
    identity: ProviderIdentity,
    fails: bool,
    calls: Arc<AtomicUsize>,
}

impl Source {
    pub fn new(fails: bool) -> (Self, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        let identity = ProviderIdentity::new("bench");
        (Self { identity, fails, calls: Arc::clone(&calls) }, calls)
    }

    async fn work(&self) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        !self.fails
    }
}

#[async_trait]
impl TokenProvider for Source {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        let sent_at = cx.ready_to_send()?;
        if !self.work().await {
            return Err(Error::new(ErrorKind::Unavailable, "the bench wants it so"));
        }
        let token = AccessToken::new("an-access-token-of-usual-length-0123456789", "Bearer")?;
        Ok(TokenSet::new(token, sent_at).with_lifetime(LIFE))
    }
}

impl TokenSource for Source {
    fn token(&self) -> MaybeSendBoxFuture<'_, Result<Arc<TokenResponse>, TokenError>> {
        Box::pin(async move {
            if !self.work().await {
                let advice = RetryAdvice::Retry { after: None };
                return Err(huskarl::core::Error::new(advice, "the bench wants it so").into());
            }
            let raw = RawTokenResponse::builder()
                .access_token("an-access-token-of-usual-length-0123456789")
                .token_type("bearer")
                .expires_in(LIFE.as_secs())
                .build();
            let response = raw.into_token_response(None, SystemTime::now());
            Ok(Arc::new(response.expect("a valid response")))
        })
    }
}

pub fn tokenkeeper(fails: bool) -> (TokenManager, Arc<AtomicUsize>) {
    let (source, calls) = Source::new(fails);
    (TokenManager::new(source), calls)
}

pub fn huskarl(fails: bool) -> (Arc<InMemoryTokenCache<Source>>, Arc<AtomicUsize>) {
    let (source, calls) = Source::new(fails);
    (Arc::new(InMemoryTokenCache::builder().source(source).build()), calls)
}

/// The least that anybody would write by hand: a token behind an `ArcSwap`, and when it ends.
pub struct Plain(ArcSwap<(String, Instant)>);

impl Plain {
    pub fn new() -> Self {
        Self(ArcSwap::from_pointee(("token".to_owned(), Instant::now() + LIFE)))
    }

    pub fn token(&self) -> Option<Arc<(String, Instant)>> {
        let token = self.0.load_full();
        (Instant::now() < token.1).then_some(token)
    }
}
