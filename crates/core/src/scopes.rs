//! Scopes: a set of case-sensitive words (RFC 6749 §3.3).

use std::fmt;

use crate::error::{Error, ErrorKind};

/// The scopes of a token: sorted, without repetition, compared as a set.
///
/// # Examples
///
/// ```
/// use tokenkeeper::Scopes;
///
/// let scopes = Scopes::parse("write read  write")?;
/// assert_eq!(scopes.to_string(), "read write");
/// assert!(scopes.contains("read"));
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(Box<[Box<str>]>);

impl Scopes {
    /// From words, one scope each.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a word is empty or has a character that RFC 6749 §3.3 forbids
    /// (blanks, quotes, backslashes, control characters, anything outside ASCII).
    pub fn new<I, S>(words: I) -> Result<Self, Error>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        let mut scopes = Vec::new();
        for (at, word) in words.into_iter().enumerate() {
            let word = word.as_ref();
            if !is_scope_token(word) {
                let why = match word {
                    "" => "is empty",
                    _ if word.contains(' ') => "has a blank in it; give one scope per item",
                    _ => "has a character that RFC 6749 §3.3 forbids",
                };
                let what = format!("scopes: item {} {why}", at + 1);
                return Err(Error::new(ErrorKind::Config, what));
            }
            scopes.push(word.into());
        }
        Ok(Self::from_words(scopes))
    }

    /// From one text in which blanks separate the scopes, as on the wire.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::new(text.split(' ').filter(|word| !word.is_empty()))
    }

    /// From what a service answered: words that are no scopes are left out, not refused, because
    /// a secondary field never spoils a successful exchange.
    #[must_use]
    pub fn from_response<I, S>(words: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        let words = words.into_iter();
        Self::from_words(
            words.filter(|w| is_scope_token(w.as_ref())).map(|w| w.as_ref().into()).collect(),
        )
    }

    fn from_words(mut words: Vec<Box<str>>) -> Self {
        words.sort_unstable();
        words.dedup();
        Self(words.into_boxed_slice())
    }

    /// Whether the scope is among them. Letter case counts.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|word| &**word == scope)
    }

    /// In sorted order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|word| &**word)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// As on the wire: separated by one blank, sorted.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.0.iter().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(f, "{gap}{word}")?;
        }
        Ok(())
    }
}

fn is_scope_token(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repetition_do_not_matter() {
        assert_eq!(Scopes::parse("b a b").unwrap(), Scopes::new(["a", "b"]).unwrap());
    }

    #[test]
    fn letter_case_matters() {
        assert_ne!(Scopes::parse("Read").unwrap(), Scopes::parse("read").unwrap());
    }

    #[test]
    fn a_comma_is_a_legal_character_of_a_scope() {
        assert_eq!(Scopes::parse("a,b").unwrap().iter().len(), 1);
    }

    #[test]
    fn control_characters_are_refused_and_not_shown() {
        let error = Scopes::new(["ok", "evil\n"]).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("scopes"));
        assert!(!error.to_string().contains("evil"));
    }

    #[test]
    fn a_response_with_nonsense_among_its_scopes_keeps_the_rest() {
        assert_eq!(Scopes::from_response(["a", "", "b\n"]).to_string(), "a");
    }
}
