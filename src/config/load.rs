//! Where settings come from: flags, the environment and files, read anew as often as it is asked.

mod admin;
mod piece;
mod replace;

use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use super::draft::{Check, Flaw, Found, MOST_FLAWS};
use super::facts::Config;
use super::fault::Fault;
use super::file::File;
use super::flags::{Flags, in_words_of_files, say_keys};
use super::format::{Format, STDIN};
use super::listen::Listener;
use super::origin::{Origin, Read, Text, Wrong};
use super::path::{Path, Step};
use super::plain::MOST_FILE_BYTES;
use super::problem::{Problem, Problems};
use super::resolve::{Known, Resolved, resolve};
use super::tree::{Misread, Node, interpolate, merge, parse, read};

pub use admin::PlaceError;
pub use piece::read_text;
pub(super) use piece::toml_files;
pub use replace::{refuse_nothing, says_nothing};

use piece::{Piece, to_text};
use replace::emptied;

/// The file of a folder that is read first, and the folder in it whose files follow.
const MAIN: &str = "loadbalancer.toml";
pub(super) const MORE: &str = "conf.d";
/// Where settings come from.
#[derive(Clone, Debug)]
pub struct Sources {
    pub(super) flags: Flags,
    open_files: u64,
    /// Looks into what is beyond the settings themselves.
    check: Check,
    /// Where names led before.
    pub(super) known: Arc<Known>,
    /// Standard input can be read once.
    stdin: Arc<OnceLock<Vec<u8>>>,
    /// The state of the files when it was noted last.
    pub(super) state_noted: Arc<AtomicU64>,
}

/// Settings that were read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What they mean.
    pub config: Config,
    /// As they were written, all files and flags together.
    pub file: File,
    /// What is to be said of them though nothing is wrong.
    pub remarks: Vec<String>,
    /// The files that say it, in order; none if flags do.
    pub files: Vec<PathBuf>,
    /// Where it was written.
    pub(super) origin: Arc<Origin>,
}

impl Flags {
    /// The configuration that these flags, and the files that they name, mean. `open_files` is the process's limit on
    /// open files.
    ///
    /// # Errors
    /// All that makes no sense.
    pub fn resolve(&self, open_files: u64) -> Result<Config, Problems> {
        Sources::new(self.clone(), open_files).load().map(|loaded| loaded.config)
    }
}

impl Sources {
    /// These flags, and the files that they name. `open_files` is the process's limit on open files.
    pub fn new(flags: Flags, open_files: u64) -> Self {
        let check: Check = |_| Found::default();
        let known = Arc::default();
        Self { flags, open_files, check, known, stdin: Arc::default(), state_noted: Arc::default() }
    }

    /// The same, of which is told as well what this finds: with all that is wrong otherwise, and at its place.
    pub fn checked(self, check: Check) -> Self {
        Self { check, ..self }
    }

    /// The same, for who has read these settings before: a name leads where it led in the first of them, as long as it may.
    pub fn knowing<'a>(self, settings: impl IntoIterator<Item = &'a Config>) -> Self {
        Self { known: Known::by(settings).into(), ..self }
    }

    /// Reads them. A reload reads them again; what changed in the files is then in what is given. Files are read and names
    /// are looked up, so it may take a while.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn load(&self) -> Result<Loaded, Problems> {
        // Before they are read: what changes meanwhile is seen as a change.
        self.note_state();
        self.refuse_no_text()?;
        self.refuse_useless()?;
        let Some(place) = &self.flags.config else {
            let origin =
                Origin { texts: Vec::new(), tree: None, cut: Vec::new(), given: self.flags.given.clone() };
            return self.resolve(self.flags.to_file(), origin, &Read::default(), Vec::new());
        };
        if let Some(flag) = self.flags.given.by_name() {
            let (flag, config) = (self.flags.given.name(flag), self.flags.given.name("--config"));
            return Err(Problems::of(vec![Problem::of_flags(
                &flag,
                None,
                format!("{config} {} says where requests come from and go to", place.display()),
                format!("remove {flag}, or write what it says into the file"),
            )]));
        }
        let pieces = self.pieces(place)?;
        if pieces.iter().all(|piece| piece.unread.is_none() && piece.text.is_blank()) {
            return Err(Problems::of(
                pieces.iter().map(|piece| emptied(piece.text.name.as_deref())).collect(),
            ));
        }
        let files = match place.as_os_str() == STDIN {
            true => Vec::new(),
            false => pieces.iter().filter_map(|piece| piece.text.name.as_ref().map(PathBuf::from)).collect(),
        };
        self.read_pieces(pieces, files)
    }

    /// What a text says in place of the files, as if they said it: other files that it names are looked for where theirs
    /// are. Flags of process-wide settings win over it, too.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(&self, text: &[u8], format: Format) -> Result<Loaded, Problems> {
        let bytes = text.get(..=MOST_FILE_BYTES as usize).unwrap_or(text).to_vec();
        let text = Text { name: None, folder: self.folder().to_owned(), format, text: to_text(None, bytes)? };
        self.read_pieces(vec![Piece { text, unread: None }], Vec::new())
    }

    /// Settings are text, and as text such a name would be that of another file.
    fn refuse_no_text(&self) -> Result<(), Problems> {
        let Some(flag) = self.flags.file_of_no_text() else { return Ok(()) };
        let (flag, message) = (self.flags.given.name(flag), "the file's name is not UTF-8".to_owned());
        Err(Problems::of(vec![Problem::of_flags(&flag, None, message, "name one whose is".to_owned())]))
    }

    /// To watch what cannot change is a mistake.
    fn refuse_useless(&self) -> Result<(), Problems> {
        let Some(why) = self.unwatchable().filter(|_| self.flags.watch) else { return Ok(()) };
        let flag = self.flags.given.name("--watch");
        let help = format!("add --config FILE, or remove {flag}");
        Err(Problems::of(vec![Problem::of_flags(&flag, None, why.to_owned(), help)]))
    }

    /// Why there are no files that could be watched, if there are none.
    fn unwatchable(&self) -> Option<&'static str> {
        match &self.flags.config {
            None => Some("there is no file to watch"),
            Some(place) if place.as_os_str() == STDIN => Some("standard input is read once"),
            Some(_) => None,
        }
    }

    /// Whether settings come from standard input, which is read once.
    pub fn is_read_once(&self) -> bool {
        self.flags.config.as_ref().is_some_and(|place| place.as_os_str() == STDIN)
    }

    /// From where the files name others.
    fn folder(&self) -> &FilePath {
        match &self.flags.config {
            Some(place) if place.as_os_str() == STDIN => FilePath::new(""),
            Some(place) if place.is_dir() => place,
            Some(place) => place.parent().unwrap_or(FilePath::new("")),
            None => FilePath::new(""),
        }
    }

    fn read_pieces(&self, pieces: Vec<Piece>, files: Vec<PathBuf>) -> Result<Loaded, Problems> {
        let unread = pieces.iter().filter_map(|piece| piece.unread.as_ref());
        let unread: Vec<_> = unread.flat_map(Problems::all).cloned().collect();
        if pieces.iter().all(|piece| piece.unread.is_some()) {
            return Err(Problems::unreadable(unread));
        }
        // What is missing in the others may have stood there.
        let is_blank = |piece: &&Piece| pieces.len() > 1 && piece.unread.is_none() && piece.text.is_blank();
        let blank = pieces.iter().filter(is_blank);
        let blank: Vec<_> = blank.map(|piece| emptied(piece.text.name.as_deref())).collect();
        let format = |piece: &Piece| piece.unread.is_none().then_some(piece.text.format);
        let formats: Vec<_> = pieces.iter().map(format).collect();
        let texts = pieces.into_iter().map(|piece| piece.text).collect();
        let mut origin = Origin { texts, tree: None, cut: Vec::new(), given: self.flags.given.clone() };
        let (mut tree, misread, doubled) = plant(&mut origin, &formats);
        let mut faults = interpolate(&mut tree, &|name| std::env::var(name));
        let (mut file, more) = read::<File>(&mut tree);
        faults.extend(more);
        for path in doubled {
            if let Some(node) = path.find_mut(&mut tree) {
                node.broken = true;
            }
        }
        origin.tree = Some(tree);
        self.flags.add_process_wide(&mut file);
        let read = Read { misread, faults };
        let order = origin.texts.iter().map(|text| text.name.clone()).collect::<Vec<_>>();
        let resolved = self.resolve(file, origin, &read, files);
        resolved.map_err(|problems| problems.and_unreadable(unread, &order).because_of(blank))
    }

    fn resolve(
        &self,
        file: File,
        origin: Origin,
        read: &Read,
        files: Vec<PathBuf>,
    ) -> Result<Loaded, Problems> {
        let Resolved { config, draft, mut wrong, mut remarks } =
            resolve(&file, &origin, read, (self.open_files, &self.known));
        let useless = self.unwatchable().filter(|_| file.watch == Some(true));
        wrong.extend(useless.map(|why| Wrong {
            path: Path(vec![Step::Key("watch".to_owned())]),
            value: Some("true".to_owned()),
            is_key: false,
            fault: Fault::Said(format!("{why}; name a file with --config FILE, or remove this")),
        }));
        let found = (self.check)(&draft);
        wrong.extend(found.flaws.into_iter().take(MOST_FLAWS).map(|flaw| told(flaw, &origin)));
        for remark in found.remarks {
            // Several pools may name one file.
            if !remarks.contains(&remark) {
                remarks.push(remark);
            }
        }
        match config {
            Some(config) if wrong.is_empty() && read.is_clean() && origin.cut.is_empty() => {
                let format = origin.texts.first().map_or(Format::Toml, |text| text.format);
                let remarks = remarks.iter().map(|remark| format.in_its_words(remark)).collect();
                Ok(Loaded { config, file, remarks, files, origin: Arc::new(origin) })
            }
            _ => Err(origin.problems(read, &wrong, &file)),
        }
    }
}

impl Loaded {
    /// Lets what is said while these are in force name keys of files, where that is how they were written.
    pub fn give_the_words(&self) {
        if self.origin.tree.is_some() {
            say_keys(&self.origin.given);
        }
    }

    /// A text about these settings, in the words in which they were written: keys of files in place of flags that nobody wrote.
    pub fn in_its_words(&self, text: &str) -> String {
        if self.origin.tree.is_none() {
            return text.to_owned();
        }
        let format = self.origin.texts.first().map_or(Format::Toml, |text| text.format);
        let address = format.in_its_words("[listeners.web] address = \"127.0.0.1:PORT\"");
        let parts = text.split(" | ").map(|part| {
            let is_of = |listener: &&Listener| part.contains(&format!("listen on {}: ", listener.address));
            let part = in_words_of_files(part, &self.origin.given);
            match self.config.listeners.iter().find(is_of) {
                Some(_) if self.file.listeners.is_empty() => part.replace("listeners.NAME.address", &address),
                Some(listener) => part.replace("listeners.NAME.", &format!("listeners.{}.", listener.name)),
                None => part,
            }
        });
        parts.collect::<Vec<_>>().join(" | ")
    }
}

fn told(Flaw { place, value, text }: Flaw, origin: &Origin) -> Wrong {
    let is_of_route = place.0.0.first() == Some(&Step::Key("routes".to_owned()));
    let text = if origin.tree.is_some() { in_words_of_files(&text, &origin.given) } else { text };
    let fault = if is_of_route { Fault::Conflict(text) } else { Fault::Said(text) };
    Wrong { path: place.0, value, is_key: false, fault }
}

/// One tree of all texts, what is wrong with them, and the tables that are given twice. A text without a format is not known.
fn plant(origin: &mut Origin, formats: &[Option<Format>]) -> (Node, Vec<Misread>, Vec<Path>) {
    let mut tree = Node::empty();
    let (mut misread, mut doubled) = (Vec::new(), Vec::new());
    let several = origin.texts.len() > 1;
    for (number, (text, format)) in origin.texts.iter().zip(formats).enumerate() {
        let Some(format) = *format else {
            origin.cut.push(number);
            continue;
        };
        let mut parsed = parse(&text.text, number, format).unless_foreign(&text.text, format);
        misread.append(&mut parsed.misread);
        doubled.append(&mut parsed.doubled);
        if parsed.is_cut {
            origin.cut.push(number);
        }
        match parsed.tree {
            Some(one) if several => {
                let mut merged = merge(&mut tree, one, &|span| origin.tell(span));
                misread.append(&mut merged.misread);
                doubled.append(&mut merged.doubled);
            }
            Some(one) => tree = one,
            None => {}
        }
    }
    (tree, misread, doubled)
}

#[cfg(test)]
mod tests;
