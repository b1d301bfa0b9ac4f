//! Reading the document of a server (RFC 8414 §3.2).
//!
//! A member that makes no sense counts as absent, because one odd member must not cost the others.
//! Only the name of the server has to be there, and right: whoever takes the document of another
//! server sends that one the codes and secrets of this.

use std::borrow::Cow;

use serde_json::{Map, Value};
use tokenkeeper::{Error, ErrorKind};

use super::authorization_server::{AuthorizationServer, Endpoints, Words};
use crate::endpoint_url::{EndpointUrl, config_error};
use crate::members::Members;

impl AuthorizationServer {
    /// Reads a document that was fetched otherwise, or kept in a file. `issuer` is the server that it
    /// is supposed to be of.
    ///
    /// An endpoint counts as absent unless it is https, or http on this machine where the issuer is
    /// http too. So does every other member that makes no sense.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidResponse`] if it is no JSON object or names no issuer.
    /// - [`ErrorKind::Config`] if the issuer is no URL, or if it is another one than the document
    ///   names, character by character (RFC 8414 §3.3).
    pub fn from_json(issuer: &str, document: &[u8]) -> Result<Self, Error> {
        Self::read(issuer, document, false)
    }

    pub(crate) fn read(issuer: &str, document: &[u8], allow_http: bool) -> Result<Self, Error> {
        let issuer_url = check_issuer(issuer, allow_http)?;
        // Secrets of a server that is known by https must not go to a port of this machine instead.
        let rule = UrlRule { allow_http, https_only: !allow_http && is_https(&issuer_url) };
        let Some(mut members) = Members::from_json(document) else {
            return Err(not_metadata("is no JSON object"));
        };
        let Some(named) = members.take_text("issuer") else {
            return Err(not_metadata("names no issuer (RFC 8414 §2)"));
        };
        if named != issuer {
            return Err(of_another(&named));
        }
        let aliases = match members.take("mtls_endpoint_aliases") {
            Some(Value::Object(mut aliases)) => endpoints(&mut aliases, rule),
            _ => Endpoints::NONE,
        };
        let mut members = members.into_rest();
        Ok(Self {
            issuer: Some(Cow::Owned(named)),
            endpoints: endpoints(&mut members, rule),
            mtls_aliases: aliases,
            jwks_url: url(&mut members, "jwks_uri", rule),
            requires_pushed_requests: is_true(
                &mut members,
                "require_pushed_authorization_requests",
            ),
            sends_iss: is_true(&mut members, "authorization_response_iss_parameter_supported"),
            scopes: words(&mut members, "scopes_supported"),
            grant_types: words(&mut members, "grant_types_supported"),
            token_auth_methods: words(&mut members, "token_endpoint_auth_methods_supported"),
            revocation_auth_methods: words(
                &mut members,
                "revocation_endpoint_auth_methods_supported",
            ),
            introspection_auth_methods: words(
                &mut members,
                "introspection_endpoint_auth_methods_supported",
            ),
            code_challenge_methods: words(&mut members, "code_challenge_methods_supported"),
            dpop_algorithms: words(&mut members, "dpop_signing_alg_values_supported"),
            rest: Some(members),
            allow_http,
            ..Self::UNKNOWN
        })
    }
}

impl AuthorizationServer {
    /// Whether the document lacks what servers of OpenID Connect name in their other one: some leave
    /// it out of that of RFC 8414, which is not about users.
    pub(crate) fn may_be_partial(&self) -> bool {
        let Endpoints { authorization, token, user_info, .. } = &self.endpoints;
        let is_for_people = authorization.is_some();
        token.is_none() || is_for_people && (user_info.is_none() || self.jwks_url.is_none())
    }

    /// With what another document of the same server says beside this one.
    pub(crate) fn completed_by(mut self, other: Self) -> Self {
        self.endpoints.complete_by(other.endpoints);
        self.mtls_aliases.complete_by(other.mtls_aliases);
        self.jwks_url = self.jwks_url.or(other.jwks_url);
        self.requires_pushed_requests |= other.requires_pushed_requests;
        self.sends_iss |= other.sends_iss;
        for (own, others) in [
            (&mut self.scopes, other.scopes),
            (&mut self.grant_types, other.grant_types),
            (&mut self.token_auth_methods, other.token_auth_methods),
            (&mut self.revocation_auth_methods, other.revocation_auth_methods),
            (&mut self.introspection_auth_methods, other.introspection_auth_methods),
            (&mut self.code_challenge_methods, other.code_challenge_methods),
            (&mut self.dpop_algorithms, other.dpop_algorithms),
        ] {
            if own.is_none() {
                *own = others;
            }
        }
        let mut rest = other.rest.unwrap_or_default();
        rest.extend(self.rest.take().unwrap_or_default());
        self.rest = Some(rest);
        self
    }
}

impl Endpoints {
    fn complete_by(&mut self, other: Self) {
        for (own, others) in [
            (&mut self.authorization, other.authorization),
            (&mut self.token, other.token),
            (&mut self.revocation, other.revocation),
            (&mut self.introspection, other.introspection),
            (&mut self.user_info, other.user_info),
            (&mut self.device_authorization, other.device_authorization),
            (&mut self.pushed_authorization_request, other.pushed_authorization_request),
        ] {
            if own.is_none() {
                *own = others;
            }
        }
    }
}

/// RFC 8414 §2: https, without query and fragment. The consoles of servers show the URL of the
/// document more often than the issuer, so it is what comes instead.
pub(crate) fn check_issuer(issuer: &str, allow_http: bool) -> Result<EndpointUrl, Error> {
    let url = EndpointUrl::parse("issuer", issuer, allow_http)?;
    if url.url().query().is_some() {
        return Err(config_error("issuer", "must not have a query (RFC 8414 §2)"));
    }
    let path = url.url().path();
    if DOCUMENTS.iter().any(|document| path.contains(document)) {
        let what =
            "is the URL of a document; give the issuer, without `/.well-known/` and its name";
        return Err(config_error("issuer", what));
    }
    Ok(url)
}

/// Whether an error says that the document is of another server.
pub(crate) fn is_of_another(error: &Error) -> bool {
    error.kind() == ErrorKind::Config
}

fn of_another(named: &str) -> Error {
    let mut what = "the document is of another issuer, so it must not be used (RFC 8414 §3.3)";
    let shown;
    let is_plain = named.bytes().all(|b| b.is_ascii_graphic() && b != b'?');
    if is_plain && named.len() <= LONGEST_SHOWN {
        shown = format!("{what}; it names `{named}`");
        what = &shown;
    }
    Error::new(ErrorKind::Config, what.to_owned()).with_advice(
        "if that is the server you mean, give its issuer exactly as the document does, to the slash",
    )
}

fn not_metadata(what: &str) -> Error {
    Error::new(ErrorKind::InvalidResponse, format!("the document {what}"))
        .with_advice("check that the issuer is that of an authorization server")
}

fn endpoints(members: &mut Map<String, Value>, rule: UrlRule) -> Endpoints {
    let mut url = |name| url(members, name, rule);
    Endpoints {
        authorization: url("authorization_endpoint"),
        token: url("token_endpoint"),
        revocation: url("revocation_endpoint"),
        introspection: url("introspection_endpoint"),
        user_info: url("userinfo_endpoint"),
        device_authorization: url("device_authorization_endpoint"),
        pushed_authorization_request: url("pushed_authorization_request_endpoint"),
    }
}

fn url(members: &mut Map<String, Value>, name: &str, rule: UrlRule) -> Option<Cow<'static, str>> {
    let Some(Value::String(text)) = members.remove(name) else { return None };
    let url = EndpointUrl::parse(name, &text, rule.allow_http).ok()?;
    (!rule.https_only || is_https(&url)).then_some(Cow::Owned(text))
}

/// Which URLs of a document are believed.
#[derive(Clone, Copy)]
struct UrlRule {
    allow_http: bool,
    https_only: bool,
}

fn is_https(url: &EndpointUrl) -> bool {
    url.url().scheme() == "https"
}

fn is_true(members: &mut Map<String, Value>, name: &str) -> bool {
    members.remove(name) == Some(Value::Bool(true))
}

/// A list without a name in it says nothing, so it counts as absent too.
fn words(members: &mut Map<String, Value>, name: &str) -> Option<Words> {
    let Some(Value::Array(items)) = members.remove(name) else { return None };
    let words = items.into_iter().filter_map(|item| match item {
        Value::String(word) => Some(word),
        _ => None,
    });
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then_some(Words::Read(words))
}

const DOCUMENTS: [&str; 2] =
    ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
const LONGEST_SHOWN: usize = 200; // characters of an issuer in a message
