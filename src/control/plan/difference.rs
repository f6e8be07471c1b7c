//! What differs between two settings, as an operator would say it: a backend is known by its address, not by its place.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::control::api::{Difference, Kind};

/// What stands for a value that nobody is to see.
const ADDRESS: &str = "address";

/// All that differs, in the order in which it is written.
pub(super) fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found
}

fn compare(what: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    // What has no name of an operator's choice says as much without a key as when it is not there.
    let is_section = !what.contains('.');
    if before == after || is_section && is_nothing(before) && is_nothing(after) {
        return;
    }
    if let (Some(before), Some(after)) = (before, after) {
        if let (Some(one), Some(other)) = (before.as_object(), after.as_object()) {
            return compare_keys(what, one, other, found);
        }
        if let (Some(one), Some(other)) = (by_address(before), by_address(after)) {
            return compare_backends(what, &one, &other, found);
        }
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
}

type Backends<'a> = Vec<(String, &'a Value)>;

fn compare_backends(what: &str, before: &Backends<'_>, after: &Backends<'_>, found: &mut Vec<Difference>) {
    let [one, other]: [HashMap<_, _>; 2] =
        [before, after].map(|all| all.iter().map(|(address, value)| (address.as_str(), *value)).collect());
    let new = after.iter().filter(|(address, _)| !one.contains_key(address.as_str()));
    for (address, _) in before.iter().chain(new) {
        let find = |all: &HashMap<&str, &Value>| all.get(address.as_str()).map(|value| table(value));
        compare(&format!("{what}[{address}]"), find(&one).as_ref(), find(&other).as_ref(), found);
    }
    let order = |all: &Backends<'_>, others: &HashMap<&str, &Value>| -> Vec<_> {
        let stays = all.iter().filter(|(address, _)| others.contains_key(address.as_str()));
        stays.map(|(address, _)| Value::from(address.as_str())).collect()
    };
    let (was, is) = (order(before, &other), order(after, &one));
    if was != is {
        let (before, after) = (Some(Value::from(was)), Some(Value::from(is)));
        found.push(Difference { kind: Kind::Change, what: format!("{what} (order)"), before, after });
    }
}

/// A backend may be written as its address alone.
fn table(value: &Value) -> Value {
    match value {
        Value::String(address) => serde_json::json!({ ADDRESS: address }),
        other => other.clone(),
    }
}

/// The backends of a list by their addresses, if that is what it is a list of.
fn by_address(value: &Value) -> Option<Vec<(String, &Value)>> {
    let list = value.as_array()?;
    let has_tables = list.iter().any(Value::is_object);
    let address = |value: &Value| match value {
        Value::String(address) => Some(address.clone()),
        other => other.get(ADDRESS)?.as_str().map(str::to_owned),
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
}
