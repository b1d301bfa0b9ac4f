//! The columns of the table in `docs/interop.md`: a module is a server, a test is a row.

mod fake_server;
mod glewlwyd;
mod keycloak;
mod oidc_provider;
