//! The login on another device ends in each way that its example says.

#[path = "../device_login.rs"]
#[expect(dead_code, reason = "the tests do not need its main")]
mod device_login;

#[tokio::test]
async fn a_device_login_is_approved_declined_and_forgotten() {
    let mut out = Vec::new();

    device_login::tour(&mut out).await.unwrap();

    let said = String::from_utf8(out).unwrap();
    for line in [
        "4 polls, the last brought the tokens",
        "and the service takes it: true",
        "says that the device login was declined (HTTP 400, access_denied: the person declined); \
         begin a new login",
        "says that the code of the device login has expired (HTTP 400, expired_token: the device code \
         has expired); begin a new login",
    ] {
        assert!(said.contains(line), "{line:?} is missing in\n{said}");
    }
}
