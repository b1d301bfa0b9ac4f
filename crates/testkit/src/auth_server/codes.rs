//! Logins that are under way at a browser.

use std::collections::HashMap;

use tokenkeeper::{Now, Scopes};

use super::login_request::LoginRequest;

/// Logins that a code stands for, or a `request_uri` announced.
#[derive(Default)]
pub(super) struct Logins {
    pub(super) codes: HashMap<String, Code>,
    pub(super) pushed: HashMap<String, Pushed>,
}

/// What a code can be exchanged for.
pub(super) struct Code {
    pub(super) request: LoginRequest,
    pub(super) username: String,
    pub(super) scopes: Scopes,
    pub(super) issued_at: Now,
    pub(super) ends: Now,
    /// What was issued for it, once it was.
    pub(super) family: Option<usize>,
}

pub(super) struct Pushed {
    pub(super) request: LoginRequest,
    pub(super) ends: Now,
}
