//! Variables of the environment in text: `${NAME}`, `${NAME:-default}`, `${NAME:?what is wrong without it}`. `$${` is
//! `${` itself. Keys, and what the variables hold, are taken as they are.

use std::env::VarError;

use super::{Entry, Node, Value};
use crate::config::fault::Fault;
use crate::config::path::{Path, Step};

/// Puts variables in all text of a tree, and gives what is wrong with those. `variable` knows them.
pub(in crate::config) fn interpolate(
    root: &mut Node,
    variable: &dyn Fn(&str) -> Result<String, VarError>,
) -> Vec<(Path, Fault)> {
    let mut wrong = Vec::new();
    fill(root, &mut Path::default(), variable, &mut wrong);
    wrong
}

/// Whether a text that was filled had a variable in it, and not `${` itself alone.
pub(in crate::config) fn has_variable(written: &str) -> bool {
    written.replace("$${", " ").contains("${")
}

/// Whether a text that was filled holds the defaults of all its variables.
pub(in crate::config) fn is_default(written: &str, text: &str) -> bool {
    filled(written, &|_| Err(VarError::NotPresent)).is_ok_and(|default| default == text)
}

fn fill(
    node: &mut Node,
    path: &mut Path,
    variable: &dyn Fn(&str) -> Result<String, VarError>,
    wrong: &mut Vec<(Path, Fault)>,
) {
    let mut down = |step, node: &mut Node| {
        path.0.push(step);
        fill(node, path, variable, wrong);
        path.0.pop();
    };
    match &mut node.value {
        _ if node.broken => {}
        Value::List(list) => {
            list.iter_mut().enumerate().for_each(|(index, node)| down(Step::Index(index), node));
        }
        Value::Table(table) => {
            table.iter_mut().for_each(|(key, Entry { node, .. })| down(Step::Key(key.clone()), node));
        }
        Value::Text(text) if text.contains("${") => match filled(text, variable) {
            Ok(filled) => node.written = Some(std::mem::replace(text, filled)),
            Err(fault) => {
                node.broken = true;
                wrong.push((path.clone(), fault));
            }
        },
        _ => {}
    }
}

fn filled(mut text: &str, variable: &dyn Fn(&str) -> Result<String, VarError>) -> Result<String, Fault> {
    let mut filled = String::new();
    while let Some(at) = text.find("${") {
        let (before, rest) = (&text[..at], &text[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            text = rest;
            continue;
        }
        let (reference, rest) = rest.split_once('}').ok_or(Fault::Unclosed)?;
        // A shell would read on: there, its own `}` would end it.
        if reference.contains("${") {
            return Err(Fault::Reference(reference.to_owned()));
        }
        filled.push_str(before);
        filled.push_str(&look_up(reference, variable)?);
        text = rest;
    }
    filled.push_str(text);
    Ok(filled)
}

fn look_up(reference: &str, variable: &dyn Fn(&str) -> Result<String, VarError>) -> Result<String, Fault> {
    let name_end =
        reference.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(reference.len());
    let (name, rest) = reference.split_at(name_end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Fault::Reference(reference.to_owned()));
    }
    // As in a shell: what is empty is as good as unset where the reference says what then.
    let value = match variable(name) {
        Ok(value) => Some(value),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(_)) => return Err(Fault::NoText { name: name.to_owned() }),
    };
    let filled = value.clone().filter(|value| !value.is_empty());
    match (rest.get(..2), rest.get(2..)) {
        (Some(":-"), Some(default)) => Ok(filled.unwrap_or_else(|| default.to_owned())),
        (Some(":?"), Some(why)) => {
            filled.ok_or_else(|| Fault::Unset { name: name.to_owned(), why: why.to_owned() })
        }
        _ if rest.is_empty() => {
            value.ok_or_else(|| Fault::Unset { name: name.to_owned(), why: String::new() })
        }
        _ => Err(Fault::Reference(reference.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<String, Fault> {
        filled(text, &|name| match name {
            "HOST" => Ok("example.com".to_owned()),
            "EMPTY" => Ok(String::new()),
            "NESTED" => Ok("${HOST}".to_owned()),
            _ => Err(VarError::NotPresent),
        })
    }

    #[test]
    fn a_variable_stands_where_its_name_was() {
        for (text, means) in [
            ("https://${HOST}/${HOST}", "https://example.com/example.com"),
            ("${HOST:-other}${NOBODY:-other}${EMPTY:-}", "example.comother"),
            ("${HOST:?why}", "example.com"),
            ("${EMPTY}", ""),
            ("${NESTED}", "${HOST}"),
            ("$${HOST} $ $HOST {HOST}", "${HOST} $ $HOST {HOST}"),
            ("$$${HOST}", "$${HOST}"),
        ] {
            assert_eq!(of(text), Ok(means.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_text_whose_dollars_stand_for_themselves_has_no_variable() {
        for text in ["$${HOST}", "$$${HOST}", "a $${HOST}$${HOST} $ {HOST}", "$$${{HOST}", "$HOST"] {
            assert!(!has_variable(text), "{text}");
        }
        for text in ["${HOST}", "$${HOST}${HOST}", "$$${A}${EMPTY:-}", "${NOBODY:-$}"] {
            assert!(has_variable(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_set_or_no_reference_is_refused() {
        let unset = |name: &str, why: &str| Err(Fault::Unset { name: name.into(), why: why.into() });
        assert_eq!(of("${NOBODY}"), unset("NOBODY", ""));
        assert_eq!(of("${EMPTY:?set it to the host}"), unset("EMPTY", "set it to the host"));
        assert_eq!(of("${HOST"), Err(Fault::Unclosed));
        for text in ["", "1A", "HOST-x", "A B", "HOST:+x", "HOST:", "HOST:-${A"] {
            assert_eq!(of(&format!("${{{text}}}")), Err(Fault::Reference(text.into())), "{text}");
        }
    }
}
