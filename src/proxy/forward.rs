//! The fifth hop: one attempt to get an answer from one backend.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::{Request, Response};

use crate::backends::Evidence;
use crate::balance::Lease;
use crate::connect::{Flow, SendError, dial, is_our_want, ran_out_of_files};

use super::body::{BackendConnection, RequestBody};
use super::client::Phase;
use super::headers::Asked;
use super::shared::View;
use super::{Client, Error};

/// Milliseconds for other workers to give up idle connections when there is no file left.
const ROOM_AFTER: u64 = 100;

/// An attempt that brought no answer.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// What it says of the backend, if anything.
    pub(super) evidence: Option<Evidence>,
    /// The request, if it may be sent again.
    pub(super) again: Option<Request<RequestBody>>,
    /// Whether a backend may have seen it.
    pub(super) sent: bool,
}

/// A request on its way: with what it needs to be sent once more.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) request: Request<RequestBody>,
    pub(super) asked: Asked,
}

/// Sends the request on an idle connection or a new one and waits for the head of the answer.
pub(super) async fn send(
    client: &Rc<Client>,
    view: &View,
    lease: &Lease,
    mut outgoing: Outgoing,
) -> Result<(Response<Incoming>, BackendConnection), Failure> {
    let idle = view.idle(lease.index());
    let asked = outgoing.asked;
    let repeatable = is_repeatable(&outgoing.request);
    let mut kept = idle.take(!repeatable);
    loop {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => match connect(client, view, lease).await {
                Ok(connection) => connection,
                Err(failure) => return Err(Failure { again: Some(outgoing.request), ..failure }),
            },
        };
        begin(client, &outgoing);
        let flow = Rc::clone(connection.flow());
        let failed =
            match connection.send(outgoing.request, repeatable, |cx| watch(client, &flow, asked, cx)).await {
                Ok(response) => {
                    // They may have come in one piece with the answer.
                    pass_interim(client, &flow, asked);
                    return Ok((response, connection));
                }
                Err(Err(error)) => return Err(Failure { error, evidence: None, again: None, sent: true }),
                Err(Ok(failed)) => failed,
            };
        let failure = judge(client, &connection, failed);
        match failure.again {
            // It was kept too long: that says nothing of the backend, and a new connection will do.
            Some(again) if connection.is_reused() && !flow.answered() => outgoing.request = again,
            again => return Err(Failure { again, ..failure }),
        }
    }
}

/// Whether a request may be sent again though a backend may have seen it (RFC 9110 section 9.2.2).
fn is_repeatable(request: &Request<RequestBody>) -> bool {
    request.body().is_empty() && request.method().is_idempotent()
}

async fn connect(client: &Client, view: &View, lease: &Lease) -> Result<BackendConnection, Failure> {
    client.enter(Phase::Connect);
    let address = view.snapshot.pool.members()[lease.index()].address;
    let mut connected = connect_to(client, address).await;
    if let Err((Error::Exhausted(error), _)) = &connected
        && ran_out_of_files(error)
    {
        // Boxed, for it is rare, and would make the futures of all requests larger.
        connected = Box::pin(make_room(client, address)).await;
    }
    connected.map_err(|(error, evidence)| Failure { error, evidence, again: None, sent: false })
}

/// Tries again without a file left.
async fn make_room(
    client: &Client,
    address: SocketAddr,
) -> Result<BackendConnection, (Error, Option<Evidence>)> {
    if client.shared.give_up_idle() == 0 {
        // The other workers hear of it at their next tick.
        client.shared.clock.sleep(ROOM_AFTER).await;
    }
    connect_to(client, address).await
}

async fn connect_to(
    client: &Client,
    address: SocketAddr,
) -> Result<BackendConnection, (Error, Option<Evidence>)> {
    match before_due(client, dial(address, client.shared.head_limits)).await {
        Some(Ok(connection)) => Ok(Box::new(connection)),
        Some(Err(error)) if is_our_want(&error) => Err((Error::Exhausted(error), None)),
        Some(Err(error)) => {
            let evidence = Evidence::of_dial(&error);
            Err((Error::Connect(error), Some(evidence)))
        }
        None => Err((Error::ConnectTimeout, Some(Evidence::ConnectTimeout))),
    }
}

/// The future's result, or nothing if the client's deadline came first.
pub async fn before_due<T>(client: &Client, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending if client.is_due() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

fn begin(client: &Client, outgoing: &Outgoing) {
    let waits = outgoing.asked.expects_continue;
    client.set_may_upload(!waits);
    client.enter(match outgoing.request.body() {
        body if body.is_empty() => Phase::Response,
        _ if waits => Phase::Expect,
        _ => Phase::Upload,
    });
}

/// Runs after each step of an attempt; an error ends it.
fn watch(client: &Client, flow: &Flow, asked: Asked, cx: &Context<'_>) -> Option<Error> {
    pass_interim(client, flow, asked);
    if flow.is_flooded() {
        return Some(Error::TooManyInterim);
    }
    let phase = client.phase();
    if phase == Phase::Expect && (flow.continued() || client.is_due()) {
        client.set_may_upload(true);
        client.enter(Phase::Upload);
        cx.waker().wake_by_ref();
        return None;
    }
    client.is_due().then_some(match phase {
        Phase::Upload if client.is_starved() => Error::UploadTimeout,
        Phase::Upload => Error::BackendStalled,
        _ => Error::ResponseTimeout,
    })
}

fn pass_interim(client: &Client, flow: &Flow, asked: Asked) {
    if let Some(interim) = flow.take_interim()
        && asked.takes_interim
    {
        client.interim().borrow_mut().extend_from_slice(&interim);
    }
}

/// What a broken attempt means.
fn judge(client: &Client, connection: &BackendConnection, failed: SendError<RequestBody>) -> Failure {
    let sent = failed.unsent.is_none();
    if let Some(fault) = client.take_fault() {
        return Failure { error: fault, evidence: None, again: None, sent };
    }
    let garbage = failed.error.is_parse() || failed.error.is_parse_too_large();
    let error = if garbage { Error::BadAnswer(failed.error) } else { Error::Closed(failed.error) };
    let read_back = || connection.flow().sent().map(|head| head.map(|()| RequestBody::default()));
    let again = failed.unsent.or_else(|| if garbage { None } else { read_back() });
    let evidence = (!garbage && !connection.is_reused()).then_some(Evidence::Closed);
    Failure { error, evidence, again, sent }
}
