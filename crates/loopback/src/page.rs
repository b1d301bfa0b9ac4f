//! What the person reads when the browser comes back.
//!
//! Pages are made of our own words and the name of the service. Nothing of the request is in them,
//! so they can repeat no code, and nothing is loaded from anywhere.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use http_body_util::Full;

/// What a request of the browser is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    LoggedIn,
    Declined,
    Failed,
    /// A callback, but not the one that is waited for.
    Stranger,
    NotFound,
    NotGet,
    /// Another name of this machine in `Host`.
    WrongHost,
}

impl Page {
    pub(crate) fn response(self, service_name: &str) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(self.html(service_name)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (CONTENT_SECURITY_POLICY, NOTHING_LOADED),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if self == Self::NotGet {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
        }
        response
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::LoggedIn => StatusCode::OK,
            Self::Declined | Self::Failed | Self::Stranger => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotGet => StatusCode::METHOD_NOT_ALLOWED,
            Self::WrongHost => StatusCode::MISDIRECTED_REQUEST,
        }
    }

    fn html(self, service_name: &str) -> String {
        let (title, text) = self.words();
        let title = title.replace("{service}", &escaped(service_name));
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{text}</p>\n\
             </body>\n</html>\n"
        )
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::LoggedIn => (
                "{service}: you are logged in",
                "You can close this window and go back to the program.",
            ),
            Self::Declined => (
                "{service}: the login was declined",
                "The program got no access. You can close this window.",
            ),
            Self::Failed => {
                ("{service}: the login failed", "The program says why. You can close this window.")
            }
            Self::Stranger => (
                "{service}: this is not the login that the program waits for",
                "Nothing was done. Go on in the window that the program opened, or begin again.",
            ),
            Self::NotFound => ("Not found", "There is nothing here."),
            Self::NotGet => ("Method not allowed", "Only GET is answered here."),
            Self::WrongHost => ("Wrong host", "This address is not meant for that name."),
        }
    }
}

fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

const NOTHING_LOADED: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_name_is_text_and_never_markup() {
        let html = Page::LoggedIn.html("<script src=x>&\"'");

        assert!(html.contains("&lt;script src=x&gt;&amp;&quot;&#39;: you are logged in"), "{html}");
        assert!(!html.contains("<script"), "{html}");
    }
}
