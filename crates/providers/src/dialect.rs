//! How one service deviates where the body of an answer cannot tell.

use std::borrow::Cow;

use crate::error_codes::same;

/// All off by default.
#[derive(Clone, Debug)]
pub(crate) struct Dialect {
    pub(crate) comma_separated_scopes: bool,
    pub(crate) expires_in_milliseconds: bool,
    /// The member with the tokens, where the answer itself has none.
    pub(crate) nested_tokens: Option<Cow<'static, str>>,
    /// Types that are bearer tokens by another name.
    pub(crate) bearer_names: Words,
    /// Codes that mean `invalid_grant` on a refresh.
    pub(crate) refresh_rejected_by: Words,
}

/// A list of names.
pub(crate) type Words = Cow<'static, [Cow<'static, str>]>;

impl Dialect {
    pub(crate) const STANDARD: Self = Self {
        comma_separated_scopes: false,
        expires_in_milliseconds: false,
        nested_tokens: None,
        bearer_names: Cow::Borrowed(&[]),
        refresh_rejected_by: Cow::Borrowed(&[]),
    };

    /// Whether the code is one that ends a refresh token here.
    pub(crate) fn ends_refresh_token(&self, code: &str) -> bool {
        self.refresh_rejected_by.iter().any(|word| same(word, code))
    }
}

/// Names that a user gave.
pub(crate) fn words<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Words {
    names.into_iter().map(|name| Cow::Owned(name.as_ref().to_owned())).collect()
}

impl Default for Dialect {
    fn default() -> Self {
        Self::STANDARD
    }
}
