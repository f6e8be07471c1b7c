//! What a route says of a backend's answer before the client gets it: whether another backend is to be asked, and whether a
//! page is shown in its place.

use std::fmt::Display;

use hyper::Request;

use crate::balance::{Lease, Tried};
use crate::config::Treatment;
use crate::connect::Way;

use super::exchange::{Exchange, begins_well};
use super::own::Own;
use super::request_body::RequestBody;
use super::spent::Spent;
use super::treated::page;
use super::{Answer, Answered, Client};

/// A request that is sent once more.
pub(super) struct Again {
    pub(super) request: Request<RequestBody>,
    pub(super) lease: Lease,
}

impl Again {
    /// After an answer whose status counts as a failure, if more may be tried, the request can be repeated and there is
    /// another backend: or else the answer is better than none.
    pub(super) fn after(
        answered: &mut Answered,
        treatment: &Treatment,
        tried: Option<&mut Tried>,
        client: &Client,
        pick: impl FnOnce(&mut Tried) -> Option<Lease>,
    ) -> Option<Self> {
        let status = answered.response.status();
        let tried = tried.filter(|_| treatment.retry.statuses.contains(&status))?;
        let request = answered.connection.sent()?.map(|()| RequestBody::default());
        tried.add(&answered.lease);
        let lease = pick(tried)?;
        tell_of_next(client, answered.connections.way(), &format_args!("status {status}"));
        Some(Self { request, lease })
    }
}

/// Says that what came of a backend is not what the client gets, for there is another.
pub(super) fn tell_of_next(client: &Client, way: &Way, what: &dyn Display) {
    tracing::debug!("{}: {}: {what}; trying the next backend", client.address(), way.url.name());
}

/// The answer for the client.
pub(super) fn give(answered: Answered, treatment: &Treatment, exchange: &Exchange) -> Answer {
    let status = answered.response.status();
    match page(treatment, status) {
        Some(page) if !exchange.is_grpc() => {
            let headers = answered.response.headers().clone();
            answered.let_go(exchange.client());
            Answer::Own(Box::new(Own::page(status, headers, page)))
        }
        _ => Answer::Backend(answered),
    }
}

impl Answered {
    /// The client gets another answer. If it is still sending its request, nobody reads on, and that answer tells it that its
    /// connection ends.
    pub(super) fn let_go(self, client: &Client) {
        if client.is_uploading() {
            return;
        }
        let Self { response, connection, connections, lease, .. } = self;
        let (began_well, lease) = (begins_well(response.status().as_u16()), Some(lease));
        Spent { body: response.into_body(), connection, connections, lease, began_well }.let_go(client);
    }
}
