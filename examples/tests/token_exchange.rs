//! The gateway buys what its example says, and no more.

#[path = "../token_exchange.rs"]
#[expect(dead_code, reason = "the tests do not need its main")]
mod token_exchange;

#[tokio::test]
async fn a_gateway_has_one_token_for_each_service_and_says_why_it_gets_no_other() {
    let mut out = Vec::new();

    token_exchange::tour(&mut out).await.unwrap();

    let said = String::from_utf8(out).unwrap();
    for line in [
        "2 exchanges; neither service ever sees her login",
        "3 exchanges, and a new token: true",
        "4 exchanges: her login was renewed, and the exchange repeated",
        "login: there is no refresh token, and this provider cannot log in without a person; log in",
    ] {
        assert!(said.contains(line), "{line:?} is missing in\n{said}");
    }
}
