//! A person who logs in at the pages of a real server, without a browser: what a browser would send is
//! sent, and what it would show is looked at just enough to go on.

use std::collections::BTreeMap;

use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{Request, Response};
use serde_json::{Value, json};
use tokenkeeper_providers::{BundledTransport, HttpTransport, TransportOptions};
use url::{Position, Url};

use crate::keycloak_pages::{self, DEVICE_LET_IN, DEVICE_TURNED_AWAY};

/// A user of `oidc-provider`, glewlwyd and Keycloak, with a cookie jar of their own, so that they stay
/// logged in. What they are asked for the second time may be less.
#[derive(Debug)]
pub struct Person {
    name: &'static str,
    password: &'static str,
    transport: BundledTransport,
    cookies: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wish {
    Consent,
    Decline,
}

impl Person {
    /// Alice, who has never been here before.
    ///
    /// # Panics
    ///
    /// When this machine has no usable certificate authorities.
    #[must_use]
    pub fn alice() -> Self {
        let transport = BundledTransport::new(TransportOptions::new()).expect("a transport");
        Self { name: "alice", password: "wonderland", transport, cookies: BTreeMap::new() }
    }

    /// Opens an authorization URL, logs in and consents. Gives the URL that the browser is sent back
    /// to the client with, its query included; so it does when the server refuses at once.
    ///
    /// # Panics
    ///
    /// When the server shows a page that leads nowhere, such as one with an error.
    pub async fn consents(&mut self, authorization_url: &str) -> String {
        self.comes_back(authorization_url, Wish::Consent).await
    }

    /// Opens an authorization URL and says no. Gives the URL that the browser is sent back to the
    /// client with. Glewlwyd's pages have no way to say no.
    ///
    /// # Panics
    ///
    /// When the server shows a page that leads nowhere, such as one with an error.
    pub async fn declines(&mut self, authorization_url: &str) -> String {
        self.comes_back(authorization_url, Wish::Decline).await
    }

    /// Opens the `verification_uri_complete` of a device, logs in and lets the device in.
    ///
    /// # Panics
    ///
    /// When the server does not say that it is done.
    pub async fn approves(&mut self, verification_url_complete: &str) {
        self.decides(verification_url_complete, Wish::Consent).await;
    }

    /// Opens the `verification_uri_complete` of a device and turns the device away. Glewlwyd's pages
    /// have no way to do so.
    ///
    /// # Panics
    ///
    /// When the server does not say that it is done.
    pub async fn denies(&mut self, verification_url_complete: &str) {
        self.decides(verification_url_complete, Wish::Decline).await;
    }

    async fn comes_back(&mut self, authorization_url: &str, wish: Wish) -> String {
        let url = Url::parse(authorization_url).expect("an authorization URL");
        match self.goes_to(url, wish).await {
            End::Away(url) => url.into(),
            End::Page(page) => panic!("the server does not send the browser back: {page}"),
        }
    }

    async fn decides(&mut self, verification_url_complete: &str, wish: Wish) {
        let url = Url::parse(verification_url_complete).expect("a verification URL");
        let done = match self.goes_to(url.clone(), wish).await {
            // The page that is about to send the code from the URL, and the one that then asks.
            End::Page(page) if value_of(&page, "user_code").is_some() => {
                let (xsrf, code) = (named(&page, "xsrf"), named(&page, "user_code"));
                let form = [("xsrf", &*xsrf), ("user_code", &code)];
                let page = text(&self.sends_form(&url, &form).await);
                let (xsrf, code) = (named(&page, "xsrf"), named(&page, "user_code"));
                let decision = if wish == Wish::Consent { "confirm" } else { "abort" };
                let form = [("xsrf", &*xsrf), ("user_code", &code), (decision, "yes")];
                let answer = self.sends_form(&url, &form).await;
                self.follows(url, answer, wish).await
            }
            other => other,
        };
        match done {
            End::Page(page) if page.contains("Sign-in Success") => assert_eq!(wish, Wish::Consent),
            End::Page(page) if page.contains("request was interrupted") => {
                assert_eq!(wish, Wish::Decline)
            }
            End::Page(page) if page.contains(DEVICE_LET_IN) => assert_eq!(wish, Wish::Consent),
            End::Page(page) if page.contains(DEVICE_TURNED_AWAY) => {
                assert_eq!(wish, Wish::Decline)
            }
            End::Page(page) if page == DEVICE_COMPLETE => assert_eq!(wish, Wish::Consent),
            other => panic!("this is not the end of a device login: {other:?}"),
        }
    }

    async fn goes_to(&mut self, url: Url, wish: Wish) -> End {
        let answer = self.gets(&url).await;
        self.follows(url, answer, wish).await
    }

    /// Goes where the answers lead and does what the pages ask for.
    async fn follows(&mut self, from: Url, answer: Response<Vec<u8>>, wish: Wish) -> End {
        let (mut url, mut answer) = (from, answer);
        for _ in 0..20 {
            if let Some(location) = location(&answer) {
                let next = url.join(&location).expect("a URL to go to");
                if next.origin() != url.origin() {
                    return End::Away(next);
                }
                if next.path() == "/login.html" {
                    if parameter(&next, "prompt").as_deref() == Some(DEVICE_COMPLETE) {
                        return End::Page(DEVICE_COMPLETE.to_owned());
                    }
                    url = self.logs_in_at_glewlwyd(&next, wish).await;
                } else {
                    url = next;
                }
                answer = self.gets(&url).await;
            } else if url.path().starts_with("/interaction/") {
                answer = self.interacts(&mut url, &text(&answer), wish).await;
            } else {
                let (page, consents) = (text(&answer), wish == Wish::Consent);
                let form = keycloak_pages::filled_in(&page, self.name, self.password, consents);
                let Some(form) = form else { return End::Page(page) };
                url = url.join(&form.action).expect("a URL to send a form to");
                let fields: Vec<_> =
                    form.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
                answer = self.sends_form(&url, &fields).await;
            }
        }
        panic!("this leads nowhere: {}", &url[..Position::AfterPath]);
    }

    /// The pages of `oidc-provider`.
    async fn interacts(&mut self, url: &mut Url, page: &str, wish: Wish) -> Response<Vec<u8>> {
        match value_of(page, "prompt").as_deref() {
            Some("login") => {
                let (name, password) = (self.name, self.password);
                let form = [("prompt", "login"), ("login", name), ("password", password)];
                self.sends_form(url, &form).await
            }
            Some("consent") if wish == Wish::Consent => {
                self.sends_form(url, &[("prompt", "consent")]).await
            }
            Some("consent") => {
                let abort = format!("{}/abort", url.path());
                url.set_path(&abort);
                self.gets(url).await
            }
            _ => panic!("an unknown page of oidc-provider: {page}"),
        }
    }

    /// What the page of glewlwyd does by script. Gives where it sends the browser then.
    async fn logs_in_at_glewlwyd(&mut self, page: &Url, wish: Wish) -> Url {
        assert_eq!(wish, Wish::Consent, "glewlwyd's pages have no way to say no");
        let login = json!({ "username": self.name, "password": self.password });
        self.sends_json("POST", &page.join("/api/auth/").expect("a URL"), &login).await;
        let scope = parameter(page, "scope").expect("scopes");
        let client = parameter(page, "client_id").expect("a client");
        let mut url = page.join("/api/auth/grant/").expect("a URL");
        url.path_segments_mut().expect("a path").pop_if_empty().push(&client);
        self.sends_json("PUT", &url, &json!({ "scope": scope })).await;
        let back = parameter(page, "callback_url").expect("the way back");
        let mut back = Url::parse(&back).expect("the way back");
        back.query_pairs_mut().append_pair("g_continue", "true");
        back
    }

    async fn gets(&mut self, url: &Url) -> Response<Vec<u8>> {
        self.sends(Request::get(url.as_str()), Vec::new()).await
    }

    async fn sends_form(&mut self, url: &Url, form: &[(&str, &str)]) -> Response<Vec<u8>> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(url.as_str());
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.sends(request, body.into_bytes()).await
    }

    async fn sends_json(&mut self, method: &str, url: &Url, body: &Value) {
        let request = Request::builder().method(method).uri(url.as_str());
        let request = request.header(CONTENT_TYPE, "application/json");
        let answer = self.sends(request, body.to_string().into_bytes()).await;
        assert_eq!(answer.status(), 200, "{method} {url}: {}", text(&answer));
    }

    async fn sends(&mut self, request: http::request::Builder, body: Vec<u8>) -> Response<Vec<u8>> {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        let request = request.header(COOKIE, cookies).body(body).expect("a request");
        let answer = self.transport.send(request).await.expect("an answer");
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().expect("a cookie in ASCII").split(';').next();
            let (name, value) = cookie.and_then(|pair| pair.split_once('=')).expect("a cookie");
            match value {
                "" => drop(self.cookies.remove(name)),
                value => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
        answer
    }
}

/// Where a browser stops.
#[derive(Debug)]
enum End {
    /// It is sent to another host.
    Away(Url),
    /// It shows a page that it does not know how to go on from.
    Page(String),
}

fn location(answer: &Response<Vec<u8>>) -> Option<String> {
    let location = answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection())?;
    Some(location.to_str().expect("a location in ASCII").to_owned())
}

fn text(answer: &Response<Vec<u8>>) -> String {
    String::from_utf8_lossy(answer.body()).into_owned()
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// The value of the first `<input>` of this name. None of ours has anything to unescape.
fn value_of(page: &str, name: &str) -> Option<String> {
    let input = page.split("<input").find(|tag| tag.contains(&format!("name=\"{name}\"")))?;
    let (_, rest) = input.split_once("value=\"")?;
    rest.split('"').next().map(ToOwned::to_owned)
}

fn named(page: &str, name: &str) -> String {
    value_of(page, name).unwrap_or_else(|| panic!("no {name} on this page: {page}"))
}

const DEVICE_COMPLETE: &str = "deviceComplete"; // how glewlwyd tells its page what to show
