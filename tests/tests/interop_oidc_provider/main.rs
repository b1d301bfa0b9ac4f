//! What npm's `oidc-provider` counts. The counters are per client, so these tests run in a process of
//! their own, apart from those in `interop` that use the same clients.

mod login;
mod refresh;
