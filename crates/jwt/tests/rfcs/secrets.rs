//! No key shows in an error or `Debug`.

use crate::support::{A2, A3, A4, ALGORITHMS, RFC8037_A1, pem_for, printed};
use serde_json::{Value, json};
use tokenkeeper_jwt::{HmacKey, JwtAssertion, SigningKey, client_secret_jwt, private_key_jwt};

const PRIVATE: [&str; 6] = ["d", "p", "q", "dp", "dq", "qi"];
const SECRET: &str = "planted-secret-that-is-long-enough-to-sign";

/// Every piece of eight characters, so that a part of a key is found too.
fn shows(text: &str, secret: &str) -> bool {
    let pieces = secret.as_bytes().windows(8);
    pieces.filter_map(|piece| std::str::from_utf8(piece).ok()).any(|piece| text.contains(piece))
}

#[test]
fn keys_and_what_is_made_of_them_are_redacted_in_debug() {
    for jwk in [A2, A3, A4, RFC8037_A1] {
        let key = SigningKey::from_jwk(jwk).unwrap();
        let shown = format!(
            "{key:?} {key:#?} {:?} {:?} {:?} {:?}",
            JwtAssertion::for_client(key.clone()),
            private_key_jwt(key.clone()),
            key.public_jwk(),
            key.to_jwk().unwrap(),
        );

        let jwk: Value = serde_json::from_str(jwk).unwrap();
        for number in PRIVATE.iter().filter_map(|member| jwk[member].as_str()) {
            assert!(!shows(&shown, number), "{shown}");
        }
    }
    let key = HmacKey::hs256(SECRET.as_bytes()).unwrap();
    let auth = client_secret_jwt(SECRET).unwrap();
    let shown = format!("{key:?} {:?} {auth:?}", JwtAssertion::for_client(key.clone()));
    assert!(!shows(&shown, SECRET), "{shown}");
}

#[test]
fn an_error_about_a_jwk_shows_nothing_of_it() {
    for text in [A2, A3, A4, RFC8037_A1] {
        let whole: Value = serde_json::from_str(text).unwrap();
        let members: Vec<_> = whole.as_object().unwrap().keys().cloned().collect();
        let broken = members.iter().flat_map(|member| {
            [json!(SECRET), json!([SECRET]), json!("AA"), Value::Null].map(|value| {
                let mut jwk = whole.clone();
                jwk[member] = value;
                jwk.to_string()
            })
        });
        let cut = [text.len() / 2, text.len() - 2].map(|end| text[..end].to_owned());

        for jwk in broken.chain(cut).chain([SECRET.to_owned()]) {
            let error = SigningKey::from_jwk(&jwk).unwrap_err();
            let said = printed(&error);
            assert!(!shows(&said, SECRET), "{said}");
            for number in PRIVATE.iter().filter_map(|member| whole[member].as_str()) {
                assert!(!shows(&said, number), "{said}");
            }
        }
    }
}

#[test]
fn an_error_about_pem_shows_nothing_of_it() {
    for of_key in ALGORITHMS {
        let pem = pem_for(of_key);
        let cut = &pem[..pem.len() * 2 / 3];
        let mended = format!("{cut}\n-----END PRIVATE KEY-----\n");
        for algorithm in ALGORITHMS {
            for pem in [pem, cut, &mended] {
                let Err(error) = SigningKey::from_pem(algorithm, pem.as_bytes()) else { continue };
                let said = printed(&error);
                let body = pem.lines().filter(|line| !line.starts_with("-----"));
                for line in body {
                    assert!(!shows(&said, line), "{said}");
                }
            }
        }
    }
}

#[test]
fn an_error_about_a_secret_shows_nothing_of_it() {
    for error in [
        client_secret_jwt("planted-secret").unwrap_err(),
        HmacKey::hs512(b"planted-secret").unwrap_err(),
    ] {
        assert!(!shows(&printed(&error), "planted-secret"));
    }
}
