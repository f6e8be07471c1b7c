//! Regular expressions as settings.

use std::fmt::{self, Display, Formatter};
use std::hash::{Hash, Hasher};

use regex::Regex;

/// A regular expression that a whole text must match. Two are the same if they are written alike.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// It is not one, or would take too much memory.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        if text.contains(')') {
            // `a)|(b` is none, but would be within the brackets.
            Regex::new(text)?;
        }
        Ok(Self { text: text.to_owned(), regex: Regex::new(&format!("^(?:{text})$"))? })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The expression itself, which is anchored at both ends.
    pub fn regex(&self) -> &Regex {
        &self.regex
    }

    /// Whether it matches a whole text.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Display for Pattern {
    /// As it was written.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_expression_by_itself_is_none() {
        assert!(Pattern::new("a)|(b").is_err() && Pattern::new("(a").is_err());
        let pattern = Pattern::new("(a)|b").expect("an expression");
        assert!(pattern.matches("a") && pattern.matches("b") && !pattern.matches("ab"));
    }
}
