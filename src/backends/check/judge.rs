//! What the status of an answer says of a backend.

use std::time::Duration;

use hyper::StatusCode;

use crate::backends::Evidence;
use crate::config::{Checks, Scheme, as_written};
use crate::connect::Way;

/// What an answer with this status, after this time, tells.
pub(super) fn judge(status: StatusCode, after: Duration, settings: &Checks, way: &Way) -> Evidence {
    if settings.statuses.contains(status) {
        return Evidence::Answered(status, after);
    }
    let wanted = &settings.statuses;
    let wanted = match mended_by(status, settings, way) {
        Some(flag) if may_speak_tls(status, way) => {
            format!("{wanted}; see {}, or write https:// if it speaks TLS", as_written(flag))
        }
        Some(flag) => format!("{wanted}; see {}", as_written(flag)),
        None => wanted.to_string(),
    };
    Evidence::Unwanted(status, after, wanted.into())
}

/// Whether it may be one that speaks TLS and tells so in the clear.
fn may_speak_tls(status: StatusCode, way: &Way) -> bool {
    status == StatusCode::BAD_REQUEST && way.url.scheme == Scheme::Http && !way.is_told_the_client()
}

/// What makes a backend healthy that says this and can do its work, most likely.
fn mended_by(status: StatusCode, settings: &Checks, way: &Way) -> Option<&'static str> {
    match status {
        // Who does not expect a PROXY header takes it for the first line of a request.
        StatusCode::BAD_REQUEST if way.is_told_the_client() => Some("--backend-proxy-protocol"),
        // Who serves some hosts only says this of others.
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST
            if settings.host.is_none() =>
        {
            Some("--health-host")
        }
        StatusCode::NOT_FOUND => Some("--health-path"),
        // It says itself that it cannot.
        status if status.is_server_error() => None,
        _ => Some("--health-statuses"),
    }
}
