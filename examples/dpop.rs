//! Tokens that a thief cannot use: `cargo run --example dpop`
//!
//! A desktop program whose user logs in with the browser. Its tokens are bound to a key (DPoP,
//! RFC 9449), which lies beside them in one private folder. The server and the API, which are one
//! program here, take nothing without a proof, and want nonces in proofs.

use std::error::Error;
use std::io::{self, Write};

use tokenkeeper::{StorageKey, TokenManager, TokenStorage, async_trait};
use tokenkeeper_dpop::DpopKey;
use tokenkeeper_loopback::{Browser, LoopbackLogin};
use tokenkeeper_providers::{AuthorizationCodeLogin, ClientAuth};
use tokenkeeper_reqwest::{Route, SendWithToken, TokenRoutes, Tokens, without_redirects};
use tokenkeeper_storage_file::FileStorage;
use tokenkeeper_testkit::{self as testkit, FakeAuthServer};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    tour(&mut io::stdout()).await
}

/// What the program does whenever it is started.
async fn start(server: &FakeAuthServer, folder: &str, out: &mut impl Write) -> Result<Tokens> {
    let storage = FileStorage::directory(folder)?;
    let key = DpopKey::load_or_generate(&storage, &place()?).await?;
    let login = AuthorizationCodeLogin::builder(
        "calendar",
        &server.authorization_url(),
        &server.token_url(),
    )
    .client(CLIENT, ClientAuth::none())
    .issuer(server.issuer())
    .proof_of_possession(key.clone())
    .build()?;
    let manager = TokenManager::builder(login.provider("me")?).storage(storage).build()?;
    let route = Route::new(manager.clone()).origin(server.url()).presenter(key.presenter());

    if manager.token().await.is_err_and(|error| error.needs_login()) {
        writeln!(out, "  No one is logged in with this key. The browser opens.")?;
        LoopbackLogin::new(login).browser(StandIn).log_in_to(&manager).await?;
    }
    manager.flush().await?;
    Ok(Tokens::new(TokenRoutes::new([route])?))
}

pub(crate) async fn tour(out: &mut impl Write) -> Result<()> {
    let server = FakeAuthServer::builder()
        .client(CLIENT, "", testkit::ClientAuth::None)
        .redirect_uri(CLIENT, "http://127.0.0.1/callback")
        .dpop_required()
        .dpop_nonces()
        .start();
    let folder = tempfile::tempdir()?;
    let folder = folder.path().to_str().ok_or("a folder with an odd name")?;
    let client = without_redirects(reqwest::Client::builder().no_proxy()).build()?;
    let events = || client.get(server.resource_url() + "/events");

    writeln!(out, "1. The program is started for the first time.")?;
    let tokens = start(&server, folder, out).await?;
    writeln!(out, "  {}", events().send_with_token(&tokens).await?.status())?;

    writeln!(out, "2. The API wants other nonces from now on, and no caller sees it.")?;
    server.rotate_dpop_nonces();
    writeln!(out, "  {}", events().send_with_token(&tokens).await?.status())?;

    writeln!(out, "3. It is started again, with key and tokens out of the folder.")?;
    let tokens = start(&server, folder, out).await?;
    writeln!(out, "  {}", events().send_with_token(&tokens).await?.status())?;

    writeln!(out, "4. A thief finds the last request in a log, and sends it again.")?;
    let seen = server.last_request().ok_or("no request was seen")?;
    let seen = |name| seen.header(name).unwrap_or_default().to_owned();
    let (token, proof) = (seen("authorization"), seen("dpop"));
    let stolen = events().header("authorization", &token).header("dpop", &proof).send().await?;
    writeln!(out, "  With the proof: {}", stolen.status())?;
    let stolen = events().header("authorization", token.replace("DPoP", "Bearer")).send().await?;
    writeln!(out, "  As a bearer token: {}", stolen.status())?;

    writeln!(out, "5. The key is lost.")?;
    FileStorage::directory(folder)?.delete(&place()?).await?;
    let tokens = start(&server, folder, out).await?;
    writeln!(out, "  {}", events().send_with_token(&tokens).await?.status())?;
    assert_eq!(server.count("authorization_code", 200), 2);
    Ok(())
}

/// Where the key is. Tokens lie under other names.
fn place() -> Result<StorageKey> {
    Ok(StorageKey::new("calendar-dpop-key")?)
}

/// What stands in for the browser of a person who consents.
#[derive(Debug)]
struct StandIn;

#[async_trait]
impl Browser for StandIn {
    async fn open(&self, url: &str) -> std::result::Result<(), tokenkeeper::Error> {
        let (browser, url) = (testkit::Browser::default(), url.to_owned());
        tokio::task::spawn_blocking(move || browser.open(&browser.visit(&url)));
        Ok(())
    }
}

const CLIENT: &str = "calendar-desktop";
