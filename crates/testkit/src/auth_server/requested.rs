//! The scopes and resources that a request names, and which of them it gets.

use tokenkeeper::Scopes;

use super::client::Client;
use super::config::Config;
use super::form::Form;
use super::token_book::contains_all;

pub(super) fn wanted_scopes(form: &Form) -> Result<Option<Scopes>, &'static str> {
    let parse = |text| Scopes::parse(text).map_err(|_| "scope is malformed");
    form.get("scope").map(parse).transpose()
}

/// What was asked for, or all that is allowed.
pub(super) fn granted_scopes(
    config: &Config,
    client: &Client,
    form: &Form,
) -> Result<Scopes, &'static str> {
    let allowed = client.scopes.as_ref().or(config.allowed_scopes.as_ref());
    match (wanted_scopes(form)?, allowed) {
        (Some(wanted), Some(allowed)) if !contains_all(allowed, &wanted) => {
            Err("a scope is not allowed")
        }
        (Some(wanted), _) => Ok(wanted),
        (None, allowed) => Ok(allowed.cloned().unwrap_or_default()),
    }
}

/// The resources that a request names (RFC 8707 §2).
pub(super) fn resources(config: &Config, form: &Form) -> Result<Vec<String>, &'static str> {
    let resources = form.all("resource");
    if resources.iter().any(|uri| uri.contains('#') || !uri.contains(':')) {
        return Err("a resource is no absolute URI without a fragment");
    }
    let allowed = config.allowed_resources.as_ref();
    if allowed.is_some_and(|allowed| resources.iter().any(|uri| !allowed.contains(uri))) {
        return Err("a resource is unknown");
    }
    Ok(resources.to_vec())
}
