//! How a route's requests and their answers are treated.

use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;
use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use indexmap::IndexMap;

use super::Spot;
use super::access::rate;
use super::shared::{
    Pools, content_type, contents, header_name, header_value, host, is_fixed, is_of_ours, pool_named,
    status_range, status_within, template,
};
use crate::config::elsewhere::Means;
use crate::config::fault::{Fault, Mend, PoolFault, RouteFault};
use crate::config::file;
use crate::config::route::{Changes, ErrorPage, Mirror, Retry, Treatment};

/// Statuses that say that something went wrong.
const FAILURES: Range<u64> = 400..600;

pub(super) fn treatment(
    given: &file::Route,
    pools: &Pools,
    captures: Option<&[String]>,
    at: &Spot<'_>,
) -> Option<Treatment> {
    let rewrite = given.rewrite.as_ref().map(|text| rewrite(text, captures, &at.key("rewrite")));
    let host = given.set_host.as_ref().map(|text| host(text, &at.key("set_host")));
    let body_limit = given.body_size.map(|size| at.key("body_size").size(size.0, 1, u64::MAX));
    let request_headers = changes(&given.request_headers, in_place_of_line, &at.key("request_headers"));
    let answer_headers = changes(&given.answer_headers, in_place_of_answer_line, &at.key("answer_headers"));
    has_date(&given.answer_headers, &at.key("answer_headers").key("remove"));
    let retry = retry(&given.retry, &at.key("retry"));
    let rate = rate(given.rate.as_deref(), given.rate_burst, at);
    let mirror = given.mirror.as_ref().map(|mirror| self::mirror(mirror, given, pools, &at.key("mirror")));
    let error_pages = error_pages(&given.error_pages, &at.key("error_pages"));
    Some(Treatment {
        rewrite: rewrite.flatten(),
        host: host.flatten(),
        request_headers,
        answer_headers,
        response_timeout: given.response_timeout.map(|time| time.0),
        body_timeout: given.body_timeout.map(|time| time.0),
        body_limit: body_limit.flatten().and_then(NonZeroU64::new),
        retry: retry?,
        rate,
        mirror: mirror.flatten(),
        error_pages,
    })
}

fn rewrite(text: &str, captures: Option<&[String]>, at: &Spot<'_>) -> Option<Arc<str>> {
    if !is_of_ours(text, at) {
        return None;
    }
    let begins = text.starts_with('/') || text.starts_with('{');
    let fits = begins && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let fault = RouteFault::Target("write a path that begins with /, for example /new/{rest}");
    if !fits {
        at.wrong(text, fault.clone());
    }
    let text = template(text, captures, at).filter(|_| fits)?;
    // Of names only that of the path stands for something that begins so.
    let is_path = !text.starts_with('{') || text.starts_with("{path}");
    at.take(text.clone(), is_path.then_some(text).ok_or(fault))
}

/// What backends are told without being asked to.
fn in_place_of_line(means: Means) -> Mend {
    match means {
        Means::Client => Mend::Line("X-Forwarded-For has the client's address"),
        Means::Host => Mend::Line("Host and X-Forwarded-Host have the client's host"),
        Means::Scheme => Mend::Line("X-Forwarded-Proto has the client's scheme"),
        _ => in_place_of_answer_line(means),
    }
}

/// The same of clients.
fn in_place_of_answer_line(means: Means) -> Mend {
    match means {
        Means::Id => Mend::Line("the setting request_id names the line that has an id"),
        _ => Mend::Text,
    }
}

fn changes(given: &file::Changes, mend: fn(Means) -> Mend, at: &Spot<'_>) -> Changes {
    let list = at.key("remove");
    let remove = given.remove.iter().enumerate();
    let remove = remove.filter_map(|(index, text)| list.index(index).take(text, header_name(text)));
    Changes {
        remove: remove.collect(),
        set: lines(&given.set, mend, &at.key("set")),
        add: lines(&given.add, mend, &at.key("add")),
    }
}

/// hyper puts it back, as RFC 9110 section 6.6.1 asks of us.
fn has_date(given: &file::Changes, at: &Spot<'_>) {
    let date = given.remove.iter().position(|text| text.eq_ignore_ascii_case("date"));
    if let Some(index) = date {
        at.index(index).wrong(&given.remove[index], RouteFault::Date);
    }
}

fn lines(
    given: &IndexMap<String, String>,
    mend: fn(Means) -> Mend,
    at: &Spot<'_>,
) -> Vec<(HeaderName, HeaderValue)> {
    let line = |(name, text): (&String, &String)| {
        let at = at.key(name);
        let value = at.take(text, header_value(text).ok_or(RouteFault::HeaderValue));
        is_fixed(text, mend, &at);
        let name = header_name(name).map_err(|fault| at.wrong_key(name, fault)).ok();
        Some((name?, value?))
    };
    given.iter().filter_map(line).collect()
}

fn retry(given: &file::Retry, at: &Spot<'_>) -> Option<Retry> {
    let usual = Retry::default();
    let attempts = given.attempts.unwrap_or(usual.attempts.get().into());
    let attempts = at.key("attempts").between(attempts, 1, 10);
    let list = at.key("statuses");
    let statuses = given.statuses.iter().enumerate();
    let statuses = statuses.map(|(index, status)| list.index(index).take(status, failure(*status)));
    let statuses: Vec<_> = statuses.collect();
    Some(Retry {
        attempts: NonZeroU32::new(u32::try_from(attempts?).ok()?)?,
        statuses: statuses.into_iter().collect::<Option<_>>()?,
    })
}

fn failure(status: u64) -> Result<StatusCode, RouteFault> {
    status_within(FAILURES, status).ok_or(RouteFault::Status("400 to 599"))
}

fn mirror(given: &file::Mirror, route: &file::Route, pools: &Pools, at: &Spot<'_>) -> Option<Mirror> {
    let percent = at.key("percent").between(given.percent.unwrap_or(100), 1, 100);
    let Some(name) = &given.pool else {
        at.fault(PoolFault::Required("pool"));
        return None;
    };
    let at = at.key("pool");
    let pool = pool_named(name, pools, &at)?;
    if route.pool.as_ref() == Some(name) || route.pools.get(name).is_some_and(|weight| *weight > 0) {
        at.wrong(name, RouteFault::OwnMirror);
    }
    Some(Mirror { pool, percent: u8::try_from(percent?).ok()? })
}

fn error_pages(given: &IndexMap<String, file::ErrorPage>, at: &Spot<'_>) -> Vec<ErrorPage> {
    let mut pages = Vec::<(&str, ErrorPage)>::new();
    for (text, given) in given {
        let at = at.key(text);
        let page = error_page(given, &at);
        let Some(statuses) = status_range(text, FAILURES) else {
            let which = "one or two from 400 to 599, the lower one first, for example 404 or 502-504";
            at.wrong_key(text, RouteFault::of_status(text, which));
            continue;
        };
        let overlaps = |(_, page): &&(&str, ErrorPage)| page.statuses.overlaps(statuses);
        if let Some((other, _)) = pages.iter().find(overlaps) {
            at.wrong_key(text, RouteFault::Overlap((*other).to_owned()));
        }
        let page = page.map(|(content_type, body)| ErrorPage { statuses, content_type, body });
        pages.extend(page.map(|page| (text.as_str(), page)));
    }
    pages.into_iter().map(|(_, page)| page).collect()
}

/// The media type of a page, and the page.
fn error_page(given: &file::ErrorPage, at: &Spot<'_>) -> Option<(HeaderValue, Bytes)> {
    let content_type = content_type(given.content_type.as_deref(), "text/html; charset=utf-8", at);
    let body = match (&given.file, &given.body) {
        (Some(name), Some(_)) => {
            at.key("body").fault(Fault::Both("file"));
            contents(name, &at.key("file"))
        }
        (Some(name), None) => contents(name, &at.key("file")),
        (None, Some(body)) => Some(body.clone().into_bytes()),
        (None, None) => {
            at.fault(RouteFault::NoPage);
            None
        }
    };
    Some((content_type?, body?.into()))
}
