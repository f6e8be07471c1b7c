//! One request of the admin API and its answer.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;

use crate::config::{CONFIRM_TIMES, parse_duration};
use crate::control::api::{Liveness, Readiness};
use crate::control::desk::Desk;
use crate::control::metrics::{self, Format};

use super::refused::{self, Refused};
use super::resource::Resource;
use super::{change, guard, openapi, view};

/// An answer of the admin API: small, and made before it is sent.
pub(super) type Answer = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The answer to a request. hyper leaves out its body if the request is a HEAD.
pub(super) async fn to(request: Request<Incoming>, desk: &Rc<Desk>) -> Answer {
    find(request, desk).await.unwrap_or_else(|refused| refuse(&refused))
}

async fn find(request: Request<Incoming>, desk: &Rc<Desk>) -> Result<Answer, Refused> {
    let resource = Resource::at(request.uri().path());
    if !resource.as_ref().is_some_and(Resource::is_open) {
        guard::admit(&request, desk.config().admin.as_ref())?;
        if resource.as_ref().is_none_or(Resource::is_json) {
            check_accept(request.headers())?;
        }
    }
    let missing = || Refused::NoResource(request.uri().path().to_owned());
    let resource = resource.ok_or_else(missing)?;
    if !resource.methods().contains(request.method()) {
        return Err(Refused::Method(resource));
    }
    let wish = Wish::of(&request, &resource)?;
    Ok(match (resource, request.method()) {
        (Resource::Backend(pool, address), &Method::PATCH) => {
            change::patch_backend(request, desk, &pool, &address).await?
        }
        (Resource::Config, &Method::POST) => change::put_config(request, desk, wish).await?,
        (Resource::Reload, _) => change::reload(request, desk, wish).await?,
        (Resource::Plan, _) => change::plan(request, desk).await?,
        (Resource::Metrics, _) => measured(request.headers(), desk).await,
        (resource, _) => look(&resource, desk)?,
    })
}

fn look(resource: &Resource, desk: &Desk) -> Result<Answer, Refused> {
    let revision = revision_tag(desk.revision());
    Ok(match resource {
        Resource::Live => json(StatusCode::OK, &Liveness { live: true }),
        Resource::Ready => readiness(desk),
        Resource::OpenApi => json(StatusCode::OK, &openapi::document()),
        Resource::Version => json(StatusCode::OK, &view::version()),
        Resource::Overview => json(StatusCode::OK, &view::overview(desk)),
        Resource::Listeners => tagged(json(StatusCode::OK, &view::listeners(desk)), &revision),
        Resource::Routes => tagged(json(StatusCode::OK, &view::routes(desk)), &revision),
        Resource::Pools => json(StatusCode::OK, &view::pools(desk)),
        Resource::Pool(name) => json(StatusCode::OK, &view::pool(desk, name)?),
        Resource::Backends => json(StatusCode::OK, &view::backends(desk)),
        Resource::Backend(pool, address) => {
            let backend = view::find(desk, pool, address)?;
            let tag = backend_tag(desk.revision(), &backend);
            tagged(json(StatusCode::OK, &view::backend(desk, &backend)), &tag)
        }
        Resource::Config => tagged(json(StatusCode::OK, &view::config(desk)), &revision),
        Resource::Overrides => json(StatusCode::OK, &view::overrides(desk)),
        Resource::Confirmation => json(StatusCode::OK, &view::confirmation(desk)),
        Resource::Reload | Resource::Plan | Resource::Metrics => {
            return Err(Refused::Method(resource.clone()));
        }
    })
}

/// What was counted, as OpenMetrics for those who take it, and otherwise as Prometheus wrote it before.
async fn measured(headers: &HeaderMap, desk: &Desk) -> Answer {
    let mut lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let format = match lines.any(|line| line.contains("application/openmetrics-text")) {
        true => Format::OpenMetrics,
        false => Format::Prometheus,
    };
    respond(StatusCode::OK, HeaderValue::from_static(format.media_type()), metrics::write(desk, format).await)
}

fn readiness(desk: &Desk) -> Answer {
    let ready = !desk.is_stopping();
    let (status, why) = if ready {
        (StatusCode::OK, "it takes clients")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "it finishes running requests and takes no more clients")
    };
    json(status, &Readiness { ready, why: why.to_owned() })
}

/// What tells the settings in force from others.
pub(super) fn revision_tag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// What tells a backend from what others make of it: the settings in force, and what operators said.
pub(super) fn backend_tag(revision: u64, backend: &crate::backends::Backend) -> String {
    let hold = backend.hold.map_or(String::new(), |hold| format!("-{hold}"));
    let weight = backend.weight.map_or(String::new(), |weight| format!("-{weight}"));
    format!("\"{revision}{hold}{weight}\"")
}

/// An answer with a JSON body.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    respond(status, JSON, in_json(value))
}

/// The same with an entity tag (RFC 9110, section 8.8.3).
pub(super) fn tagged(mut answer: Answer, tag: &str) -> Answer {
    let tag = HeaderValue::from_str(tag).expect("a tag is of letters and digits");
    answer.headers_mut().insert(ETAG, tag);
    answer
}

fn in_json(value: &impl Serialize) -> Vec<u8> {
    let mut body = serde_json::to_vec_pretty(value).expect("what is shown has names for keys");
    body.push(b'\n');
    body
}

fn respond(status: StatusCode, media_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn refuse(refused: &Refused) -> Answer {
    let (status, problem) = refused.problem();
    let mut answer = respond(status, PROBLEM, in_json(&problem));
    let headers = answer.headers_mut();
    match refused {
        Refused::Method(resource) => {
            let allowed = refused::methods(resource);
            headers.insert(ALLOW, HeaderValue::from_str(&allowed).expect("methods are words"));
        }
        Refused::NoToken => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"loadbalancer\""));
        }
        // RFC 6750, section 3.1.
        Refused::WrongToken => {
            let wrong = "Bearer realm=\"loadbalancer\", error=\"invalid_token\"";
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(wrong));
        }
        _ => {}
    }
    answer
}

/// Refuses a request that does not take JSON (RFC 9110, section 12.5.1).
fn check_accept(headers: &HeaderMap) -> Result<(), Refused> {
    let mut lines = headers.get_all(ACCEPT).iter().peekable();
    if lines.peek().is_none() {
        return Ok(());
    }
    let ranges = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    // Of several ranges that hold for JSON, the most specific one counts.
    let holding = ranges.filter_map(|range| {
        let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
        let places = ["*/*", "application/*", "application/json"];
        let specific = places.iter().position(|place| name.trim().eq_ignore_ascii_case(place))?;
        Some((specific, !is_zero(parameters)))
    });
    match holding.max_by_key(|(specific, _)| *specific) {
        Some((_, true)) => Ok(()),
        _ => Err(Refused::NotAcceptable),
    }
}

fn is_zero(parameters: &str) -> bool {
    let weight = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
    weight.is_some_and(|weight| weight.parse() == Ok(0.0))
}

/// How a change is to be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// It is only to be found out whether it could be done.
    pub(super) dry_run: bool,
    /// It is to be watched for so long, and taken back if things get worse.
    pub(super) confirm: Option<Duration>,
}

impl Wish {
    /// What the query says. Unknown parameters are refused: one that is misspelt would put settings in force.
    fn of<B>(request: &Request<B>, resource: &Resource) -> Result<Self, Refused> {
        let known = resource.parameters(request.method());
        let mut wish = Self::default();
        let query = request.uri().query().unwrap_or_default();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                name if !known.contains(&name) => {
                    return Err(Refused::Parameter { name: name.to_owned(), known });
                }
                "confirm" => wish.confirm = Some(confirm(value)?),
                _ => wish.dry_run = dry_run(value)?,
            }
        }
        Ok(wish)
    }
}

fn dry_run(value: &str) -> Result<bool, Refused> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        other => Err(Refused::DryRun(other.to_owned())),
    }
}

fn confirm(value: &str) -> Result<Duration, Refused> {
    let refused = || Refused::Confirm(value.to_owned());
    let time = parse_duration(value).map_err(|_| refused())?;
    if CONFIRM_TIMES.contains(&time) { Ok(time) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_sent_to_those_who_take_it() {
        let accepts = |line: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(line))]);
            check_accept(&headers).is_ok()
        };
        assert!(check_accept(&HeaderMap::new()).is_ok());
        for line in
            ["*/*", "application/json", "text/html, application/*;q=0.1", "Application/JSON;charset=utf-8"]
        {
            assert!(accepts(line), "{line}");
        }
        for line in
            ["text/html", "application/json;q=0", "application/json;q=0, */*", "application/jsonx", ""]
        {
            assert!(!accepts(line), "{line}");
        }
    }

    #[test]
    fn a_trial_is_asked_for_by_one_parameter_and_a_misspelt_one_is_refused() {
        let asked = |query: &str| {
            let request = Request::post(format!("/api/v1/config{query}")).body(()).unwrap();
            Wish::of(&request, &Resource::Config).map(|wish| wish.dry_run)
        };
        assert_eq!((asked("").ok(), asked("?dry_run=1").ok()), (Some(false), Some(true)));
        assert!(matches!(asked("?dryrun=1"), Err(Refused::Parameter { .. })));
        assert!(matches!(asked("?dry_run"), Err(Refused::DryRun(_))));
        for wrong in ["60", "0s", "2h", ""] {
            assert!(matches!(asked(&format!("?confirm={wrong}")), Err(Refused::Confirm(_))), "{wrong}");
        }
        assert_eq!(asked("?confirm=60s").ok(), Some(false));
    }
}
