//! One request of the admin API: what it is for, and who answers it.

use std::rc::Rc;

use hyper::body::Incoming;
use hyper::header::{ACCEPT, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};

use crate::control::api::{Liveness, Readiness};
use crate::control::desk::Desk;
use crate::control::metrics::{self, Format};

use super::answer::{Answer, backend_tag, json, refuse, respond, revision_tag, tagged};
use super::refused::Refused;
use super::resource::Resource;
use super::sent::Sent;
use super::wish::Wish;
use super::{change, guard, openapi, view};

/// The answer to a request. hyper leaves out its body if the request is a HEAD.
pub(super) async fn answer(request: Request<Incoming>, desk: &Rc<Desk>) -> Answer {
    let (head, body) = request.into_parts();
    let mut sent = Sent::behind(&head.headers, body);
    let found = find(Request::from_parts(head, &mut sent), desk).await;
    sent.drain().await;
    found.unwrap_or_else(|refused| refuse(&refused))
}

async fn find(request: Request<&mut Sent>, desk: &Rc<Desk>) -> Result<Answer, Refused> {
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
    let revision = revision_tag(desk, desk.revision());
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
            let tag = backend_tag(desk, &backend);
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
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let why = match (ready, desk.takes_clients()) {
        (true, _) => "it takes clients",
        (false, true) => "a stop was asked for: it takes clients for a moment yet, send it no more",
        (false, false) => "it finishes running requests and takes no more clients",
    };
    json(status, &Readiness { ready, why: why.to_owned() })
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
}
