//! From a tree to text, in each format.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::yaml::to_yaml;
use super::{Entry, Node, Value};
use crate::config::format::Format;

/// The text of a tree. Nothing in it is lost but comments and the way it was written.
pub(in crate::config) fn write(root: &Node, format: Format) -> String {
    let text = match format {
        Format::Toml => toml::to_string_pretty(root).ok(),
        Format::Json => serde_json::to_string_pretty(root).ok().map(|text| text + "\n"),
        Format::Yaml => Some(to_yaml(root)),
    };
    text.expect("settings can be written in each format")
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
                for (key, Entry { node, .. }) in table {
                    // TOML has no word for nothing.
                    if !matches!(node.value, Value::Nothing) {
                        map.serialize_entry(key, node)?;
                    }
                }
                map.end()
            }
        }
    }
}
