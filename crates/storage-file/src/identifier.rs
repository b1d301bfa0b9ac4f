//! Names for writes and for holders of leases: random, because a counter would have to survive the
//! deletion of what it counts.

use std::fmt;

use tokenkeeper::{Error, ErrorKind, Version};

/// 128 random bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identifier(u128);

impl Identifier {
    pub(crate) fn random() -> Result<Self, Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            let what = format!("the operating system gave no random bytes: {error}");
            Error::new(ErrorKind::Storage, what)
        })?;
        Ok(Self(u128::from_be_bytes(bytes)))
    }

    /// What `Display` wrote, and nothing else: not fewer digits, no sign, no capitals.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(is_digit) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(Self)
    }

    pub(crate) fn to_version(self) -> Version {
        Version::new(self.0.to_be_bytes())
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
