//! Where requests go before and after, and whether that is elsewhere.

use std::collections::HashMap;
use std::sync::Arc;

use hyper::header::{HOST, HeaderValue};
use hyper::{StatusCode, Uri};

use crate::config::{self, Action, BackendUrl, Config, ListenerId, Split, Written};
use crate::connect::X_FORWARDED_PROTO;
use crate::control::api::{Elsewhere, Requests};
use crate::route::{Asked, Missed, Routes};
use crate::telemetry::Seen;

use super::{Known, told_by_sources};

/// Kinds of requests that are shown of those that would go elsewhere.
const MOST_EXAMPLES: usize = 20;
/// Characters that are shown of a path.
const MOST_SHOWN: usize = 200;
const TWO_READINGS: &str = "refused: its path can be read in two ways";
const LEADS_OUT: &str = "refused: its path could lead out of its rewrite";
const REPLACED: &str = ", none of whose backends is one of before";

/// Which of the requests would go elsewhere.
/// The settings in force are `now`, and `written` says how they and the others were written.
pub(super) fn requests(
    (now, then): (&Config, &Config),
    written: (Written<'_>, Written<'_>),
    known: &Known,
    recent: &[Seen],
) -> Requests {
    let compiled = |config: &Config| Routes::compile(&config.routes);
    let (Ok(routes), Ok(others)) = (compiled(now), compiled(then)) else {
        return Requests { looked_at: 0, elsewhere: 0, examples: Vec::new() };
    };
    let (mut pairs, by_name) = (HashMap::new(), now.pools_by_name());
    let mut moves: HashMap<(String, String), (Part, u64, String)> = HashMap::new();
    for seen in recent {
        let (from, to) = (Place::of(seen, &routes, now), Place::of(seen, &others, then));
        let pair = || {
            let sides = ((now, from.route), (then, to.route));
            (are_replaced(sides.0, sides.1, (known, &by_name)), part_of_shares(sides.0, sides.1))
        };
        let (is_replaced, part) = *pairs.entry((from.route, to.route)).or_insert_with(pair);
        let part = match part {
            Some(part) if from.arrival == to.arrival && !is_replaced => part,
            None if (&from.what, &from.arrival) == (&to.what, &to.arrival) && !is_replaced => Part::NONE,
            _ => Part::ALL,
        };
        if part != Part::NONE {
            let more = if is_replaced { REPLACED } else { "" };
            let (from, to) = (from.in_words(now, written.0, ""), to.in_words(then, written.1, more));
            let path = seen.target.split('?').next().unwrap_or_default();
            // What a client may write, no terminal is to follow.
            let path: String = path.chars().take(MOST_SHOWN).map(harmless).collect();
            let example = || (part, 0, format!("{} {path}", seen.method));
            moves.entry((from, to)).or_insert_with(example).1 += 1;
        }
    }
    let mut examples: Vec<_> = moves
        .into_iter()
        .map(|((from, to), (part, count, example))| Elsewhere { from, to, count: part.of(count), example })
        .collect();
    let elsewhere = examples.iter().map(|example| example.count).sum();
    examples
        .sort_by(|one, other| (other.count, &one.from, &one.to).cmp(&(one.count, &other.from, &other.to)));
    examples.truncate(MOST_EXAMPLES);
    Requests { looked_at: recent.len(), elsewhere, examples }
}

/// A letter of a path as it may be printed.
fn harmless(letter: char) -> String {
    if letter.is_ascii_graphic() { letter.into() } else { letter.escape_default().collect() }
}

/// A part of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    of: u128,
    all: u128,
}

impl Part {
    const NONE: Self = Self { of: 0, all: 1 };
    const ALL: Self = Self { of: 1, all: 1 };

    /// Of so many, at least one: that some would move is not to be read as none.
    fn of(self, count: u64) -> usize {
        usize::try_from((u128::from(count) * self.of).div_ceil(self.all)).unwrap_or(usize::MAX)
    }
}

/// Which part of a route's requests would go to another pool of the other, if shares are all that may differ between them: what
/// each pool loses.
fn part_of_shares(
    (now, from): (&Config, Option<usize>),
    (then, to): (&Config, Option<usize>),
) -> Option<Part> {
    let (Action::Forward(before), Action::Forward(after)) =
        (&now.routes[from?].action, &then.routes[to?].action)
    else {
        return None;
    };
    if before.tags != after.tags {
        return None;
    }
    let total = |split: &Split| split.shares.iter().map(|share| u128::from(share.weight)).sum::<u128>();
    let (all_before, all_after) = (total(before), total(after));
    let kept = |name: &Arc<str>| {
        let own = after.shares.iter().filter(|share| then.pools[share.pool].name == *name);
        own.map(|share| u128::from(share.weight) * all_before).sum::<u128>()
    };
    let lost = before.shares.iter().map(|share| {
        (u128::from(share.weight) * all_after).saturating_sub(kept(&now.pools[share.pool].name))
    });
    Some(match lost.sum() {
        0 => Part::NONE,
        of => Part { of, all: all_before * all_after },
    })
}

/// Where a request goes.
struct Place {
    what: String,
    /// The place of its route, if it takes one.
    route: Option<usize>,
    /// The target and the host that a backend would see, if one would.
    arrival: Option<(String, Vec<u8>)>,
}

impl Place {
    fn of(seen: &Seen, routes: &Routes, config: &Config) -> Self {
        let mut headers = seen.headers();
        let proto = if seen.over_tls { "https" } else { "http" };
        // As routes see it, whatever a client says.
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
        let uri: Uri = seen.target.parse().unwrap_or_default();
        let host = seen.authority.as_deref().or(headers.get(HOST).and_then(|host| host.to_str().ok()));
        let listener = seen.listener.clone().map(ListenerId::from);
        let asked = Asked {
            host: host.unwrap_or_default(),
            path: uri.path(),
            query: uri.query(),
            method: &seen.method,
            headers: &headers,
            client: seen.client.unwrap_or_else(|| [0, 0, 0, 0].into()),
            listener: listener.as_ref(),
        };
        let nowhere = |what: &str| Self { what: what.to_owned(), route: None, arrival: None };
        let found = match routes.find(&asked) {
            Ok(found) => found,
            Err(Missed::NoRoute) => return nowhere("no route"),
            Err(Missed::TwoReadings) => return nowhere(TWO_READINGS),
        };
        let route = &config.routes[found.route];
        let Ok(target) = routes.expand(&found, &asked) else {
            return nowhere(&format!("{LEADS_OUT} (route {})", route.name));
        };
        let arrival = matches!(route.action, Action::Forward(_)).then(|| {
            let own = || asked.host.as_bytes().to_vec();
            let host = route.treatment.host.as_ref().map_or_else(own, |host| host.as_bytes().to_vec());
            (target.unwrap_or_else(|| seen.target.clone()), host)
        });
        Self { what: what(&route.action, config), route: Some(found.route), arrival }
    }

    fn in_words(&self, config: &Config, written: Written<'_>, more: &str) -> String {
        let Some(route) = self.route.map(|route| &config.routes[route]) else { return self.what.clone() };
        let written = |key| written.key("routes").key(&route.name).key(key).with_variables();
        let what = match (&route.action, written("redirect")) {
            (Action::Redirect { status, .. }, Some(to)) => redirect(*status, to),
            _ => self.what.clone(),
        };
        let target = written("rewrite").or(route.treatment.rewrite.as_deref());
        let target = target.map(|to| format!(" as {to}")).unwrap_or_default();
        let host = route.treatment.host.as_ref().and_then(|host| host.to_str().ok());
        let host = written("set_host").or(host).map(|host| format!(" for {host}")).unwrap_or_default();
        format!("{what}{target}{host}{more} (route {})", route.name)
    }
}

fn what(action: &Action, config: &Config) -> String {
    match action {
        Action::Forward(split) => {
            let total: u64 = split.shares.iter().map(|share| u64::from(share.weight)).sum();
            let share = |share: &config::Share| {
                let name = Arc::clone(&config.pools[share.pool].name);
                match share.weight {
                    weight if u64::from(weight) == total => format!("pool {name}"),
                    weight => format!("pool {name} ({} %)", per_cent(f64::from(weight) / total as f64)),
                }
            };
            let shares = split.shares.iter().filter(|share| share.weight > 0).map(share);
            let tags: String =
                split.tags.iter().map(|(name, value)| format!(" with {name} = {value}")).collect();
            shares.collect::<Vec<_>>().join(", ") + &tags
        }
        Action::Redirect { status, to } => redirect(*status, to),
        Action::Answer { status, .. } => format!("answer {}", status.as_u16()),
    }
}

/// As exact as it has to be, so that a small share is not none.
fn per_cent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    match text.trim_end_matches('0').trim_end_matches('.') {
        "0" => "less than 0.01".to_owned(),
        "100" => "more than 99.99".to_owned(),
        text => text.to_owned(),
    }
}

fn redirect(status: StatusCode, to: &str) -> String {
    format!("redirect {} to {to}", status.as_u16())
}

/// Whether requests of one route can go to no backend any more that those of the other could go to. The pools of now come by their
/// names, too.
fn are_replaced(
    (now, from): (&Config, Option<usize>),
    (then, to): (&Config, Option<usize>),
    (known, by_name): (&Known, &HashMap<&str, &config::Pool>),
) -> bool {
    let told = |pool: &config::Pool| Some(told_by_sources(pool, known));
    let still_told = |pool: &config::Pool| {
        let before = by_name.get(&*pool.name);
        let told = before.filter(|before| pool.sources.iter().all(|source| before.sources.contains(source)));
        match told {
            _ if pool.sources.is_empty() => Some(Vec::new()),
            told => Some(told_by_sources(told?, known)),
        }
    };
    let (before, after) = (backends(now, from, told), backends(then, to, still_told));
    before.zip(after).is_some_and(|(before, after)| {
        !after.iter().any(|backend| before.iter().any(|known| known.is_same(backend)))
    })
}

/// The backends that a route's requests may go to; none if there are none, or a source is not known that may tell of others.
fn backends(
    config: &Config,
    route: Option<usize>,
    told: impl Fn(&config::Pool) -> Option<Vec<config::Backend>>,
) -> Option<Vec<BackendUrl>> {
    let Action::Forward(split) = &config.routes[route?].action else { return None };
    let mut all = Vec::new();
    for share in split.shares.iter().filter(|share| share.weight > 0) {
        let pool = &config.pools[share.pool];
        let backends = pool.backends.iter().cloned().chain(told(pool)?);
        let wanted = backends
            .filter(|backend| split.tags.iter().all(|(name, value)| backend.tags.get(name) == Some(value)));
        all.extend(wanted.map(|backend| backend.url));
    }
    (!all.is_empty()).then_some(all)
}
