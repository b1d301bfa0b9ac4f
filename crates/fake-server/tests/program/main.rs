//! The program as users run it: a process, a port, an admin endpoint.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking, helpers of theirs too"
)]

mod running;

use serde_json::{Value, json};

use crate::running::{Running, form, refused};

const DEVICE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";

fn token_request(server: &Running, body: &str) -> (u16, Value) {
    server.post("/token", &format!("client_id=client&client_secret=secret&{body}"))
}

#[test]
fn it_serves_the_default_client_and_signs_with_rs256() {
    let server = Running::start(&[]);

    let (status, tokens) = token_request(&server, "grant_type=client_credentials");
    let document = server.get("/.well-known/openid-configuration").1;

    assert_eq!((status, &tokens["token_type"]), (200, &"Bearer".into()));
    assert_eq!(document["issuer"], server.issuer);
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["RS256"]));
    assert_eq!(server.get("/jwks").1["keys"][0]["kty"], "RSA");
}

#[test]
fn flags_go_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fake.toml");
    let text = r#"
        person = "bob"
        id_tokens = "ES256"
        token_lifetime = 60
        scopes = "openid read"

        [[client]]
        id = "web"
        secret = "hunter2"
        auth = "client_secret_post"
        redirect_uris = ["https://app.example/callback"]
        grants = ["authorization_code", "client_credentials"]
        pkce = "optional"

        [[user]]
        name = "bob"
        password = "builder"
    "#;
    std::fs::write(&file, text).unwrap();
    let server = Running::start(&["--config", file.to_str().unwrap(), "--token-lifetime", "30"]);

    let body = "client_id=web&client_secret=hunter2&grant_type=";
    let (status, tokens) = server.post("/token", &format!("{body}client_credentials"));
    let (refused, error) = server.post("/token", &format!("{body}password"));

    assert_eq!((status, &tokens["expires_in"]), (200, &30.into()));
    assert_eq!((refused, &error["error"]), (400, &"unauthorized_client".into()));
    let keys = server.get("/jwks").1;
    assert_eq!(keys["keys"][0]["crv"], "P-256");
}

#[test]
fn settings_that_mean_nothing_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fake.toml");
    std::fs::write(&file, "listen = 9000\n").unwrap();

    let misspelled = refused(&["--config", file.to_str().unwrap()]);
    let signing = refused(&["--id-tokens", "RS999"]);
    let stranger = refused(&["--redirect-uri", "ghost=https://app.example/"]);

    assert!(misspelled.contains("listen"), "{misspelled}");
    assert!(signing.contains("RS999"), "{signing}");
    assert!(stranger.contains("ghost"), "{stranger}");
    let server = Running::start(&[]);
    let taken = refused(&["--port", &server.port.to_string()]);
    assert!(taken.contains("--port"), "{taken}");
}

#[test]
fn tests_order_faults_decisions_persons_and_keys() {
    let server = Running::start(&["--client", "app", "--redirect-uri", "app=http://127.0.0.1/"]);
    let body = "client_id=app&grant_type=password&username=alice&password=";
    let password = |word: &str| server.post("/token", &format!("{body}{word}")).0;
    let login = "/authorize?client_id=app&response_type=code&state=s\
                 &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
                 &code_challenge_method=S256";

    let fault = json!({ "fault": { "kind": "unavailable", "retry_after": 7 }, "count": 1 });
    assert_eq!(server.command("faults", &fault), (200, json!({ "ok": true })));
    assert_eq!((password("wonderland"), password("wonderland")), (503, 200));
    server.command("decisions", &json!({ "decision": "decline" }));
    assert!(server.location(login).contains("error=access_denied"));
    assert!(server.location(login).contains("code="));
    server.command("user", &json!({ "name": "alice", "password": "changed" }));
    assert_eq!((password("wonderland"), password("changed")), (400, 200));
    let before = server.get("/jwks").1;
    server.command("keys", &json!({ "keep_published": false }));
    assert_ne!(server.get("/jwks").1, before);
    server.command("accept", &json!({ "token": "access-1" }));
    assert_eq!(server.get_with("/api", &[("authorization", "Bearer access-1")]).0, 200);

    let counters = server.counters();
    assert_eq!((&counters["token_requests"], &counters["requests"]), (&4.into(), &9.into()));
    server.command("reset", &json!({}));
    assert_eq!(server.counters()["requests"], 0);
}

#[test]
fn a_device_waits_for_the_page_or_for_the_admin_and_ends_by_the_clock() {
    let server = Running::start(&["--client", "tv", "--person", "bob"]);
    let begin = || server.post("/device_authorization", "client_id=tv").1;
    let poll = |begun: &Value| {
        let code = begun["device_code"].as_str().unwrap();
        server.post("/token", &format!("client_id=tv&grant_type={DEVICE}&device_code={code}")).1
    };
    let [by_admin, by_page, late] = [begin(), begin(), begin()];

    assert_eq!(poll(&by_admin)["error"], "authorization_pending");
    let command = json!({ "user_code": by_admin["user_code"], "approve": true });
    assert_eq!(server.command("device", &command).1["ok"], true);
    assert_eq!(server.command("device", &command).1["ok"], false, "it waits no more");
    assert!(poll(&by_admin)["access_token"].is_string());
    let code = by_page["user_code"].as_str().unwrap();
    let page = server.text(&format!("/device?user_code={code}"));
    assert!(page.contains("bob") && page.contains(code), "{page}");
    server.send("POST", "/device", &[form()], &format!("user_code={code}&decision=deny"));
    assert_eq!(poll(&by_page)["error"], "access_denied");
    server.command("clock", &json!({ "advance": 600 }));
    assert_eq!(poll(&late)["error"], "expired_token");
}

#[test]
fn the_admin_endpoint_says_what_it_did_not_understand() {
    let server = Running::start(&[]);

    let unknown = server.command("explode", &json!({}));
    let misspelled = server.command("clock", &json!({ "forward": 1 }));
    let from_a_page = server.admin("POST", "/heal", &[("content-type", "text/plain")], "{}");

    assert_eq!(unknown.0, 404);
    assert!(misspelled.0 == 400 && misspelled.1.to_string().contains("forward"));
    assert_eq!(from_a_page.0, 415, "a page in a browser may send this");
}

#[test]
fn it_speaks_tls_with_a_certificate_that_it_makes_or_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let made = path("made.pem");
    let server = Running::start(&["--tls", "--save-certificate", &made]);

    let document = server.get_trusting(&made, "/.well-known/openid-configuration");

    assert_eq!(document["issuer"], format!("https://127.0.0.1:{}", server.port));

    let given = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(path("given.pem"), given.cert.pem()).unwrap();
    std::fs::write(path("given.key"), given.signing_key.serialize_pem()).unwrap();
    let (certificate, key) = (path("given.pem"), path("given.key"));
    let server = Running::start(&["--tls-certificate", &certificate, "--tls-key", &key]);
    assert_eq!(server.get_trusting(&certificate, "/jwks")["keys"][0]["kty"], "RSA");
    let none = refused(&["--tls-certificate", &key, "--tls-key", &certificate]);
    assert!(none.contains("given.pem") || none.contains("given.key"), "{none}");
}

#[test]
fn scripts_read_the_answers_where_it_was_told_so() {
    let server = Running::start(&["--cors", "--registration"]);

    let reply = server.send("GET", "/jwks", &[("origin", "https://spa.example")], "");

    assert!(reply.head.to_lowercase().contains("access-control-allow-origin: *"), "{}", reply.head);
    let metadata = json!({ "redirect_uris": ["https://app.example/"] }).to_string();
    assert_eq!(server.send("POST", "/register", &[], &metadata).status, 201);
}
