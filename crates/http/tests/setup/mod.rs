//! Requests without a client: what a route does to method, URL and headers.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its share")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode, Uri};
use tokenkeeper::{Error, ManualClock, RefreshPolicy, TokenManager};
use tokenkeeper_http::{Attached, Reaction, Route, Target, TokenChoice, TokenRoutes};
use tokenkeeper_testkit::ScriptedProvider;

pub const API: &str = "https://api.example.com";

/// A manager of a service; its tokens are `access-1`, `access-2` and so on.
pub fn manager(provider: &ScriptedProvider, clock: &ManualClock) -> TokenManager {
    TokenManager::builder(provider.clone())
        .clock(clock.clone())
        .policy(RefreshPolicy::new().without_jitter())
        .build()
        .unwrap()
}

/// A manager of a service that nobody looks at.
pub fn some_manager(service_name: &str) -> TokenManager {
    TokenManager::new(ScriptedProvider::new(service_name))
}

pub fn api(manager: TokenManager) -> TokenRoutes {
    TokenRoutes::new([Route::new(manager).origin(API)]).unwrap()
}

pub fn get(url: &str) -> (Method, Uri) {
    (Method::GET, url.parse().unwrap())
}

/// A GET of that URL: the headers that it would be sent with.
pub async fn sent_to(routes: &TokenRoutes, url: &str) -> Result<HeaderMap, Error> {
    let (method, uri) = get(url);
    let mut headers = HeaderMap::new();
    let target = Target::of(&method, &uri)?;
    routes.attach(&target, &mut headers, TokenChoice::OfRoute).await?;
    Ok(headers)
}

/// What `Authorization` says on a GET of that URL.
pub async fn authorization(routes: &TokenRoutes, url: &str) -> Option<String> {
    let headers = sent_to(routes, url).await.unwrap();
    headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned())
}

pub async fn attached(routes: &TokenRoutes) -> Attached {
    let (method, uri) = get(API);
    let target = Target::of(&method, &uri).unwrap();
    let choice = TokenChoice::OfRoute;
    routes.attach(&target, &mut HeaderMap::new(), choice).await.unwrap().unwrap()
}

/// What an answer with this status and challenge asks for.
pub fn reaction(attached: &Attached, status: u16, challenge: Option<&str>) -> Reaction {
    let (method, uri) = get(API);
    let headers = challenge.map(|text| (WWW_AUTHENTICATE, text.parse().unwrap()));
    let headers = HeaderMap::from_iter(headers);
    let status = StatusCode::from_u16(status).unwrap();
    attached.reaction(&Target::of(&method, &uri).unwrap(), status, &headers)
}
