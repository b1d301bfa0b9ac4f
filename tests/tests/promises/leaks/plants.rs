//! Secrets of different shapes, no two of which have a piece in common.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// What the characters of a secret are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Plain,
    Quoted,
    Unicode,
    Reserved,
    /// Six characters, fewer than the search for pieces looks at.
    Short,
}

impl Shape {
    pub(crate) const ALL: [Self; 5] =
        [Self::Plain, Self::Quoted, Self::Unicode, Self::Reserved, Self::Short];

    /// The secret of that number.
    fn secret(self, number: u8) -> String {
        let text = match self {
            Self::Plain => "Kq8vWn3TzRb6YdXc",
            Self::Quoted => "J\"Lm\\4x'Wj\"9pQ\\zt",
            Self::Unicode => "aΩk7ßéØRpж漢zÜ5",
            Self::Reserved => "G+4k/Z=9&v%2Bh x?#y:;~",
            Self::Short => "J7Z!qx",
        };
        text.chars().map(|c| moved(c, number)).collect()
    }
}

/// One secret of every kind.
#[derive(Clone)]
pub(crate) struct Plants {
    pub(crate) client_secret: String,
    pub(crate) password: String,
    pub(crate) refresh_token: String,
    pub(crate) access_token: String,
    pub(crate) id_token: String,
    pub(crate) extra: String,
    pub(crate) assertion: String,
    pub(crate) proxy_password: String,
    /// In the query of the URLs; never short, because the query is searched for as a whole.
    pub(crate) query: String,
}

impl Plants {
    pub(crate) fn of(shape: Shape) -> Self {
        let long = if shape == Shape::Short { Shape::Plain } else { shape };
        Self {
            client_secret: shape.secret(0),
            password: shape.secret(1),
            refresh_token: shape.secret(2),
            access_token: shape.secret(3),
            id_token: shape.secret(4),
            extra: shape.secret(5),
            assertion: long.secret(6), // a counter follows it, which is no secret
            proxy_password: shape.secret(7),
            query: long.secret(8),
        }
    }

    pub(crate) fn all(&self) -> [(&'static str, &str); 9] {
        [
            ("client secret", &self.client_secret),
            ("password", &self.password),
            ("refresh token", &self.refresh_token),
            ("access token", &self.access_token),
            ("id token", &self.id_token),
            ("extra member", &self.extra),
            ("assertion", &self.assertion),
            ("proxy password", &self.proxy_password),
            ("URL query", &self.query),
        ]
    }

    /// The URL with the secret of the query in it.
    pub(crate) fn with_query(&self, url: &str) -> String {
        format!("{url}?key={}", utf8_percent_encode(&self.query, NON_ALPHANUMERIC))
    }
}

/// Another letter or digit for each: secrets that differ in nothing but their names would be
/// withheld for each other's sake.
fn moved(c: char, by: u8) -> char {
    match c {
        'a'..='z' => char::from(b'a' + (c as u8 - b'a' + by) % 26),
        'A'..='Z' => char::from(b'A' + (c as u8 - b'A' + by) % 26),
        '0'..='9' => char::from(b'0' + (c as u8 - b'0' + by) % 10),
        _ if !c.is_ascii() => char::from_u32(u32::from(c) + u32::from(by)).unwrap(),
        other => other,
    }
}
