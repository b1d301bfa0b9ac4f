//! What the leak tests share: secrets, their spellings, and a search through all that was shown.

mod auth;
mod bad_days;
mod desk;
pub(crate) mod logs;
mod plants;
mod scene;
mod shown;
mod spellings;

pub(crate) use auth::{Auth, Grant};
pub(crate) use bad_days::{bad_days, slow_days};
pub(crate) use desk::{Call, Desk, known, places};
pub(crate) use plants::{Plants, Shape};
pub(crate) use scene::{PAUSE, Scene};
pub(crate) use shown::{Search, Shown};
pub(crate) use spellings::{CLIENT_ID, spellings};
