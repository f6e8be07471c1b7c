//! Listeners and routes.

use std::iter;
use std::sync::Arc;

use hyper::Method;

use crate::config::{self, Condition, Config, HostMatch, Part, PathMatch, Segment, Test, Written};
use crate::control::api::{Action, Listener, ListenerList, Route, RouteList, Share};
use crate::control::desk::Desk;

pub(in super::super) fn listeners(desk: &Desk) -> ListenerList {
    let listeners = desk.listeners().into_iter().map(|listener| Listener {
        name: listener.name.to_string(),
        address: listener.address.to_string(),
        tls: listener.tls,
    });
    ListenerList { listeners: listeners.collect() }
}

pub(in super::super) fn routes(desk: &Desk) -> RouteList {
    let (config, loaded) = (desk.config(), desk.written());
    let written = loaded.written().key("routes");
    let show = |route: &config::Route| show(route, &config, written.key(&route.name));
    RouteList { routes: config.routes.iter().map(show).collect() }
}

/// A route as it is, but for texts that files write with variables.
fn show(route: &config::Route, config: &Config, written: Written<'_>) -> Route {
    let when = &route.when;
    let named = config.listeners.iter().filter(|listener| when.listeners.contains(&listener.id()));
    let conditions = ["headers", "query", "cookies"].into_iter().flat_map(|key| written.key(key).all());
    let conditions = when.conditions.iter().zip(conditions.map(Some).chain(iter::repeat(None)));
    Route {
        name: route.name.to_string(),
        priority: when.priority,
        hosts: one_or_more(&when.hosts, host, (written.key("host"), written.key("hosts"))),
        paths: one_or_more(&when.paths, path, (written.key("path"), written.key("paths"))),
        methods: one_or_more(&when.methods, Method::to_string, (Written::default(), written.key("methods"))),
        conditions: conditions.map(|(own, written)| condition(own, written.unwrap_or_default())).collect(),
        listeners: named.map(|listener| listener.name.to_string()).collect(),
        some_clients: when.clients.is_some(),
        action: action(&route.action, &config.pools, written),
    }
}

fn one_or_more<T>(all: &[T], show: fn(&T) -> String, (one, more): (Written<'_>, Written<'_>)) -> Vec<String> {
    let written = |index| one.with_variables().or(more.index(index).with_variables()).map(str::to_owned);
    all.iter().enumerate().map(|(index, own)| written(index).unwrap_or_else(|| show(own))).collect()
}

fn host(host: &HostMatch) -> String {
    match host {
        HostMatch::Exact(name) => name.to_string(),
        HostMatch::Under(suffix) => format!("*{suffix}"),
    }
}

fn path(path: &PathMatch) -> String {
    match path {
        PathMatch::Exact(path) => path.to_string(),
        PathMatch::Prefix(prefix) => format!("{prefix}/*"),
        PathMatch::Regex(pattern) => format!("~ {pattern}"),
        PathMatch::Template(segments) => segments.iter().map(segment).collect(),
    }
}

fn segment(segment: &Segment) -> String {
    match segment {
        Segment::Literal(text) => format!("/{text}"),
        Segment::Capture(name) => format!("/{{{name}}}"),
        Segment::Rest(name) => format!("/{{{name}...}}"),
    }
}

fn condition(condition: &Condition, written: Written<'_>) -> String {
    let part = match &condition.part {
        Part::Header(name) => format!("header {name}"),
        Part::Query(name) => format!("query {name}"),
        Part::Cookie(name) => format!("cookie {name}"),
    };
    match &condition.test {
        Test::Present => format!("{part} is there"),
        Test::Absent => format!("{part} is not there"),
        Test::Is(value) => format!("{part} is {}", written.with_variables().unwrap_or(value)),
        Test::Matches(pattern) => match written.with_variables() {
            Some(text) => format!("{part} matches {}", text.trim_start_matches('~').trim_start()),
            None => format!("{part} matches {pattern}"),
        },
    }
}

fn action(action: &config::Action, pools: &[config::Pool], written: Written<'_>) -> Action {
    let text = |text: &Arc<str>| text.to_string();
    match action {
        config::Action::Forward(split) => Action::Forward {
            pools: split
                .shares
                .iter()
                .map(|share| Share { pool: pools[share.pool].name.to_string(), weight: share.weight })
                .collect(),
            tags: split.tags.iter().map(|(name, value)| (text(name), text(value))).collect(),
        },
        config::Action::Redirect { status, to } => Action::Redirect {
            status: status.as_u16(),
            to: written.key("redirect").with_variables().unwrap_or(to).to_owned(),
        },
        config::Action::Answer { status, .. } => Action::Answer { status: status.as_u16() },
    }
}
