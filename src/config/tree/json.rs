//! From JSON (RFC 8259) to a tree.

use serde::de::{DeserializeOwned, IgnoredAny};

use super::again::Again;
use super::{DEEPEST, Entry, MOST_FAULTS, MOST_VALUES, Misread, Node, Parsed, Table, Value};
use crate::config::fault::Fault;
use crate::config::path::{Path, Span, Step};

/// What begins a comment where there are any.
const COMMENTS: [&str; 3] = ["//", "/*", "#"];

/// Of a text that is no JSON the first mistake is told, and commas too many: without them it is known what it says.
pub(super) fn parse(text: &str, file: usize) -> Parsed {
    // It is known to be JSON before places are looked for in it. Of texts and numbers only their shape is known then.
    let Err(error) = serde_json::from_str::<IgnoredAny>(text) else { return read(text, file, Vec::new()) };
    let (mended, commas) = without_last_commas(text);
    let comma = |at: &usize| Misread {
        span: Some(Span { file, bytes: *at..*at + ",".len() }),
        fault: Fault::Syntax("a comma behind the last element".into()),
    };
    let mut told: Vec<_> = commas.iter().take(MOST_FAULTS).map(comma).collect();
    let error =
        if commas.is_empty() { Some(error) } else { serde_json::from_str::<IgnoredAny>(&mended).err() };
    let Some(error) = error else {
        // What is little else takes memory for nothing.
        let is_full = told.len() == MOST_FAULTS;
        return if is_full { Parsed::nothing(told) } else { read(&mended, file, told) };
    };
    match too_deep(text) {
        Some(at) => {
            let span = Some(Span { file, bytes: at..at });
            Parsed::nothing(vec![Misread { span, fault: Fault::TooDeep }])
        }
        None => {
            // Behind it nobody knows what is a comma and what is text.
            let error = misread(&error, text, file);
            let start = |misread: &Misread| misread.span.as_ref().map(|span| span.bytes.start);
            told.retain(|told| start(told) < start(&error));
            told.push(error);
            Parsed::nothing(told)
        }
    }
}

fn read(text: &str, file: usize, mut told: Vec<Misread>) -> Parsed {
    let mut reader = Reader { text, file, at: 0, values: 0, path: Path::default(), again: Again::default() };
    match reader.value() {
        Ok(tree) => {
            let Again { misread, doubled } = reader.again;
            told.extend(misread);
            Parsed { tree: Some(tree), misread: told, doubled, is_cut: false }
        }
        Err(misread) => {
            told.push(misread);
            Parsed::nothing(told)
        }
    }
}

/// The tree of what was never a text. However much it is, it took as much memory before.
pub(in crate::config) fn of_json(value: serde_json::Value) -> Node {
    Node::new(meant(value), None)
}

fn meant(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nothing,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match number.as_i128() {
            Some(number) => Value::Integer(number),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(list) => Value::List(list.into_iter().map(of_json).collect()),
        serde_json::Value::Object(table) => {
            let entry = |(key, value)| (key, Entry { key: None, node: of_json(value) });
            Value::Table(table.into_iter().map(entry).collect())
        }
    }
}

/// The text with blanks in place of commas behind the last part of something, and where these were.
fn without_last_commas(text: &str) -> (String, Vec<usize>) {
    let (mut commas, mut last) = (Vec::new(), None);
    let (mut in_string, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        in_string ^= byte == b'"' && !is_escaped;
        is_escaped = in_string && byte == b'\\' && !is_escaped;
        match byte {
            b']' | b'}' if !in_string => commas.extend(last.take()),
            b',' if !in_string => last = Some(at),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => last = None,
        }
    }
    let mut mended = String::with_capacity(text.len());
    let mut from = 0;
    for at in &commas {
        mended.push_str(&text[from..*at]);
        mended.push(' ');
        from = at + ",".len();
    }
    mended.push_str(&text[from..]);
    (mended, commas)
}

fn misread(error: &serde_json::Error, text: &str, file: usize) -> Misread {
    let said = said_of(error);
    let before = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len);
    let at = (before.sum::<usize>() + error.column().saturating_sub(1)).min(text.len());
    let rest = &text.as_bytes()[at..];
    let begins_comment = COMMENTS.iter().any(|mark| rest.starts_with(mark.as_bytes()));
    // Such a mark may stand behind a backslash, where it is text.
    let said = if begins_comment && !said.contains("escape") { "a comment" } else { &said };
    Misread { span: Some(Span { file, bytes: at..at }), fault: Fault::of_syntax(said) }
}

/// What is wrong, without the place.
fn said_of(error: &serde_json::Error) -> String {
    let said = error.to_string();
    said.split(" at line ").next().unwrap_or_default().to_owned()
}

/// Where a text that may be no JSON gets too deep.
fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    text.bytes().position(|byte| {
        in_string ^= byte == b'"' && !is_escaped;
        is_escaped = in_string && byte == b'\\' && !is_escaped;
        match byte {
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEEPEST
    })
}

struct Reader<'t> {
    text: &'t str,
    file: usize,
    /// How many bytes are read.
    at: usize,
    values: usize,
    /// Where the value is that is next.
    path: Path,
    again: Again,
}

impl Reader<'_> {
    fn value(&mut self) -> Result<Node, Misread> {
        let start = self.skip_blanks();
        if self.path.0.len() > DEEPEST {
            return Err(Misread { span: Some(self.span(start)), fault: Fault::TooDeep });
        }
        self.values += 1;
        if self.values > MOST_VALUES {
            let fault = Fault::TooManyValues(MOST_VALUES);
            return Err(Misread { span: Some(self.span(start)), fault });
        }
        let value = match self.text.as_bytes().get(start) {
            Some(b'{') => Value::Table(self.table()?),
            Some(b'[') => Value::List(self.list()?),
            Some(b'"') => Value::Text(self.string()?),
            _ => self.scalar()?,
        };
        Ok(Node::new(value, Some(self.span(start))))
    }

    fn table(&mut self) -> Result<Table, Misread> {
        let mut table = Table::new();
        self.at += 1;
        while !self.ends(b'}') {
            let start = self.skip_blanks();
            let name = self.string()?;
            let key = Some(self.span(start));
            self.skip_blanks();
            self.at += ":".len();
            self.path.0.push(Step::Key(name.clone()));
            let node = self.value()?;
            self.path.0.pop();
            let path = &self.path;
            self.again.add(&mut table, name, Entry { key, node }, &|| path.clone());
        }
        Ok(table)
    }

    fn list(&mut self) -> Result<Vec<Node>, Misread> {
        let mut list = Vec::new();
        self.at += 1;
        while !self.ends(b']') {
            self.path.0.push(Step::Index(list.len()));
            list.push(self.value()?);
            self.path.0.pop();
        }
        Ok(list)
    }

    fn string(&mut self) -> Result<String, Misread> {
        let start = self.at;
        let mut is_escaped = false;
        let end = self.text.bytes().enumerate().skip(start + 1).find(|(_, byte)| {
            let ends = *byte == b'"' && !is_escaped;
            is_escaped = *byte == b'\\' && !is_escaped;
            ends
        });
        self.at = end.map_or(self.text.len(), |(at, _)| at + 1);
        self.said(start)
    }

    fn scalar(&mut self) -> Result<Value, Misread> {
        let (start, rest) = (self.at, &self.text[self.at..]);
        self.at += rest.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(rest.len());
        Ok(meant(self.said(start)?))
    }

    /// What stands from there to where we are.
    fn said<T: DeserializeOwned>(&self, start: usize) -> Result<T, Misread> {
        let said = serde_json::from_str(&self.text[start..self.at]);
        said.map_err(|error| Misread { span: Some(self.span(start)), fault: Fault::Syntax(said_of(&error)) })
    }

    /// Whether a list or a table ends here; if not, what is between two of its parts is behind us.
    fn ends(&mut self, mark: u8) -> bool {
        let at = self.skip_blanks();
        match self.text.as_bytes().get(at) {
            Some(b',') => {
                self.at += 1;
                false
            }
            Some(byte) if *byte != mark => false,
            _ => {
                self.at += 1;
                true
            }
        }
    }

    fn skip_blanks(&mut self) -> usize {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.at
    }

    fn span(&self, start: usize) -> Span {
        Span { file: self.file, bytes: start..self.at }
    }
}
