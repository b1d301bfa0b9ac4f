//! A MangaDex session from its first token to its logout, against a realm in this process.
//!
//! `cargo run --example mangadex`

use http::Method;
use tokenkeeper::Error;
use tokenkeeper_mangadex::{MangadexProvider, Realm, Resolver, Session};
use tokenkeeper_testkit::{ClientAuth, FakeAuthServer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let server = realm_in_this_process();

    // A real program leaves out `given` and has MANGADEX_CREDENTIALS in its environment, and
    // leaves out `realm` too.
    let credentials =
        Resolver::new().given("personal-client-1:s3cret:alice:pass:word").resolve()?;
    println!("Credentials, as a log may show them: {credentials:?}");
    let provider = MangadexProvider::builder(credentials)
        .realm(Realm::new(&server.url(), "mangadex")?)
        .build()?;
    let session = Session::new(provider);

    let token = session.require(Method::GET, "/user/me").await?;
    session.require(Method::GET, "/manga/status").await?;
    println!("Two requests to the API needed a token, and there was one login.");

    server.revoke_all_access_tokens();
    println!("The API now answers 401 to that token …");
    let token = session.replace_rejected(&token).await?.unwrap_or(token);
    let works = server.is_live(token.secret().expose_secret());
    println!("… and the refresh token brought another one; it works: {works}.");

    if let Some(refresh_token) = session.refresh_token().await? {
        println!("For a file or keyring of your own there is {refresh_token:?}.");
    }

    session.logout().await?;
    println!("Logged out: the tokens are revoked, and the credentials are gone.");
    if let Err(error) = session.require(Method::POST, "/manga/1/follow").await {
        println!("From now on nothing is sent: {error}.");
    }
    println!("What the realm saw: {}.", server.stats());
    Ok(())
}

/// It stands in for auth.mangadex.org, so that this runs without a network.
fn realm_in_this_process() -> FakeAuthServer {
    FakeAuthServer::builder()
        .client("personal-client-1", "s3cret", ClientAuth::Post)
        .user("alice", "pass:word")
        .token_path("/realms/mangadex/protocol/openid-connect/token")
        .revocation_path("/realms/mangadex/protocol/openid-connect/revoke")
        .start()
}
