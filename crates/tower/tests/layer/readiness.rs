//! What a service that admits only so many requests at once may rely on.

use std::task::Poll;

use crate::api::{Api, ORIGIN, get, in_time, manager, poll_now, routes_of, text};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokenkeeper::TokenManager;
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};
use tokenkeeper_tower::{TokenLayer, TokenService};
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;
use tower::util::{BoxCloneService, ServiceExt};
use tower::{BoxError, Layer, Service, ServiceBuilder};
use tower_test::mock::{self, Mock, SendResponse};

type Sent = Request<Full<Bytes>>;
type Received = Response<Full<Bytes>>;

fn refused() -> Received {
    let mut answer = Response::new(Full::from("the first"));
    *answer.status_mut() = StatusCode::UNAUTHORIZED;
    answer
}

fn fine() -> Received {
    Response::new(Full::from("fine"))
}

/// The next request that arrives, and where its answer goes.
async fn next<B>(handle: &mut Handle<B>) -> (Sent, SendResponse<Response<B>>) {
    in_time(handle.next_request()).await.unwrap()
}

async fn reply<B>(handle: &mut Handle<B>, answer: Response<B>) {
    next(handle).await.1.send_response(answer);
}

type Handle<B> = mock::Handle<Sent, Response<B>>;

fn is_ready<S: Service<Sent>>(service: &mut mock::Spawn<S>) -> bool {
    matches!(service.poll_ready(), Poll::Ready(Ok(())))
}

/// A manager whose token is fresh.
async fn warm(provider: &ScriptedProvider) -> TokenManager {
    let manager = manager(provider).0;
    manager.token().await.unwrap();
    manager
}

/// With a limit of one.
fn limited(manager: &TokenManager, inner: Mock<Sent, Received>) -> Limited {
    TokenLayer::new(routes_of(manager)).layer(ConcurrencyLimit::new(inner, 1))
}

type Limited = TokenService<ConcurrencyLimit<Mock<Sent, Received>>>;

#[tokio::test]
async fn the_service_is_ready_when_the_inner_one_is() {
    let manager = warm(&ScriptedProvider::new("svc")).await;
    let (mut client, mut handle) = mock::spawn_layer(TokenLayer::new(routes_of(&manager)));

    handle.allow(0);
    assert!(client.poll_ready::<Sent>().is_pending());
    handle.allow(1);
    assert!(is_ready(&mut client));

    // The mock panics if an instance is called that was not made ready.
    let mut answer = Box::pin(client.call(get(ORIGIN)));
    assert!(poll_now(&mut answer).is_pending());
    assert!(client.poll_ready::<Sent>().is_pending(), "the readiness is used up");
    reply(&mut handle, fine()).await;
    assert_eq!(text(in_time(answer).await.unwrap()).await, "fine");
}

#[tokio::test]
async fn a_request_that_waits_for_its_token_is_sent_by_the_instance_that_was_ready() {
    let provider = ScriptedProvider::new("svc");
    let gate = Gate::closed();
    provider.on_fetch(Step::issue().held_before_answering(&gate));
    let manager = manager(&provider).0;
    let (mut client, mut handle) = mock::spawn_layer(TokenLayer::new(routes_of(&manager)));
    handle.allow(1);
    assert!(is_ready(&mut client));

    let mut answer = Box::pin(client.call(get(ORIGIN)));
    assert!(poll_now(&mut answer).is_pending());
    in_time(gate.arrived(1)).await;
    gate.release();
    let (answer, ()) = tokio::join!(in_time(answer), async {
        reply(&mut handle, fine()).await;
    });

    assert_eq!(text(answer.unwrap()).await, "fine");
    assert!(client.poll_ready::<Sent>().is_pending());
}

#[tokio::test]
async fn the_second_attempt_waits_until_the_service_is_ready_for_it() {
    let manager = warm(&ScriptedProvider::new("svc")).await;
    let (mut client, mut handle) = mock::spawn_layer(TokenLayer::new(routes_of(&manager)));
    handle.allow(1);
    assert!(is_ready(&mut client));

    let answer = tokio::spawn(client.call(get(ORIGIN)));
    reply(&mut handle, refused()).await;
    assert_eq!(in_time(next_token(&manager)).await, "Bearer access-2");
    assert!(!answer.is_finished() && handle.poll_request().is_pending());
    handle.allow(1);
    let (second, respond) = next(&mut handle).await;
    assert_eq!(second.headers()["authorization"], "Bearer access-2");
    respond.send_response(fine());

    assert_eq!(text(in_time(answer).await.unwrap().unwrap()).await, "fine");
}

/// The token after the first: whoever asks while it is fetched waits for it.
async fn next_token(manager: &TokenManager) -> http::HeaderValue {
    let mut status = manager.subscribe();
    loop {
        let token = manager.token().await.unwrap().authorization();
        if token != "Bearer access-1" {
            return token;
        }
        status.changed().await;
    }
}

#[tokio::test]
async fn a_limit_of_one_does_not_stop_the_second_attempt() {
    let manager = warm(&ScriptedProvider::new("svc")).await;
    let (inner, mut handle) = mock::pair();
    let mut client = limited(&manager, inner);

    let answer = tokio::spawn(in_time(client.ready()).await.unwrap().call(get(ORIGIN)));
    reply(&mut handle, refused()).await;
    reply(&mut handle, fine()).await;

    assert_eq!(text(in_time(answer).await.unwrap().unwrap()).await, "fine");
    in_time(client.ready()).await.unwrap();
}

#[tokio::test]
async fn a_limit_of_one_does_not_stop_the_second_attempt_of_a_request_that_waited() {
    let (inner, mut handle) = mock::pair();
    let mut client = limited(&manager(&ScriptedProvider::new("svc")).0, inner);

    let answer = tokio::spawn(in_time(client.ready()).await.unwrap().call(get(ORIGIN)));
    reply(&mut handle, refused()).await;
    reply(&mut handle, fine()).await;

    assert_eq!(text(in_time(answer).await.unwrap().unwrap()).await, "fine");
}

#[tokio::test]
async fn while_a_token_is_replaced_others_may_use_the_permit() {
    let provider = ScriptedProvider::new("svc");
    let manager = warm(&provider).await;
    let gate = Gate::closed();
    provider.on_refresh(Step::issue().held_before_answering(&gate));
    let (inner, mut handle) = mock::pair();
    let mut client = limited(&manager, inner);

    let rejected = tokio::spawn(in_time(client.ready()).await.unwrap().call(get(ORIGIN)));
    reply(&mut handle, refused()).await;
    in_time(gate.arrived(1)).await;
    let other = tokio::spawn(
        in_time(client.ready()).await.unwrap().call(get("https://elsewhere.example/")),
    );
    reply(&mut handle, fine()).await;
    assert_eq!(text(in_time(other).await.unwrap().unwrap()).await, "fine");
    gate.release();
    reply(&mut handle, fine()).await;

    assert_eq!(text(in_time(rejected).await.unwrap().unwrap()).await, "fine");
}

#[tokio::test]
async fn a_request_that_fails_for_want_of_a_token_gives_its_permit_back() {
    let provider = ScriptedProvider::new("svc");
    provider.always_on_fetch(Step::refuse_credentials());
    let manager = manager(&provider).0;
    let (inner, mut handle) = mock::pair();
    let mut client = limited(&manager, inner);

    for _ in 0..2 {
        // The first waits for the refusal, the second is told what is remembered.
        assert!(in_time(client.ready()).await.unwrap().call(get(ORIGIN)).await.is_err());
        let mut other = client.clone();
        assert!(poll_now(&mut Box::pin(other.ready())).is_ready());
    }
    assert!(handle.poll_request().is_pending(), "and nothing was sent");
}

#[tokio::test]
async fn the_401_is_dropped_before_the_second_attempt_wants_to_be_admitted() {
    let manager = warm(&ScriptedProvider::new("svc")).await;
    let (inner, mut handle) = mock::pair::<Sent, Response<Held>>();
    let mut client = TokenLayer::new(routes_of(&manager)).layer(inner);
    let held = std::sync::Arc::new(());
    let answer = |status: u16| Response::builder().status(status).body(Held(held.clone())).unwrap();
    handle.allow(1);

    let caller = tokio::spawn(in_time(client.ready()).await.unwrap().call(get(ORIGIN)));
    reply(&mut handle, answer(401)).await;
    in_time(async {
        while std::sync::Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await; // the exchange is on another thread
        }
    })
    .await;
    handle.allow(1);
    reply(&mut handle, answer(200)).await;

    assert_eq!(in_time(caller).await.unwrap().unwrap().status(), StatusCode::OK);
}

/// A body that holds a connection.
#[derive(Debug)]
struct Held(#[expect(dead_code, reason = "it is held")] std::sync::Arc<()>);

#[tokio::test]
async fn a_buffer_with_room_for_one_serves_many_rejected_requests() {
    let api = Api::new();
    let manager = warm(&ScriptedProvider::new("svc")).await;
    api.revoke("access-1");
    let inner = ServiceBuilder::new().buffer(1).concurrency_limit(1).service(api.clone());
    let client = TokenLayer::new(routes_of(&manager)).layer(inner);

    let calls = (0..50).map(|_| tokio::spawn(client.clone().oneshot(get(ORIGIN))));
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(in_time(call).await.unwrap().unwrap().status(), StatusCode::OK);
    }

    assert!((51..=100).contains(&api.arrived().len()), "{}", api.arrived().len());
}

#[tokio::test]
async fn what_a_load_shedding_service_says_reaches_the_caller() {
    let manager = warm(&ScriptedProvider::new("svc")).await;
    let (inner, mut handle) = mock::pair();
    let inner = LoadShed::new(ConcurrencyLimit::new(inner, 1));
    let mut client: BoxCloneService<Sent, Received, BoxError> =
        BoxCloneService::new(TokenLayer::new(routes_of(&manager)).layer(inner));

    let admitted = tokio::spawn(in_time(client.ready()).await.unwrap().call(get(ORIGIN)));
    let (_, first) = next(&mut handle).await;
    let shed = in_time(client.ready()).await.unwrap().call(get(ORIGIN)).await.unwrap_err();
    assert!(shed.is::<tower::load_shed::error::Overloaded>(), "{shed:?}");
    first.send_response(refused());
    reply(&mut handle, fine()).await;

    let answer = in_time(admitted).await;
    assert_eq!(text(answer.unwrap().unwrap()).await, "fine");
}

#[tokio::test]
async fn an_error_of_the_inner_service_comes_as_it_is() {
    let manager = warm(&ScriptedProvider::new("svc")).await;
    let (mut client, mut handle) = mock::spawn_layer(TokenLayer::new(routes_of(&manager)));

    assert!(is_ready(&mut client));
    let answer = tokio::spawn(client.call(get(ORIGIN)));
    let failure = std::io::Error::other("the line is dead");
    next(&mut handle).await.1.send_error(failure);
    let answer: Result<Received, BoxError> = in_time(answer).await.unwrap();
    assert_eq!(
        answer.unwrap_err().downcast_ref::<std::io::Error>().unwrap().to_string(),
        "the line is dead"
    );

    handle.send_error("not ready, ever");
    let Poll::Ready(Err(error)) = client.poll_ready::<Sent>() else { unreachable!() };
    assert_eq!(error.to_string(), "not ready, ever");
}
