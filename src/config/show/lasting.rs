//! What is shown is read again, from another place and as it stands there: names of files and texts that say the same then.

use std::cell::Cell;
use std::env::current_dir;
use std::path::Path as FilePath;

use crate::config::address::UNIX;
use crate::config::origin::Origin;
use crate::config::path::{Path, Step};
use crate::config::tree::{Node, Value};

/// The sections in which keys that end in this name files: elsewhere a key may be a name of the operator's choice.
const SECTIONS: [&str; 3] = ["tls", "admin", "pools"];
const FILE: &str = "_file";
/// What names a file that tells of backends.
const SOURCE: &str = "file:";
const VARIABLE: &str = "${";

/// Lets names of files start from the folder of the first text, where those of settings that are posted start, and a `${` that
/// no file wrote stand for itself.
pub(super) fn make_lasting(tree: &mut Node, origin: &Origin) {
    let first = origin.texts.first().map_or(FilePath::new(""), |text| &text.folder);
    let folder = |path: &Path| match origin.folder(path).strip_prefix(first) {
        Ok(folder) => folder.to_owned(),
        // A flag's starts from where we are.
        Err(_) => current_dir().unwrap_or_default(),
    };
    each_text(tree, &mut Path::default(), &|node, path| {
        if node.written.is_none() {
            escape(node);
        }
        if let Value::Text(text) = &node.value
            && let Some(at) = file_name(text, path)
            && FilePath::new(&text[at..]).is_relative()
        {
            start_from(&folder(path), node, at);
        }
    });
}

/// The first text that is a name of a file and starts from a folder.
pub(super) fn starts_from_folder(tree: &mut Node) -> Option<String> {
    let first = Cell::new(None);
    each_text(tree, &mut Path::default(), &|node, path| {
        if let Value::Text(text) = &node.value
            && let Some(at) = file_name(text, path)
            && FilePath::new(&text[at..]).is_relative()
        {
            first.set(first.take().or_else(|| Some(node.written.as_ref().unwrap_or(text).clone())));
        }
    });
    first.into_inner()
}

fn each_text(node: &mut Node, path: &mut Path, change: &dyn Fn(&mut Node, &Path)) {
    let mut down = |step, node: &mut Node| {
        path.0.push(step);
        each_text(node, path, change);
        path.0.pop();
    };
    match &mut node.value {
        Value::List(list) => {
            list.iter_mut().enumerate().for_each(|(index, node)| down(Step::Index(index), node));
        }
        Value::Table(table) => {
            table.iter_mut().for_each(|(key, entry)| down(Step::Key(key.clone()), &mut entry.node));
        }
        Value::Text(_) => change(node, path),
        _ => {}
    }
}

/// Where in a text the name of a file begins, if it names one. A socket is one, too.
fn file_name(text: &str, path: &Path) -> Option<usize> {
    match &path.0[..] {
        [Step::Key(key)] if key == "access_log" && text != "-" => Some(0),
        [Step::Key(routes), _, Step::Key(pages), _, Step::Key(key)]
            if routes == "routes" && pages == "error_pages" && key == "file" =>
        {
            Some(0)
        }
        _ if is_address(path) => text.starts_with(UNIX).then_some(UNIX.len()),
        // Tags have names of the operator's own.
        [.., Step::Key(tags), Step::Key(_)] if tags == "tags" => None,
        [Step::Key(section), .., Step::Key(key)] if SECTIONS.contains(&&**section) && key.ends_with(FILE) => {
            Some(0)
        }
        [.., Step::Key(key), Step::Index(_)] if key == "discover" && text.starts_with(SOURCE) => {
            Some(SOURCE.len())
        }
        _ => None,
    }
}

/// Whether an address of ours or of a backend stands here.
fn is_address(Path(steps): &Path) -> bool {
    let words = steps.iter().map(|step| match step {
        Step::Key(key) => key,
        Step::Index(_) => "*",
    });
    let words: Vec<_> = words.collect();
    let is_ours = matches!(words[..], ["admin", "address"] | ["listeners", _, "address"]);
    is_ours || matches!(words[..], ["pools", _, "backends", "*"] | ["pools", _, "backends", "*", "address"])
}

/// Puts a folder before the name that begins there, and where it is written with variables before that.
fn start_from(folder: &FilePath, node: &mut Node, at: usize) {
    let folder = folder.display().to_string();
    let Value::Text(text) = &mut node.value else { return };
    // A variable that holds more than a name says where it starts.
    let is_apart = node.written.as_ref().is_none_or(|written| written.get(..at) == text.get(..at));
    if folder.is_empty() || !is_apart {
        return;
    }
    text.insert_str(at, &format!("{folder}/"));
    if let Some(written) = &mut node.written {
        written.insert_str(at, &format!("{}/", escaped(&folder)));
    }
}

fn escape(node: &mut Node) {
    if let Value::Text(text) = &node.value
        && text.contains(VARIABLE)
    {
        node.written = Some(escaped(text));
    }
}

fn escaped(text: &str) -> String {
    text.replace(VARIABLE, "$${")
}
