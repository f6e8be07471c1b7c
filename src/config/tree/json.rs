//! From JSON (RFC 8259) to a tree. It comes through the admin API, so its places are paths, not lines.

use std::fmt::{self, Formatter};

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Entry, Misread, Node, Span, Table, Value};
use crate::config::fault::Fault;

pub(super) fn parse(text: &str, file: usize) -> Result<Node, Misread> {
    serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or_default();
        let before = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len);
        let at = (before.sum::<usize>() + error.column().saturating_sub(1)).min(text.len());
        Misread { span: Some(Span { file, bytes: at..at }), fault: Fault::of_syntax(said) }
    })
}

impl<'de> Deserialize<'de> for Node {
    /// serde_json itself bounds the depth.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(|value| Self::new(value, None))
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("settings")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut table = Table::new();
        while let Some((key, node)) = map.next_entry::<String, _>()? {
            if table.contains_key(&key) {
                return Err(de::Error::custom(format_args!("duplicate key `{key}`")));
            }
            table.insert(key, Entry { key: None, node });
        }
        Ok(Value::Table(table))
    }
}
