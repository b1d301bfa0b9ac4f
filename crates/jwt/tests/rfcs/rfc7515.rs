//! Signed text (RFC 7515): the examples of its appendix A.

use crate::support::{A2, A3, A4, bytes, is_signature, signed_part};
use tokenkeeper_jwt::{Algorithm, HmacKey, SigningKey};

#[test]
fn a1_the_code_of_hs256_is_the_one_of_the_rfc() {
    let secret = bytes(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    );
    let (signed, code) = signed_part(A1_JWS);

    assert_eq!(HmacKey::hs256(&secret).unwrap().sign(signed.as_bytes()), code);
}

#[test]
fn a2_the_signature_of_rs256_is_the_one_of_the_rfc() {
    let key = SigningKey::from_jwk(A2).unwrap();

    assert_eq!(key.sign_compact(br#"{"alg":"RS256"}"#, PAYLOAD).unwrap(), A2_JWS);
}

#[test]
fn a3_the_key_is_the_one_that_signed_with_es256() {
    let key = SigningKey::from_jwk(A3).unwrap();
    let (signed, signature) = signed_part(A3_JWS);

    // ECDSA signs with a random number, so it is the key that can be compared.
    let message = signed.as_bytes();
    assert!(is_signature(Algorithm::Es256, key.public_jwk(), message, &signature));
    assert!(is_signature(Algorithm::Es256, key.public_jwk(), message, &key.sign(message).unwrap()));
}

#[test]
fn a4_the_key_is_the_one_that_signed_with_es512() {
    let key = SigningKey::from_jwk(A4).unwrap();
    let (signed, signature) = signed_part(A4_JWS);

    let message = signed.as_bytes();
    assert!(is_signature(Algorithm::Es512, key.public_jwk(), message, &signature));
    assert!(is_signature(Algorithm::Es512, key.public_jwk(), message, &key.sign(message).unwrap()));
}

#[test]
fn a_compact_jws_is_header_payload_and_signature_in_base64url() {
    let key = SigningKey::from_jwk(A3).unwrap();

    let jws = key.sign_compact(br#"{"alg":"ES256"}"#, PAYLOAD).unwrap();

    let parts: Vec<_> = jws.split('.').map(bytes).collect();
    assert_eq!(parts.len(), 3);
    assert_eq!(parts[..2], [br#"{"alg":"ES256"}"#.to_vec(), PAYLOAD.to_vec()]);
    let (signed, signature) = signed_part(&jws);
    assert!(is_signature(Algorithm::Es256, key.public_jwk(), signed.as_bytes(), &signature));
}

const PAYLOAD: &[u8] =
    b"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
const A1_JWS: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const A2_JWS: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const A3_JWS: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const A4_JWS: &str = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
