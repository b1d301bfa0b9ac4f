//! tonic's client with tokens, against a real tonic server.

use std::error::Error as _;

use crate::api::{in_time, manager};
use crate::echo::{Echo, text};
use http::uri::PathAndQuery;
use tokenkeeper::{Error, ErrorKind, TokenManager};
use tokenkeeper_testkit::{ScriptedProvider, Step};
use tokenkeeper_tower::{Buffering, Route, TokenLayer, TokenRoutes, TokenService};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tower::Layer;

type Client = Grpc<TokenService<Channel, Buffering<Body>>>;

struct Setup {
    echo: Echo,
    provider: ScriptedProvider,
    manager: TokenManager,
    channel: Channel,
    layer: TokenLayer<Buffering<Body>>,
}

impl Setup {
    async fn new() -> Self {
        let (echo, provider) = (Echo::start().await, ScriptedProvider::new("svc"));
        let manager = manager(&provider).0;
        let routes = TokenRoutes::new([Route::new(manager.clone()).origin(&echo.origin)]).unwrap();
        let channel = Channel::from_shared(echo.origin.clone()).unwrap().connect_lazy();
        let layer = TokenLayer::new(routes).bodies(Buffering::new(Body::new));
        Self { echo, provider, manager, channel, layer }
    }

    /// As generated clients are made, with paths alone for URIs.
    fn client(&self) -> Client {
        let layer = self.layer.clone().assume_origin(&self.echo.origin).unwrap();
        Grpc::new(layer.layer(self.channel.clone()))
    }
}

async fn say(client: &mut Client) -> Result<String, Status> {
    say_to(client, "Say").await
}

async fn say_to(client: &mut Client, method: &str) -> Result<String, Status> {
    client.ready().await.unwrap();
    let path = format!("/test.Echo/{method}").parse().unwrap();
    let answer = in_time(client.unary(Request::new("hello".to_owned()), path, text())).await;
    answer.map(tonic::Response::into_inner)
}

fn tokens(names: &[&str]) -> Vec<Option<String>> {
    names.iter().map(|name| Some((*name).to_owned())).collect()
}

#[tokio::test]
async fn a_call_gets_the_token() {
    let setup = Setup::new().await;

    assert_eq!(say(&mut setup.client()).await.unwrap(), "hello");

    assert_eq!(setup.echo.tokens(), tokens(&["access-1"]));
}

#[tokio::test]
async fn m14_a_call_that_is_refused_as_unauthenticated_is_sent_again_with_another_token() {
    let setup = Setup::new().await;
    setup.echo.revoke("access-1");

    assert_eq!(say(&mut setup.client()).await.unwrap(), "hello");

    assert_eq!(setup.echo.tokens(), tokens(&["access-1", "access-2"]));
}

#[tokio::test]
async fn m14_a_second_refusal_is_the_callers() {
    let setup = Setup::new().await;
    setup.echo.revoke("access-1");
    setup.echo.revoke("access-2");

    let status = say(&mut setup.client()).await.unwrap_err();

    assert_eq!(
        (status.code(), status.message()),
        (Code::Unauthenticated, "this token is not good")
    );
    assert_eq!(setup.echo.tokens(), tokens(&["access-1", "access-2"]));
}

#[tokio::test]
async fn m14_no_other_status_is_about_the_token() {
    for code in [Code::PermissionDenied, Code::Unavailable, Code::Unknown, Code::InvalidArgument] {
        let setup = Setup::new().await;
        setup.echo.revoke("access-1");
        setup.echo.refuse_with(code as i32);

        assert_eq!(say(&mut setup.client()).await.unwrap_err().code(), code);

        assert_eq!(setup.echo.tokens(), tokens(&["access-1"]));
        assert_eq!(setup.provider.calls(), 1);
    }
}

#[tokio::test]
async fn a_stream_of_messages_that_are_all_there_is_sent_again() {
    let setup = Setup::new().await;
    setup.echo.revoke("access-1");
    let mut client = setup.client();
    let messages = tokio_stream::iter(["one, ", "two, ", "three"].map(str::to_owned));

    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/test.Echo/Sum");
    let answer =
        in_time(client.client_streaming(Request::new(messages), path, text())).await.unwrap();

    assert_eq!(answer.into_inner(), "one, two, three");
    assert_eq!(setup.echo.tokens(), tokens(&["access-1", "access-2"]));
}

#[tokio::test]
async fn a_conversation_is_neither_held_up_nor_sent_again() {
    let setup = Setup::new().await;
    let mut client = setup.client();
    let path = || PathAndQuery::from_static("/test.Echo/Chat");
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let messages = Request::new(UnboundedReceiverStream::new(receiver));

    client.ready().await.unwrap();
    let answer = in_time(client.streaming(messages, path(), text())).await.unwrap();
    let mut answers = answer.into_inner();
    for word in ["one", "two", "three"] {
        sender.send(word.to_owned()).unwrap(); // each after the answer to the one before
        assert_eq!(in_time(answers.message()).await.unwrap().unwrap(), word);
    }
    drop(sender);
    assert_eq!(in_time(answers.message()).await.unwrap(), None);

    setup.echo.revoke("access-1");
    let (_sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let messages = Request::new(UnboundedReceiverStream::new(receiver));
    client.ready().await.unwrap();
    let refused = in_time(client.streaming(messages, path(), text())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(say(&mut client).await.unwrap(), "hello", "with the next token");
    assert_eq!(setup.echo.tokens(), tokens(&["access-1", "access-1", "access-2"]));
}

#[tokio::test]
async fn m14_it_does_not_matter_which_part_of_a_tonic_server_refuses_before_it_answers() {
    for part in ["InTheHandler", "InTheStreamingHandler", "InTheInterceptor"] {
        let setup = Setup::new().await;
        setup.echo.revoke("access-1");

        assert_eq!(say_to(&mut setup.client(), part).await.unwrap(), "hello", "{part}");

        assert_eq!(setup.echo.tokens(), tokens(&["access-1", "access-2"]), "{part}");
    }
}

#[tokio::test]
async fn a_refusal_in_the_trailers_of_an_answer_comes_too_late_and_can_be_passed_on() {
    for word in ["hello", ""] {
        let setup = Setup::new().await;
        setup.echo.revoke("access-1");
        let mut client = setup.client();
        let used = setup.manager.token().await.unwrap();

        client.ready().await.unwrap();
        let path = PathAndQuery::from_static("/test.Echo/InTheStream");
        let answer =
            in_time(client.server_streaming(Request::new(word.to_owned()), path, text())).await;
        let mut answers = answer.unwrap().into_inner();

        if !word.is_empty() {
            assert_eq!(in_time(answers.message()).await.unwrap().unwrap(), word);
        }
        assert_eq!(in_time(answers.message()).await.unwrap_err().code(), Code::Unauthenticated);
        assert_eq!(setup.echo.tokens(), tokens(&["access-1"]));
        let same = setup.manager.token().await.unwrap();
        assert_eq!(same.authorization(), "Bearer access-1");
        assert!(setup.manager.invalidate(&used));
        assert_eq!(say(&mut client).await.unwrap(), "hello");
        assert_eq!(setup.echo.tokens(), tokens(&["access-1", "access-2"]));
    }
}

#[tokio::test]
async fn m14_a_client_that_does_not_say_where_it_calls_fails_and_sends_nothing() {
    let setup = Setup::new().await;
    let mut lost = Grpc::new(setup.layer.layer(setup.channel.clone()));
    let origin = setup.echo.origin.parse().unwrap();
    let mut told = Grpc::with_origin(setup.layer.layer(setup.channel.clone()), origin);

    let status = say(&mut lost).await.unwrap_err();
    assert_eq!(our_error(&status).kind(), ErrorKind::Config);
    assert_eq!(setup.echo.tokens(), []);

    assert_eq!(say(&mut told).await.unwrap(), "hello");
    assert_eq!(setup.echo.tokens(), tokens(&["access-1"]));
}

#[tokio::test]
async fn an_error_of_ours_is_found_behind_the_status() {
    let setup = Setup::new().await;
    setup.provider.always_on_fetch(Step::unavailable());

    let status = say(&mut setup.client()).await.unwrap_err();

    assert_eq!(our_error(&status).kind(), ErrorKind::Unavailable);
    assert_eq!(our_error(&status).service_name(), Some("svc"));
    assert!(status.message().starts_with("svc: "), "{status}");
    assert_eq!(setup.echo.tokens(), []);
}

fn our_error(status: &Status) -> &Error {
    status.source().unwrap().downcast_ref().unwrap()
}
