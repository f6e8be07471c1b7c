//! What differs between two settings, as an operator would say it: a backend is known by its address, not by its place.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::config::BackendUrl;
use crate::control::api::{Difference, Kind};

/// The key of a backend that may stand for all of it.
const ADDRESS: &str = "address";
/// The section of routes.
const ROUTES: &str = "routes";
/// Sections in which the order of names counts.
const SECTIONS: [&str; 3] = ["listeners", ROUTES, "pools"];
/// What is so in a route. The order of its tags says nothing.
const PARTS: [&str; 7] = ["headers", "query", "cookies", "pools", "set", "add", "error_pages"];
/// What is said of something in another order.
pub(super) const ORDER: &str = " (order)";

/// All that differs, in the order in which it is written.
pub(super) fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found
}

fn compare(what: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    // Tables that are the same may have other keys first.
    if let (Some(one), Some(other)) = (before.and_then(Value::as_object), after.and_then(Value::as_object)) {
        return compare_keys(what, one, other, found);
    }
    // What has no name of an operator's choice says as much without a key as when it is not there.
    let is_section = !what.contains('.');
    if before == after || is_section && is_nothing(before) && is_nothing(after) {
        return;
    }
    if let (Some(one), Some(other)) = (before.and_then(by_address), after.and_then(by_address)) {
        return compare_backends(what, &one, &other, found);
    }
    let kind = match (before, after) {
        (None, _) => Kind::Add,
        (_, None) => Kind::Remove,
        _ => Kind::Change,
    };
    found.push(Difference { kind, what: what.to_owned(), before: before.cloned(), after: after.cloned() });
}

fn is_nothing(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.as_object().is_some_and(Map::is_empty))
}

fn compare_keys(
    what: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    found: &mut Vec<Difference>,
) {
    let new = after.keys().filter(|key| !before.contains_key(*key));
    for key in before.keys().chain(new) {
        let what = if what.is_empty() { key.clone() } else { format!("{what}.{key}") };
        compare(&what, before.get(key), after.get(key), found);
    }
    if has_order(what) {
        let keys = |table: &Map<String, Value>, other: &Map<String, Value>| {
            table.keys().filter(|key| other.contains_key(*key)).cloned().map(Value::from).collect()
        };
        compare_order(what, keys(before, after), keys(after, before), found);
    }
}

/// Whether tables that have other keys first mean something else.
fn has_order(what: &str) -> bool {
    let of_route = what.strip_prefix(ROUTES).and_then(|rest| rest.rsplit_once('.'));
    SECTIONS.contains(&what)
        || of_route.is_some_and(|(route, part)| !route.is_empty() && PARTS.contains(&part))
}

/// Of what is there before and after.
fn compare_order(what: &str, was: Vec<Value>, is: Vec<Value>, found: &mut Vec<Difference>) {
    if was != is {
        let (before, after) = (Some(Value::from(was)), Some(Value::from(is)));
        found.push(Difference { kind: Kind::Change, what: format!("{what}{ORDER}"), before, after });
    }
}

type Backends<'a> = Vec<(String, &'a Value)>;

fn compare_backends(what: &str, before: &Backends<'_>, after: &Backends<'_>, found: &mut Vec<Difference>) {
    let [one, other]: [HashMap<_, _>; 2] =
        [before, after].map(|all| all.iter().map(|(address, value)| (address.as_str(), *value)).collect());
    let new = after.iter().filter(|(address, _)| !one.contains_key(address.as_str()));
    for (address, _) in before.iter().chain(new) {
        let find = |all: &HashMap<&str, &Value>| all.get(address.as_str()).map(|value| table(address, value));
        compare(&format!("{what}[{address}]"), find(&one).as_ref(), find(&other).as_ref(), found);
    }
    let order = |all: &Backends<'_>, others: &HashMap<&str, &Value>| -> Vec<_> {
        let stays = all.iter().filter(|(address, _)| others.contains_key(address.as_str()));
        stays.map(|(address, _)| Value::from(address.as_str())).collect()
    };
    compare_order(what, order(before, &other), order(after, &one), found);
}

/// A backend may be written as its address alone, and that with what goes without saying.
fn table(address: &str, value: &Value) -> Value {
    let mut table = value.as_object().cloned().unwrap_or_default();
    table.insert(ADDRESS.to_owned(), address.into());
    table.into()
}

/// The backends of a list by their addresses, if that is what it is a list of.
fn by_address(value: &Value) -> Option<Vec<(String, &Value)>> {
    let list = value.as_array()?;
    let has_tables = list.iter().any(Value::is_object);
    let address = |value: &Value| match value {
        Value::String(address) => Some(BackendUrl::without_the_usual(address)),
        other => other.get(ADDRESS)?.as_str().map(BackendUrl::without_the_usual),
    };
    let all: Option<Vec<_>> = list.iter().map(|value| Some((address(value)?, value))).collect();
    all.filter(|all| has_tables || all.iter().all(|(address, _)| address.contains(':')))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(before: &Value, after: &Value) -> Vec<(Kind, String)> {
        differences(before, after).into_iter().map(|found| (found.kind, found.what)).collect()
    }

    #[test]
    fn backends_are_known_by_their_addresses() {
        let pool = |backends: Value| json!({ "pools": { "api": { "backends": backends } } });
        let before = pool(json!(["10.0.0.1:80", "10.0.0.2:80"]));
        let after = pool(json!([{ "address": "10.0.0.2:80", "weight": 3 }, "10.0.0.3:80"]));
        let expected = [
            (Kind::Remove, "pools.api.backends[10.0.0.1:80]".to_owned()),
            (Kind::Add, "pools.api.backends[10.0.0.2:80].weight".to_owned()),
            (Kind::Add, "pools.api.backends[10.0.0.3:80]".to_owned()),
        ];
        assert_eq!(told(&before, &after), expected);
        assert_eq!(told(&before, &before), []);
        let turned = pool(json!(["10.0.0.2:80", "10.0.0.1:80"]));
        assert_eq!(told(&before, &turned), [(Kind::Change, "pools.api.backends (order)".to_owned())]);
        let usual = pool(json!(["http://10.0.0.1:80", { "address": "http://10.0.0.2:80" }]));
        assert_eq!(told(&before, &usual), []);
    }

    #[test]
    fn other_settings_are_known_by_their_keys() {
        let before = json!({ "workers": 2, "routes": { "a": { "path": "/a" }, "b": {} } });
        let after =
            json!({ "workers": 3, "routes": { "a": { "path": "/a", "hosts": ["x", "y"] }, "c": {} } });
        let expected = [
            (Kind::Change, "workers"),
            (Kind::Add, "routes.a.hosts"),
            (Kind::Remove, "routes.b"),
            (Kind::Add, "routes.c"),
        ];
        assert_eq!(told(&before, &after), expected.map(|(kind, what)| (kind, what.to_owned())));
        assert_eq!(told(&json!({ "tls": {} }), &json!({})), []);
    }

    #[test]
    fn the_order_of_keys_is_told_where_it_counts() {
        let route = |part: &str, keys: [&str; 2]| {
            let table: Map<_, _> = keys.map(|key| (key.to_owned(), json!(key))).into_iter().collect();
            json!({ "routes": { "a": { part: table } } })
        };
        for part in PARTS {
            let expected = [(Kind::Change, format!("routes.a.{part}{ORDER}"))];
            assert_eq!(told(&route(part, ["x", "y"]), &route(part, ["y", "x"])), expected);
            assert_eq!(told(&route(part, ["x", "y"]), &route(part, ["z", "x"])).len(), 2, "{part}");
        }
        assert_eq!(told(&route("tags", ["x", "y"]), &route("tags", ["y", "x"])), []);
    }
}
