//! Why a request of the admin API is refused, and how that is told.

use hyper::StatusCode;

use crate::config::{Address, BackendUrl, Problems};
use crate::control::api::{Problem, ProblemKind};
use crate::control::desk::{Refusal, Unfit};

use super::resource::Resource;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the request needs exactly one Host (RFC 9112, section 3.2)")]
    NoHost,
    #[error(
        "{host} is not a name of this machine, and no token is asked for: use localhost or {address}, so that no page of another site can come here by a name of its own"
    )]
    Host { host: String, address: Address },
    #[error("it comes from a page of {0}, which may not use this API")]
    Origin(String),
    #[error(
        "a token is needed: send `Authorization: Bearer TOKEN`, or name its file with --admin-token-file"
    )]
    NoToken,
    #[error("the token is not the one of --admin-token-file")]
    WrongToken,
    #[error("there is nothing at {0}; /api/v1/openapi.json says what there is")]
    NoResource(String),
    #[error("there is no pool {name}; {}/api/v1/pools shows all", meant(.nearest))]
    NoPool { name: String, nearest: Option<String> },
    #[error("there is no backend {address} in pool {pool}; {}/api/v1/pools/{pool} shows all", whole(.address))]
    NoBackend { pool: String, address: String },
    #[error("that cannot be done here; use {}", methods(.0))]
    Method(Resource),
    #[error("the answer is application/json, which `Accept` does not allow")]
    NotAcceptable,
    #[error("a body of {0} is needed, and `Content-Type` must say so")]
    MediaType(&'static str),
    #[error(
        "the body is empty, which would put the defaults in force in place of all that is; send {{}} as JSON if you mean it"
    )]
    Empty,
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    #[error("settings of other callers are still being read or tried; try again")]
    Busy,
    #[error("the body did not come to its end in time")]
    Slow,
    #[error("the connection broke off amid the body")]
    Broken,
    #[error("the body is not JSON: {0}")]
    NotJson(serde_json::Error),
    #[error("the body cannot be done: {0}")]
    Body(serde_json::Error),
    #[error("query parameter {name}: not known; {}", list(.known))]
    Parameter { name: String, known: &'static [&'static str] },
    #[error("dry_run {0}: not known; write 1, 0, true or false")]
    DryRun(String),
    #[error("confirm {0}: not a time from 1s to 1h; write for example 60s")]
    Confirm(String),
    #[error("others have changed it: it is {now} now, not {wanted}; look at it again")]
    Outdated { now: String, wanted: String },
    #[error("{0}")]
    Settings(#[from] Problems),
    #[error("{0}")]
    Unfit(Unfit),
    #[error("{0}; start the program with --config to change its settings while it runs")]
    BuiltIn(Refusal),
    #[error("{0}")]
    Stopping(Refusal),
}

fn whole(address: &str) -> &'static str {
    match BackendUrl::lacks_folder(address) {
        true => "a socket is named by its whole path, as in unix:%2Frun%2Fapp.sock; ",
        false => "",
    }
}

fn meant(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |nearest| format!("did you mean {nearest}? "))
}

pub(super) fn methods(resource: &Resource) -> String {
    resource.methods().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn list(parameters: &[&str]) -> String {
    match parameters {
        [] => "this takes none".to_owned(),
        all => format!("use {}", all.join(", ")),
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Settings(problems) => Self::Settings(problems),
            Refusal::Unfit(error) => Self::Unfit(error),
            Refusal::BuiltIn => Self::BuiltIn(refusal),
            Refusal::Stopping | Refusal::Replaced(_) => Self::Stopping(refusal),
        }
    }
}

impl From<serde_json::Error> for Refused {
    fn from(error: serde_json::Error) -> Self {
        if error.is_data() { Self::Body(error) } else { Self::NotJson(error) }
    }
}

impl Refused {
    /// The status of the answer, and which kind of problem it is. The table in docs/admin-api.md is made from this one.
    #[rustfmt::skip]
    fn row(&self) -> (StatusCode, ProblemKind, &'static str) {
        match self {
            Self::NoHost | Self::Broken | Self::NotJson(_) | Self::Parameter { .. } | Self::DryRun(_) | Self::Confirm(_)
                => (StatusCode::BAD_REQUEST, ProblemKind::BadRequest, "the request makes no sense"),
            Self::NoToken | Self::WrongToken
                => (StatusCode::UNAUTHORIZED, ProblemKind::Unauthorized, "the token is missing or wrong"),
            Self::Host { .. } | Self::Origin(_)
                => (StatusCode::FORBIDDEN, ProblemKind::ForeignSite, "it comes from another site"),
            Self::NoResource(_) | Self::NoPool { .. } | Self::NoBackend { .. }
                => (StatusCode::NOT_FOUND, ProblemKind::NotFound, "there is nothing of this name"),
            Self::Method(_)
                => (StatusCode::METHOD_NOT_ALLOWED, ProblemKind::Method, "that cannot be done with it"),
            Self::NotAcceptable
                => (StatusCode::NOT_ACCEPTABLE, ProblemKind::NotAcceptable, "the answer would not be accepted"),
            Self::Slow
                => (StatusCode::REQUEST_TIMEOUT, ProblemKind::Timeout, "the body took too long"),
            Self::Unfit(_) | Self::BuiltIn(_)
                => (StatusCode::CONFLICT, ProblemKind::Unfit, "the settings do not fit here and now"),
            Self::Outdated { .. }
                => (StatusCode::PRECONDITION_FAILED, ProblemKind::Outdated, "others have changed it"),
            Self::TooLarge(_)
                => (StatusCode::PAYLOAD_TOO_LARGE, ProblemKind::TooLarge, "the body is too large"),
            Self::MediaType(_)
                => (StatusCode::UNSUPPORTED_MEDIA_TYPE, ProblemKind::MediaType, "the body is of the wrong type"),
            Self::Body(_) | Self::Empty
                => (StatusCode::UNPROCESSABLE_ENTITY, ProblemKind::Body, "the body cannot be done"),
            Self::Settings(_)
                => (StatusCode::UNPROCESSABLE_ENTITY, ProblemKind::Settings, "the settings make no sense"),
            Self::Busy
                => (StatusCode::SERVICE_UNAVAILABLE, ProblemKind::Busy, "others bring settings"),
            Self::Stopping(_)
                => (StatusCode::SERVICE_UNAVAILABLE, ProblemKind::Stopping, "the program is about to end"),
        }
    }

    /// The status of the answer, and what it says.
    pub(super) fn problem(&self) -> (StatusCode, Problem) {
        let (status, kind, title) = self.row();
        let (errors, more) = match self {
            Self::Settings(problems) => (problems.all().to_vec(), problems.has_more()),
            _ => (Vec::new(), false),
        };
        let (title, detail) = (title.to_owned(), self.to_string());
        (status, Problem { kind, title, status: status.as_u16(), detail, errors, more })
    }
}
