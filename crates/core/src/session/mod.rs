//! Logins and logouts: `install`, `clear`, `revoke`, `flush`. Every token request under way loses.

pub(crate) mod install;
