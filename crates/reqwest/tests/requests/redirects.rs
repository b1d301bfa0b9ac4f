//! A redirect takes a token to the origins that it is meant for, and nowhere else.

use crate::setup::{Way, at_resource, bearing, client, manager_of, route_to, tokens};
use crate::tls::{Authority, TlsServer};
use bytes::Bytes;
use http::HeaderValue;
use http_body_util::Full;
use reqwest::{Body, Client, ClientBuilder, Method, RequestBuilder};
use tokenkeeper::SystemClock;
use tokenkeeper_reqwest::{CustomHeader, Route, TokenChoice, Tokens, without_redirects};
use tokenkeeper_testkit::{Endpoint, FakeAuthServer, Fault};

fn redirect(status: u16, location: &str) -> Fault {
    let headers = vec![("location".to_owned(), location.to_owned())];
    Fault::Answer { status, headers, body: b"moved".to_vec() }
}

pub(crate) fn redirect_next(server: &FakeAuthServer, status: u16, location: &str) {
    server.fail_next_at(Endpoint::Resource, 1, redirect(status, location));
}

fn port_of(server: &FakeAuthServer) -> String {
    server.url().rsplit_once(':').unwrap().1.to_owned()
}

/// A client to which both names of a stranger lead to this machine.
fn mapped(builder: ClientBuilder) -> ClientBuilder {
    let here = "127.0.0.1:0".parse().unwrap();
    builder.no_proxy().resolve("127.0.0.1.evil.test", here).resolve("evil.test", here)
}

#[tokio::test]
async fn within_the_origin_each_hop_has_the_token_and_the_method_of_the_standard() {
    let table = [
        (301, Method::GET, Method::GET),
        (301, Method::POST, Method::GET),
        (301, Method::PUT, Method::PUT),
        (302, Method::POST, Method::GET),
        (302, Method::DELETE, Method::DELETE),
        (303, Method::POST, Method::GET),
        (303, Method::PUT, Method::GET),
        (303, Method::HEAD, Method::HEAD),
        (307, Method::POST, Method::POST),
        (308, Method::PUT, Method::PUT),
    ];
    for way in Way::BOTH {
        for (status, method, then) in &table {
            let server = FakeAuthServer::start();
            let tokens = tokens([route_to(&server)]);
            redirect_next(&server, *status, "../api/moved?to=2");

            let request = client().request(method.clone(), server.resource_url() + "/old?to=1");
            let request = request.header("content-type", "text/plain").header("x-mine", "1");
            let answer = way.send(&tokens, request.body("body")).await.unwrap();

            let case = format!("{way:?}: {status} {method}");
            assert_eq!(answer.status(), 200, "{case}");
            let [_, moved] = &at_resource(&server)[..] else { panic!("{case}") };
            assert_eq!(moved.method(), *then, "{case}");
            assert_eq!((moved.path(), moved.query()), ("/api/moved", Some("to=2")), "{case}");
            assert_eq!(moved.header("x-mine"), Some("1"), "{case}");
            assert_eq!(moved.header("referer"), None, "{case}");
            let keeps_body = method == then && *status != 303;
            assert_eq!(moved.body().is_empty(), !keeps_body, "{case}");
            assert_eq!(moved.header("content-type").is_some(), keeps_body, "{case}");
        }
    }
}

/// The API redirects to a stranger, the stranger once more within itself and then back, and no hop
/// behind the first has a token.
#[tokio::test]
async fn no_stranger_sees_a_token_wherever_the_redirects_lead() {
    for way in Way::BOTH {
        for header in ["authorization", "x-api-key"] {
            for host in ["127.0.0.1", "localhost", "127.0.0.1.evil.test", "evil.test"] {
                for status in [301, 302, 303, 307, 308] {
                    let (api, stranger) = (FakeAuthServer::start(), FakeAuthServer::start());
                    let presenter = CustomHeader::new(header, "").unwrap();
                    let tokens = tokens([route_to(&api).presenter(presenter)]);
                    let theirs = format!("http://{host}:{}/api", port_of(&stranger));
                    redirect_next(&api, status, &theirs);
                    redirect_next(&stranger, status, "/api/again");
                    redirect_next(&stranger, status, &api.resource_url());

                    let client = mapped(without_redirects(Client::builder())).build().unwrap();
                    let request = client.post(api.resource_url()).body("body");
                    let answer = way.send(&tokens, request).await.unwrap();

                    let case = format!("{way:?}: {header}, {host}, {status}");
                    assert_eq!(answer.status(), 401, "{case}");
                    assert_eq!(at_resource(&stranger).len(), 2, "{case}");
                    assert_eq!(bearing(&stranger, header), 0, "{case}");
                    assert_eq!((at_resource(&api).len(), bearing(&api, header)), (2, 1), "{case}");
                    assert_eq!(api.exchanges(), 1, "{case}"); // the 401 was not about the token
                }
            }
        }
    }
}

#[tokio::test]
async fn another_name_of_the_same_server_is_another_origin() {
    for way in Way::BOTH {
        let api = FakeAuthServer::start();
        let tokens = tokens([route_to(&api)]);
        redirect_next(&api, 307, &format!("http://localhost:{}/api", port_of(&api)));

        let answer = way.send(&tokens, client().get(api.resource_url())).await.unwrap();

        assert_eq!(answer.status(), 401);
        assert_eq!((at_resource(&api).len(), bearing(&api, "authorization")), (2, 1), "{way:?}");
    }
}

#[tokio::test]
async fn a_token_does_not_leave_tls() {
    for way in Way::BOTH {
        let authority = Authority::new();
        let open = FakeAuthServer::start();
        let location = format!("http://localhost:{}/api", port_of(&open));
        let answer = format!(
            "HTTP/1.1 307 Moved\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: \
             close\r\n\r\n"
        );
        let mut safe = TlsServer::start(&authority, None, answer).await;
        let origin = format!("https://localhost:{}", safe.port);
        let tokens = tokens([Route::new(manager_of(&open, SystemClock)).origin(&origin)]);
        let client = Client::builder().no_proxy().tls_certs_only([authority.certificate()]);

        let request = without_redirects(client).build().unwrap().get(origin + "/api");
        let answer = way.send(&tokens, request).await.unwrap();

        assert_eq!(answer.status(), 401);
        assert!(safe.received.recv().await.unwrap().contains("\r\nauthorization: Bearer "));
        assert_eq!((at_resource(&open).len(), bearing(&open, "authorization")), (1, 0), "{way:?}");
    }
}

#[tokio::test]
async fn the_token_of_a_user_stays_with_them_on_the_origins_of_one_route() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let by_name = format!("http://localhost:{}", port_of(&server));
        let tokens = tokens([Route::per_request().origin(server.url()).origin(&by_name)]);
        redirect_next(&server, 307, &(by_name + "/api"));

        let alice = TokenChoice::Of(manager_of(&server, SystemClock));
        let request = client().get(server.resource_url());
        let answer = way.send_with(&tokens, request, alice).await.unwrap();

        assert_eq!(answer.status(), 200, "{way:?}");
        assert_eq!(bearing(&server, "authorization"), 2, "{way:?}");
    }
}

#[tokio::test]
async fn a_stranger_cannot_have_our_token_put_on_a_request_of_their_choice() {
    let (ours, stranger) = (FakeAuthServer::start(), FakeAuthServer::start());
    let tokens = tokens([route_to(&ours)]);
    redirect_next(&stranger, 307, &(ours.resource_url() + "/delete-everything"));

    let answer = Way::Middleware.send(&tokens, client().get(stranger.resource_url())).await;

    assert_eq!(answer.unwrap().status(), 401);
    assert_eq!((at_resource(&ours).len(), bearing(&ours, "authorization")), (1, 0));
    assert_eq!(ours.exchanges(), 0);
}

#[tokio::test]
async fn a_request_that_wants_no_token_gets_none_behind_a_redirect_either() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        redirect_next(&server, 302, "/api/moved");

        let tokens = tokens([route_to(&server)]);
        let request = client().get(server.resource_url());
        let answer = way.send_with(&tokens, request, TokenChoice::Without).await.unwrap();

        assert_eq!(answer.status(), 401);
        assert_eq!((server.requests(), bearing(&server, "authorization")), (2, 0), "{way:?}");
    }
}

#[tokio::test]
async fn what_the_caller_put_on_for_one_origin_is_not_taken_to_another() {
    let private = ["authorization", "cookie", "proxy-authorization", "x-api-key", "x-auth-token"];
    let (api, stranger) = (FakeAuthServer::start(), FakeAuthServer::start());
    let tokens = tokens([route_to(&api)]);
    redirect_next(&api, 307, "/api/near");
    redirect_next(&api, 307, &stranger.resource_url());
    redirect_next(&stranger, 307, "/api/further");

    let request = client().get(api.resource_url()).header("host", "api.test");
    let request = private.iter().fold(request, |request, name| request.header(*name, "planted"));
    let mut customer = HeaderValue::from_static("planted");
    customer.set_sensitive(true);
    let request = request.header("x-customer", customer).header("x-other", "1");
    Way::Middleware.send(&tokens, request).await.unwrap();

    let near = &at_resource(&api)[1];
    assert!(private.iter().all(|name| near.header(name) == Some("planted")));
    assert_eq!(near.header("x-customer"), Some("planted"));
    assert_eq!(near.header("host"), Some("api.test"));
    for there in at_resource(&stranger) {
        assert!(!format!("{:?}", there.headers()).contains("planted"), "{there:?}");
        assert!(there.header("host").unwrap().starts_with("127.0.0.1:"));
        assert_eq!(there.header("x-other"), Some("1"));
    }
    assert_eq!(at_resource(&stranger).len(), 2);
}

#[tokio::test]
async fn a_redirect_that_cannot_be_followed_goes_to_the_caller() {
    async fn answer(way: Way, tokens: &Tokens, request: RequestBuilder) -> (u16, String) {
        let answer = way.send(tokens, request).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let (tokens, client) = (tokens([route_to(&server)]), client());
        let url = server.resource_url();
        for location in ["http://", "mailto:a@b.c", "ftp://evil.test/", "http://[::1"] {
            redirect_next(&server, 302, location);
            let got = answer(way, &tokens, client.get(&url)).await;
            assert_eq!(got, (302, "moved".to_owned()), "{way:?}: {location}");
        }
        for status in [300, 304, 305, 306] {
            redirect_next(&server, status, "/api/moved");
            assert_eq!(answer(way, &tokens, client.get(&url)).await.0, status, "{way:?}");
        }
        redirect_next(&server, 307, "/api/moved");
        let stream = Body::wrap(Full::new(Bytes::from_static(b"once")));
        let got = answer(way, &tokens, client.post(&url).body(stream)).await;
        assert_eq!(got, (307, "moved".to_owned()), "{way:?}");
    }
}

#[tokio::test]
async fn a_body_that_is_a_stream_is_left_behind_where_the_next_request_has_none() {
    let server = FakeAuthServer::start();
    redirect_next(&server, 303, "/api/done");

    let stream = Body::wrap(Full::new(Bytes::from_static(b"once")));
    let request = client().post(server.resource_url()).body(stream);
    let answer = Way::Extension.send(&tokens([route_to(&server)]), request).await.unwrap();

    assert_eq!(answer.status(), 200);
    assert_eq!(server.last_request().unwrap().path(), "/api/done");
}

#[tokio::test]
async fn redirects_end_at_the_limit_with_the_last_3xx() {
    for way in Way::BOTH {
        for (limit, asked) in [(Some(0), 1), (Some(2), 3), (None, 11)] {
            let server = FakeAuthServer::start();
            let tokens = tokens([route_to(&server)]);
            let tokens = limit.map_or(tokens.clone(), |limit| tokens.with_redirects(limit));
            for _ in 0..20 {
                redirect_next(&server, 302, "/api");
            }

            let answer = way.send(&tokens, client().get(server.resource_url())).await.unwrap();

            assert_eq!(answer.status(), 302);
            assert_eq!(at_resource(&server).len(), asked, "{way:?}: {limit:?}");
        }
    }
}

#[tokio::test]
async fn a_hop_whose_token_was_rejected_is_repeated_and_the_hops_before_it_are_not() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let tokens = tokens([route_to(&server)]);
        redirect_next(&server, 303, "/api/receipt");
        server.fail_next_at(Endpoint::Resource, 1, Fault::Status(401, String::new()));

        let request = client().post(server.resource_url() + "/pay").body("100");
        let answer = way.send(&tokens, request).await.unwrap();

        assert_eq!(answer.status(), 200);
        let received = at_resource(&server);
        let asked: Vec<_> =
            received.iter().map(|one| (one.method().as_str(), one.path())).collect();
        assert_eq!(asked, [("POST", "/api/pay"), ("GET", "/api/receipt"), ("GET", "/api/receipt")]);
        assert_eq!(server.exchanges(), 2, "{way:?}");
    }
}

#[tokio::test]
async fn an_error_about_the_token_of_a_later_hop_says_that_requests_were_sent() {
    for way in Way::BOTH {
        let (first, second) = (FakeAuthServer::start(), FakeAuthServer::start());
        let (tokens, client) =
            (tokens([route_to(&first), route_to(&second).accept_redirects()]), client());
        redirect_next(&first, 303, &second.resource_url());
        second.fail_next(10, Fault::Unavailable(None));

        let paid = way.send(&tokens, client.post(first.resource_url())).await.unwrap_err();
        let at_once = way.send(&tokens, client.post(second.resource_url())).await.unwrap_err();

        assert_eq!((at_resource(&first).len(), at_resource(&second).len()), (1, 0), "{way:?}");
        assert!(paid.token_error().answer_lost(), "{way:?}");
        assert!(paid.token_error().retry_after().is_some(), "{way:?}");
        assert!(!at_once.token_error().answer_lost(), "{way:?}");
    }
}
