//! Settings as they were written, for who shows some of them: a variable of the environment may hold a secret.

use super::load::Loaded;
use super::tree::{Node, Value};

/// A place among the settings of files, whatever is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Written<'a>(Option<&'a Node>);

impl Loaded {
    /// The settings of the files, as they were written.
    pub fn written(&self) -> Written<'_> {
        Written(self.origin.tree.as_ref())
    }
}

impl<'a> Written<'a> {
    /// What a key of the table here stands for.
    pub fn key(self, key: &str) -> Self {
        match self.0.map(|node| &node.value) {
            Some(Value::Table(table)) => Self(table.get(key).map(|entry| &entry.node)),
            _ => Self(None),
        }
    }

    /// An element of the list here.
    pub fn index(self, index: usize) -> Self {
        match self.0.map(|node| &node.value) {
            Some(Value::List(list)) => Self(list.get(index)),
            _ => Self(None),
        }
    }

    /// What all keys of the table here stand for, in their order.
    pub fn all(self) -> impl Iterator<Item = Self> + use<'a> {
        let table = match self.0.map(|node| &node.value) {
            Some(Value::Table(table)) => Some(table),
            _ => None,
        };
        table.into_iter().flat_map(|table| table.values()).map(|entry| Self(Some(&entry.node)))
    }

    /// The text here with the names of its variables, if it has any.
    pub fn with_variables(self) -> Option<&'a str> {
        self.0.and_then(|node| node.written.as_deref())
    }
}

/// What is said of a part of the settings, without what variables in that part hold.
pub(super) fn without_variables(said: &str, part: &Node) -> String {
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
