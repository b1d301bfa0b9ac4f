//! Everything that is tried at real authorization servers, but for what counts the requests of
//! `oidc-provider`.

mod assertions;
mod device;
mod discovery;
mod dpop;
mod exchanges;
mod glewlwyd;
mod loopback;
mod person;
