//! Which route a request takes: pure rules, compiled once for each configuration.
//!
//! A route may have several hosts and paths; each host with each path is a case of it. Of all cases that hold for a request
//! the first one counts, in this order, which is total:
//!
//! 1. the higher `priority`;
//! 2. the host: this one, before those under a name (the longest name first), before any;
//! 3. the path: those that are given segment for segment, before regular expressions (the longest first, then by their
//!    text), before all paths. Of two that are given by segments, the first segment in which they differ counts: a text comes
//!    before `{name}`, that before the end of the path, and that before `*` and `{rest...}`. So a path without names
//!    comes before all others that hold for it, and a longer prefix before a shorter one;
//! 4. methods: fewer before more, before any;
//! 5. conditions: more before fewer; of as many, more that ask for a value, then more that match one, then more that ask
//!    whether something is there, then more that ask whether it is absent;
//! 6. clients: the case whose largest network is smaller, before any;
//! 7. listeners: fewer before more, before any;
//! 8. the route's name.
//!
//! Two routes that are alike but for their names and meet in some request are an error ([`Conflict`]), and so is a route all
//! of whose cases are covered by others that come before. Only a regular expression can keep that from being seen (of which
//! is known what it begins with, and whether it matches a path that is given), and two conditions that ask for different
//! values of one part: a request that has both takes the first name.

mod beginning;
mod conflict;
mod cookie;
mod expand;
mod host;
mod path;
mod rank;
mod reading;
mod relation;
mod rule;
mod search;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::Method;
use hyper::header::HeaderMap;

use crate::config::{self, Action, Draft, Flaw, HostMatch, ListenerId, MOST_FLAWS, Place};

pub use conflict::Conflict;
pub use expand::{Template, TemplateError};
pub use path::Captures;

use expand::Purpose;
use host::Hosts;
use path::Path;
use rank::Rank;
use rule::Rule;
use search::{Entry, Search};

/// All routes, so that the one that a request takes is found at once, however many hosts and paths there are. Those that share both are
/// looked at one after the other.
#[derive(Debug)]
pub struct Routes {
    /// For each route, what must hold beside host and path.
    rules: Vec<Rule>,
    /// For each route, what becomes of a request's target, or where it is sent.
    templates: Vec<Option<Template>>,
    /// In the order in which they are looked at.
    cases: Vec<Case>,
    hosts: Hosts,
    /// The only route, if it holds for all requests and nothing of their paths is used.
    only: Option<usize>,
}

/// A route with one of its hosts and one of its paths.
#[derive(Clone, Debug)]
struct Case {
    route: u32,
    /// Of those that are as specific, the same number.
    class: u32,
    priority: i32,
    host: Option<HostMatch>,
    path: Path,
}

/// What of a request decides about its route.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// As `Host` has it; case, port and the dot of the root do not matter.
    pub host: &'a str,
    /// As it came, without the query.
    pub path: &'a str,
    /// What followed `?`.
    pub query: Option<&'a str>,
    /// The method.
    pub method: &'a Method,
    /// The header lines.
    pub headers: &'a HeaderMap,
    /// Who asks.
    pub client: IpAddr,
    /// Where the request came to, if that is known.
    pub listener: Option<&'a ListenerId>,
}

/// The route that a request takes.
#[derive(Clone, Debug)]
pub struct Found<'r> {
    /// Its place among the routes of the configuration.
    pub route: usize,
    /// What its path held.
    pub captures: Captures<'r>,
}

/// Why a request takes no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// None holds for it.
    NoRoute,
    /// Its path is one that backends read in different ways (with `//`, `%2F`, `\`, `;`), and these lead to different
    /// routes.
    TwoReadings,
}

/// Backends could read a request's new target as a path that does not begin as the operator wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeadsOut;

impl Routes {
    /// Compiles the routes of a configuration.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn compile(routes: &[config::Route]) -> Result<Self, Vec<Conflict>> {
        if let Some(excess) = conflict::find_excess(routes) {
            return Err(vec![excess]);
        }
        let mut compiled = Self::build(routes);
        let mut conflicts = conflict::find(routes, &compiled);
        let mut paths = vec![Vec::new(); routes.len()];
        for case in &compiled.cases {
            paths[case.route as usize].push(&case.path);
        }
        for (route, paths) in routes.iter().zip(paths) {
            let template =
                text(route).map(|(text, purpose)| Template::parse(text, purpose, &paths)).transpose();
            let refused =
                |error| conflicts.push(Conflict::Template { route: Arc::clone(&route.name), error });
            compiled.templates.push(template.map_err(refused).unwrap_or_default());
        }
        if conflicts.is_empty() { Ok(compiled) } else { Err(conflicts) }
    }

    /// What is wrong with the routes of settings, as far as these make sense, and as much of it as is told.
    pub fn check(draft: &Draft) -> Vec<Flaw> {
        let mut conflicts = Self::compile(&draft.routes).err().unwrap_or_default();
        conflicts.extend(conflict::find_tagless(draft));
        conflicts.extend(cookie::find_undone(draft));
        let flaw = |conflict: &Conflict| Flaw {
            place: Place::of_route(conflict.route()),
            value: None,
            text: conflict.to_string(),
        };
        conflicts.iter().take(MOST_FLAWS).map(flaw).collect()
    }

    /// The route of a request.
    ///
    /// # Errors
    /// It takes none.
    pub fn find<'r>(&'r self, asked: &Asked<'r>) -> Result<Found<'r>, Missed> {
        if let Some(route) = self.only {
            return Ok(Found { route, captures: Captures::none(asked.path) });
        }
        let host = host::plain(asked.host);
        if !reading::is_plain(asked.path) {
            return self.find_read(&host, asked);
        }
        let entry = self.first(&host, asked.path, asked).ok_or(Missed::NoRoute)?;
        Ok(self.found(entry, Cow::Borrowed(asked.path)))
    }

    /// The place of the route that all requests take, if there is one of which nothing must be found out.
    pub fn only(&self) -> Option<usize> {
        self.only
    }

    /// What the route that was found says of where a request goes, if anything: the address of a redirect, or its new
    /// target.
    ///
    /// # Errors
    /// It could lead out of what the operator wrote.
    pub fn expand(&self, found: &Found<'_>, asked: &Asked<'_>) -> Result<Option<String>, LeadsOut> {
        let Some(template) = &self.templates[found.route] else { return Ok(None) };
        let text = template.expand(&found.captures, &host::plain(asked.host), asked.query);
        text.map(Some).ok_or(LeadsOut)
    }

    /// All but the templates, whatever is wrong with it.
    fn build(routes: &[config::Route]) -> Self {
        let rules: Vec<_> = routes.iter().map(|route| Rule::of(&route.when)).collect();
        let cases = in_order(routes, &rules);
        let mut hosts = Hosts::default();
        for (place, case) in (0..).zip(&cases) {
            let always = rules[case.route as usize].is_empty();
            let entry = Entry { priority: case.priority, case: place, route: case.route, always };
            hosts.leaf_mut(case.host.as_ref(), &case.path, case.priority).push(entry);
        }
        let holds_for_all = |case: &Case| case.host.is_none() && case.path.is_any();
        let only = match routes {
            [only] if rules[0].is_empty() && cases.iter().all(holds_for_all) => {
                text(only).is_none().then_some(0)
            }
            _ => None,
        };
        Self { rules, templates: Vec::with_capacity(routes.len()), cases, hosts, only }
    }

    /// The route of a request whose path has more than one form.
    #[cold]
    fn find_read<'r>(&'r self, host: &str, asked: &Asked<'r>) -> Result<Found<'r>, Missed> {
        let path = reading::normal(asked.path);
        let entry = self.first(host, &path, asked).ok_or(Missed::NoRoute)?;
        // A path that a route names as it stands is meant.
        let is_exact = matches!(self.cases[entry.case as usize].path, Path::Exact(_));
        let is_meant = is_exact && reading::encoded_alike(asked.path) == path;
        let leads_there =
            |read: &str| self.first(host, read, asked).is_some_and(|other| other.route == entry.route);
        if !is_meant && !reading::all_readings(asked.path, |read| *read == *path || leads_there(read)) {
            return Err(Missed::TwoReadings);
        }
        Ok(self.found(entry, path))
    }

    fn first(&self, host: &str, path: &str, asked: &Asked<'_>) -> Option<&Entry> {
        let mut search = Search::new(&self.rules, asked);
        self.hosts.search(host, path, &mut search);
        search.found
    }

    fn found<'r>(&'r self, entry: &Entry, path: Cow<'r, str>) -> Found<'r> {
        let captures = Captures::of(path, &self.cases[entry.case as usize].path);
        Found { route: entry.route as usize, captures }
    }
}

/// All cases of all routes in the order in which they are looked at.
fn in_order(routes: &[config::Route], rules: &[Rule]) -> Vec<Case> {
    let mut cases: Vec<_> = (0..).zip(routes).flat_map(|(place, route)| cases(place, route)).collect();
    let mut classes = vec![0; cases.len()];
    let order = {
        let rank = |case| Rank::of(case, routes, rules);
        let mut ranked: Vec<_> = cases.iter().map(rank).enumerate().collect();
        ranked.sort_by(|(_, one), (_, other)| one.cmp(other));
        let mut class = 0;
        for pair in ranked.windows(2) {
            let [(_, one), (place, other)] = pair else { continue };
            class += u32::from(!one.is_as_specific_as(other));
            classes[*place] = class;
        }
        ranked.into_iter().map(|(place, _)| place).collect::<Vec<_>>()
    };
    for (case, class) in cases.iter_mut().zip(classes) {
        case.class = class;
    }
    let mut cases: Vec<_> = cases.into_iter().map(Some).collect();
    order.into_iter().filter_map(|place| cases[place].take()).collect()
}

fn cases(place: u32, route: &config::Route) -> impl Iterator<Item = Case> {
    let lower = |host: &HostMatch| match host {
        HostMatch::Exact(name) => HostMatch::Exact(host::plain(name).into()),
        HostMatch::Under(suffix) => HostMatch::Under(host::plain(suffix).into()),
    };
    let mut hosts: Vec<_> = route.when.hosts.iter().map(lower).map(Some).collect();
    if hosts.is_empty() {
        hosts.push(None);
    }
    let mut paths: Vec<_> = route.when.paths.iter().map(Path::of).collect();
    if paths.is_empty() {
        paths.push(Path::any());
    }
    let priority = route.when.priority;
    let of_host = move |host: Option<HostMatch>| {
        let case = move |path: &Path| Case {
            route: place,
            class: 0,
            priority,
            host: host.clone(),
            path: path.clone(),
        };
        paths.iter().map(case).collect::<Vec<_>>()
    };
    hosts.into_iter().flat_map(of_host)
}

/// The text with placeholders that a route has, if any.
fn text(route: &config::Route) -> Option<(&str, Purpose)> {
    match (&route.action, &route.treatment.rewrite) {
        (Action::Redirect { to, .. }, _) => Some((to, Purpose::Redirect)),
        (Action::Forward(_), Some(to)) => Some((to, Purpose::Rewrite)),
        (Action::Forward(_) | Action::Answer { .. }, _) => None,
    }
}
