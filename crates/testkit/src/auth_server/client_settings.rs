//! What clients may do, and how they come to be: the part of the builder about them.

use tokenkeeper::Scopes;

use super::builder::FakeAuthServerBuilder;
use super::client::Pkce;
use super::config::{IdTokenSigning, RegistrationSettings};

/// # Clients
impl FakeAuthServerBuilder {
    /// Registers a redirect URI of a client. It must be asked for exactly so, except that
    /// `http://127.0.0.1` and `http://[::1]` may have any port (RFC 8252 §7.3).
    ///
    /// A request may leave it out where the client has exactly one (RFC 6749 §3.1.2.3), unless it
    /// asks for the scope `openid`. A client without one cannot send a browser to the authorization endpoint.
    pub fn redirect_uri(self, client_id: &str, redirect_uri: &str) -> Self {
        let uri = redirect_uri.to_owned();
        self.change(client_id, move |client| client.redirect_uris.push(uri))
    }

    /// The grants that a client may use, as `grant_type` names them; all of them without this.
    pub fn grants<'a>(self, client_id: &str, grants: impl IntoIterator<Item = &'a str>) -> Self {
        let grants = grants.into_iter().map(str::to_owned).collect();
        self.change(client_id, move |client| client.grants = Some(grants))
    }

    /// The scopes that a client may ask for, separated by blanks, in place of those of
    /// [`allowed_scopes`](Self::allowed_scopes).
    pub fn client_scopes(self, client_id: &str, scopes: &str) -> Self {
        let scopes = Scopes::from_response(scopes.split(' '));
        self.change(client_id, move |client| client.scopes = Some(scopes))
    }

    /// Whether logins of a client must come with a code challenge; they must without this.
    pub fn pkce(self, client_id: &str, pkce: Pkce) -> Self {
        self.change(client_id, move |client| client.pkce = pkce)
    }

    /// How ID tokens for this client are signed, in place of what [`id_tokens`](Self::id_tokens)
    /// says.
    pub fn client_id_tokens(self, client_id: &str, signing: IdTokenSigning) -> Self {
        self.change(client_id, move |client| client.id_tokens = Some(signing))
    }

    /// Lets clients register themselves at `/register` (RFC 7591). What they cannot say there, such
    /// as updates (RFC 7592) and keys at a URL, is not offered.
    pub fn dynamic_registration(mut self) -> Self {
        self.config.registration.get_or_insert_default();
        self
    }

    /// The same, for those that come with this initial access token alone.
    pub fn dynamic_registration_with(mut self, initial_access_token: &str) -> Self {
        let initial_access_token = Some(initial_access_token.to_owned());
        self.config.registration = Some(RegistrationSettings { initial_access_token });
        self
    }
}
