//! What a route makes of the answers to its requests.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};

use crate::config::{Action, Changes, ErrorPage, Treatment};
use crate::snapshot::Settings;

use super::affinity::Affinity;

/// A request's route, for when its answer is there.
#[derive(Debug)]
pub(super) struct Treated {
    settings: Arc<Settings>,
    route: usize,
    /// What tied the request to a backend before the route changed its head.
    affinity: Affinity,
    /// The cookie that keeps the client at its share.
    share: Option<HeaderValue>,
    /// The one that keeps it at its backend.
    home: Option<HeaderValue>,
}

impl Treated {
    /// By the route at this place.
    pub(super) fn by(settings: &Arc<Settings>, route: usize, share: Option<HeaderValue>) -> Self {
        let affinity = Affinity::default();
        Self { settings: Arc::clone(settings), route, affinity, share, home: None }
    }

    /// What ties the request to a backend, but for its key.
    pub(super) fn affinity(&self) -> Affinity {
        self.affinity
    }

    /// Notes that, while its head is as it came.
    pub(super) fn set_affinity(&mut self, affinity: Affinity) {
        self.affinity = affinity;
    }

    /// Makes the head of an answer, ours or a backend's, as the route wants it.
    pub(super) fn finish(&self, headers: &mut HeaderMap) {
        change(headers, &self.treatment().answer_headers);
    }

    /// Sees to it that the trailers of an answer do not say what its head may not.
    pub(super) fn finish_trailers(&self, trailers: &mut HeaderMap) {
        change_trailers(trailers, &self.treatment().answer_headers);
    }

    /// The client is to stay at the backend that answered, unless it would do so anyway.
    pub(super) fn stays_at(&mut self, cookie: Option<HeaderValue>) {
        self.home = cookie;
    }

    /// Tells a client that was served where it is to stay. What the route changes is not among it.
    pub(super) fn keep(&self, headers: &mut HeaderMap) {
        for cookie in [&self.home, &self.share].into_iter().flatten() {
            headers.append(SET_COOKIE, cookie.clone());
        }
    }

    /// What is shown in place of an answer of ours with this status.
    pub(super) fn page(&self, status: StatusCode) -> Option<&ErrorPage> {
        page(self.treatment(), status)
    }

    /// Tags that a backend must have.
    pub(super) fn tags(&self) -> &[(Arc<str>, Arc<str>)] {
        match &self.settings.config.routes[self.route].action {
            Action::Forward(split) => &split.tags,
            Action::Redirect { .. } | Action::Answer { .. } => &[],
        }
    }

    fn treatment(&self) -> &Treatment {
        &self.settings.config.routes[self.route].treatment
    }
}

/// What is shown in place of answers with this status.
pub(super) fn page(treatment: &Treatment, status: StatusCode) -> Option<&ErrorPage> {
    treatment.error_pages.iter().find(|page| page.statuses.contains(status))
}

/// Changes a head.
pub(super) fn change(headers: &mut HeaderMap, changes: &Changes) {
    for name in &changes.remove {
        headers.remove(name);
    }
    for (name, value) in &changes.set {
        headers.insert(name, value.clone());
    }
    for (name, value) in &changes.add {
        headers.append(name, value.clone());
    }
}

/// Takes what is removed from a head, or set there, out of the trailers that come behind it: whoever reads them may take them for
/// more lines of the head (RFC 9110 section 6.5.1).
pub(super) fn change_trailers(trailers: &mut HeaderMap, changes: &Changes) {
    for name in removed_or_set(changes) {
        trailers.remove(name);
    }
}

/// Whether the same is to be taken out of heads of interim answers, by the name of a line as it came.
pub(super) fn takes_out(changes: &Changes, name: &[u8]) -> bool {
    removed_or_set(changes).any(|changed| name.eq_ignore_ascii_case(changed.as_str().as_bytes()))
}

fn removed_or_set(changes: &Changes) -> impl Iterator<Item = &HeaderName> {
    changes.remove.iter().chain(changes.set.iter().map(|(name, _)| name))
}
