//! From a tree to YAML: tables and lists in blocks, text plain where that can be read in one way only.

use std::fmt::Write;

use super::plain_value;
use crate::config::tree::{Node, Table, Value};

/// The text of a tree.
pub(in crate::config::tree) fn to_yaml(root: &Node) -> String {
    let mut text = String::new();
    match &root.value {
        Value::Table(table) if !table.is_empty() => write_table(&mut text, table, 0, false),
        _ => text.push_str("{}\n"),
    }
    text
}

/// `goes_on`: the first key stands behind the `- ` of a list.
fn write_table(text: &mut String, table: &Table, depth: usize, goes_on: bool) {
    for (place, (key, entry)) in table.iter().enumerate() {
        if place > 0 || !goes_on {
            indent(text, depth);
        }
        text.push_str(&scalar(key));
        text.push(':');
        write_value(text, &entry.node, depth);
    }
}

fn write_value(text: &mut String, node: &Node, depth: usize) {
    match &node.value {
        Value::Table(table) if !table.is_empty() => {
            text.push('\n');
            write_table(text, table, depth + 1, false);
        }
        Value::List(list) if !list.is_empty() => {
            text.push('\n');
            for node in list {
                indent(text, depth + 1);
                text.push('-');
                write_element(text, node, depth + 1);
            }
        }
        _ => {
            text.push(' ');
            write_leaf(text, node);
        }
    }
}

fn write_element(text: &mut String, node: &Node, depth: usize) {
    match &node.value {
        Value::Table(table) if !table.is_empty() => {
            text.push(' ');
            write_table(text, table, depth + 1, true);
        }
        _ => write_value(text, node, depth),
    }
}

fn write_leaf(text: &mut String, node: &Node) {
    match &node.value {
        Value::Nothing | Value::Date => text.push_str("null"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Integer(number) => write!(text, "{number}").expect("text takes all that is written to it"),
        Value::Float(number) => write!(text, "{number:?}").expect("text takes all that is written to it"),
        Value::Text(value) => text.push_str(&scalar(node.written.as_ref().unwrap_or(value))),
        Value::List(_) => text.push_str("[]"),
        Value::Table(_) => text.push_str("{}"),
    }
    text.push('\n');
}

/// In quotes where it could be taken for something else. The quotes of JSON are good in YAML.
fn scalar(text: &str) -> String {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '=');
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_'))
        && text.chars().all(inner)
        && !text.ends_with(':')
        && matches!(plain_value(text), Value::Text(_));
    if plain { text.to_owned() } else { quoted(text) }
}

/// YAML 1.2, sections 5.1 and 5.7: some characters of JSON are none of YAML unless they are escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        if (' '..='~').contains(&c) || c.is_alphanumeric() {
            quoted.push(c);
        } else {
            write!(quoted, "\\U{:08x}", u32::from(c)).expect("text takes all that is written to it");
        }
    }
    quoted
}

fn indent(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::config::Format;
    use crate::config::tree::{Entry, Node, Table, Value, parse, write};

    /// What two trees say, without where they say it.
    fn same(one: &Node, other: &Node) -> bool {
        match (&one.value, &other.value) {
            (Value::Bool(one), Value::Bool(other)) => one == other,
            (Value::Integer(one), Value::Integer(other)) => one == other,
            (Value::Text(one), Value::Text(other)) => one == other,
            (Value::List(one), Value::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
            }
            (Value::Table(one), Value::Table(other)) => {
                let find = |key: &String| other.get(key).map(|entry| &entry.node);
                one.len() == other.len()
                    && one.iter().all(|(key, entry)| find(key).is_some_and(|node| same(&entry.node, node)))
            }
            _ => false,
        }
    }

    fn trees() -> impl Strategy<Value = Node> {
        let text =
            prop_oneof!["[ -~]{0,12}", "\\PC{0,6}", "[\\x00-\\x7f]{0,6}", "(true|0x1F|1e5|~|null|-|#)"];
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(|number| Value::Integer(number.into())),
            text.prop_map(Value::Text),
        ];
        let node = |value| Node::new(value, None);
        let nodes = leaf.prop_map(node).prop_recursive(4, 40, 5, move |inner| {
            let list = proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::List);
            prop_oneof![list, tables(inner)].prop_map(node)
        });
        tables(nodes).prop_map(node)
    }

    fn tables(inner: impl Strategy<Value = Node>) -> impl Strategy<Value = Value> {
        let entries = proptest::collection::vec(("[ -~]{0,8}", inner), 0..5);
        entries.prop_map(|entries| {
            let entry = |(key, node)| (key, Entry { key: None, node });
            Value::Table(entries.into_iter().map(entry).collect::<Table>())
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(tree in trees()) {
            for format in [Format::Yaml, Format::Json, Format::Toml] {
                let text = write(&tree, format);
                let read = parse(&text, 0, format).whole().map_err(|wrong| format!("{:?}: {text}", wrong[0].fault));
                let read = read.map_err(TestCaseError::fail)?;
                prop_assert!(same(&tree, &read), "{format:?}\n{text}\n{tree:?}\n{read:?}");
            }
        }
    }
}
