//! What the server lets each client do, and clients that register themselves.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests fail by panicking, helpers of theirs too"
)]

use serde_json::{Value, json};
use tokenkeeper_testkit::{ClientAuth, Endpoint, FakeAuthServer, IdTokenSigning, Pkce};

use crate::logins::{CALLBACK, CHALLENGE, VERIFIER, query_of, redeem, request, server, visit};
use crate::wire::{PASSWORD, Reply, exchange, get, post, send};

fn register(server: &FakeAuthServer, headers: &[(&str, &str)], metadata: &Value) -> Reply {
    let json = [("content-type", "application/json")];
    let headers = [&json, headers].concat();
    send("POST", &server.registration_url(), &headers, &metadata.to_string()).unwrap()
}

#[test]
fn a_client_uses_the_grants_that_it_was_given_and_no_others() {
    let server =
        server().client("client", "secret", ClientAuth::Any).grants("client", ["password"]).start();

    let tokens = exchange(&server.token_url(), PASSWORD);
    let refused = exchange(&server.token_url(), "grant_type=client_credentials");

    assert!(tokens.status == 200 && tokens.json().get("refresh_token").is_none());
    assert_eq!((refused.status, refused.text("error")), (400, "unauthorized_client".into()));
    assert!(refused.text("error_description").contains("client_credentials"));
    let device = "client_id=client&client_secret=secret";
    let device = post(&server.device_authorization_url(), &[], device);
    assert_eq!(device.text("error"), "unauthorized_client");
    let none = self::server().grants("web", ["client_credentials"]).start();
    assert_eq!(visit(&none, "")["error"], "unauthorized_client");
}

#[test]
fn a_client_gets_the_scopes_that_it_was_given_and_no_others() {
    let server = FakeAuthServer::builder()
        .client("client", "secret", ClientAuth::Any)
        .allowed_scopes("read write admin")
        .client_scopes("client", "read write")
        .start();

    let all = exchange(&server.token_url(), PASSWORD);
    let refused = exchange(&server.token_url(), &format!("{PASSWORD}&scope=admin"));

    assert_eq!(all.text("scope"), "read write");
    assert_eq!(refused.text("error"), "invalid_scope");
}

#[test]
fn a_login_comes_without_a_challenge_only_where_the_client_may() {
    let challenge = format!("&code_challenge={CHALLENGE}&code_challenge_method=S256");
    let bare = request("").replace(&challenge, "");
    let open = |server: &FakeAuthServer| {
        let url = format!("{}?{bare}", server.authorization_url());
        query_of(server.browser().open(&url).location().unwrap())
    };
    let free = server().pkce("web", Pkce::Optional).start();
    let send = |code: &str, verifier: &str| {
        let body = format!(
            "grant_type=authorization_code&code={code}{verifier}&client_id=web\
             &client_secret=hunter2&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback"
        );
        post(&free.token_url(), &[], &body)
    };

    assert_eq!(open(&server().start())["error"], "invalid_request");
    assert_eq!(send(&open(&free)["code"], "").status, 200);
    let planted = send(&open(&free)["code"], &format!("&code_verifier={VERIFIER}"));
    assert_eq!(planted.text("error"), "invalid_grant", "a verifier without its challenge");
    let with = visit(&free, "")["code"].clone();
    assert_eq!(send(&with, "").text("error"), "invalid_grant", "a challenge without its verifier");
    assert_eq!(redeem(&free, &with).status, 200);
}

#[test]
fn tokens_that_were_issued_elsewhere_are_taken_until_they_are_revoked() {
    let server = FakeAuthServer::start();
    assert_eq!(get(&server.resource_url(), "access-1").status, 401);

    server.accept_token("access-1", "read write");

    let reply = get(&format!("{}/scoped/write", server.resource_url()), "access-1");
    assert_eq!((reply.status, reply.text("username")), (200, "alice".into()));
    assert!(server.revoke_access("access-1"));
    assert_eq!(get(&server.resource_url(), "access-1").status, 401);
}

#[test]
fn a_client_registers_itself_and_logs_a_person_in() {
    let server = FakeAuthServer::builder().dynamic_registration().start();
    let metadata = json!({
        "client_name": "Calendar",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "client_secret_post",
    });

    let reply = register(&server, &[], &metadata);

    let (id, secret) = (reply.text("client_id"), reply.text("client_secret"));
    assert_eq!((reply.status, reply.text("client_name")), (201, "Calendar".into()));
    assert_eq!(reply.json()["client_secret_expires_at"], 0);
    let query = request("").replace("client_id=web", &format!("client_id={id}"));
    let page = server.browser().open(&format!("{}?{query}", server.authorization_url()));
    let code = query_of(page.location().unwrap())["code"].clone();
    let body = format!(
        "grant_type=authorization_code&code={code}&code_verifier={VERIFIER}&client_id={id}\
         &client_secret={secret}&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback"
    );
    assert_eq!(post(&server.token_url(), &[], &body).status, 200);
    let body = format!("client_id={id}&client_secret={secret}&grant_type=client_credentials");
    let refused = post(&server.token_url(), &[], &body);
    assert_eq!(refused.text("error"), "unauthorized_client", "it registered no such grant");
    let document = send("GET", &server.metadata_url(), &[], "").unwrap().json();
    assert_eq!(document["registration_endpoint"], server.registration_url());
    assert_eq!(server.stats().answers(Endpoint::Registration, 201), 1);
}

#[test]
fn a_registration_is_refused_for_whatever_is_wrong_with_it() {
    let server = FakeAuthServer::builder().dynamic_registration_with("letmein").start();
    let token = [("authorization", "Bearer letmein")];
    let good = json!({ "redirect_uris": [CALLBACK] });
    let error = |metadata: Value| register(&server, &token, &metadata).text("error");
    let with = |name: &str, value: Value| {
        let mut metadata = good.clone();
        metadata[name] = value;
        error(metadata)
    };

    assert_eq!(register(&server, &[], &good).status, 401);
    let default = register(&server, &token, &good).json();
    assert_eq!(default["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(default["grant_types"], json!(["authorization_code"]));
    assert_eq!(error(json!({})), "invalid_redirect_uri");
    assert_eq!(with("redirect_uris", json!(["https://a/#b"])), "invalid_redirect_uri");
    for (name, value) in [
        ("redirect_uris", json!("https://a/")),
        ("grant_types", json!(["implicit"])),
        ("response_types", json!(["token"])),
        ("token_endpoint_auth_method", json!("tls_client_auth")),
        ("token_endpoint_auth_method", json!("private_key_jwt")),
        ("id_token_signed_response_alg", json!("RS1")),
        ("jwks_uri", json!("https://a/jwks")),
        ("scope", json!("a\"b")),
    ] {
        assert_eq!(with(name, value), "invalid_client_metadata", "{name}");
    }
    let closed = FakeAuthServer::start();
    assert_eq!(register(&closed, &[], &good).status, 404);
    let document = send("GET", &closed.metadata_url(), &[], "").unwrap().json();
    assert!(document.get("registration_endpoint").is_none());
}

#[test]
fn unsigned_id_tokens_are_a_choice() {
    let server = server().id_tokens(IdTokenSigning::Unsigned).start();

    let token = redeem(&server, &visit(&server, "&scope=openid")["code"]).text("id_token");

    assert!(token.ends_with('.'), "{token}");
}

#[test]
fn scripts_of_other_origins_read_answers_only_where_they_may() {
    let (open, closed) = (FakeAuthServer::builder().cors().start(), FakeAuthServer::start());
    let ask = [
        ("origin", "https://spa.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization, dpop"),
    ];
    let preflight = |url: &str| send("OPTIONS", url, &ask, "").unwrap();

    let asked = preflight(&open.token_url());
    let answered = exchange(&open.token_url(), PASSWORD);

    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, Some("*")));
    assert_eq!(asked.header("access-control-allow-headers"), Some("authorization, dpop"));
    assert_eq!(answered.header("access-control-allow-origin"), Some("*"));
    assert_eq!(open.exchanges(), 1, "a question is no token request");
    assert_eq!(preflight(&open.authorization_url()).header("access-control-allow-origin"), None);
    assert_eq!(preflight(&closed.token_url()).header("access-control-allow-origin"), None);
}

#[test]
fn a_server_behind_another_name_goes_by_it() {
    let server = FakeAuthServer::builder().public_url("https://login.example/").start();

    let document = format!("http://{}/.well-known/openid-configuration", server.address());
    let document = send("GET", &document, &[], "").unwrap().json();

    assert_eq!(document["issuer"], "https://login.example");
    assert_eq!(document["token_endpoint"], server.token_url());
    let taken = FakeAuthServer::builder().address(server.address()).try_start();
    assert!(taken.is_err(), "one address, two servers");
}
