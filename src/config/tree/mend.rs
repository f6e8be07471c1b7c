//! How to mend what is of another kind than was expected.

use super::{Node, Value};
use crate::config::path::{Path, Step};

impl Path {
    /// How to write what is expected here, in place of what stands here. None if what is expected says it.
    pub(in crate::config) fn mend_kind(&self, found: &Node, expected: &str) -> Option<String> {
        let is_variable = found.written.is_some();
        match (expected, &found.value) {
            ("a whole number", Value::Text(text)) if !is_variable && text.parse::<i128>().is_ok() => {
                Some("write it without quotes".to_owned())
            }
            ("true or false", Value::Text(text)) if !is_variable && text.parse::<bool>().is_ok() => {
                Some("write it without quotes".to_owned())
            }
            ("a table" | "a list", Value::Nothing) => None,
            (_, Value::Nothing) if matches!(self.0.last(), Some(Step::Key(_))) => {
                Some("leave the key out, or write a value".to_owned())
            }
            ("a list", Value::Text(_)) => Some("write it in brackets".to_owned()),
            ("a table", _) => self.header().map(|header| format!("write [{header}] and its keys below it")),
            _ => None,
        }
    }

    /// The header of a table that is to be here. Of listeners, routes and pools each has a name.
    fn header(&self) -> Option<String> {
        match &self.0[..] {
            [] => None,
            steps if steps.iter().any(|step| matches!(step, Step::Index(_))) => None,
            [Step::Key(section)] | [Step::Key(section), _] if Self::has_names(section) => {
                Some(format!("{section}.NAME"))
            }
            _ => Some(self.to_string()),
        }
    }
}
