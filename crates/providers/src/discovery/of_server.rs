//! Builders that start from what a server says of itself.
//!
//! All of them are here, because the two functions differ in nothing but the endpoints that a
//! builder begins with.

use tokenkeeper::Error;

use super::authorization_server::AuthorizationServer;
#[cfg(feature = "authorization-code")]
use crate::{AuthorizationCodeLogin, AuthorizationCodeLoginBuilder};
use crate::{
    ClientCredentialsBuilder, ClientCredentialsProvider, PasswordBuilder, PasswordProvider,
    RefreshTokenBuilder, RefreshTokenProvider,
};
#[cfg(feature = "device")]
use crate::{DeviceLogin, DeviceLoginBuilder};
#[cfg(feature = "introspection")]
use crate::{Introspection, IntrospectionBuilder};
#[cfg(feature = "jwt-bearer")]
use crate::{JwtBearerBuilder, JwtBearerProvider};
#[cfg(feature = "token-exchange")]
use crate::{TokenExchangeBuilder, TokenExchangeProvider};
#[cfg(feature = "user-info")]
use crate::{UserInfo, UserInfoBuilder};

macro_rules! of_server {
    ($($(#[$feature:meta])? $type:ident => $builder:ident, $begin:expr;)*) => {$(
        $(#[$feature])?
        impl $type {
            /// Starts with a server that was [discovered](crate::Discovery) or that is a constant:
            /// with its URLs, its name and its peculiarities. All of that can be set anew.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Unsupported`](tokenkeeper::ErrorKind::Unsupported) if the server names
            /// no endpoint for this, or offers only what must not be used.
            pub fn of_server(
                service_name: &str,
                server: &AuthorizationServer,
            ) -> Result<$builder, Error> {
                let begin: fn(&str, &AuthorizationServer) -> Result<$builder, Error> = $begin;
                begin(service_name, server).map_err(|error| error.at_service(service_name))
            }

            /// Starts with a server by its name alone: asks it for its endpoints, with the bundled
            /// transport, as [`Discovery`](crate::Discovery) does it. What it says is kept for all
            /// of the process.
            ///
            /// # Errors
            ///
            /// As [`Discovery::server`](crate::Discovery::server) and
            /// [`of_server`](Self::of_server).
            #[cfg(feature = "reqwest")]
            pub async fn discover(service_name: &str, issuer: &str) -> Result<$builder, Error> {
                let server = discovered(service_name, issuer).await?;
                Self::of_server(service_name, &*server)
            }
        }
    )*};
}

/// For those that begin with the token endpoint alone.
macro_rules! of_token_url {
    ($($(#[$cfg:meta])* $type:ident => $builder:ident;)*) => {
        of_server! {$(
            $(#[$cfg])*
            $type => $builder, |service_name, server| {
                let mut builder = Self::builder(service_name, server.needed_token_url()?);
                server.apply_to(&mut builder.settings);
                Ok(builder)
            };
        )*}
    };
}

of_token_url! {
    ClientCredentialsProvider => ClientCredentialsBuilder;
    #[cfg(feature = "jwt-bearer")]
    JwtBearerProvider => JwtBearerBuilder;
    PasswordProvider => PasswordBuilder;
    RefreshTokenProvider => RefreshTokenBuilder;
    #[cfg(feature = "token-exchange")]
    TokenExchangeProvider => TokenExchangeBuilder;
}

of_server! {
    #[cfg(feature = "authorization-code")]
    AuthorizationCodeLogin => AuthorizationCodeLoginBuilder, |service_name, server| {
        let authorization_url = AuthorizationServer::needed("authorization", server.authorization_url())?;
        let mut builder =
            Self::builder(service_name, authorization_url, server.needed_token_url()?);
        server.apply_to(&mut builder.settings);
        let pushed_url = server.pushed_authorization_request_url();
        if server.requires_pushed_authorization_requests() {
            AuthorizationServer::needed("pushed authorization request", pushed_url)?;
        }
        if let Some(url) = pushed_url {
            builder = builder.pushed_authorization_request_url(url);
        }
        if let Some(url) = server.end_session_url() {
            builder = builder.end_session_url(url);
        }
        if server.sends_iss_parameter() && server.issuer().is_some() {
            builder = builder.iss_parameter_required();
        }
        if let Some(methods) = server.code_challenge_methods() {
            builder = builder.code_challenge_methods(methods);
        }
        Ok(builder)
    };
    #[cfg(feature = "device")]
    DeviceLogin => DeviceLoginBuilder, |service_name, server| {
        let device_url = AuthorizationServer::needed("device authorization", server.device_authorization_url())?;
        let mut builder = Self::builder(service_name, device_url, server.needed_token_url()?);
        server.apply_to(&mut builder.settings);
        Ok(builder)
    };
    #[cfg(feature = "introspection")]
    Introspection => IntrospectionBuilder, |service_name, server| {
        let url = AuthorizationServer::needed("introspection", server.introspection_url())?;
        let mut builder = Self::builder(service_name, url);
        builder.issuer = server.issuer().map(str::to_owned);
        builder.allow_http = server.allow_http;
        Ok(builder)
    };
    #[cfg(feature = "user-info")]
    UserInfo => UserInfoBuilder, |service_name, server| {
        let url = AuthorizationServer::needed("userinfo", server.user_info_url())?;
        let mut builder = Self::builder(service_name, url);
        builder.allow_http = server.allow_http;
        Ok(builder)
    };
}

#[cfg(feature = "reqwest")]
async fn discovered(
    service_name: &str,
    issuer: &str,
) -> Result<std::sync::Arc<AuthorizationServer>, Error> {
    static SHARED: std::sync::LazyLock<crate::Discovery> =
        std::sync::LazyLock::new(crate::Discovery::new);

    SHARED.server(issuer).await.map_err(|error| {
        // It is one error for all who asked, by the name of the server, with an advice of its own.
        let mut told = Error::new(error.kind(), "the server could not be discovered");
        told = error.status().into_iter().fold(told, Error::with_status);
        told = error.oauth().cloned().into_iter().fold(told, Error::with_oauth);
        told = error.retry_after().into_iter().fold(told, Error::with_retry_after);
        told.with_advice(error.to_string()).at_service(service_name)
    })
}
