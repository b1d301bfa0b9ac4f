//! The pages that Keycloak shows to people, looked at just enough to go on.

/// A form, filled in.
#[derive(Debug)]
pub(crate) struct Form {
    /// Where it is sent, possibly relative to the page.
    pub(crate) action: String,
    /// Its fields.
    pub(crate) fields: Vec<(&'static str, String)>,
}

/// The form of the page for user name and password, or of that for consent; `None` for other pages.
pub(crate) fn filled_in(page: &str, name: &str, password: &str, consents: bool) -> Option<Form> {
    let action = page.split("<form").find_map(|form| {
        let (_, rest) = form.split_once("action=\"")?;
        rest.split('"').next()
    })?;
    let action = action.replace("&amp;", "&");
    if page.contains("id=\"kc-form-login\"") {
        let fields = vec![("username", name.to_owned()), ("password", password.to_owned())];
        return Some(Form { action, fields });
    }
    if !action.contains("/login-actions/consent") {
        return None;
    }
    let (_, code) = page.split_once("name=\"code\" value=\"")?;
    let code = code.split('"').next()?.to_owned();
    let decision = if consents { "accept" } else { "cancel" };
    Some(Form { action, fields: vec![("code", code), (decision, "yes".to_owned())] })
}

/// How its page for a device that was let in is called.
pub(crate) const DEVICE_LET_IN: &str = "Device Login Successful";

/// How its page for a device that was turned away is called.
pub(crate) const DEVICE_TURNED_AWAY: &str = "Device Login Failed";
