//! A service whose tests need no server: `cargo test --example swap_provider_in_tests`
//!
//! `TokenManager` has no type parameters, so the service is written once, and what is behind the
//! manager is decided where it is put together: OAuth2 in production, a script in tests.

use std::error::Error;

use http::{Request, header};
use tokenkeeper::TokenManager;
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};
use tokenkeeper_testkit::FakeAuthServer;

/// The service. It knows that there are tokens, and not where they come from.
struct Invoices {
    tokens: TokenManager,
}

impl Invoices {
    /// As it runs in production.
    fn connect(token_url: &str, client_id: &str, secret: &str) -> Result<Self, tokenkeeper::Error> {
        let provider = ClientCredentialsProvider::builder("invoices", token_url)
            .client(client_id, ClientAuth::basic(secret))
            .scopes(["invoices.read"])
            .build()?;
        Ok(Self { tokens: TokenManager::new(provider) })
    }

    /// The request for one invoice, ready to be sent.
    async fn request(&self, number: u32) -> Result<Request<()>, Box<dyn Error>> {
        let token = self.tokens.token().await?;
        let request = Request::get(format!("https://api.example.org/invoices/{number}"))
            .header(header::AUTHORIZATION, token.authorization())
            .body(())?;
        Ok(request)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = FakeAuthServer::start();
    let invoices = Invoices::connect(&server.token_url(), "client", "secret")?;

    // Debug does not show the token: the header is marked sensitive.
    println!("{:?}", invoices.request(7).await?);
    println!("{:?}", invoices.request(8).await?);
    println!("2 requests, {} exchange.", server.exchanges());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokenkeeper::{
        AccessToken, ErrorKind, FetchContext, ManualClock, ProviderIdentity, TokenProvider,
        TokenSet, async_trait,
    };
    use tokenkeeper_testkit::{ScriptedProvider, Step};

    use super::*;

    #[tokio::test]
    async fn requests_carry_a_new_token_once_the_old_one_has_expired() {
        let clock = ManualClock::new();
        let provider = ScriptedProvider::new("invoices").with_lifetime(Some(FIFTEEN_MINUTES));
        let tokens = TokenManager::builder(provider.clone()).clock(clock.clone()).build().unwrap();
        let invoices = Invoices { tokens };

        assert_eq!(authorization(&invoices).await, "Bearer access-1");
        assert_eq!(authorization(&invoices).await, "Bearer access-1");
        clock.advance(FIFTEEN_MINUTES); // takes no time
        assert_eq!(authorization(&invoices).await, "Bearer access-2");
        assert_eq!(provider.calls(), 2);
    }

    #[tokio::test]
    async fn without_a_token_there_is_no_request() {
        let provider = ScriptedProvider::new("invoices");
        provider.on_fetch(Step::unavailable());
        let invoices = Invoices { tokens: TokenManager::new(provider) };

        let error = invoices.request(7).await.unwrap_err();

        let error = error.downcast::<tokenkeeper::Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.retry_after().is_some());
    }

    /// Where a script is more than is needed, a provider of one's own is twelve lines.
    #[derive(Debug)]
    struct AlwaysTheSame(ProviderIdentity);

    #[async_trait]
    impl TokenProvider for AlwaysTheSame {
        fn identity(&self) -> &ProviderIdentity {
            &self.0
        }

        async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, tokenkeeper::Error> {
            let token = AccessToken::new("the-same", "Bearer")?;
            Ok(TokenSet::new(token, cx.ready_to_send()?).with_lifetime(FIFTEEN_MINUTES))
        }
    }

    #[tokio::test]
    async fn any_provider_will_do() {
        let provider = AlwaysTheSame(ProviderIdentity::new("invoices"));
        let invoices = Invoices { tokens: TokenManager::new(provider) };

        assert_eq!(authorization(&invoices).await, "Bearer the-same");
    }

    async fn authorization(invoices: &Invoices) -> String {
        let request = invoices.request(7).await.unwrap();
        request.headers()[header::AUTHORIZATION].to_str().unwrap().to_owned()
    }

    const FIFTEEN_MINUTES: Duration = Duration::from_secs(15 * 60);
}
