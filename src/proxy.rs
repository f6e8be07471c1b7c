//! One request: the story, top to bottom.
//!
//! [`handle`] is the third of the five hops: it prepares the request, finds its [route](crate::route), lets [`Pool::pick`](crate::balance::Pool::pick)
//! choose a backend, lets `forward::send` get its answer, and tries another when that may be done. It never fails: an
//! error becomes the answer that it deserves.

mod access;
mod affinity;
mod again;
mod answer;
mod attempts;
mod body;
mod client;
mod course;
mod deadline;
mod entrance;
mod error;
mod exchange;
mod fields;
mod forward;
pub mod forwarded;
mod grpc;
mod headers;
mod http2;
mod mirror;
mod own;
mod pace;
mod passage;
mod phase;
mod quota;
mod rates;
mod reach;
mod request_body;
mod request_id;
mod route_rates;
mod shared;
mod spent;
mod split;
mod stop;
mod target;
mod treated;
mod upgrade;
mod websocket;

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};

use crate::balance::{Lease, Tried};
use crate::connect::{AnswerBody, Connections};

pub use access::Access;
pub use answer::{last_words, note_refusal};
pub use body::Body;
pub use client::{Client, MOST_HELD, Mark, before_due};
pub use deadline::{Alarm, Clock, millis};
pub use entrance::{Demands, Entrance};
pub use error::{Error, Fault, Misframed, REASONS, Row};
pub use phase::{Deadlines, Phase};
pub use rates::Household;
pub use request_body::{RequestBody, UploadStopped};
pub use route_rates::RouteRates;
pub use shared::{Rules, Shared, View};
pub use stop::{Leaving, Stop};
pub use upgrade::Tunnel;

use affinity::Trial;
use again::Again;
use attempts::Attempts;
use course::Course;
use exchange::Exchange;
use forward::Asked;
use own::Own;
use request_body::BackendConnection;
use request_id::RequestId;

/// Answers one request.
///
/// # Errors
/// None: the type is hyper's.
// An `async fn` would move the request once more, which is large.
#[expect(clippy::manual_async_fn)]
pub fn handle(
    client: Rc<Client>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> {
    async move {
        let view = client.shared.view();
        // That of the request before is forgotten, whether anybody is trusted still or not.
        let origin = |access: &Access| access.origin(request.headers(), client.address().ip());
        client.set_origin(client.shared.with_access(origin).flatten());
        let mut exchange = Exchange::begin(Rc::clone(&client), &request);
        if let Some(name) = &view.snapshot.settings.config.request_id {
            exchange.is_known_by(RequestId::of(request.headers(), name, client.is_proxied()));
        }
        let outcome = {
            // It stays here, for requests are large, and what it is handed to would move it.
            let mut unsent = Some(request.map(|body| RequestBody::new(body, &client)));
            forward(&client, &view, &mut exchange, &mut unsent).await
        };
        // Only now that it is gone the client knows whether all of its body was read.
        Ok(match outcome {
            Ok(Answer::Backend(answered)) => pass_on(answered, &client, exchange),
            Ok(Answer::Own(own)) => own.give(exchange),
            Err(error) => answer::answer(&error, &newest(&client, view).snapshot, exchange),
        })
    }
}

/// What came of a request, unless it failed.
enum Answer {
    /// A backend answered.
    Backend(Answered),
    /// Its route writes the answer.
    Own(Box<Own>),
}

/// A backend's answer and what is held for its body.
struct Answered {
    response: Response<AnswerBody>,
    asked: Asked,
    connection: BackendConnection,
    /// Where the connection goes afterwards.
    connections: Rc<Connections<RequestBody>>,
    lease: Lease,
}

/// Finds the request's route and gets an answer from the first backend that gives one.
async fn forward(
    client: &Rc<Client>,
    view: &Rc<View>,
    exchange: &mut Exchange,
    unsent: &mut Option<Request<RequestBody>>,
) -> Result<Answer, Error> {
    judge(client)?;
    let request = unsent.as_mut().expect("it was not sent yet");
    let (asked, provenance) = headers::prepare(request, client, &view.snapshot.settings)?;
    let course = match course::find(client, view, request, &provenance, asked, exchange)? {
        Course::Forward(course) => course,
        Course::Answer(own) => return Ok(Answer::Own(own)),
    };
    // Who takes its expectation away, a route or the client itself, hears of none.
    let expects_continue = asked.expects_continue && headers::expects_continue(request.headers());
    let mut asked = Asked { expects_continue, ..asked };
    let untold = (!asked.is_told).then_some(&provenance);
    let mut view = Rc::clone(view);
    let mut tried = Tried::default();
    let mut attempts = Attempts::of(&course);
    let mut last = None;
    let affinity = course.affinity(request, client, &view, exchange);
    let mut picked = course.pick(&affinity, client, &view, &tried);
    let none = loop {
        let lease = match picked {
            Ok(lease) => lease,
            Err(none) => break none,
        };
        let pool = course.pool(&view.snapshot);
        let connections = view.connections(lease.place());
        exchange.attempt(connections.way().url.name());
        let trial = Trial::begin(client, pool, &lease, exchange.is_timed());
        let failure = match forward::send(client, &view, &lease, unsent, untold, asked).await {
            Ok((mut response, connection)) => {
                let can_pass = headers::prepare_answer(&mut response, asked, client, connection.flow());
                trial.answered_if(can_pass, &response)?;
                exchange.stays_at(affinity.cookie(pool, &lease), response.headers_mut());
                let connections = Rc::clone(connections);
                let answered = Answered { response, asked, connection, connections, lease };
                let Some(treatment) = course.treatment else { return Ok(Answer::Backend(answered)) };
                // Only from here on, for what may change is copied once more on its way out.
                let mut answered = answered;
                let more = attempts.seen();
                let pick = |tried: &mut Tried| course.pick_again(&affinity, client, &mut view, tried).ok();
                let again = Again::after(&mut answered, treatment, more.then_some(&mut tried), client, pick);
                let Some(again) = again else { return Ok(again::give(answered, treatment, exchange)) };
                answered.let_go(client);
                *unsent = Some(again.request);
                picked = Ok(again.lease);
                continue;
            }
            Err(failure) => failure,
        };
        trial.failed(&failure.error);
        failure.tell(client, (connections.way(), &lease), &tried);
        if !attempts.failed(&failure, &mut asked) || unsent.is_none() {
            return Err(failure.error);
        }
        tried.add(&lease);
        let way = Arc::clone(connections.way());
        picked = course.pick_again(&affinity, client, &mut view, &mut tried);
        picked = picked.inspect(|_| again::tell_of_next(client, &way, &failure.error));
        last = Some(failure.error);
    };
    Err(last.unwrap_or_else(|| answer::why_none(none, &view.snapshot, &course)))
}

/// Whether who asks may ask at all.
fn judge(client: &Client) -> Result<(), Error> {
    if client.is_outdated() {
        return Err(Error::OutdatedConnection);
    }
    let judge = |access: &Access| access.judge(client.ip(), client.origin().as_deref());
    client.shared.with_access(judge).unwrap_or(Ok(()))
}

/// The newest view, unless the settings have changed since, by which other pools may be in the places of those.
fn newest(client: &Client, view: Rc<View>) -> Rc<View> {
    let newest = client.shared.view();
    if newest.snapshot.has_settings_of(&view.snapshot) { newest } else { view }
}

/// Gives a backend's answer to the client.
// It is changed where it is, for answers are large.
fn pass_on(mut answered: Answered, client: &Rc<Client>, mut exchange: Exchange) -> Response<Body> {
    let (asked, response) = (answered.asked, &mut answered.response);
    let upload = client.is_uploading().then(|| answered.connection.advancing());
    if upload.is_some() && !client.is(Mark::Stream) {
        headers::announce_end(response.headers_mut());
    }
    let status = match asked.extended_connect && headers::is_upgrade(response) {
        // A client of HTTP/2 is told so that its tunnel is open.
        true => StatusCode::OK,
        false => response.status(),
    };
    exchange.answered(status.as_u16());
    if let Some(treated) = exchange.treated() {
        treated.finish(response.headers_mut());
        treated.keep(response.headers_mut());
    }
    if let Some(id) = exchange.id() {
        id.add_to_answer(response.headers_mut());
    }
    if client.is(Mark::OpenEnded) {
        let size = response.body().size_hint().exact();
        headers::keep_to_http_1_0(response, size);
    }
    let is_upgrade = headers::is_upgrade(response);
    let Answered { mut response, connection, connections, lease, .. } = answered;
    if is_upgrade {
        let (backend, read_ahead) =
            connection.into_upgraded().expect("a request to switch protocols gets a connection of its own");
        let tunnel = Tunnel { backend, read_ahead, exchange, _lease: lease };
        match asked.extended_connect {
            true => websocket::answer(&mut response, tunnel),
            false => client.set_tunnel(Box::new(tunnel)),
        }
        return response.map(|_| Body::empty());
    }
    client.set_upload(upload);
    response.map(|incoming| Body::from_backend(incoming, connection, connections, lease, exchange))
}
