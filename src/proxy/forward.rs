//! The fifth hop: one attempt to get an answer from one backend.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Context;
use std::time::Instant;

use hyper::{Request, Response, StatusCode, Version};

use crate::backends::Evidence;
use crate::balance::{Lease, Tried};
use crate::config::{Address, Scheme};
use crate::connect::{
    AnswerBody, Behalf, Broken, Connections, DialError, Flow, Need, OWN, Provenance, Way, ran_out_of_files,
    want_of_files,
};
use crate::telemetry::Seldom;

use super::client::{Mark, before_due};
use super::phase::Phase;
use super::request_body::{BackendConnection, RequestBody};
use super::shared::View;
use super::{Client, Error};

/// RFC 9110 section 15.2.1.
const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Milliseconds for other workers to give up idle connections when there is no file left.
const ROOM_AFTER: u64 = 100;
/// A full queue is tried again at each tick: workers have no finer clock.
const NEXT_TICK: u64 = 1;

/// What of a request decides how it is forwarded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// It wants to switch protocols and may.
    pub(super) upgrade: bool,
    /// Its body is to be sent only when the backend asks for it.
    pub(super) expects_continue: bool,
    /// Interim answers may come before the final one, which HTTP/1.0 does not know.
    pub(super) takes_interim: bool,
    /// It was a CONNECT for a WebSocket, and wants its answer to be that to one.
    pub(super) extended_connect: bool,
    /// It may authenticate the connection to its backend, and not only itself.
    pub(super) by_connection: bool,
    /// Its provenance is among its fields. That of others is told when they are sent.
    pub(super) is_told: bool,
    /// New connections are made for it: not once there was no file for one, which is so at every backend.
    pub(super) connects: bool,
}

/// An attempt that brought no answer.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// What it says of the backend, if anything.
    pub(super) evidence: Option<Evidence>,
    /// Whether the request was sent on the connection that failed.
    pub(super) sent: bool,
    /// Whether the backend may have seen it, be it on a kept connection that failed before.
    pub(super) seen: bool,
}

impl Failure {
    /// Whether the backend said over HTTP/2 that it has not begun to act upon the request.
    pub(super) fn is_refusal(&self) -> bool {
        !self.seen && matches!(&self.error, Error::Closed(broken) if broken.is_refusal())
    }

    /// Tells the registry what it says of the backend, if anything. That it closed the connection on a request on which `others`
    /// failed says more of the request. What no client is told of an answer is told aloud.
    pub(super) fn tell(&self, client: &Client, (way, lease): (&Way, &Lease), others: &Tried) {
        if let Error::BadAnswer(broken) = &self.error {
            tell_of_garbage(way, broken);
        }
        let (registry, backend) = (client.shared.registry, lease.backend());
        match (&self.evidence, &self.error) {
            (Some(Evidence::Closed), _) if !others.is_empty() => registry.doubt(backend),
            // It may be what this request asked for that its certificate, or ours, does not do for: a check tells.
            (Some(Evidence::Tls(_)), _) if self.sent => registry.doubt(backend),
            (Some(evidence), _) => registry.suspect(backend, evidence.clone()),
            // It may hang, or this request take long there: a check tells.
            (None, Error::ResponseTimeout | Error::BackendStalled) => registry.doubt(backend),
            (None, _) => {}
        }
    }
}

/// Tells, once in a while, what came in place of an answer: a check may find its backend well.
#[cold]
fn tell_of_garbage(way: &Way, broken: &Broken) {
    static SELDOM: Seldom = Seldom::new();
    SELDOM.add(1);
    let (Some(garbage), Some(count)) = (broken.garbage(), SELDOM.to_say(Instant::now())) else { return };
    let others = match count {
        1 => String::new(),
        count => format!("; answers that were none since this was said last: {count}"),
    };
    tracing::warn!("{} answered a request with {garbage}{others}", way.url.name());
}

/// Sends the request, which it takes, on an idle connection or a new one and waits for the head of the answer. If its
/// provenance is still `untold`, the backend is told of it beside. After a failure the request is back if it may be sent again.
pub(super) async fn send(
    client: &Rc<Client>,
    view: &View,
    lease: &Lease,
    request: &mut Option<Request<RequestBody>>,
    untold: Option<&Provenance>,
    asked: Asked,
) -> Result<(Response<AnswerBody>, BackendConnection), Failure> {
    let connections = view.connections(lease.place());
    let repeatable = request.as_ref().is_some_and(is_repeatable);
    let (mut kept, mut since, mut seen) = (connections.take(!repeatable, asked.upgrade), None, false);
    loop {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            // Boxed, for it is rare, and would make the futures of all requests larger.
            None => match Box::pin(connect(client, view, lease, asked, since)).await {
                Ok(connection) => connection,
                Err(failure) => return Err(Failure { seen, ..failure }),
            },
        };
        begin(client, request.as_ref(), asked);
        let flow = Rc::clone(connection.flow());
        let found_dead = found_dead(connections, repeatable);
        let watch = |cx: &mut Context<'_>| watch(client, &flow, asked, cx).or_else(&found_dead);
        let broken = match connection.send(request, untold, repeatable, watch).await {
            Ok(response) => {
                if repeatable
                    && connection.is_reused()
                    && waited_in_vain(&response)
                    && let Some(again) = again(&mut connection)
                {
                    *request = Some(again);
                    (since, seen) = (Some(connections.made()), true);
                    continue;
                }
                // They may have come in one piece with the answer.
                pass_interim(client, &flow, asked);
                pass_word_to_go_on(client, &flow, asked);
                if asked.expects_continue && response.status() < StatusCode::BAD_REQUEST {
                    // Who answers well in place of that word may go on when it has read the body (RFC 9110 section 10.1.1).
                    client.set(Mark::Answered, client.is(Mark::Withheld));
                    client.set(Mark::Withheld, false);
                }
                return Ok((response, connection));
            }
            Err(Err(error)) => return Err(end_early(error, &mut connection, request)),
            Err(Ok(broken)) => broken,
        };
        // Only behind TLS a backend has chosen HTTP/2, and can choose again.
        let wants_http1 = broken.wants_http1() && connections.way().url.scheme == Scheme::Https;
        let unheard = !flow.answered() || !flow.has_begun();
        let kept_too_long = connection.is_reused() && unheard && !broken.would_come_again();
        let failure = judge(client, &mut connection, request, broken);
        // Of one that was kept, too: the request may be why it was closed.
        seen |= failure.seen;
        if wants_http1 && request.is_some() {
            drop(connection);
            // As if it were to switch protocols, which needs the same.
            let asked = Asked { upgrade: true, ..asked };
            let sent = Box::pin(send(client, view, lease, request, untold, asked)).await;
            return sent.map_err(|other| match other.error {
                // It wants what it does not speak.
                Error::CannotSwitch => Failure { seen: true, ..failure },
                _ => Failure { seen: seen || other.seen, ..other },
            });
        }
        // That says nothing of the backend, and a new connection will do: one that others may use, too, and then one of its own.
        if request.is_none() || !kept_too_long {
            return Err(Failure { seen, ..failure });
        }
        since = Some(if since.is_none() { connections.made() } else { OWN });
    }
}

/// Whether a backend gave up waiting for a request. On a connection that was idle, that may have crossed the request on its
/// way (RFC 9110 section 15.5.9).
fn waited_in_vain<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::REQUEST_TIMEOUT && response.version() < Version::HTTP_2
}

/// Whether a request may be sent again though a backend may have seen it (RFC 9110 section 9.2.2).
fn is_repeatable(request: &Request<RequestBody>) -> bool {
    request.body().is_empty() && request.method().is_idempotent()
}

async fn connect(
    client: &Client,
    view: &View,
    lease: &Lease,
    asked: Asked,
    since: Option<usize>,
) -> Result<BackendConnection, Failure> {
    if !asked.connects {
        let error = Error::Exhausted(want_of_files());
        return Err(Failure { error, evidence: None, sent: false, seen: false });
    }
    client.enter(Phase::Connect);
    let limits = client.shared.head_limits();
    let need = Need { upgrade: asked.upgrade, since, behalf: behalf(client), limits, is_rare: false };
    let mut connected = connect_to(client, view, lease, need).await;
    if let Err((Error::Exhausted(error), _)) = &connected
        && ran_out_of_files(error)
        && make_room(client).await
    {
        connected = connect_to(client, view, lease, need).await;
    }
    if let Err((Error::Exhausted(error), _)) = &connected {
        client.shared.wants.add(error);
    }
    connected.map_err(|(error, evidence)| Failure { error, evidence, sent: false, seen: false })
}

/// Sees to it that there is a file for a connection, if that can be, and tells whether there is time to try again.
async fn make_room(client: &Client) -> bool {
    // The other workers hear of it at their next tick.
    let heard = client.shared.clock.sleep(ROOM_AFTER);
    client.shared.give_up_idle() > 0 || before_due(client, heard).await.is_some()
}

async fn connect_to(
    client: &Client,
    view: &View,
    lease: &Lease,
    need: Need,
) -> Result<BackendConnection, (Error, Option<Evidence>)> {
    let connections = view.connections(lease.place());
    let full = Cell::new(false);
    let dial = async {
        loop {
            match connections.connect(need).await {
                Err(DialError::Full) => full.set(true),
                ended => return ended,
            }
            client.shared.clock.sleep(NEXT_TICK).await;
            if need.since.is_none()
                && let Some(connection) = connections.take(true, need.upgrade)
            {
                return Ok(connection);
            }
        }
    };
    match before_due(client, dial).await {
        Some(Ok(connection)) => Ok(connection),
        Some(Err(error)) => {
            let evidence = error.says_of_the_backend().then(|| Evidence::of_dial(&error));
            Err((Error::of_dial(error), evidence))
        }
        // That many wait says nothing of a backend; a check tells whether it takes nobody at all.
        None => Err((Error::ConnectTimeout, (!full.get()).then_some(Evidence::ConnectTimeout))),
    }
}

/// Whom a backend is told of that wants to know; who came through a Unix socket has no address.
fn behalf(client: &Client) -> Option<Behalf> {
    match client.listener().address {
        Address::Ip(listener) => {
            Some(Behalf { client: client.address(), listener: client.reached().unwrap_or(listener) })
        }
        Address::Unix(_) => None,
    }
}

fn begin(client: &Client, request: Option<&Request<RequestBody>>, asked: Asked) {
    let waits = asked.expects_continue;
    // A body that came to its end without a byte is one that a backend refused before.
    let is_empty = request.is_some_and(|request| request.body().has_ended());
    client.set(Mark::Awaited, false);
    client.set(Mark::Withheld, waits && !is_empty);
    if waits {
        client.set(Mark::Asked, false);
    }
    client.mark_sent(is_empty);
    client.enter(match is_empty {
        true => Phase::Response,
        false if waits => Phase::Expect,
        false => Phase::Upload,
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
        client.set(Mark::Withheld, false);
        client.enter(Phase::Upload);
        cx.waker().wake_by_ref();
        return None;
    }
    // An error is made only if there is one: what is made is dropped, too.
    if !client.is_due() {
        return None;
    }
    Some(match phase {
        // Of a stream that has all its bytes the end may be missing.
        Phase::Upload | Phase::Response if client.is(Mark::Starved) => Error::UploadTimeout,
        Phase::Upload => Error::BackendStalled,
        _ => Error::ResponseTimeout,
    })
}

/// Tells at each step of an attempt whether its backend was found dead meanwhile, if the request may be sent to another one then.
fn found_dead<'c>(
    connections: &'c Connections<RequestBody>,
    repeatable: bool,
) -> impl Fn() -> Option<Error> + use<'c> {
    let abandoned = connections.abandoned();
    move || match repeatable && connections.abandoned() != abandoned {
        true => Some(Error::FoundDead),
        false => None,
    }
}

/// What it means that an attempt was ended before the backend answered. Another one may be tried only if that one is dead.
#[cold]
fn end_early(
    error: Error,
    connection: &mut BackendConnection,
    request: &mut Option<Request<RequestBody>>,
) -> Failure {
    if matches!(error, Error::FoundDead) {
        *request = again(connection);
    }
    Failure { error, evidence: None, sent: true, seen: true }
}

/// The request under way once more, if it is known still.
fn again(connection: &mut BackendConnection) -> Option<Request<RequestBody>> {
    connection.sent().map(|head| head.map(|()| RequestBody::default()))
}

fn pass_interim(client: &Client, flow: &Flow, asked: Asked) {
    if let Some(interim) = flow.take_interim()
        && asked.takes_interim
    {
        client.pass_interim(&interim);
    }
}

/// Of a backend that asked for the body and began to answer before that was asked for, and may wait for the body to go on.
fn pass_word_to_go_on(client: &Client, flow: &Flow, asked: Asked) {
    if asked.expects_continue && flow.continued() && !client.is(Mark::Asked) {
        client.set(Mark::Withheld, false);
        // hyper's own word would come only before the answer.
        client.interim().borrow_mut().extend_from_slice(GO_ON);
    }
}

/// What a broken attempt means.
fn judge(
    client: &Client,
    connection: &mut BackendConnection,
    request: &mut Option<Request<RequestBody>>,
    broken: Broken,
) -> Failure {
    let sent = request.is_none();
    let seen = sent && connection.flow().has_begun();
    let fault = client.take_fault();
    let fault =
        fault.or_else(|| broken.is_of_the_client().then_some(Error::Malformed("its Host is not one")));
    if let Some(error) = fault {
        *request = None;
        return Failure { error, evidence: None, sent, seen };
    }
    let garbage = broken.is_garbage();
    if sent && !garbage {
        *request = again(connection);
    }
    if let Some(fault) = broken.tls_fault() {
        let evidence = Some(Evidence::Tls(fault.clone()));
        return Failure { error: Error::of_tls(fault), evidence, sent, seen };
    }
    // Whoever lost patience with a client that sends nothing is as well as before.
    let awaited = client.is(Mark::Starved) || client.is(Mark::Awaited);
    client.set(Mark::Awaited, awaited && !garbage);
    let closed = !garbage && !awaited && !connection.is_reused() && broken.is_of_the_connection();
    let error = if garbage { Error::BadAnswer(broken) } else { Error::Closed(broken) };
    Failure { error, evidence: closed.then_some(Evidence::Closed), sent, seen }
}
