//! Where settings were written, so that what is wrong with one can be shown at its place.

mod unsure;
mod variables;

use std::path::{Path as FilePath, PathBuf};

use super::fault::Fault;
use super::file::File;
use super::flags::{Given, flag_of};
use super::format::Format;
use super::path::{Path, Span, Step};
use super::problem::{Excerpt, Problem, Problems};
use super::said::{By, Said};
use super::tree::{Found, Misread, Node, Value};

/// A text that settings were read from.
#[derive(Debug)]
pub(super) struct Text {
    /// As it is called; none if it has no name, because it came through the admin API.
    pub(super) name: Option<String>,
    /// What paths of files in it start from.
    pub(super) folder: PathBuf,
    /// How it says settings.
    pub(super) format: Format,
    pub(super) text: String,
}

/// Where settings were written.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) texts: Vec<Text>,
    /// What they say, as a tree; none if there are only flags.
    pub(super) tree: Option<Node>,
    /// The numbers of the texts that say more than is known.
    pub(super) cut: Vec<usize>,
    /// Which flags count.
    pub(super) given: Given,
}

/// What was found to be wrong when texts were read.
#[derive(Default)]
pub(super) struct Read {
    /// What is no settings, or is given twice.
    pub(super) misread: Vec<Misread>,
    /// What is not of its kind.
    pub(super) faults: Vec<(Path, Fault)>,
}

impl Read {
    /// Whether there is nothing.
    pub(super) fn is_clean(&self) -> bool {
        self.misread.is_empty() && self.faults.is_empty()
    }
}

/// Something that is wrong, at its path.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) path: Path,
    /// What is shown of it, if a flag said it or nobody did.
    pub(super) value: Option<String>,
    /// Whether it is the key that is wrong, not what it stands for.
    pub(super) is_key: bool,
    pub(super) fault: Fault,
}

impl Origin {
    /// One text alone.
    pub(super) fn of_text(name: &str, text: &str, format: Format) -> Self {
        let (name, text) = (Some(name.to_owned()), text.to_owned());
        let text = Text { name, folder: PathBuf::new(), format, text };
        Self { texts: vec![text], tree: None, cut: Vec::new(), given: Given::default() }
    }

    /// All problems, each at its place. What is only a consequence of another is left out.
    pub(super) fn problems(&self, read: &Read, wrong: &[Wrong], file: &File) -> Problems {
        let mut problems = self.misread(&read.misread);
        problems.extend(read.faults.iter().filter_map(|(path, fault)| self.misfit(path, fault)));
        problems.extend(wrong.iter().filter_map(|wrong| self.resolved(wrong, file, read)));
        let number = |file: &Option<String>| self.texts.iter().position(|text| text.name == *file);
        problems.sort_by_cached_key(|problem| (number(&problem.file), problem.line, problem.column));
        problems.dedup();
        Problems::of(problems)
    }

    /// What is said of texts that are no settings.
    pub(super) fn misread(&self, misread: &[Misread]) -> Vec<Problem> {
        let problem = |Misread { span, fault }: &Misread| {
            let path = match fault {
                Fault::Duplicate { path, .. } | Fault::InTwoFiles { path, .. } => Some(path),
                _ => None,
            };
            let mut said = fault.said(By::File);
            if let Fault::Foreign { own, .. } = fault {
                let text = self.texts.get(span.as_ref().map_or(0, |span| span.file));
                said.help = Some(own.mend(text.and_then(|text| text.name.as_deref())));
            }
            if let Fault::Duplicate { first: Some(first), .. } = fault {
                said.message = format!("{}, which is at {} already", said.message, self.tell(first));
            }
            self.problem(span.as_ref(), path, None, said)
        };
        misread.iter().map(problem).collect()
    }

    /// What is said of something that is not of its kind.
    fn misfit(&self, path: &Path, fault: &Fault) -> Option<Problem> {
        let found = path.find(self.tree.as_ref()?, true);
        let (span, value) = match fault {
            Fault::UnknownKey { .. } => (found.key.or(found.node.span.as_ref()), path.last()),
            _ => (found.node.span.as_ref().or(found.key), self.shown(found.node)),
        };
        let mut said = fault.said_of(found.node);
        if let (Fault::Kind { expected, .. }, None) = (fault, &said.help) {
            said.help = path.mend_kind(found.node, expected);
        }
        Some(self.problem(span, Some(path), value, said))
    }

    /// What a part of the settings says, if that can be said in a word. A number is shown as it was written: `1e3`.
    fn shown(&self, node: &Node) -> Option<String> {
        let is_number = matches!(node.value, Value::Integer(_) | Value::Float(_)) && node.written.is_none();
        let span = node.span.as_ref().filter(|_| is_number);
        let text = span.and_then(|span| self.texts.get(span.file)?.text.get(span.bytes.clone()));
        let is_one_word = |text: &&str| !text.is_empty() && !text.contains(char::is_whitespace);
        text.filter(is_one_word).map(str::to_owned).or_else(|| node.shown())
    }

    /// The folder from which the paths of files start that stand here.
    pub(super) fn folder(&self, path: &Path) -> &FilePath {
        // Whoever writes a flag writes it where they are.
        if self.flag(path, None).is_some() {
            return FilePath::new("");
        }
        let span = self.tree.as_ref().and_then(|root| path.find(root, false).node.span.as_ref());
        let text = span.map_or(self.texts.first(), |span| self.texts.get(span.file));
        text.map_or(FilePath::new(""), |text| &text.folder)
    }

    /// `lb.toml:3:1`.
    pub(super) fn tell(&self, span: &Span) -> String {
        let Some(text) = self.texts.get(span.file) else { return String::new() };
        let (line, column) = place(&text.text, span.bytes.start);
        match &text.name {
            Some(name) => format!("{name}:{line}:{column}"),
            None => format!("line {line}, column {column}"),
        }
    }

    fn resolved(&self, wrong: &Wrong, file: &File, read: &Read) -> Option<Problem> {
        let Wrong { path, value, is_key, fault } = wrong;
        let may_pass = fault.may_pass();
        if let Some(flag) = self.flag(path, Some(file)) {
            let Said { message, help } = fault.said(By::Flags);
            let flag = Some(self.given.name(flag));
            return Some(Problem { flag, value: value.clone(), help, may_pass, ..Problem::saying(message) });
        }
        let Some(root) = &self.tree else {
            let problem = self.problem(None, Some(path), value.clone(), fault.said(By::File));
            return Some(Problem { may_pass, ..problem });
        };
        let found = path.find(root, false);
        if found.broken || self.is_unsure(root, &found, path, fault, read) {
            return None;
        }
        // A backend that is written as its address alone has no such key.
        let is_value = !is_key && !matches!(found.node.value, Value::Table(_));
        let shown = value.as_ref().filter(|_| is_value).and_then(|_| self.shown(found.node));
        let is_table = *is_key || matches!(found.node.value, Value::Table(_)) || !found.exact;
        let span = match found.key {
            Some(key) if is_table => Some(key),
            key => found.node.span.as_ref().or(key),
        };
        let span = span.filter(|_| !found.path.0.is_empty());
        let is_all = found.exact || !matches!(found.node.value, Value::Table(_));
        let path = if is_all { &found.path } else { path };
        let problem =
            self.problem(span, Some(path), shown.or_else(|| value.clone()), fault.said_of(found.node));
        Some(Problem { may_pass, ..problem })
    }

    /// Whether more may be said of something than is known. A listener, a route and a pool are in one text; any other section
    /// may be in several.
    pub(super) fn is_cut(&self, found: &Found<'_>) -> bool {
        let file = found.node.span.as_ref().map(|span| span.file);
        match file {
            Some(file) if found.path.0.len() > 1 => self.cut.contains(&file),
            _ => !self.cut.is_empty(),
        }
    }

    fn problem(
        &self,
        span: Option<&Span>,
        path: Option<&Path>,
        value: Option<String>,
        Said { message, help }: Said,
    ) -> Problem {
        let text = self.texts.get(span.map_or(0, |span| span.file));
        let file = text.and_then(|text| text.name.clone());
        let help = help.map(|help| text.map_or(Format::Toml, |text| text.format).in_its_words(&help));
        let mut problem = Problem { file, value, help, ..Problem::saying(message) };
        problem.path = path.map(ToString::to_string).filter(|path| !path.is_empty());
        if let (Some(span), Some(text)) = (span, text) {
            let (line, column) = place(&text.text, span.bytes.start);
            (problem.line, problem.column) = (Some(line), Some(column));
            problem.excerpt = excerpt(&text.text, line, span);
        }
        problem
    }

    /// The flag that says what stands at a path, if one does.
    pub(super) fn flag(&self, path: &Path, file: Option<&File>) -> Option<&'static str> {
        let name = |step: &Step| match step {
            Step::Key(key) => Some(key.clone()),
            Step::Index(_) => None,
        };
        let mut keys: Vec<_> = path.0.iter().filter_map(name).collect();
        if let [section, name, key, ..] = &mut keys[..]
            && ["listeners", "pools"].contains(&&**section)
        {
            let listener = file.and_then(|file| file.listeners.get(name));
            if key == "address" && listener.is_some_and(|listener| listener.tls) {
                "tls".clone_into(key);
            }
            "*".clone_into(name);
        }
        let flag = flag_of(&keys.join("."))?;
        (self.tree.is_none() || self.given.process_wide(flag)).then_some(flag)
    }
}

/// The line and the column of a byte, from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1, before[line_start..].chars().count() + 1)
}

/// The line where a span begins, with as much of it as is on that line.
/// None of one that nobody wants to see.
fn excerpt(text: &str, line: usize, span: &Span) -> Option<Excerpt> {
    const LONGEST_LINE: usize = 2000;
    let at = text.floor_char_boundary(span.bytes.start);
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let rest = &text[start..];
    let text = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
    let from = (at - start).min(text.len());
    let to = text.ceil_char_boundary((span.bytes.end.max(at + 1) - start).min(text.len()));
    let wrong = from..to.max(from);
    (text.len() <= LONGEST_LINE).then(|| Excerpt { text: text.to_owned(), first_line: line, wrong })
}
