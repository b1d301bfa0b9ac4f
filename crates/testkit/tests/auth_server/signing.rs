//! ID tokens and answers that are signed with keys of the server.
#![cfg(feature = "signatures")]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests fail by panicking, helpers of theirs too"
)]

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use tokenkeeper_testkit::{FakeAuthServer, IdTokenSigning};

use crate::logins::{redeem, server, visit};
use crate::wire::{Reply, get, post, send};

const ALL: [(IdTokenSigning, &str); 3] = [
    (IdTokenSigning::Rs256, "RS256"),
    (IdTokenSigning::Es256, "ES256"),
    (IdTokenSigning::EdDsa, "EdDSA"),
];

fn log_in(server: &FakeAuthServer) -> Reply {
    redeem(server, &visit(server, "&scope=openid+email")["code"])
}

fn fetch(url: &str) -> Reply {
    send("GET", url, &[], "").unwrap()
}

/// The claims, if a published key verifies the token.
fn verified(server: &FakeAuthServer, token: &str) -> Option<Value> {
    let keys: JwkSet = serde_json::from_value(fetch(&server.jwks_url()).json()).unwrap();
    let header = decode_header(token).unwrap();
    let key = keys.find(header.kid.as_deref().unwrap())?;
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[server.issuer()]);
    validation.set_audience(&["web"]);
    validation.set_required_spec_claims(&["iss", "aud"]);
    let key = DecodingKey::from_jwk(key).unwrap();
    Some(decode::<Value>(token, &key, &validation).unwrap().claims)
}

#[test]
fn an_id_token_is_verified_with_a_published_key() {
    for (signing, name) in ALL {
        let server = server().id_tokens(signing).start();

        let token = log_in(&server).text("id_token");
        let claims = verified(&server, &token).unwrap();

        assert_eq!((&claims["sub"], claims["at_hash"].is_string()), (&"alice".into(), true));
        let document = fetch(&server.metadata_url()).json();
        assert_eq!(document["id_token_signing_alg_values_supported"], json!([name]));
        let keys = fetch(&server.jwks_url()).json();
        assert_eq!(
            (&keys["keys"][0]["alg"], &keys["keys"][0]["use"]),
            (&name.into(), &"sig".into())
        );
        assert!(keys["keys"][0].get("d").is_none(), "the private part stays here");
    }
}

#[test]
fn keys_that_rotate_leave_nothing_behind_and_keys_that_are_renewed_stay_published() {
    for (signing, _) in ALL {
        let server = server().id_tokens(signing).start();
        let first = log_in(&server).text("id_token");

        server.renew_signing_keys();
        let second = log_in(&server).text("id_token");
        assert!(verified(&server, &first).is_some() && verified(&server, &second).is_some());

        server.rotate_signing_keys();
        assert!(verified(&server, &first).is_none() && verified(&server, &second).is_none());
        assert!(verified(&server, &log_in(&server).text("id_token")).is_some());
    }
}

#[test]
fn a_client_may_have_its_id_tokens_signed_in_another_way() {
    let server = server()
        .id_tokens(IdTokenSigning::Rs256)
        .client_id_tokens("web", IdTokenSigning::Es256)
        .start();

    let token = log_in(&server).text("id_token");

    assert_eq!(format!("{:?}", decode_header(&token).unwrap().alg), "ES256");
    assert!(verified(&server, &token).is_some());
    let document = fetch(&server.metadata_url()).json();
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256", "RS256"]));
}

#[test]
fn user_info_and_introspection_are_signed_on_demand() {
    let server =
        server().id_tokens(IdTokenSigning::Rs256).signed_user_info().signed_introspection().start();
    let token = log_in(&server).text("access_token");

    let reply = get(&server.user_info_url(), &token);
    assert_eq!(reply.header("content-type"), Some("application/jwt"));
    let claims = verified(&server, std::str::from_utf8(&reply.body).unwrap()).unwrap();
    assert_eq!((&claims["sub"], &claims["email"]), (&"alice".into(), &"alice@example.com".into()));

    let body = format!("client_id=web&client_secret=hunter2&token={token}");
    let signed = "application/token-introspection+jwt";
    let reply = post(&server.introspection_url(), &[("accept", signed)], &body);
    assert_eq!(reply.header("content-type"), Some(signed));
    let text = std::str::from_utf8(&reply.body).unwrap();
    assert_eq!(decode_header(text).unwrap().typ.as_deref(), Some("token-introspection+jwt"));
    assert_eq!(verified(&server, text).unwrap()["token_introspection"]["active"], true);
    let plain = post(&server.introspection_url(), &[], &body);
    assert_eq!(plain.json()["active"], true);
}
