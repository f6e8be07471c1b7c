//! From TOML to a tree.

mod grow;
mod recover;
mod statement;
mod value;

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};
use toml_parser::lexer::TokenKind;
use toml_parser::{Expected, ParseError, Source};

use super::{DEEPEST, Entry, MOST_VALUES, Misread, Node, Parsed, Table, Value};
use crate::config::fault::Fault;
use crate::config::path::Span;
use recover::recover;

/// All that is wrong with a text is told, not only the first of it.
pub(super) fn parse(text: &str, file: usize) -> Parsed {
    if let Some(bytes) = one_too_many(text) {
        let span = Some(Span { file, bytes });
        return Parsed::nothing(vec![Misread { span, fault: Fault::TooManyValues(MOST_VALUES) }]);
    }
    match DeTable::parse(text) {
        Ok(root) => {
            let reader = Reader { file };
            let span = reader.span(0..0);
            match reader.table(root.into_inner(), 0) {
                Ok(table) => Parsed::all(Node::new(Value::Table(table), span)),
                Err(misread) => Parsed::nothing(vec![misread]),
            }
        }
        Err(first) => {
            let parsed = recover(text, file);
            match parsed.misread.is_empty() {
                true => Parsed::nothing(vec![misread(&first, file)]),
                false => parsed,
            }
        }
    }
}

/// Where a text gets to have more values than may be. It is looked for before there is a tree: a value stands behind one of these
/// signs, though not behind each of them.
fn one_too_many(text: &str) -> Option<Range<usize>> {
    /// Of a value with its key, blanks and a remark. What is little else takes memory for nothing, too.
    const MOST_TOKENS_OF_ONE: usize = 8;
    let mut values = 0;
    let found = Source::new(text).lex().enumerate().find(|(tokens, token)| {
        let begins_value = matches!(
            token.kind(),
            TokenKind::Equals | TokenKind::Comma | TokenKind::LeftSquareBracket | TokenKind::Dot
        );
        values += usize::from(begins_value);
        values > MOST_VALUES || *tokens > MOST_VALUES * MOST_TOKENS_OF_ONE
    });
    found.map(|(_, token)| token.span().start()..token.span().end())
}

fn misread(error: &Error, file: usize) -> Misread {
    let fault = Fault::of_syntax(&error.message().replace('\n', ", "));
    Misread { span: error.span().map(|bytes| Span { file, bytes }), fault }
}

/// What is wrong, and what was expected.
fn message(error: &ParseError) -> String {
    let Some(expected) = error.expected() else { return error.description().to_owned() };
    let word = |expected: &Expected| match expected {
        Expected::Literal("\n") => "newline".to_owned(),
        Expected::Literal("`") => "'`'".to_owned(),
        Expected::Literal(text) => format!("`{text}`"),
        Expected::Description(text) => (*text).to_owned(),
        _ => "something else".to_owned(),
    };
    let words: Vec<_> = expected.iter().map(word).collect();
    let words = if words.is_empty() { "nothing".to_owned() } else { words.join(", ") };
    format!("{}, expected {words}", error.description())
}

struct Reader {
    file: usize,
}

impl Reader {
    fn table(&self, table: DeTable<'_>, depth: usize) -> Result<Table, Misread> {
        let mut entries: Vec<_> = table.into_iter().collect();
        // They are kept by name; an operator thinks of them in the order of the file.
        entries.sort_by_key(|(key, _)| key.span().start);
        let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
            let span = self.span(key.span());
            let name = std::borrow::Cow::into_owned(key.into_inner());
            Ok((name, Entry { key: span, node: self.node(value, depth + 1)? }))
        };
        entries.into_iter().map(entry).collect()
    }

    fn node(&self, value: Spanned<DeValue<'_>>, depth: usize) -> Result<Node, Misread> {
        let span = self.span(value.span());
        if depth > DEEPEST {
            return Err(Misread { span, fault: Fault::TooDeep });
        }
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Value::Float(f64::INFINITY), Value::Integer),
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(value) => Value::Bool(value),
            DeValue::Datetime(_) => Value::Date,
            DeValue::Array(list) => {
                let nodes = list.into_iter().map(|node| self.node(node, depth + 1));
                Value::List(nodes.collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => Value::Table(self.table(table, depth)?),
        };
        Ok(Node::new(value, span))
    }

    fn span(&self, bytes: Range<usize>) -> Option<Span> {
        Some(Span { file: self.file, bytes })
    }
}
