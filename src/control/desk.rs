//! The desk: where it is known what runs, and where all who change it come to, one after the other.

mod confirmation;
mod known;
mod turn;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::error::Error;
use std::iter::once;
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures::future::LocalBoxFuture;
use tokio::sync::{Mutex, MutexGuard, OwnedMutexGuard, watch};
use tokio::time::sleep;

use crate::backends::Registry;
use crate::config::{Config, Format, Listener, Loaded, Problems, Sources};
use crate::connect::{Chores, aside};
use crate::proxy::Stop;
use crate::snapshot::{Settings, Snapshot};
use crate::telemetry::{Report, Seen};

use super::discovery::SourceState;
use super::history::{self, History};
use super::vitals::Vitals;

pub use confirmation::{Confirmation, Verdict};
pub use turn::Turn;

/// What runs, as far as it can be looked at and changed.
pub struct Means {
    /// The tasks of its thread.
    pub chores: Chores,
    /// The facts about backends.
    pub registry: &'static Registry,
    /// The settings in force.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// What requests read.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// For each worker, of which revision of the registry its requests' snapshot is. One that has ended says no more.
    pub workers_as_of: Vec<watch::Receiver<u64>>,
    /// How the process is to stop, as soon as it is.
    pub stopping: watch::Receiver<Option<Stop>>,
    /// The process whose place this one took, if it took one's.
    pub predecessor: Option<u32>,
    /// Where settings are read anew from; none if they are built in.
    pub sources: Option<Sources>,
    /// Puts settings in force.
    pub apply: Apply,
    /// Lets the sources of the settings in force be asked also when others are.
    pub keep_sources: Box<dyn Fn() -> Kept>,
    /// How the sources of the settings in force are, pool by pool.
    pub source_states: Box<dyn Fn() -> Vec<SourceState>>,
    /// How many clients each worker has.
    pub clients: Box<dyn Fn() -> Vec<usize>>,
    /// The listeners that are open, with the ports that the system chose.
    pub listeners: Box<dyn Fn() -> Vec<Listener>>,
    /// The files of the certificates that are shown to clients, and when each ends.
    pub certificates: Box<dyn Fn() -> BTreeMap<PathBuf, SystemTime>>,
    /// What the workers have counted, all together.
    pub report: Box<dyn Fn() -> LocalBoxFuture<'static, Report>>,
    /// The last requests of all workers, as far as they were kept.
    pub recall: Box<dyn Fn() -> LocalBoxFuture<'static, Vec<Seen>>>,
}

/// Puts settings in force, or finds out whether it could. Only one at a time is under way.
pub type Apply = Box<dyn Fn(Config, Intent) -> LocalBoxFuture<'static, Result<Outcome, Refusal>>>;

/// Until it is dropped, sources are asked of which settings tell that may come back.
pub type Kept = Box<dyn Any>;

/// Why settings that make sense cannot be put in force: a port is taken, a file is not there.
pub type Unfit = Box<dyn Error + Send + Sync>;

/// What is to be done with settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// They are to be put in force.
    Force,
    /// All that can fail is to be done, and then undone.
    Trial,
}

/// What came of settings that were to be put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They are the ones that were.
    Unchanged,
    /// They are the ones that were, but for the named ones, which wait for the next start.
    Waiting(Vec<&'static str>),
    /// They are in force.
    Changed,
    /// They are in force, but for the named ones, which wait for the next start.
    Later(Vec<&'static str>),
}

/// Why settings were not put in force, or nothing else was changed. The present ones stay.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// They make no sense.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// They make sense, but not here and now.
    #[error(transparent)]
    Unfit(Unfit),
    /// There is nothing that they could be read from.
    #[error("the settings are built in, there is nothing to read anew")]
    BuiltIn,
    /// The process is about to end.
    #[error("the program is about to end")]
    Stopping,
    /// The process of this number has taken its place.
    #[error("process {0} serves in place of this one: ask it")]
    Replaced(u32),
}

impl Refusal {
    /// Whether the same settings may be put in force later, without that anybody changes them or insists.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Settings(_) => true,
            Self::Unfit(why) => !turn::is_lasting(why),
            Self::BuiltIn | Self::Stopping | Self::Replaced(_) => false,
        }
    }
}

/// Where it is known what runs, and where it is changed.
pub struct Desk {
    means: Means,
    started: (Instant, SystemTime),
    revision: Cell<u64>,
    /// The settings in force, as they were written.
    written: RefCell<Arc<Loaded>>,
    history: History,
    confirmation: RefCell<Option<Confirmation>>,
    /// The settings that were taken back last, unless somebody insisted on them since.
    taken_back: RefCell<Option<Arc<Loaded>>>,
    refused: Cell<u64>,
    /// The state of the files when they were refused last to who had asked for them, until it is seen that they have changed.
    refused_files: Cell<Option<u64>>,
    /// Whether what the files said was refused when it was to be put in force last.
    files_are_refused: Cell<bool>,
    /// Whether it is known that a stop will begin.
    noticed: Cell<bool>,
    /// The process that serves in place of this one.
    successor: Cell<Option<u32>>,
    /// Who asks for other settings waits here for the others who do, until it has had its turn.
    queue: Mutex<()>,
    /// While it is held, nobody else changes settings.
    turn: Mutex<()>,
    holding: Mutex<()>,
    /// Whoever brings settings holds it.
    bringing: Arc<Mutex<()>>,
}

impl Desk {
    /// The desk of what was just started, with settings that were written so.
    pub fn over(means: Means, written: Loaded) -> Self {
        Self {
            means,
            started: (Instant::now(), SystemTime::now()),
            revision: Cell::new(1),
            written: RefCell::new(Arc::new(written)),
            history: History::default(),
            confirmation: RefCell::default(),
            taken_back: RefCell::default(),
            refused: Cell::new(0),
            refused_files: Cell::default(),
            files_are_refused: Cell::default(),
            noticed: Cell::default(),
            successor: Cell::default(),
            queue: Mutex::default(),
            turn: Mutex::default(),
            holding: Mutex::default(),
            bringing: Arc::default(),
        }
    }

    /// The tasks of its thread.
    pub(super) fn chores(&self) -> &Chores {
        &self.means.chores
    }

    /// The facts about backends.
    pub fn registry(&self) -> &'static Registry {
        self.means.registry
    }

    /// The settings in force.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.means.settings.borrow().config)
    }

    /// The settings in force, now and whenever they change.
    pub(super) fn settings(&self) -> watch::Receiver<Arc<Settings>> {
        self.means.settings.clone()
    }

    /// The settings in force, as they were written.
    pub fn written(&self) -> Arc<Loaded> {
        Arc::clone(&self.written.borrow())
    }

    /// What the workers have counted.
    pub async fn report(&self) -> Report {
        (self.means.report)().await
    }

    /// The last requests, as far as they were kept.
    pub async fn recall(&self) -> Vec<Seen> {
        (self.means.recall)().await
    }

    /// How it did in the last minute, and how it does now.
    pub(super) async fn last_minute(&self) -> (Report, Vitals) {
        let report = self.report().await;
        let vitals = Vitals::of(self.history.minute(&report), &self.registry().backends());
        (report, vitals)
    }

    /// Remembers the last minute, for ever.
    pub async fn remember(&self) {
        loop {
            self.history.note(Instant::now(), self.report().await);
            sleep(history::LOOK_EVERY).await;
        }
    }

    /// What came of the last change that was to be confirmed, if there was one.
    pub fn confirmation(&self) -> Option<Confirmation> {
        self.confirmation.borrow().clone()
    }

    /// A change is watched.
    pub(super) fn begin_confirmation(&self, confirmation: Confirmation) {
        *self.confirmation.borrow_mut() = Some(confirmation);
    }

    /// What came of it, unless a later change is watched by now.
    pub(super) fn end_confirmation(&self, ended: Confirmation) {
        let mut confirmation = self.confirmation.borrow_mut();
        if confirmation.as_ref().is_some_and(|known| known.revision == ended.revision) {
            *confirmation = Some(ended);
        }
    }

    /// What requests read.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.means.snapshots.borrow())
    }

    /// Whether all workers' requests go by all that was known at a revision of the registry.
    pub(super) fn all_know(&self, as_of: u64) -> bool {
        // Nothing was said of most backends, and there may be many workers to ask.
        as_of == 0 || known::to_all(&self.means.workers_as_of, as_of)
    }

    /// Waits until they do, though not for ever.
    pub(super) async fn until_all_know(&self, as_of: u64) {
        known::wait(&self.means.workers_as_of, as_of).await;
    }

    /// How the sources of the settings in force are, pool by pool.
    pub(super) fn source_states(&self) -> Vec<SourceState> {
        (self.means.source_states)()
    }

    /// Lets the sources of the settings in force be asked also when others are, until what this gives is dropped.
    pub(super) fn keep_sources(&self) -> Kept {
        (self.means.keep_sources)()
    }

    /// Where settings are read anew from.
    pub(super) fn sources(&self) -> Option<&Sources> {
        self.means.sources.as_ref()
    }

    /// How many clients each worker has.
    pub fn clients(&self) -> Vec<usize> {
        (self.means.clients)()
    }

    /// The listeners that are open, with the ports that the system chose.
    pub fn listeners(&self) -> Vec<Listener> {
        (self.means.listeners)()
    }

    /// The files of the certificates that are shown to clients, and when each ends.
    pub(super) fn certificates(&self) -> BTreeMap<PathBuf, SystemTime> {
        (self.means.certificates)()
    }

    /// When the process had started.
    pub fn started(&self) -> Instant {
        self.started.0
    }

    /// When that was by the clock on the wall.
    pub fn began(&self) -> SystemTime {
        self.started.1
    }

    /// A moment by the clock on the wall as it goes now. Since the process started it may have been set, or gone on while the
    /// machine slept: by how many whole seconds, so that a moment is told alike each time.
    pub fn on_the_wall(&self, at: Instant) -> SystemTime {
        let (started, wall) = self.started;
        let then = match at.checked_duration_since(started) {
            Some(after) => wall + after,
            None => wall - started.duration_since(at),
        };
        match SystemTime::now().duration_since(wall + started.elapsed()) {
            Ok(ahead) => then + Duration::from_secs(ahead.as_secs()),
            Err(behind) => then - Duration::from_secs(behind.duration().as_secs()),
        }
    }

    /// Whether the process is to stop: nothing is changed any more.
    pub fn is_stopping(&self) -> bool {
        self.noticed.get() || !self.takes_clients()
    }

    /// Whether it has not begun to: from then on running requests are finished, and nothing else.
    pub(super) fn takes_clients(&self) -> bool {
        self.means.stopping.borrow().is_none()
    }

    /// A stop will begin: who asks is told so from here on.
    pub fn give_notice(&self) {
        self.noticed.set(true);
    }

    /// This process serves in place of this one: from here on, what is to be changed is to be asked of it.
    pub fn give_way(&self, successor: u32) {
        self.successor.set(Some(successor));
    }

    /// The process whose place this one took, as long as it runs: it ends what it had begun, and goes by what it knew.
    pub(super) fn predecessor(&self) -> Option<u32> {
        // It started us. When it ends, we are somebody else's child.
        self.means.predecessor.filter(|process| *process == parent_id())
    }

    /// Whether anything is still changed here.
    ///
    /// # Errors
    /// Nothing is any more.
    pub(super) fn may_change(&self) -> Result<(), Refusal> {
        match self.successor.get() {
            Some(process) => Err(Refusal::Replaced(process)),
            None if self.is_stopping() => Err(Refusal::Stopping),
            None => Ok(()),
        }
    }

    /// Which settings are in force: a number that grows by one with each change.
    pub fn revision(&self) -> u64 {
        self.revision.get()
    }

    /// Settings were not put in force that were to be.
    pub(super) fn count_refused(&self) {
        self.refused.update(|refused| refused + 1);
    }

    /// How often that was so.
    pub(super) fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// Whether what the files said last is not in force, for it was refused.
    pub(super) fn are_files_refused(&self) -> bool {
        self.files_are_refused.get()
    }

    /// Whether the files, as they were read last, were refused just before to who had asked for them, and was told.
    pub(super) fn take_refused_files(&self) -> bool {
        self.sources().map(Sources::state_noted) == self.refused_files.take()
    }

    /// The files are in this state: what was refused of another one is a change when it comes back.
    pub(super) fn forget_refused_files_but(&self, state: u64) {
        self.refused_files.update(|refused| refused.filter(|refused| *refused == state));
    }

    /// Waits for the others who bring settings. It is to be held until nothing of them is left: a few megabytes of text may take a
    /// hundred times that while they are read.
    pub async fn bringing(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.bringing).lock_owned().await
    }

    /// What a text says in place of the files.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub async fn read(&self, text: Vec<u8>, format: Format) -> Result<Loaded, Refusal> {
        self.load(move |sources| sources.read(&text, format)).await
    }

    /// Waits for the others who hold or weigh backends. Who changes settings, which may take long, is not waited for.
    ///
    /// # Errors
    /// Nothing is changed here any more.
    pub async fn holding(&self) -> Result<MutexGuard<'_, ()>, Refusal> {
        let holding = self.holding.lock().await;
        self.may_change()?;
        Ok(holding)
    }

    /// Whether the files still say this.
    pub(super) async fn files_say(&self, settings: &Loaded) -> bool {
        self.load(Sources::load).await.is_ok_and(|files| files.config == settings.config)
    }

    /// Whether the files say what was taken back, and nobody insisted on it since.
    pub async fn files_say_what_was_taken_back(&self) -> bool {
        let back = self.taken_back.borrow().clone();
        match back {
            Some(back) => self.files_say(&back).await,
            None => false,
        }
    }

    /// Files and names take their time, and with one worker this is its thread, too.
    async fn load<R>(&self, read: R) -> Result<Loaded, Refusal>
    where
        R: FnOnce(&Sources) -> Result<Loaded, Problems> + Send + 'static,
    {
        let Some(sources) = self.means.sources.clone() else { return Err(Refusal::BuiltIn) };
        // Files that say what is in force, or was taken back, mean the same, wherever servers of names begin by now.
        let (config, back) = (self.config(), self.taken_back.borrow().clone());
        let sources = sources.knowing(once(&*config).chain(back.as_ref().map(|back| &back.config)));
        let read = move || read(&sources);
        match aside(read).await {
            Ok(read) => Ok(read?),
            Err(error) => Err(Refusal::Unfit(error.into())),
        }
    }
}
