//! Bodies that say nothing about themselves: what is there is kept, and nobody waits for more.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Empty, Full};
use tokenkeeper_tower::{Buffering, KeepBody, ReplayBody};

type Boxed = UnsyncBoxBody<Bytes, String>;

/// Gives these frames, one a look; `None` is a look at which it is not ready.
struct Script {
    frames: VecDeque<Option<Result<Frame<Bytes>, String>>>,
    /// The least and the most that is still to come.
    length: Option<(u64, u64)>,
}

impl Body for Script {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        match self.frames.pop_front() {
            Some(None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(frame) => Poll::Ready(frame),
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        if let Some((lower, upper)) = self.length {
            hint.set_upper(upper);
            hint.set_lower(lower);
        }
        hint
    }
}

fn script(frames: Vec<Option<Result<Frame<Bytes>, String>>>) -> Boxed {
    Script { frames: frames.into(), length: None }.boxed_unsync()
}

fn data(text: &'static str) -> Option<Result<Frame<Bytes>, String>> {
    Some(Ok(Frame::data(Bytes::from_static(text.as_bytes()))))
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([("x-sum".parse().unwrap(), "42".parse().unwrap())])
}

/// The body as it is sent, and as it would be sent again.
fn keep(limit: usize, body: Boxed) -> (Boxed, Option<Boxed>) {
    let buffering = Buffering::new(Boxed::new).with_limit(limit);
    let (body, kept) = buffering.keep(body);
    (body, kept.map(|kept| buffering.restore(kept)))
}

async fn read(body: Boxed) -> (String, Option<HeaderMap>) {
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned();
    (String::from_utf8(body.to_bytes().to_vec()).unwrap(), trailers)
}

#[tokio::test]
async fn a_body_that_is_there_is_kept_with_its_trailers() {
    let trailing = || Some(Ok(Frame::trailers(trailers())));
    let table = [
        (vec![], "", None),
        (vec![data("one")], "one", None),
        (vec![data("one"), data(""), data("two"), data("three")], "onetwothree", None),
        (vec![trailing()], "", Some(trailers())),
        (vec![data("one"), data("two"), trailing()], "onetwo", Some(trailers())),
    ];
    for (frames, text, trailers) in table {
        let (sent, again) = keep(100, script(frames));
        let again = again.unwrap();

        for body in [sent, again] {
            let exact = trailers.is_none().then_some(text.len() as u64);
            assert_eq!(body.size_hint().exact(), exact, "HTTP/1.1 needs room for trailers");
            assert_eq!(body.size_hint().lower(), text.len() as u64);
            assert_eq!(body.is_end_stream(), text.is_empty() && trailers.is_none());
            assert_eq!(read(body).await, (text.to_owned(), trailers.clone()));
        }
    }
}

#[tokio::test]
async fn a_body_that_would_have_to_be_waited_for_is_passed_on_whole_and_not_kept() {
    let trailing = || Some(Ok(Frame::trailers(trailers())));
    let table = [
        (vec![None], ""),
        (vec![None, data("one")], "one"),
        (vec![data("one"), None, data("two"), None, None, data("three")], "onetwothree"),
    ];
    for (mut frames, text) in table {
        frames.push(trailing());
        let (sent, again) = keep(100, script(frames));

        assert!(again.is_none());
        assert!(!sent.is_end_stream());
        assert_eq!(read(sent).await, (text.to_owned(), Some(trailers())));
    }
}

#[tokio::test]
async fn the_limit_is_the_last_byte_that_is_kept() {
    for (frames, is_kept) in [
        (vec![data("12345678")], true),
        (vec![data("1234"), data("5678")], true),
        (vec![data("123456789")], false),
        (vec![data("12345678"), data("9")], false),
        (vec![data("1234"), data("56789"), data("and so on")], false),
    ] {
        let texts = frames.iter().map(|frame| frame.clone_data()).collect::<String>();

        let (sent, again) = keep(8, script(frames));

        assert_eq!(again.is_some(), is_kept, "{texts}");
        assert_eq!(read(sent).await.0, texts);
    }
}

/// As hyper's bodies of known length: the last byte is there, and the end still on its way.
struct Counted(Option<Bytes>);

impl Body for Counted {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

#[tokio::test]
async fn a_body_that_says_that_it_has_ended_is_believed() {
    for bytes in [Some(Bytes::from("one")), None] {
        let text = bytes.clone().unwrap_or_default();
        let (_, again) = keep(3, Counted(bytes).boxed_unsync());

        assert_eq!(read(again.unwrap()).await.0, text);
    }
}

trait CloneData {
    fn clone_data(&self) -> String;
}

impl CloneData for Option<Result<Frame<Bytes>, String>> {
    fn clone_data(&self) -> String {
        let bytes = self.as_ref().unwrap().as_ref().unwrap().data_ref().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}

#[test]
fn a_body_that_is_always_ready_is_not_read_for_ever() {
    struct Endless(&'static str, usize);
    impl Body for Endless {
        type Data = Bytes;
        type Error = String;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, String>>> {
            self.1 += 1;
            assert!(self.1 < 1_000_000, "it is read for ever");
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(self.0.as_bytes())))))
        }
    }

    for text in ["", "more"] {
        let (_, again) = keep(64 * 1024, Endless(text, 0).boxed_unsync());
        assert!(again.is_none());
    }
}

#[tokio::test]
async fn an_error_comes_where_it_was_and_is_not_sent_twice() {
    let frames = vec![data("one"), Some(Err("broken".to_owned()))];
    let (mut sent, again) = keep(100, script(frames));

    assert!(again.is_none());
    assert!(!sent.is_end_stream());
    assert_eq!(sent.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
    assert_eq!(sent.frame().await.unwrap().unwrap_err(), "broken");
    assert!(sent.frame().await.is_none());
}

#[tokio::test]
async fn a_stream_keeps_what_it_says_about_its_length() {
    let frames = vec![data("one"), None, data("four5")].into();
    let body = Script { frames, length: Some((5, 7)) }.boxed_unsync();

    let (sent, _) = keep(100, body);

    assert_eq!((sent.size_hint().lower(), sent.size_hint().upper()), (3 + 5, Some(3 + 7)));
}

#[test]
fn a_stream_wakes_whoever_waits_for_it_now() {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Result<Frame<Bytes>, String>>();
    let stream = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver);
    let body = http_body_util::StreamBody::new(stream).boxed_unsync();
    let (mut sent, _) = keep(100, body);
    let woken = std::sync::Arc::new(Flag::default());
    let waker = std::task::Waker::from(woken.clone());

    assert!(Pin::new(&mut sent).poll_frame(&mut Context::from_waker(&waker)).is_pending());
    sender.send(Ok(Frame::data(Bytes::from("late")))).unwrap();

    assert!(woken.0.load(std::sync::atomic::Ordering::SeqCst));
}

#[derive(Default)]
struct Flag(std::sync::atomic::AtomicBool);

impl std::task::Wake for Flag {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn bodies_that_can_be_copied_say_so() {
    assert!(().try_clone().is_some());
    assert!(Empty::<Bytes>::new().try_clone().is_some());
    assert!(Full::<Bytes>::from("x").try_clone().is_some());
    assert_eq!(Bytes::from("x").try_clone().unwrap(), "x");
    assert_eq!(String::from("x").try_clone().unwrap(), "x");
    assert_eq!("x".try_clone(), Some("x"));
    assert_eq!(None::<Bytes>.try_clone(), Some(None));
    assert_eq!(Some(Bytes::from("x")).try_clone(), Some(Some(Bytes::from("x"))));
    assert!(Either::<Bytes, String>::Left(Bytes::new()).try_clone().is_some());
}

#[test]
fn debug_output_shows_no_body() {
    let buffering = Buffering::<Boxed>::new(Boxed::new);
    let (_, kept) = buffering.keep(script(vec![data("a password")]));

    assert!(!format!("{buffering:?} {kept:?}").contains("password"));
}
