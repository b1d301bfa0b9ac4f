//! The thread that serves, with a runtime of its own.
//!
//! The server must not care about the runtime of the test: that may be paused, dropped in the
//! middle, or not there at all.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokenkeeper::{Clock, SystemClock};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::answer::{Answer, AnswerBody, Cut};
use super::cors;
use super::endpoint::{Endpoint, KEYS_PATH};
use super::fault::{self, Fault};
use super::received_request::ReceivedRequest;
use super::state::Shared;
use super::token_answer::TokenAnswer;
use super::{
    authorization, device, device_page, introspection, metadata, registration, resource,
    revocation, token_endpoint, user_info,
};

/// Serves until it is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    /// The lock is for `Sync` alone: threads that share a server need it.
    stopped: Mutex<mpsc::Receiver<()>>,
}

impl Listener {
    /// This address, where connections queue until the server starts; port 0 is any free one.
    pub(super) fn bind(address: SocketAddr) -> io::Result<(StdListener, SocketAddr)> {
        let socket = StdListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    }

    pub(super) fn start(
        socket: StdListener,
        address: SocketAddr,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, until) = oneshot::channel();
        let (has_stopped, stopped) = mpsc::channel();
        thread::Builder::new().name("fake-auth-server".to_owned()).spawn(move || {
            runtime.block_on(accept(socket, shared, until));
            drop(runtime);
            drop(has_stopped);
        })?;
        Ok(Self { address, stop: Some(stop), stopped: Mutex::new(stopped) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Ends with an error when the thread drops its end: that is the sign.
        let _ = self.stopped.get_mut().recv_timeout(LONGEST_SHUTDOWN);
    }
}

async fn accept(socket: StdListener, shared: Arc<Shared>, until: oneshot::Receiver<()>) {
    let Ok(listener) = TcpListener::from_std(socket) else { return };
    let serve = async {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        }
    };
    tokio::select! {
        () = serve => {}
        _ = until => {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| receive(Arc::clone(&shared), request));
    // An error here is a connection that a fault cut, or that the client left.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn receive(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Cut> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_REQUEST).collect().await else {
        return Ok(Answer::empty(StatusCode::PAYLOAD_TOO_LARGE).whole());
    };
    let request = ReceivedRequest::new(parts.method, parts.uri, parts.headers, body.to_bytes());
    // On a task of its own, because hyper drops this future when the client goes away, and a real
    // server carries out what it has received.
    tokio::spawn(respond(shared, request)).await.unwrap_or(Err(Cut))
}

async fn respond(
    shared: Arc<Shared>,
    request: ReceivedRequest,
) -> Result<Response<AnswerBody>, Cut> {
    let endpoint = shared.config.endpoint_of(request.path());
    if let Some(answer) = cors::preflight(&shared.config, endpoint, &request) {
        return Ok(answer.whole());
    }
    let received_at = shared.config.clock.now();
    shared.state.lock().receive(endpoint, &request);
    let Some(endpoint) = endpoint else {
        return Ok(fault::html(StatusCode::NOT_FOUND, "Not found").whole());
    };
    let _in_flight = InFlight { endpoint, shared: &shared };
    shared.gate(endpoint).wait().await;
    let fault = shared.state.lock().next_fault(endpoint);
    match &fault {
        Some(Fault::Delay(delay)) => SystemClock.sleep(*delay).await,
        Some(Fault::Hang) => shared.hung.wait().await,
        _ => {}
    }
    let answer = answer_instead(&shared, fault.as_ref(), &request).unwrap_or_else(|| {
        let same_access_token = matches!(fault, Some(Fault::SameAccessToken));
        act(&shared, endpoint, &request, same_access_token)
    });
    let answer = cors::allow(&shared.config, endpoint, answer);
    let lost = matches!(fault, Some(Fault::LostResponse | Fault::TruncatedBody));
    {
        let mut state = shared.state.lock();
        state.record(endpoint, &request, answer.status.as_u16());
        if endpoint == Endpoint::Token {
            let acted_at = shared.config.clock.now();
            state.remember(TokenAnswer::new(request, received_at, acted_at, &answer));
        }
        state.stats.lost_answers += usize::from(lost);
    }
    match fault {
        Some(Fault::LostResponse) => Err(Cut),
        Some(Fault::TruncatedBody) => Ok(answer.truncated()),
        Some(Fault::HugeBody(bytes)) => Ok(answer.followed_by(bytes)),
        Some(Fault::HangAnswer) => {
            shared.hung.wait().await;
            Ok(answer.whole())
        }
        Some(Fault::DelayAnswer(delay)) => {
            SystemClock.sleep(delay).await;
            Ok(answer.whole())
        }
        _ => Ok(answer.whole()),
    }
}

fn act(
    shared: &Shared,
    endpoint: Endpoint,
    request: &ReceivedRequest,
    same_access_token: bool,
) -> Answer {
    let config = &shared.config;
    let state = || shared.state.lock();
    match endpoint {
        Endpoint::Token => token_endpoint::token(config, &mut state(), request, same_access_token),
        Endpoint::Revocation => revocation::revocation(config, &mut state(), request),
        Endpoint::Resource => resource::resource(shared, request),
        Endpoint::UserInfo => user_info::user_info(shared, request),
        Endpoint::Authorization => authorization::authorization(config, &mut state(), request),
        Endpoint::PushedAuthorization => {
            authorization::pushed_authorization(config, &mut state(), request)
        }
        Endpoint::DeviceAuthorization => {
            device::device_authorization(config, &mut state(), request)
        }
        Endpoint::Introspection => introspection::introspection(config, &mut state(), request),
        Endpoint::DevicePage => device_page::page(config, &mut state(), request),
        Endpoint::Registration => registration::registration(config, &mut state(), request),
        Endpoint::Metadata if request.path() == KEYS_PATH => metadata::keys(&state()),
        Endpoint::Metadata => metadata::metadata(config, &state()),
    }
}

/// The answer of a fault that keeps the server from acting.
fn answer_instead(
    shared: &Shared,
    fault: Option<&Fault>,
    request: &ReceivedRequest,
) -> Option<Answer> {
    let now = shared.config.clock.now();
    Some(match fault? {
        Fault::TooManyRequests(after) => fault::too_many_requests(*after, &now),
        Fault::Unavailable(after) => fault::unavailable(*after, &now),
        Fault::Status(status, body) => fault::with_status(*status, body),
        Fault::HtmlWith200 => fault::html(StatusCode::OK, "Welcome to the network"),
        Fault::ErrorWith200(code) => Answer::oauth_error(StatusCode::OK, code, "it failed"),
        Fault::Redirect(location) => fault::redirect(location),
        Fault::HugeBody(_) => Answer::new(
            StatusCode::OK,
            "application/json",
            r#"{"token_type":"Bearer","access_token":""#,
        ),
        Fault::Echo(form) => fault::echo(*form, request),
        Fault::Answer { status, headers, body } => fault::scripted(*status, headers, body),
        Fault::Delay(_)
        | Fault::Hang
        | Fault::HangAnswer
        | Fault::DelayAnswer(_)
        | Fault::LostResponse
        | Fault::TruncatedBody
        | Fault::SameAccessToken => return None,
    })
}

/// Counts a request to the token endpoint while it is under way.
struct InFlight<'a> {
    endpoint: Endpoint,
    shared: &'a Shared,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if self.endpoint == Endpoint::Token {
            self.shared.state.lock().stats.in_flight -= 1;
        }
    }
}

const LONGEST_SHUTDOWN: Duration = Duration::from_secs(5); // it takes less than a millisecond
const LARGEST_REQUEST: usize = 1024 * 1024;
