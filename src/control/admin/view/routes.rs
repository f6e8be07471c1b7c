//! Listeners and routes.

use std::sync::Arc;

use crate::config::{self, Condition, HostMatch, Part, PathMatch, Segment, Test};
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
    let config = desk.config();
    RouteList { routes: config.routes.iter().map(|route| show(route, &config.pools)).collect() }
}

fn show(route: &config::Route, pools: &[config::Pool]) -> Route {
    let when = &route.when;
    Route {
        name: route.name.to_string(),
        priority: when.priority,
        hosts: when.hosts.iter().map(host).collect(),
        paths: when.paths.iter().map(path).collect(),
        methods: when.methods.iter().map(ToString::to_string).collect(),
        conditions: when.conditions.iter().map(condition).collect(),
        some_clients: when.clients.is_some(),
        action: action(&route.action, pools),
    }
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

fn condition(condition: &Condition) -> String {
    let part = match &condition.part {
        Part::Header(name) => format!("header {name}"),
        Part::Query(name) => format!("query {name}"),
        Part::Cookie(name) => format!("cookie {name}"),
    };
    match &condition.test {
        Test::Present => format!("{part} is there"),
        Test::Absent => format!("{part} is not there"),
        Test::Is(value) => format!("{part} is {value}"),
        Test::Matches(pattern) => format!("{part} matches {pattern}"),
    }
}

fn action(action: &config::Action, pools: &[config::Pool]) -> Action {
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
        config::Action::Redirect { status, to } => Action::Redirect { status: status.as_u16(), to: text(to) },
        config::Action::Answer { status, .. } => Action::Answer { status: status.as_u16() },
    }
}
