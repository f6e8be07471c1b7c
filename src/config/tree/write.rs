//! From a tree to text, in each format.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::yaml::to_yaml;
use super::{Entry, MOST_FAULTS, Misread, Node, Value};
use crate::config::fault::Fault;
use crate::config::format::Format;

/// What of a tree cannot be written in a format.
pub(in crate::config) fn unwritable(root: &Node, format: Format) -> Vec<Misread> {
    let mut found = Vec::new();
    if matches!(root.value, Value::Table(_)) {
        look_for_unwritable(root, format, &mut found);
    } else {
        let fault = Fault::Kind { expected: "a table".to_owned(), found: root.kind() };
        found.push(Misread { span: root.span.clone(), fault });
    }
    found.truncate(MOST_FAULTS);
    found
}

fn look_for_unwritable(node: &Node, format: Format, found: &mut Vec<Misread>) {
    let said = match &node.value {
        Value::Date => "a date, which no setting is; write it in quotes",
        Value::Float(number) if !number.is_finite() => "a number that no setting can be; write another one",
        Value::List(list) => {
            let is_nothing = |node: &&Node| matches!(node.value, Value::Nothing) && format == Format::Toml;
            let nothing = "nothing in a list, for which TOML has no word; remove it";
            let nothings = list.iter().filter(is_nothing);
            found.extend(nothings.map(|node| said_at(node, nothing)));
            return list.iter().for_each(|node| look_for_unwritable(node, format, found));
        }
        Value::Table(table) => {
            return table.values().for_each(|entry| match entry.node.value {
                // Without the key, settings that are refused for it would be good ones, and mean something else.
                Value::Nothing if format == Format::Toml => {
                    found.push(said_at(&entry.node, "nothing, for which TOML has no word; remove its key"));
                }
                _ => look_for_unwritable(&entry.node, format, found),
            });
        }
        _ => return,
    };
    found.push(said_at(node, said));
}

fn said_at(node: &Node, said: &str) -> Misread {
    Misread { span: node.span.clone(), fault: Fault::Said(said.to_owned()) }
}

/// The text of a tree of which all can be written. Nothing in it is lost but comments and the way it was written.
pub(in crate::config) fn write(root: &Node, format: Format) -> String {
    let text = match format {
        Format::Toml => toml::to_string_pretty(root).ok(),
        Format::Json => serde_json::to_string_pretty(root).ok().map(|text| text + "\n"),
        Format::Yaml => Some(to_yaml(root)),
    };
    text.expect("what can be written was looked at before")
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Nothing | Value::Date => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Integer(number) => match i64::try_from(*number) {
                Ok(number) => serializer.serialize_i64(number),
                Err(_) => serializer.collect_str(number),
            },
            Value::Float(number) => serializer.serialize_f64(*number),
            Value::Text(text) => serializer.serialize_str(self.written.as_ref().unwrap_or(text)),
            Value::List(nodes) => {
                let mut list = serializer.serialize_seq(Some(nodes.len()))?;
                nodes.iter().try_for_each(|node| list.serialize_element(node))?;
                list.end()
            }
            Value::Table(table) => {
                let mut map = serializer.serialize_map(None)?;
                table.iter().try_for_each(|(key, Entry { node, .. })| map.serialize_entry(key, node))?;
                map.end()
            }
        }
    }
}
