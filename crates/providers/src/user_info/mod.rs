//! Who a token belongs to (OpenID Connect Core §5.3).

mod client;
mod user_claims;

pub use client::{UserInfo, UserInfoBuilder};
pub use user_claims::UserClaims;
