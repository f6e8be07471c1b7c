//! What is done with a route's requests.

use hyper::StatusCode;

use super::Spot;
use super::pool::{cookie, tags};
use super::shared::{
    Pools, content_type, header_value, is_fixed, is_of_ours, pool_named, status_within, template,
    unknown_pool,
};
use crate::config::elsewhere;
use crate::config::fault::{Mend, RouteFault};
use crate::config::file;
use crate::config::pool::MOST_WEIGHT;
use crate::config::route::{Action, Share, Split};

const REDIRECTS: [u64; 5] = [301, 302, 303, 307, 308];

pub(super) fn action(
    given: &file::Route,
    pools: &Pools,
    captures: Option<&[String]>,
    at: &Spot<'_>,
) -> Option<Action> {
    let actions = [
        ("pool", given.pool.is_some()),
        ("pools", !given.pools.is_empty()),
        ("redirect", given.redirect.is_some()),
        ("answer", given.answer.is_some()),
    ];
    let mut actions = actions.into_iter().filter(|(_, given)| *given).map(|(key, _)| key);
    let first = actions.next();
    if first.is_none() {
        at.fault(RouteFault::NoAction);
    }
    let others: Vec<_> = actions.collect();
    for other in &others {
        at.key(other).fault(RouteFault::TwoActions(first.unwrap_or_default()));
    }
    // Whichever of them is kept, it has to make sense.
    let status = redirect_status(given.redirect_status, at);
    let redirect = given.redirect.as_ref().map(|to| redirect(to, status, captures, &at.key("redirect")));
    let answer = given.answer.as_ref().map(|answer| self::answer(answer, &at.key("answer")));
    let forward = forward(given, pools, at).map(Action::Forward);
    redirect.or(answer).unwrap_or(forward).filter(|_| first.is_some() && others.is_empty())
}

/// The place of a pool among all, by a name that is a key.
fn pool_of_key(name: &str, pools: &Pools, at: &Spot<'_>) -> Option<usize> {
    let found = pools.get_index_of(name);
    if found.is_none() && !at.is_told_enough() {
        at.wrong_key(name, unknown_pool(name, pools));
    }
    found
}

fn forward(given: &file::Route, pools: &Pools, at: &Spot<'_>) -> Option<Split> {
    let mut shares = Vec::new();
    if let Some(name) = &given.pool {
        shares.push(pool_named(name, pools, &at.key("pool")).map(|pool| Share { pool, weight: 1 }));
    }
    let list = at.key("pools");
    for (name, weight) in &given.pools {
        let at = list.key(name);
        let weight = at.between(*weight, 0, MOST_WEIGHT.into()).and_then(|weight| u32::try_from(weight).ok());
        shares.push(pool_of_key(name, pools, &at).zip(weight).map(|(pool, weight)| Share { pool, weight }));
    }
    if !given.pools.is_empty() && given.pools.values().all(|weight| *weight == 0) {
        list.fault(RouteFault::NoWeight);
    }
    for name in given.pools.keys().filter(|name| given.split_cookie.is_some() && !is_cookie_value(name)) {
        list.key(name).wrong_key(name, RouteFault::NoCookieValue);
    }
    let cookie = given.split_cookie.as_ref().map(|name| cookie(name, &at.key("split_cookie")));
    // Each would overwrite what the other knows a client by. Among backends with tags the pool's has another name.
    if let Some(name) = given.split_cookie.as_ref().filter(|_| given.tags.is_empty()) {
        let targets = given.pool.iter().chain(given.pools.keys());
        let sticky = targets.filter_map(|pool| pools.get(pool)?.sticky.as_ref()?.cookie.as_ref());
        if sticky.into_iter().any(|cookie| cookie == name) {
            at.key("split_cookie").wrong(name, RouteFault::OneCookie);
        }
    }
    Some(Split {
        shares: shares.into_iter().collect::<Option<_>>()?,
        cookie: cookie.flatten(),
        tags: tags(&given.tags),
    })
}

/// RFC 6265, section 4.1.1.
fn is_cookie_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte))
}

fn redirect_status(given: Option<u64>, at: &Spot<'_>) -> Option<StatusCode> {
    let code = given.unwrap_or(308);
    if !REDIRECTS.contains(&code) {
        at.key("redirect_status").wrong(code, RouteFault::Status("301, 302, 303, 307 or 308"));
        return None;
    }
    status_within(300..400, code)
}

fn redirect(
    to: &str,
    status: Option<StatusCode>,
    captures: Option<&[String]>,
    at: &Spot<'_>,
) -> Option<Action> {
    if !is_of_ours(to, at) {
        return None;
    }
    let begins = ["http://", "https://", "/", "{"].iter().any(|start| to.starts_with(start));
    let fits = begins && header_value(to).is_some();
    let fault = RouteFault::Target("write https://HOST/PATH or /PATH, for example https://{host}{path}");
    if !fits {
        at.wrong(to, fault.clone());
    }
    let to = template(to, captures, at).filter(|_| fits)?;
    // Of names only that of the path stands for something that begins so.
    let is_target = !to.starts_with('{') || to.starts_with("{path}");
    let to = at.take(to.clone(), is_target.then_some(to).ok_or(fault));
    Some(Action::Redirect { status: status?, to: to? })
}

fn answer(given: &file::Answer, at: &Spot<'_>) -> Option<Action> {
    let status = given.status.unwrap_or(200);
    let body = given.body.as_deref().unwrap_or_default();
    let code = status_within(200..600, status).ok_or(RouteFault::Status("200 to 599"));
    let code = at.key("status").take(status, code);
    if [204, 205, 304].contains(&status) && !body.is_empty() {
        at.key("body").fault(RouteFault::NoBody);
    }
    // A page may speak of variables. One that is nothing else was to be filled in.
    let word = body.trim();
    if elsewhere::of_texts(word).next().is_some_and(|found| found.word == word) {
        is_fixed(word, |_| Mend::Text, &at.key("body"));
    }
    let content_type = content_type(given.content_type.as_deref(), "text/plain; charset=utf-8", at);
    Some(Action::Answer { status: code?, content_type: content_type?, body: body.to_owned().into() })
}
