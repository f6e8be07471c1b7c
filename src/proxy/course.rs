//! Which way a request takes: its route, and what that makes of it.

use std::num::NonZeroU64;
use std::rc::Rc;

use hyper::body::Body as _;
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Uri};

use crate::balance::{Lease, NoPick, Pool, Tags, Tried};
use crate::config::{Action, Changes, Treatment};
use crate::connect::Provenance;
use crate::route::{self, LeadsOut, Missed, Routes};
use crate::snapshot::Snapshot;

use super::affinity::Affinity;
use super::exchange::Exchange;
use super::forward::Asked;
use super::forwarded::over_tls;
use super::own::Own;
use super::request_body::RequestBody;
use super::shared::View;
use super::treated::{Treated, change};
use super::{Client, Error, mirror, reach, split};

/// Backends that may see a request before we give up, unless its route says otherwise: one that kills its backend must not
/// kill them all.
const MOST_SENDS: u32 = 3;

/// What is done with a request.
pub(super) enum Course<'v> {
    /// It goes to a backend.
    Forward(Forward<'v>),
    /// We answer it ourselves.
    Answer(Box<Own>),
}

/// How a request is forwarded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forward<'v> {
    /// The place of its pool.
    pub(super) pool: usize,
    /// Only backends with these tags.
    pub(super) tags: &'v Tags,
    /// Backends that may see it.
    pub(super) most_sends: u32,
    /// What its route says of answers by their status, if anything.
    pub(super) treatment: Option<&'v Treatment>,
}

impl Forward<'_> {
    /// Its pool, or the part of it that has the tags.
    pub(super) fn pool<'s>(&self, snapshot: &'s Snapshot) -> &'s Pool {
        snapshot.pools[self.pool].within(self.tags)
    }

    /// What ties the request to one of its backends. A route has noted it before it changed the head.
    pub(super) fn affinity(
        &self,
        request: &Request<RequestBody>,
        client: &Client,
        view: &View,
        exchange: &Exchange,
    ) -> Affinity {
        let pool = self.pool(&view.snapshot);
        let tied = exchange.treated().map(Treated::affinity);
        let tied = tied.unwrap_or_else(|| Affinity::of(request.headers(), client, pool));
        tied.with_key(request, client, pool)
    }

    /// Lets the pool choose a backend that was not tried, for a request of this affinity.
    #[inline]
    pub(super) fn pick(
        &self,
        affinity: &Affinity,
        client: &Client,
        view: &View,
        tried: &Tried,
    ) -> Result<Lease, NoPick> {
        let ask = affinity.ask(client, view.turn(self.pool, self.tags));
        self.pool(&view.snapshot).pick(&ask, tried)
    }

    /// The same after an attempt that may have waited for long: what is known by now decides who is next.
    #[cold]
    pub(super) fn pick_again(
        &self,
        affinity: &Affinity,
        client: &Client,
        view: &mut Rc<View>,
        tried: &mut Tried,
    ) -> Result<Lease, NoPick> {
        let newest = client.shared.view();
        if newest.snapshot.has_settings_of(&view.snapshot) {
            *view = newest;
            return self.pick(affinity, client, view, tried);
        }
        pick_as_before(&newest, tried, |tried| self.pick(affinity, client, view, tried))
    }
}

/// Picks by settings that are no longer in force: other pools may be in the places of those, but what became of a backend is
/// known now.
pub(super) fn pick_as_before(
    now: &View,
    tried: &mut Tried,
    pick: impl Fn(&Tried) -> Result<Lease, NoPick>,
) -> Result<Lease, NoPick> {
    loop {
        let lease = pick(tried)?;
        if now.snapshot.sends_to(lease.backend()) {
            return Ok(lease);
        }
        tried.add(&lease);
    }
}

/// Finds a request's route and does to its head what that says.
pub(super) fn find<'v>(
    client: &Rc<Client>,
    view: &'v Rc<View>,
    request: &mut Request<RequestBody>,
    provenance: &Provenance,
    asked: Asked,
    exchange: &mut Exchange,
) -> Result<Course<'v>, Error> {
    if let Some(id) = exchange.id() {
        id.add_to_request(request.headers_mut());
    }
    let settings = &view.snapshot.settings;
    let (route, target) = match settings.routes.only() {
        Some(route) => (route, Ok(None)),
        None => look_up(&settings.routes, client, request, &provenance.host)?,
    };
    exchange.takes(&settings.config, route);
    let Some(pool) = settings.plain_pool(route) else {
        return treat(client, view, request, asked, exchange, (route, target));
    };
    if reach::ends(request)? {
        return Ok(Course::Answer(Box::new(Own::methods())));
    }
    exchange.goes_to(&settings.config, pool);
    check_size(request, client.shared.body_limit())?;
    Ok(Course::Forward(Forward { pool, tags: &[], most_sends: MOST_SENDS, treatment: None }))
}

/// The place of a request's route, and what that makes of its target.
fn look_up(
    routes: &Routes,
    client: &Client,
    request: &Request<RequestBody>,
    host: &HeaderValue,
) -> Result<(usize, Result<Option<String>, LeadsOut>), Error> {
    let asked = route::Asked {
        host: host.to_str().unwrap_or_default(),
        path: request.uri().path(),
        query: request.uri().query(),
        method: request.method(),
        headers: request.headers(),
        client: client.ip(),
        listener: Some(client.listener_id()),
    };
    let found = routes.find(&asked)?;
    Ok((found.route, routes.expand(&found, &asked)))
}

/// What a route that says more than where requests go makes of one.
#[cold]
fn treat<'v>(
    client: &Rc<Client>,
    view: &'v Rc<View>,
    request: &mut Request<RequestBody>,
    asked: Asked,
    exchange: &mut Exchange,
    (place, target): (usize, Result<Option<String>, LeadsOut>),
) -> Result<Course<'v>, Error> {
    let settings = &view.snapshot.settings;
    let route = &settings.config.routes[place];
    let treatment = &route.treatment;
    exchange.treat(Treated::by(settings, place, None));
    if treatment.rate.is_some() {
        client.shared.check_rate(&route.name, client.ip())?;
    }
    let target = target?;
    client.set_own_deadlines(treatment);
    let limit = treatment.body_limit.map(NonZeroU64::get).or(client.shared.body_limit());
    check_size(request, limit)?;
    let split = match &route.action {
        Action::Forward(split) => split,
        Action::Redirect { status, .. } => {
            let target = target.expect("a redirect is compiled to a text");
            return Ok(Course::Answer(Box::new(Own::redirect(*status, target))));
        }
        // It would be taken for agreement, and what follows for a tunnel.
        Action::Answer { status, .. } if asked.extended_connect && status.is_success() => {
            return Err(Error::NoRoute);
        }
        Action::Answer { status, content_type, body } => {
            return Ok(Course::Answer(Box::new(Own::text(*status, content_type, body))));
        }
    };
    if reach::ends(request)? {
        return Ok(Course::Answer(Box::new(Own::methods())));
    }
    let chosen = split::choose(split, &settings.config.pools, request.headers(), fastrand::u64);
    if let Some(cookie) = chosen.cookie(over_tls(request.headers(), client.listener().tls)) {
        exchange.treat(Treated::by(settings, place, Some(cookie)));
    }
    let pool = chosen.pool;
    exchange.goes_to(&settings.config, pool);
    request.body_mut().allow(limit);
    let chosen_from = view.snapshot.pools[pool].within(&split.tags);
    exchange.is_tied(Affinity::of(request.headers(), client, chosen_from));
    change_head(request, target, treatment)?;
    let Changes { remove, set, .. } = &treatment.request_headers;
    if !remove.is_empty() || !set.is_empty() {
        request.body_mut().is_changed_by(settings, place);
    }
    let Changes { remove, set, .. } = &treatment.answer_headers;
    if asked.takes_interim && (!remove.is_empty() || !set.is_empty()) {
        client.is_treated_by(settings, place);
    }
    if let Some(settings) = &treatment.mirror {
        mirror::begin(settings, client, view, request, asked);
    }
    let judges = !treatment.retry.statuses.is_empty() || !treatment.error_pages.is_empty();
    let most_sends = treatment.retry.attempts.get();
    Ok(Course::Forward(Forward {
        pool,
        tags: &split.tags,
        most_sends,
        treatment: judges.then_some(treatment),
    }))
}

fn change_head(
    request: &mut Request<RequestBody>,
    target: Option<String>,
    treatment: &Treatment,
) -> Result<(), Error> {
    if let Some(target) = target {
        let target = PathAndQuery::try_from(target).map_err(|_| Error::TargetTooLong)?;
        *request.uri_mut() = Uri::from(target);
    }
    if let Some(host) = &treatment.host {
        request.headers_mut().insert(HOST, host.clone());
    }
    change(request.headers_mut(), &treatment.request_headers);
    Ok(())
}

fn check_size(request: &Request<RequestBody>, limit: Option<u64>) -> Result<(), Error> {
    match (limit, request.body().size_hint().exact()) {
        (Some(limit), Some(size)) if size > limit => Err(Error::BodyTooLarge),
        _ => Ok(()),
    }
}

impl From<Missed> for Error {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::NoRoute => Self::NoRoute,
            Missed::TwoReadings => {
                Self::Malformed("its path can be read in two ways, which lead to different routes")
            }
        }
    }
}

impl From<LeadsOut> for Error {
    fn from(_: LeadsOut) -> Self {
        Self::Malformed("its path could lead out of where its route's rewrite puts it")
    }
}
