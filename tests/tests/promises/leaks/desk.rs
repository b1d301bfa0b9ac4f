//! A provider alone, with a transport that gives any answer at once.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Request, Response, StatusCode};
use parking_lot::Mutex;
use serde_json::json;
use tokenkeeper::{
    AccessToken, Clock, Error, FetchContext, ManualClock, TokenProvider, TokenSet, async_trait,
};
use tokenkeeper_providers::{HttpTransport, PasswordProvider};

use super::auth::Auth;
use super::plants::Plants;
use super::spellings::CLIENT_ID;

/// Gives the same answer to whatever is asked.
#[derive(Clone, Debug)]
pub(crate) struct Parrot(Arc<Mutex<(u16, Vec<u8>)>>);

impl Parrot {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new((500, Vec::new()))))
    }

    pub(crate) fn says(&self, status: u16, body: String) {
        *self.0.lock() = (status, body.into_bytes());
    }
}

#[async_trait]
impl HttpTransport for Parrot {
    async fn send(&self, _request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        let (status, body) = self.0.lock().clone();
        let mut answer = Response::new(body);
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok(answer)
    }
}

/// A password login at a parrot.
pub(crate) struct Desk {
    pub(crate) parrot: Parrot,
    pub(crate) provider: PasswordProvider,
    pub(crate) tokens: TokenSet,
}

/// What is asked of the service.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Fetch,
    Refresh,
    Revoke,
}

impl Desk {
    pub(crate) fn new(auth: Auth, plants: &Plants) -> Self {
        let parrot = Parrot::new();
        let provider =
            PasswordProvider::builder("svc", &plants.with_query("https://auth.example.org/token"))
                .client(CLIENT_ID, auth.of_client(plants))
                .user("alice", plants.password.as_str())
                .revocation_url(plants.with_query("https://auth.example.org/revoke"))
                .transport(parrot.clone())
                .build()
                .unwrap();
        let token = AccessToken::new(plants.access_token.as_str(), "Bearer").unwrap();
        let tokens = TokenSet::new(token, SystemTime::UNIX_EPOCH)
            .with_refresh_token(plants.refresh_token.as_str())
            .with_id_token(plants.id_token.as_str());
        Self { parrot, provider, tokens }
    }

    pub(crate) fn error_of(&self, call: Call, status: u16, body: String) -> Error {
        self.parrot.says(status, body);
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
        let cx = FetchContext::detached(&clock, Duration::from_secs(15));
        pollster::block_on(async {
            match call {
                Call::Fetch => self.provider.fetch_token(&cx).await.map(drop),
                Call::Refresh => self.provider.refresh_token(&self.tokens, &cx).await.map(drop),
                Call::Revoke => self.provider.revoke(&self.tokens).await,
            }
        })
        .unwrap_err()
    }
}

/// Each secret, with the calls at which the service knows it.
pub(crate) fn known(plants: &Plants, auth: Auth) -> Vec<(Call, &str)> {
    use Call::{Fetch, Refresh, Revoke};
    let mut all = vec![
        (Fetch, plants.password.as_str()),
        (Fetch, &plants.query),
        (Refresh, &plants.query),
        (Refresh, &plants.refresh_token),
        (Refresh, &plants.access_token),
        (Refresh, &plants.id_token),
        (Revoke, &plants.query),
        (Revoke, &plants.refresh_token),
        (Revoke, &plants.access_token),
        (Revoke, &plants.id_token),
    ];
    let proof = match auth {
        Auth::Basic | Auth::RawBasic | Auth::Post => Some(&plants.client_secret),
        Auth::Assertion => Some(&plants.assertion),
        Auth::None => None,
    };
    all.extend(proof.into_iter().flat_map(|p| [Fetch, Refresh, Revoke].map(|c| (c, p.as_str()))));
    all
}

/// Answers that have the text where it is read.
pub(crate) fn places(text: &str) -> Vec<(u16, String)> {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("error", "odd")
        .append_pair("error_description", text)
        .finish();
    vec![
        (400, json!({ "error": "odd", "error_description": text }).to_string()),
        (401, json!({ "error": "invalid_client", "error_description": text }).to_string()),
        (503, json!({ "error": "invalid_grant", "error_description": text }).to_string()),
        (400, json!({ "error": text }).to_string()),
        (403, json!({ "error": { "code": 7, "message": text } }).to_string()),
        (400, json!({ "errcode": 7, "errmsg": text }).to_string()),
        (400, form),
    ]
}
