//! What the server tells about tokens, people and itself.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking, helpers of theirs too")]

use crate::wire::{PASSWORD, Reply, exchange, get, post, send};
use serde_json::{Value, json};
use tokenkeeper_testkit::{ClientAuth, Endpoint, FakeAuthServer};

fn introspect(server: &FakeAuthServer, token: &str) -> Reply {
    let body = format!("client_id=client&client_secret=secret&token={token}");
    post(&server.introspection_url(), &[], &body)
}

fn fetch(url: &str) -> Reply {
    send("GET", url, &[], "").unwrap()
}

#[test]
fn a_live_token_is_described_and_of_a_dead_one_nothing_is_said() {
    let server = FakeAuthServer::start();
    let resource = "resource=https%3A%2F%2Fapi.example%2F";
    let tokens = exchange(&server.token_url(), &format!("{PASSWORD}&scope=read&{resource}"));
    let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));

    let live = introspect(&server, &access).json();
    let at_refresh = introspect(&server, &refresh).json();
    server.revoke_access(&access);

    assert_eq!((&live["active"], &live["token_type"]), (&true.into(), &"Bearer".into()));
    assert_eq!((&live["sub"], &live["client_id"]), (&"alice".into(), &"client".into()));
    assert_eq!((&live["scope"], &live["aud"]), (&"read".into(), &"https://api.example/".into()));
    assert_eq!(live["exp"].as_u64(), live["iat"].as_u64().map(|iat| iat + 900));
    assert_eq!((&at_refresh["active"], at_refresh.get("exp")), (&true.into(), None));
    assert_eq!(introspect(&server, &access).json(), json!({ "active": false }));
    assert_eq!(introspect(&server, "stranger").json(), json!({ "active": false }));
    assert_eq!(server.stats().answers(Endpoint::Introspection, 200), 4);
}

#[test]
fn only_a_client_with_credentials_may_ask_about_tokens() {
    let server = FakeAuthServer::builder().client("app", "", ClientAuth::None).start();

    let refused = post(&server.introspection_url(), &[], "client_id=app&token=any");

    assert_eq!((refused.status, refused.text("error")), (401, "invalid_client".into()));
}

#[test]
fn a_person_is_described_as_far_as_the_scopes_go() {
    let server = FakeAuthServer::start();
    let user_info = |scope: &str| {
        let tokens = exchange(&server.token_url(), &format!("{PASSWORD}&scope={scope}"));
        get(&server.user_info_url(), &tokens.text("access_token"))
    };

    assert_eq!(user_info("openid").json(), json!({ "sub": "alice" }));
    assert_eq!(user_info("openid+email").json()["email"], "alice@example.com");
    assert_eq!(user_info("openid+profile").json()["preferred_username"], "alice");
    let refused = user_info("read");
    assert_eq!(refused.status, 403);
    assert!(refused.header("www-authenticate").unwrap().contains("scope=\"openid\""));
    assert_eq!(get(&server.user_info_url(), "stranger").status, 401);
}

#[test]
fn both_documents_tell_the_same_about_the_server() {
    let server = FakeAuthServer::builder()
        .client("web", "hunter2", ClientAuth::Post)
        .client("app", "", ClientAuth::None)
        .allowed_scopes("openid read")
        .start();

    let document = fetch(&server.metadata_url()).json();
    let openid = fetch(&format!("{}/.well-known/openid-configuration", server.issuer())).json();

    assert_eq!(document, openid);
    assert_eq!(document["issuer"], server.url());
    for (member, url) in [
        ("authorization_endpoint", server.authorization_url()),
        ("token_endpoint", server.token_url()),
        ("revocation_endpoint", server.revocation_url()),
        ("introspection_endpoint", server.introspection_url()),
        ("userinfo_endpoint", server.user_info_url()),
        ("device_authorization_endpoint", server.device_authorization_url()),
        ("pushed_authorization_request_endpoint", server.pushed_authorization_request_url()),
    ] {
        assert_eq!(document[member], url, "{member}");
    }
    assert_eq!(
        document["token_endpoint_auth_methods_supported"],
        json!(["client_secret_post", "none"])
    );
    assert_eq!(document["scopes_supported"], json!(["openid", "read"]));
    let keys = fetch(document["jwks_uri"].as_str().unwrap());
    assert_eq!(keys.json(), json!({ "keys": [] }));
}

#[test]
fn an_issuer_with_a_path_has_its_documents_where_either_standard_says() {
    let server = FakeAuthServer::builder().issuer_path("/realms/main").start();

    let document =
        fetch(&format!("{}/.well-known/oauth-authorization-server/realms/main", server.url()));
    let openid = fetch(&format!("{}/.well-known/openid-configuration", server.issuer()));

    assert_eq!(server.issuer(), server.url() + "/realms/main");
    assert_eq!(document.json()["issuer"], server.issuer());
    assert_eq!(openid.json(), document.json());
    assert_eq!(fetch(&format!("{}/.well-known/openid-configuration", server.url())).status, 404);
}

#[test]
fn a_test_can_make_the_documents_wrong() {
    let server = FakeAuthServer::start();
    server.set_metadata("issuer", "https://evil.example");
    server.set_metadata("token_endpoint", Value::Null);

    let document = fetch(&server.metadata_url()).json();

    assert_eq!(
        (&document["issuer"], document.get("token_endpoint")),
        (&"https://evil.example".into(), None)
    );
    assert_eq!(server.stats().answers(Endpoint::Metadata, 200), 1);
}
