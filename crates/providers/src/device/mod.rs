//! Logins on another device (RFC 8628): for whatever has no browser, or no keyboard.

mod device_login;
mod pending_device_login;
mod polling;

pub use device_login::{DeviceLogin, DeviceLoginBuilder};
pub use pending_device_login::PendingDeviceLogin;
