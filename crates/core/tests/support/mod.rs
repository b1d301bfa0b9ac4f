//! What the tests of this crate are written with: managers in a test's hands, and what fills them.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its share")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
#![allow(clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

#[cfg(feature = "tracing")]
pub mod captured;
pub mod fleet;
pub mod planted;
#[cfg(feature = "metrics")]
pub mod recorder;
pub mod records;
pub mod rig;
pub mod setup;
pub mod telling;
pub mod tenants;
pub mod waiting;
