//! What the scopes of a login let out about its person.

use serde_json::{Map, Value};

use super::token_book::Family;

/// `None` where a client acts for itself (OpenID Connect Core §5.4).
pub(super) fn of_person(family: &Family) -> Option<Map<String, Value>> {
    let name = family.username.as_deref()?;
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), name.into());
    if family.scopes.contains("profile") {
        claims.insert("preferred_username".to_owned(), name.into());
    }
    if family.scopes.contains("email") {
        claims.insert("email".to_owned(), format!("{name}@example.com").into());
        claims.insert("email_verified".to_owned(), true.into());
    }
    Some(claims)
}
