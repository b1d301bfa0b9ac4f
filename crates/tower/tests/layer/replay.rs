//! M14: a request is sent again once, after a 401, exactly as it was, and only with another token.

use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::api::{Api, Mark, ORIGIN, get, in_time, manager, poll_now, routes_of, text};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Version, header};
use http_body::Body;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use tokenkeeper::{ManualClock, TokenManager};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};
use tokenkeeper_tower::{Buffering, ReplayBody, Route, TokenLayer, TokenRoutes, TokenService};
use tower::{Layer, Service, ServiceExt};

struct Setup {
    api: Api,
    provider: ScriptedProvider,
    manager: TokenManager,
    clock: ManualClock,
    client: TokenService<Api>,
}

fn setup() -> Setup {
    let (api, provider) = (Api::new(), ScriptedProvider::new("svc"));
    let (manager, clock) = manager(&provider);
    let client = TokenLayer::new(routes_of(&manager)).layer(api.clone());
    Setup { api, provider, manager, clock, client }
}

#[tokio::test]
async fn m14_a_rejected_request_is_sent_again_as_it_was_with_another_token() {
    let Setup { api, client, .. } = setup();
    api.revoke("access-1");
    let mut request = Request::post(format!("{ORIGIN}/invoices?draft=1"))
        .version(Version::HTTP_2)
        .header("x-b", "2")
        .header("x-a", "1")
        .header("x-b", "3")
        .header("content-type", "application/json")
        .extension(Mark(7))
        .body(Full::from("{}"))
        .unwrap();
    request.headers_mut().append("x-binary", HeaderValue::from_bytes(b"\xff").unwrap());

    let answer = in_time(client.oneshot(request)).await.unwrap();

    assert_eq!((answer.status(), text(answer).await.as_str()), (StatusCode::OK, "answer 2"));
    let [first, second] = &api.arrived()[..] else { unreachable!() };
    assert_eq!((first.token(), second.token()), (Some("access-1"), Some("access-2")));
    assert_eq!((&second.method, &second.uri), (&first.method, &first.uri));
    assert_eq!((second.version, &second.body), (first.version, &first.body));
    assert_eq!(second.mark, Some(Mark(7)));
    let lines = |arrived: &crate::api::Arrived| {
        let mut headers = arrived.headers.clone();
        headers.remove(header::AUTHORIZATION);
        headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
    };
    assert_eq!(lines(second), lines(first));
    assert_eq!(lines(second).len(), 5);
}

#[tokio::test]
async fn m14_a_second_401_is_the_callers() {
    let Setup { api, provider, client, .. } = setup();
    api.refuse_everything(401, &[]);

    let answer = in_time(client.oneshot(get(ORIGIN))).await.unwrap();

    assert_eq!((answer.status().as_u16(), text(answer).await.as_str()), (401, "answer 2"));
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn m14_without_a_replacement_the_caller_gets_the_401_that_was_there_first() {
    let Setup { api, provider, client, .. } = setup();
    api.revoke("access-1");
    provider.always_on_refresh(Step::unavailable());

    let answer = in_time(client.oneshot(get(ORIGIN))).await.unwrap();

    assert_eq!((answer.status().as_u16(), text(answer).await.as_str()), (401, "answer 1"));
    assert_eq!(api.arrived().len(), 1);
}

#[tokio::test]
async fn m14_refusals_that_are_not_about_the_token_are_the_callers_at_once() {
    for (status, headers) in [
        (403, vec![(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")]),
        (401, vec![(header::WWW_AUTHENTICATE, "Bearer error=\"insufficient_scope\"")]),
        (401, vec![(header::RETRY_AFTER, "3")]),
        (407, vec![]),
        (500, vec![]),
        (200, vec![(header::HeaderName::from_static("grpc-status"), "16")]),
    ] {
        let Setup { api, provider, client, .. } = setup();
        api.refuse_everything(status, &headers);

        let answer = in_time(client.oneshot(get(ORIGIN))).await.unwrap();

        assert_eq!(answer.status().as_u16(), status);
        assert_eq!((api.arrived().len(), provider.calls()), (1, 1), "{status} {headers:?}");
    }
}

#[tokio::test]
async fn a_route_without_replay_gives_the_401_back_and_the_next_request_another_token() {
    let Setup { api, manager, .. } = setup();
    api.revoke("access-1");
    let route = Route::new(manager).origin(ORIGIN).without_replay();
    let client = TokenLayer::new(TokenRoutes::new([route]).unwrap()).layer(api.clone());

    let first = in_time(client.clone().oneshot(get(ORIGIN))).await.unwrap();
    let second = in_time(client.oneshot(get(ORIGIN))).await.unwrap();

    assert_eq!([first.status().as_u16(), second.status().as_u16()], [401, 200]);
    assert_eq!(api.tokens(), ["access-1", "access-2"].map(|token| Some(token.to_owned())));
}

/// A body of which there is no copy.
struct OnlyOnce(Full<Bytes>);

impl ReplayBody for OnlyOnce {
    fn try_clone(&self) -> Option<Self> {
        None
    }
}

impl Body for OnlyOnce {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        pin!(&mut self.0).poll_frame(cx)
    }
}

#[tokio::test]
async fn m14_a_body_that_cannot_be_sent_again_gets_the_401_and_its_token_is_given_up() {
    let Setup { api, provider, client, .. } = setup();
    api.revoke("access-1");
    let request = Request::post(ORIGIN).body(OnlyOnce(Full::from("upload"))).unwrap();

    let answer = in_time(client.clone().oneshot(request)).await.unwrap();
    assert_eq!((answer.status().as_u16(), text(answer).await.as_str()), (401, "answer 1"));
    assert_eq!(provider.calls(), 1, "nobody asked for another token yet");

    let next = in_time(client.oneshot(get(ORIGIN))).await.unwrap();
    assert_eq!(next.status(), StatusCode::OK);
    assert_eq!(api.tokens(), ["access-1", "access-2"].map(|token| Some(token.to_owned())));
}

#[tokio::test]
async fn m14_a_stream_that_has_not_ended_gets_the_401_and_loses_nothing() {
    let Setup { api, manager, .. } = setup();
    api.revoke("access-1");
    let client = TokenLayer::new(routes_of(&manager))
        .bodies(Buffering::new(UnsyncBoxBody::new))
        .layer(api.clone());
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let frame = |text: &'static str| Ok::<_, String>(http_body::Frame::data(Bytes::from(text)));
    sender.send(frame("at once, ")).unwrap();
    let stream = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver);
    let request = Request::post(ORIGIN).body(StreamBody::new(stream).boxed_unsync()).unwrap();

    let mut answer = Box::pin(client.oneshot(request));
    manager.token().await.unwrap(); // so that it does not wait for that
    assert!(poll_now(&mut answer).is_pending());
    sender.send(frame("and later")).unwrap();
    drop(sender);
    let answer = answer.await.unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(api.arrived().len(), 1);
    assert_eq!(api.arrived()[0].body, "at once, and later");
    assert_eq!(manager.token().await.unwrap().authorization(), "Bearer access-2");
}

#[tokio::test]
async fn a_body_of_any_type_that_was_whole_at_the_first_look_is_sent_again() {
    let Setup { api, manager, .. } = setup();
    api.revoke("access-1");
    let client = TokenLayer::new(routes_of(&manager))
        .bodies(Buffering::new(axum::body::Body::new))
        .layer(api.clone());
    let request = Request::post(ORIGIN).body(axum::body::Body::from("all of it")).unwrap();

    let answer = in_time(client.oneshot(request)).await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        api.arrived().iter().map(|arrived| &*arrived.body).collect::<Vec<_>>(),
        [b"all of it", b"all of it"]
    );
}

#[tokio::test]
async fn m03_an_api_that_says_401_to_everything_costs_few_exchanges_in_an_hour() {
    let Setup { api, provider, clock, mut client, .. } = setup();
    api.refuse_everything(401, &[]);

    for _ in 0..360 {
        let answer = in_time(client.call(get(ORIGIN))).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        clock.advance(Duration::from_secs(10));
    }

    assert!((8..20).contains(&provider.calls()), "{}", provider.calls());
    assert!((360..380).contains(&api.arrived().len()), "{}", api.arrived().len());
}

#[tokio::test]
async fn m02_a_request_that_is_dropped_while_it_waits_for_a_token_loses_nothing() {
    let Setup { api, provider, manager, client, .. } = setup();
    let gate = Gate::closed();
    provider.on_fetch(Step::issue().held_before_answering(&gate));

    for _ in 0..3 {
        let mut answer = Box::pin(client.clone().oneshot(get(ORIGIN)));
        assert!(poll_now(&mut answer).is_pending());
    }
    in_time(gate.arrived(1)).await;
    gate.release();

    assert_eq!(manager.token().await.unwrap().authorization(), "Bearer access-1");
    assert_eq!(provider.calls(), 1);
    assert!(api.arrived().is_empty());
}

#[tokio::test]
async fn m02_a_request_that_is_dropped_while_its_token_is_replaced_loses_nothing() {
    let Setup { api, provider, manager, mut client, .. } = setup();
    let gate = Gate::closed();
    manager.token().await.unwrap();
    api.revoke("access-1");
    provider.on_refresh(Step::issue().held_before_answering(&gate));

    let mut answer = Box::pin(client.call(get(ORIGIN)));
    assert!(poll_now(&mut answer).is_pending());
    in_time(gate.arrived(1)).await;
    drop(answer);
    gate.release();

    let answer = in_time(client.call(get(ORIGIN))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!((provider.calls(), provider.reuses()), (2, 0));
    assert_eq!(api.tokens(), ["access-1", "access-2"].map(|token| Some(token.to_owned())));
}

#[tokio::test]
async fn a_token_that_is_near_its_end_is_used_while_the_next_one_is_fetched() {
    let Setup { provider, manager, clock, mut client, .. } = setup();
    let gate = Gate::closed();
    manager.token().await.unwrap();
    clock.advance(Duration::from_secs(12 * 60)); // of 15 minutes
    provider.on_refresh(Step::issue().held_before_answering(&gate));

    let mut answer = Box::pin(client.call(get(ORIGIN)));
    let answer = poll_now(&mut answer);

    assert!(matches!(answer, Poll::Ready(Ok(answer)) if answer.status() == StatusCode::OK));
    in_time(gate.arrived(1)).await; // nobody else asked for it
    gate.release();
}
