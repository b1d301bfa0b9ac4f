//! Logins and logouts: `install`, `clear`, `revoke`, `flush`. Every token request under way loses.

mod install;
mod logout;
