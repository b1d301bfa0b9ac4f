//! What the program was told, by flags and by a file.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokenkeeper_testkit::{
    ClientAuth, FakeAuthServer, FakeAuthServerBuilder, IdTokenSigning, Pkce,
};

use crate::flags::Flags;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    pub(crate) admin_host: IpAddr,
    pub(crate) admin_port: Option<u16>,
    public_url: Option<String>,
    issuer_path: Option<String>,
    pub(crate) tls: Option<TlsSettings>,
    cors: bool,
    registration: bool,
    person: Option<String>,
    id_tokens: String,
    signed_user_info: bool,
    signed_introspection: bool,
    token_lifetime: Option<u64>,
    refresh_lifetime: Option<u64>,
    rotation: bool,
    code_lifetime: Option<u64>,
    device_code_lifetime: Option<u64>,
    polling_interval: Option<u64>,
    scopes: Option<String>,
    resources: Option<Vec<String>>,
    dpop_required: bool,
    dpop_nonces: bool,
    pushed_requests_required: bool,
    #[serde(rename = "client")]
    clients: Vec<ClientSettings>,
    #[serde(rename = "user")]
    users: Vec<User>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TlsSettings {
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) save_certificate: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ClientSettings {
    id: String,
    secret: String,
    auth: Option<String>,
    redirect_uris: Vec<String>,
    grants: Option<Vec<String>>,
    scopes: Option<String>,
    pkce: Option<String>,
    id_tokens: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: String,
    password: String,
}

impl Default for Settings {
    fn default() -> Self {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            host: here,
            port: 9000,
            admin_host: here,
            admin_port: None,
            public_url: None,
            issuer_path: None,
            tls: None,
            cors: false,
            registration: false,
            person: None,
            id_tokens: "RS256".to_owned(),
            signed_user_info: false,
            signed_introspection: false,
            token_lifetime: None,
            refresh_lifetime: None,
            rotation: true,
            code_lifetime: None,
            device_code_lifetime: None,
            polling_interval: None,
            scopes: None,
            resources: None,
            dpop_required: false,
            dpop_nonces: false,
            pushed_requests_required: false,
            clients: Vec::new(),
            users: Vec::new(),
        }
    }
}

impl Settings {
    pub(crate) fn of(flags: Flags) -> Result<Self> {
        let mut settings = match &flags.config {
            Some(path) => read(path)?,
            None => Self::default(),
        };
        settings.host = flags.host.unwrap_or(settings.host);
        settings.port = flags.port.unwrap_or(settings.port);
        settings.admin_host = flags.admin_host.unwrap_or(settings.admin_host);
        settings.admin_port = flags.admin_port.or(settings.admin_port);
        settings.public_url = flags.public_url.or(settings.public_url);
        settings.person = flags.person.or(settings.person);
        settings.id_tokens = flags.id_tokens.unwrap_or(settings.id_tokens);
        settings.token_lifetime = flags.token_lifetime.or(settings.token_lifetime);
        settings.cors |= flags.cors;
        settings.registration |= flags.registration;
        if flags.tls || flags.tls_certificate.is_some() || flags.save_certificate.is_some() {
            let tls = settings.tls.get_or_insert_default();
            tls.certificate = flags.tls_certificate.or(tls.certificate.take());
            tls.key = flags.tls_key.or(tls.key.take());
            tls.save_certificate = flags.save_certificate.or(tls.save_certificate.take());
        }
        for client in &flags.clients {
            let (id, secret) = client.split_once(':').unwrap_or((client, ""));
            let (id, secret) = (id.to_owned(), secret.to_owned());
            settings.clients.push(ClientSettings { id, secret, ..ClientSettings::default() });
        }
        if settings.clients.is_empty() {
            let (id, secret) = ("client".to_owned(), "secret".to_owned());
            settings.clients.push(ClientSettings { id, secret, ..ClientSettings::default() });
        }
        for redirect in &flags.redirect_uris {
            let (id, uri) = redirect.split_once('=').context("--redirect-uri wants ID=URI")?;
            let client = settings.clients.iter_mut().find(|client| client.id == id);
            let client =
                client.with_context(|| format!("--redirect-uri names no client: `{id}`"))?;
            client.redirect_uris.push(uri.to_owned());
        }
        Ok(settings)
    }

    /// How the server is set up that clients see at this port.
    pub(crate) fn builder(&self, port: u16) -> Result<FakeAuthServerBuilder> {
        let mut builder = FakeAuthServer::builder().id_tokens(signing(&self.id_tokens)?);
        if let Some(url) = self.url(port) {
            builder = builder.public_url(&url);
        }
        if let Some(path) = &self.issuer_path {
            builder = builder.issuer_path(path);
        }
        if let Some(name) = &self.person {
            builder = builder.person(name);
        }
        if let Some(scopes) = &self.scopes {
            builder = builder.allowed_scopes(scopes);
        }
        if let Some(resources) = &self.resources {
            builder = builder.allowed_resources(resources.iter().map(String::as_str));
        }
        for user in &self.users {
            builder = builder.user(&user.name, &user.password);
        }
        let builder = self.switch(self.time(builder));
        self.clients.iter().try_fold(builder, |builder, client| client.add(builder))
    }

    /// Whatever is in seconds.
    fn time(&self, builder: FakeAuthServerBuilder) -> FakeAuthServerBuilder {
        type Set = fn(FakeAuthServerBuilder, Duration) -> FakeAuthServerBuilder;
        let times: [(Option<u64>, Set); 5] = [
            (self.token_lifetime, FakeAuthServerBuilder::token_lifetime),
            (self.refresh_lifetime, FakeAuthServerBuilder::refresh_lifetime),
            (self.code_lifetime, FakeAuthServerBuilder::code_lifetime),
            (self.device_code_lifetime, FakeAuthServerBuilder::device_code_lifetime),
            (self.polling_interval, FakeAuthServerBuilder::polling_interval),
        ];
        times.into_iter().fold(builder, |builder, (seconds, set)| match seconds {
            Some(seconds) => set(builder, Duration::from_secs(seconds)),
            None => builder,
        })
    }

    /// Whatever is on or off.
    fn switch(&self, builder: FakeAuthServerBuilder) -> FakeAuthServerBuilder {
        type Switch = fn(FakeAuthServerBuilder) -> FakeAuthServerBuilder;
        let switches: [(bool, Switch); 8] = [
            (self.cors, FakeAuthServerBuilder::cors),
            (self.registration, FakeAuthServerBuilder::dynamic_registration),
            (self.signed_user_info, FakeAuthServerBuilder::signed_user_info),
            (self.signed_introspection, FakeAuthServerBuilder::signed_introspection),
            (!self.rotation, FakeAuthServerBuilder::without_rotation),
            (self.dpop_required, FakeAuthServerBuilder::dpop_required),
            (self.dpop_nonces, FakeAuthServerBuilder::dpop_nonces),
            (
                self.pushed_requests_required,
                FakeAuthServerBuilder::require_pushed_authorization_requests,
            ),
        ];
        switches.into_iter().filter(|(is_on, _)| *is_on).fold(builder, |b, (_, set)| set(b))
    }

    /// The host of the URL that clients see, where one is set.
    pub(crate) fn public_host(&self) -> Option<String> {
        let url: http::Uri = self.public_url.as_deref()?.parse().ok()?;
        Some(url.host()?.trim_matches(['[', ']']).to_owned())
    }

    /// An address that means every address of the machine is no host; its name is.
    fn url(&self, port: u16) -> Option<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        match &self.public_url {
            Some(url) => Some(url.clone()),
            None if port == 0 => None,
            None if self.host.is_unspecified() => Some(format!("{scheme}://localhost:{port}")),
            None if self.host.is_ipv6() => Some(format!("{scheme}://[{}]:{port}", self.host)),
            None => Some(format!("{scheme}://{}:{port}", self.host)),
        }
    }
}

impl ClientSettings {
    fn add(&self, builder: FakeAuthServerBuilder) -> Result<FakeAuthServerBuilder> {
        let id = self.id.as_str();
        let auth = match self.auth.as_deref() {
            None if self.secret.is_empty() => ClientAuth::None,
            None => ClientAuth::Any,
            Some("client_secret_basic") => ClientAuth::Basic,
            Some("client_secret_post") => ClientAuth::Post,
            Some("client_secret_jwt") => ClientAuth::ClientSecretJwt,
            Some("private_key_jwt") => ClientAuth::PrivateKeyJwt,
            Some("none") => ClientAuth::None,
            Some(other) => bail!("client `{id}`: there is no auth `{other}`"),
        };
        let mut builder = builder.client(id, &self.secret, auth);
        for uri in &self.redirect_uris {
            builder = builder.redirect_uri(id, uri);
        }
        if let Some(grants) = &self.grants {
            builder = builder.grants(id, grants.iter().map(String::as_str));
        }
        if let Some(scopes) = &self.scopes {
            builder = builder.client_scopes(id, scopes);
        }
        match self.pkce.as_deref() {
            None => {}
            Some("required") => builder = builder.pkce(id, Pkce::Required),
            Some("optional") => builder = builder.pkce(id, Pkce::Optional),
            Some(other) => bail!("client `{id}`: pkce is `required` or `optional`, not `{other}`"),
        }
        if let Some(algorithm) = &self.id_tokens {
            builder = builder.client_id_tokens(id, signing(algorithm)?);
        }
        Ok(builder)
    }
}

fn read(path: &Path) -> Result<Settings> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the settings in {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is not as it should be", path.display()))
}

fn signing(algorithm: &str) -> Result<IdTokenSigning> {
    Ok(match algorithm {
        "RS256" => IdTokenSigning::Rs256,
        "ES256" => IdTokenSigning::Es256,
        "EdDSA" => IdTokenSigning::EdDsa,
        "HS256" => IdTokenSigning::ClientSecret,
        "none" => IdTokenSigning::Unsigned,
        _ => bail!("id_tokens is RS256, ES256, EdDSA, HS256 or none, not `{algorithm}`"),
    })
}
