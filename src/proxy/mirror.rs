//! Copies of requests for another pool. Their answers are dropped, and whatever happens to a copy, the request does not
//! notice.

use std::rc::Rc;

use hyper::Request;
use hyper::body::{Body as _, Bytes};
use hyper::header::{CONTENT_LENGTH, EXPECT, HeaderValue, TRAILER, TRANSFER_ENCODING};
use tokio::task::spawn_local;

use crate::balance::{Tried, Turn};
use crate::config;

use super::affinity::{Affinity, Trial};
use super::course::pick_as_before;
use super::exchange::begins_well;
use super::forward::{self, Asked};
use super::quota::Taken;
use super::request_body::RequestBody;
use super::shared::View;
use super::spent::Spent;
use super::{Client, newest};

/// Copies that one worker has under way at one time; more are not made.
const MOST_COPIES: usize = 100;
/// Bytes of a body that is copied; requests with a larger one are not.
const MOST_BYTES: usize = 64 * 1024;

/// What a copy asks for beside its head.
const ASKED: Asked = Asked {
    upgrade: false,
    expects_continue: false,
    takes_interim: false,
    extended_connect: false,
    by_connection: false,
    is_told: true,
    connects: true,
};

/// A request's copy, whose body is being gathered.
#[derive(Debug)]
pub(super) struct Copy {
    /// Its own, on behalf of whoever sent the request.
    client: Rc<Client>,
    view: Rc<View>,
    pool: usize,
    head: Request<()>,
    body: Vec<u8>,
    taken: Taken,
}

/// Copies a request, if its turn has come: at once if it has no body, or else when its body has come.
pub(super) fn begin(
    settings: &config::Mirror,
    client: &Rc<Client>,
    view: &Rc<View>,
    request: &mut Request<RequestBody>,
    asked: Asked,
) {
    let is_small = request.body().size_hint().lower() <= MOST_BYTES as u64;
    if asked.upgrade || asked.by_connection || !is_small || fastrand::u8(0..100) >= settings.percent {
        return;
    }
    let Some(taken) = client.shared.copies.take(MOST_COPIES) else { return };
    // Who sends it is known now: when the copy is sent, its connection may be at another request.
    let own = Rc::new(client.stream());
    own.set_origin(client.origin().as_deref().cloned());
    own.has_deadlines_of(client);
    let copy = Copy {
        client: own,
        view: Rc::clone(view),
        pool: settings.pool,
        head: head_of(request),
        body: Vec::new(),
        taken,
    };
    match request.body().is_empty() {
        true => copy.send(),
        false => request.body_mut().copy_to(Box::new(copy)),
    }
}

fn head_of(request: &Request<RequestBody>) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.version_mut() = request.version();
    *head.headers_mut() = request.headers().clone();
    // Its body is all there when it is sent.
    for name in [EXPECT, TRAILER, TRANSFER_ENCODING] {
        head.headers_mut().remove(name);
    }
    head
}

impl Copy {
    /// Adds a piece of the body; tells whether there is room for it.
    pub(super) fn add(&mut self, piece: &[u8]) -> bool {
        let fits = self.body.len() + piece.len() <= MOST_BYTES;
        if fits {
            self.body.extend_from_slice(piece);
        }
        fits
    }

    /// All of the request is here.
    pub(super) fn send(self) {
        spawn_local(self.pass());
    }

    async fn pass(self) {
        let Self { client, view, pool, mut head, body, taken: _taken } = self;
        client.alarm().wakes_me().await;
        // The body may have taken its time.
        let (view, now) = (newest(&client, view), client.shared.view());
        let pool = &view.snapshot.pools[pool];
        let affinity = Affinity::of(head.headers(), &client, pool).with_key(&head, &client, pool);
        // A copy takes no turn from the requests of that pool.
        let turn = Turn::starting_at(fastrand::u64(..));
        let (pick, mut tried) =
            (|tried: &Tried| pool.pick(&affinity.ask(&client, &turn), tried), Tried::default());
        let picked = match Rc::ptr_eq(&view, &now) {
            true => pick(&tried),
            false => pick_as_before(&now, &mut tried, pick),
        };
        let Ok(lease) = picked else { return };
        if !body.is_empty() {
            head.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let mut request = Some(head.map(|()| RequestBody::whole(Bytes::from(body), &client)));
        let trial = Trial::begin(&client, pool, &lease, false);
        match forward::send(&client, &view, &lease, &mut request, None, ASKED).await {
            Ok((response, connection)) => {
                trial.answered(&response);
                let connections = Rc::clone(view.connections(lease.place()));
                let (began_well, body) = (begins_well(response.status().as_u16()), response.into_body());
                Spent { body, connection, connections, lease: Some(lease), began_well }.read(&client).await;
            }
            Err(failure) => {
                trial.failed(&failure.error);
                failure.tell(&client, (view.connections(lease.place()).way(), &lease), &Tried::default());
            }
        }
    }
}
