//! Logins in a browser or on a device, discovery, and what is known of a user.

#[cfg(feature = "device")]
#[path = "../device/mod.rs"]
mod device;
#[cfg(feature = "authorization-code")]
#[path = "../login/mod.rs"]
mod login;
#[path = "../support/mod.rs"]
mod support;

mod device_login;
mod discovery;
mod login_survives;
mod openid_connect;
mod openid_discovery;
mod services;
mod user_info;
