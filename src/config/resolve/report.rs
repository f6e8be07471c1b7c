//! What is found to be wrong on the way from a file to a configuration, with its path.

use std::cell::RefCell;
use std::path::{Path as FilePath, PathBuf};

use crate::config::draft::{NamedFile, Place, TlsFiles};
use crate::config::fault::Fault;
use crate::config::file::Size;
use crate::config::origin::{Origin, Read, Wrong};
use crate::config::path::{Path, Step};
use crate::config::tree::{Entry, MOST_FAULTS, Value};

/// All that is wrong so far.
pub(in crate::config) struct Report<'a> {
    origin: &'a Origin,
    read: &'a Read,
    wrong: RefCell<Vec<Wrong>>,
    files: RefCell<Vec<TlsFiles>>,
    remarks: RefCell<Vec<String>>,
}

/// A place among the settings.
#[derive(Clone, Copy)]
pub(in crate::config) struct Spot<'a> {
    report: &'a Report<'a>,
    up: Option<&'a Spot<'a>>,
    step: Leg<'a>,
}

#[derive(Clone, Copy)]
enum Leg<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> Report<'a> {
    pub(in crate::config) fn new(origin: &'a Origin, read: &'a Read) -> Self {
        let (wrong, files, remarks) = Default::default();
        Self { origin, read, wrong, files, remarks }
    }

    /// The settings as a whole.
    pub(in crate::config) fn root(&'a self) -> Spot<'a> {
        Spot { report: self, up: None, step: Leg::Root }
    }

    /// What is wrong, the files for TLS that are named, and what is to be said though nothing is wrong with it.
    pub(in crate::config) fn into_parts(self) -> (Vec<Wrong>, Vec<TlsFiles>, Vec<String>) {
        (self.wrong.into_inner(), self.files.into_inner(), self.remarks.into_inner())
    }
}

impl<'a> Spot<'a> {
    /// A key of the table here.
    pub(in crate::config) fn key<'b>(&'b self, key: &'b str) -> Spot<'b>
    where
        'a: 'b,
    {
        Spot { report: self.report, up: Some(self), step: Leg::Key(key) }
    }

    /// An element of the list here.
    pub(in crate::config) fn index<'b>(&'b self, index: usize) -> Spot<'b>
    where
        'a: 'b,
    {
        Spot { report: self.report, up: Some(self), step: Leg::Index(index) }
    }

    /// The value here is wrong.
    #[expect(clippy::needless_pass_by_value, reason = "texts and numbers alike are values here")]
    pub(in crate::config) fn wrong(&self, value: impl ToString, fault: impl Into<Fault>) {
        self.add(Some(value.to_string()), false, fault.into());
    }

    /// The key here is wrong, not what it stands for.
    pub(in crate::config) fn wrong_key(&self, key: &str, fault: impl Into<Fault>) {
        self.add(Some(key.to_owned()), true, fault.into());
    }

    /// Something is wrong here that has no value, or whose value says nothing.
    pub(in crate::config) fn fault(&self, fault: impl Into<Fault>) {
        self.add(None, false, fault.into());
    }

    /// A list here has something in it: who writes that one of none must hold does not mean that all do, nor does who leaves all
    /// of them out, as in comments.
    pub(in crate::config) fn not_empty(&self) {
        if self.is_of_flag() {
            return;
        }
        let Some(root) = &self.report.origin.tree else { return };
        let path = self.path();
        let found = path.find(root, false);
        let is_empty = match &found.node.value {
            Value::List(list) => list.is_empty(),
            Value::Nothing => true,
            _ => false,
        };
        if found.exact && is_empty {
            self.fault(Fault::EmptyList);
        }
    }

    /// Whether a file says something here, whatever it is.
    pub(in crate::config) fn is_there(&self) -> bool {
        let Some(root) = &self.report.origin.tree else { return false };
        let path = self.path();
        let found = path.find(root, false);
        found.exact && !matches!(found.node.value, Value::Nothing)
    }

    /// The text here as a file writes it, if that is with variables.
    pub(in crate::config) fn with_variables(&self) -> Option<String> {
        let found = self.path().find(self.report.origin.tree.as_ref()?, false);
        found.node.written.clone().filter(|_| found.exact)
    }

    /// What it is, unless it is wrong.
    pub(in crate::config) fn take<T, F: Into<Fault>>(
        &self,
        value: impl ToString,
        result: Result<T, F>,
    ) -> Option<T> {
        result.map_err(|fault| self.wrong(value, fault)).ok()
    }

    /// A number, if it is neither too small nor too large.
    pub(in crate::config) fn between(&self, value: u64, least: u64, most: u64) -> Option<u64> {
        match value {
            value if value < least => self.wrong(value, Fault::TooSmall(least)),
            value if value > most => self.wrong(value, Fault::TooLarge(most)),
            _ => return Some(value),
        }
        None
    }

    /// A number of bytes, if it is neither too small nor too large.
    pub(in crate::config) fn size(&self, value: u64, least: u64, most: u64) -> Option<u64> {
        match value {
            value if value < least => self.wrong(Size(value), Fault::SizeTooSmall(least)),
            value if value > most => self.wrong(Size(value), Fault::SizeTooLarge(most)),
            _ => return Some(value),
        }
        None
    }

    /// A file that is named here. What does not begin with `/` starts from the folder of the file that names it.
    pub(in crate::config) fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// The folder from which paths start that are written here.
    pub(in crate::config) fn folder(&self) -> &'a FilePath {
        self.report.origin.folder(&self.path())
    }

    /// The same, to be looked into.
    pub(in crate::config) fn named_file(&self, name: &str) -> NamedFile {
        NamedFile { path: self.file(name), place: self.place() }
    }

    /// Files for TLS that are to be looked into.
    pub(in crate::config) fn look_into(&self, files: TlsFiles) {
        self.report.files.borrow_mut().push(files);
    }

    /// Something is to be said that is not wrong, once however often it is found.
    pub(in crate::config) fn remark(&self, remark: String) {
        let mut remarks = self.report.remarks.borrow_mut();
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }

    /// Whether a file says it, not flags.
    pub(in crate::config) fn is_of_file(&self) -> bool {
        self.report.origin.tree.is_some()
    }

    /// Whether a flag says it, or would if anybody did.
    pub(in crate::config) fn is_of_flag(&self) -> bool {
        self.report.origin.flag(&self.path(), None).is_some()
    }

    /// Where this is.
    pub(in crate::config) fn place(&self) -> Place {
        Place(self.path())
    }

    /// Whether something here was found to be wrong before, but for what stands under these keys or may be meant to.
    pub(in crate::config) fn is_unsure(&self, but: &[&str]) -> bool {
        let Some(root) = &self.report.origin.tree else { return false };
        let found = self.path().find(root, true);
        let path = self.path();
        let is_aside = |key: &String| {
            let meant = || self.report.read.nearest(&path.with(Step::Key(key.clone())));
            but.contains(&&**key) || meant().is_some_and(|meant| but.contains(&meant))
        };
        let unsure = |(key, entry): (&String, &Entry)| entry.node.has_broken() && !is_aside(key);
        found.broken
            || self.report.origin.is_cut(&found)
            || matches!(&found.node.value, Value::Table(table) if table.iter().any(unsure))
    }

    /// Whether so much is wrong that nothing more is told.
    pub(in crate::config) fn is_told_enough(&self) -> bool {
        self.report.wrong.borrow().len() >= MOST_FAULTS
    }

    fn add(&self, value: Option<String>, is_key: bool, fault: Fault) {
        if !self.is_told_enough() {
            self.report.wrong.borrow_mut().push(Wrong { path: self.path(), value, is_key, fault });
        }
    }

    fn path(&self) -> Path {
        let mut steps = self.up.map_or_else(Vec::new, |up| up.path().0);
        match self.step {
            Leg::Root => {}
            Leg::Key(key) => steps.push(Step::Key(key.to_owned())),
            Leg::Index(index) => steps.push(Step::Index(index)),
        }
        Path(steps)
    }
}
