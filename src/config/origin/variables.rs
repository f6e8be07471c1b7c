//! What is said of settings that are written with variables of the environment: nobody is told what those hold.

use crate::config::fault::Fault;
use crate::config::said::{By, Said, say};
use crate::config::tree::{Node, Value, has_variable, is_default};

/// How to mend what a variable of the environment says, which is told to nobody.
const LOOK: &str = "see what the variable holds";
/// The same, of a default.
const LOOK_AT_DEFAULT: &str = "it is the default behind `:-`: mend it, or set the variable";

impl Fault {
    /// What is said to who wrote it into a file, without what variables of the environment hold.
    pub(super) fn said_of(&self, part: &Node) -> Said {
        let Said { message, help } = self.said(By::File);
        let look = match (&part.written, &part.value) {
            (Some(written), Value::Text(text)) if is_default(written, text) => LOOK_AT_DEFAULT,
            _ => LOOK,
        };
        let is_variable = part.written.as_deref().is_some_and(has_variable);
        match self {
            Self::Conflict(_) => Said {
                message: without_variables(&message, part),
                help: help.map(|help| without_variables(&help, part)),
            },
            _ if is_variable && self.quotes() => {
                let told =
                    message.split(['`', ':', '{']).next().map(str::trim).filter(|told| !told.is_empty());
                say(told.unwrap_or("stands for nothing here"), look)
            }
            _ if is_variable && self.is_of_value() => {
                say(message, help.map_or_else(|| look.to_owned(), |help| format!("{look}; {help}")))
            }
            _ => Said { message, help },
        }
    }
}

/// What is said of a part of the settings, without what variables in that part hold.
fn without_variables(said: &str, part: &Node) -> String {
    match (&part.value, &part.written) {
        (Value::Text(text), Some(written)) => {
            let said = replace_whole(said, text, written);
            match text.strip_prefix('~') {
                // However many spaces it is written with, it is said with one.
                Some(regex) => replace_whole(&said, &format!("~ {}", regex.trim_start()), written),
                None => said,
            }
        }
        (Value::List(list), _) => {
            list.iter().fold(said.to_owned(), |said, part| without_variables(&said, part))
        }
        (Value::Table(table), _) => {
            table.values().fold(said.to_owned(), |said, entry| without_variables(&said, &entry.node))
        }
        _ => said.to_owned(),
    }
}

/// Puts another text where one stands that is no part of a longer word.
fn replace_whole(said: &str, text: &str, other: &str) -> String {
    let mut replaced = String::new();
    let mut rest = said;
    while let Some(at) = rest.find(text).filter(|_| !text.is_empty()) {
        let (before, behind) = (&rest[..at], &rest[at + text.len()..]);
        let is_part = replaced.chars().chain(before.chars()).next_back().is_some_and(char::is_alphanumeric)
            || behind.starts_with(char::is_alphanumeric);
        replaced.push_str(before);
        replaced.push_str(if is_part { text } else { other });
        rest = behind;
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_replaced_where_it_is_no_part_of_a_word() {
        let replaced = |said| replace_whole(said, "/a", "${P}");
        assert_eq!(replaced("the path /a, and /ab or x/a: /a"), "the path ${P}, and /ab or x/a: ${P}");
        assert_eq!(replace_whole("nothing", "", "${P}"), "nothing");
    }

    #[test]
    fn a_regular_expression_is_known_however_many_spaces_it_is_written_with() {
        for text in ["~/secret", "~ /secret", "~   /secret"] {
            let part = Node { written: Some("${P}".into()), ..Node::new(Value::Text(text.into()), None) };
            assert_eq!(without_variables("the path ~ /secret, for", &part), "the path ${P}, for", "{text}");
        }
    }
}
