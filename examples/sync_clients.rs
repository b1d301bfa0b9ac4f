//! A pool of plain threads, without a runtime of yours: `cargo run --example sync_clients`
//!
//! Half of the threads use ureq, the other half reqwest's blocking client. They share one manager
//! and the rules for where its token goes; the token is revoked while they work.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use http::{Method, Request, Response};
use reqwest::redirect::Policy;
use tokenkeeper::TokenManager;
use tokenkeeper_http::{Route, Target, TokenChoice, TokenRoutes};
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};
use tokenkeeper_testkit::FakeAuthServer;

type Failed = Box<dyn Error + Send + Sync>;

/// ureq: its requests are those of the `http` crate.
pub(crate) fn send_with_ureq(
    agent: &ureq::Agent,
    routes: &TokenRoutes,
    request: Request<&'static str>,
) -> Result<Response<ureq::Body>, Failed> {
    let (mut first, copy) = (request.clone(), request);
    let target = Target::of(copy.method(), copy.uri())?;
    let attached = routes.attach_blocking(&target, first.headers_mut(), TokenChoice::OfRoute)?;
    let answer = agent.run(first)?;

    let Some(attached) = attached else { return Ok(answer) };
    let reaction = attached.reaction(&target, answer.status(), answer.headers());
    let Some(again) = attached.renew_blocking(reaction) else { return Ok(answer) };
    let mut second = copy.clone();
    again.present(&target, second.headers_mut())?;
    let answer = agent.run(second)?;
    again.take_notice(&target, answer.status(), answer.headers());
    Ok(answer)
}

/// reqwest: the same steps with its own types.
pub(crate) fn send_with_reqwest(
    client: &reqwest::blocking::Client,
    routes: &TokenRoutes,
    mut request: reqwest::blocking::Request,
) -> Result<reqwest::blocking::Response, Failed> {
    let copy = request.try_clone(); // `None` if the body cannot be sent twice
    let (method, url) = (request.method().clone(), request.url().clone());
    let host = url.host_str().unwrap_or_default();
    let target = Target::new(&method, url.scheme(), host, url.port(), url.path())?;
    let attached = routes.attach_blocking(&target, request.headers_mut(), TokenChoice::OfRoute)?;
    let answer = client.execute(request)?;

    let Some(attached) = attached else { return Ok(answer) };
    let reaction = attached.reaction(&target, answer.status(), answer.headers());
    let Some(mut second) = copy else {
        attached.give_up(reaction);
        return Ok(answer);
    };
    let Some(again) = attached.renew_blocking(reaction) else { return Ok(answer) };
    again.present(&target, second.headers_mut())?;
    let answer = client.execute(second)?;
    again.take_notice(&target, answer.status(), answer.headers());
    Ok(answer)
}

/// Neither client follows redirects: the next URL would not be judged before it is asked. ureq goes
/// there without the header, even on the same host, and takes the 401 of that for one about the
/// token; reqwest takes the header off for a stranger, but puts it back if that redirects to itself.
pub(crate) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .max_redirects(0)
        .http_status_as_error(false) // a 401 is an answer here: it has to be looked at
        .build();
    ureq::Agent::new_with_config(config)
}

/// As [`agent`].
pub(crate) fn client() -> reqwest::Result<reqwest::blocking::Client> {
    reqwest::blocking::Client::builder().redirect(Policy::none()).referer(false).build()
}

fn main() -> Result<(), Box<dyn Error>> {
    let (served, exchanges) = tour()?;
    println!("{THREADS} threads sent {served} requests, and all were answered 200.");
    println!("The token was revoked half-way: {exchanges} exchanges.");
    Ok(())
}

/// How many requests were served, and how many exchanges that took.
pub(crate) fn tour() -> Result<(usize, usize), Box<dyn Error>> {
    let server = FakeAuthServer::start();
    let manager = TokenManager::new(
        ClientCredentialsProvider::builder("inventory", &server.token_url())
            .client("client", ClientAuth::basic("secret"))
            .build()?,
    );
    let routes = TokenRoutes::new([Route::new(manager.clone()).origin(server.url())])?;
    let items = server.resource_url();

    let (agent, client) = (agent(), client()?);

    let served = AtomicUsize::new(0);
    let work = |number: usize| -> Result<(), Failed> {
        for _ in 0..REQUESTS {
            let status = if number.is_multiple_of(2) {
                let request = Request::get(&items).body("")?;
                send_with_ureq(&agent, &routes, request)?.status()
            } else {
                let request = reqwest::blocking::Request::new(Method::GET, items.parse()?);
                send_with_reqwest(&client, &routes, request)?.status()
            };
            assert_eq!(status, 200);
            if served.fetch_add(1, Ordering::SeqCst) + 1 == THREADS * REQUESTS / 2 {
                server.revoke_all_access_tokens();
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|number| scope.spawn(move || work(number))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Err("a panic".into())))
    })
    .map_err(|error| error.to_string())?;

    manager.blocking().flush()?; // before the process ends
    Ok((served.into_inner(), server.exchanges()))
}

const THREADS: usize = 8;
const REQUESTS: usize = 50; // of each thread
