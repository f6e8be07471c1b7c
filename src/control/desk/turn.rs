//! Turns: how settings are changed, by one after the other.

use std::sync::Arc;

use tokio::sync::MutexGuard;
use tracing::warn;

use crate::config::{Loaded, Sources};
use crate::connect::aside;

use super::{Desk, Intent, Outcome, Refusal, Unfit};

/// A change cannot be taken back that is none of the settings.
#[derive(Debug, thiserror::Error)]
#[error(
    "the settings are those of before; files for TLS to backends are read as they are now: mend them and reload"
)]
struct OnlyFiles;

/// The files say what was taken back, and nobody has insisted.
#[derive(Debug, thiserror::Error)]
#[error("the files say what was taken back; change them, or send SIGHUP to insist")]
struct TakenBack;

/// Whether that stays so until somebody does something.
pub(super) fn is_lasting(why: &Unfit) -> bool {
    why.is::<TakenBack>() || why.is::<OnlyFiles>()
}

/// Whose turn it is to change settings: nobody else does meanwhile.
pub struct Turn<'a> {
    desk: &'a Desk,
    _queue: Option<MutexGuard<'a, ()>>,
    _lock: MutexGuard<'a, ()>,
}

/// What the files said when they were read for a turn.
pub struct Reading {
    loaded: Result<Loaded, Refusal>,
    /// The state of the files.
    state: Option<u64>,
    /// Whether a change was taken back since the turn was asked for.
    is_overtaken: bool,
}

impl Desk {
    /// Waits for the others who change something.
    ///
    /// # Errors
    /// Nothing is changed here any more.
    pub async fn turn(&self) -> Result<Turn<'_>, Refusal> {
        let queue = self.queue.lock().await;
        self.begin(Some(queue)).await
    }

    /// Does the same for who is to put in force what the files say, and reads them before that. Files and names may take long, and
    /// a change that is to be taken back does not wait for them.
    ///
    /// # Errors
    /// Nothing is changed here any more.
    pub async fn turn_with_files(&self) -> Result<(Turn<'_>, Reading), Refusal> {
        let queue = self.queue.lock().await;
        self.may_change()?;
        let asked_at = self.revision();
        loop {
            let read_at = self.revision();
            let loaded = self.read_anew().await;
            let state = self.sources().map(Sources::state_noted);
            let lock = self.turn.lock().await;
            self.may_change()?;
            // Where names lead depends on what is in force. That it is another one happens once: of all changes only the last is
            // taken back, and none is made while others wait in the queue.
            if self.revision() == read_at {
                let turn = Turn { desk: self, _queue: Some(queue), _lock: lock };
                return Ok((turn, Reading { loaded, state, is_overtaken: read_at != asked_at }));
            }
        }
    }

    /// Waits for who is just changing something, and for nobody who waits for its turn, or reads files for it.
    ///
    /// # Errors
    /// Nothing is changed here any more.
    pub(in crate::control) async fn turn_to_take_back(&self) -> Result<Turn<'_>, Refusal> {
        self.begin(None).await
    }

    async fn begin<'a>(&'a self, queue: Option<MutexGuard<'a, ()>>) -> Result<Turn<'a>, Refusal> {
        let turn = Turn { desk: self, _queue: queue, _lock: self.turn.lock().await };
        self.may_change()?;
        Ok(turn)
    }

    async fn read_anew(&self) -> Result<Loaded, Refusal> {
        Ok(self.load(Sources::load).await?.replacing(&self.written())?)
    }
}

impl Turn<'_> {
    /// Puts settings in force that no file says. If the files are watched from then on, it is for what changes in them later.
    ///
    /// # Errors
    /// They do not fit here and now. Nothing has changed.
    pub async fn put(&self, loaded: Loaded, intent: Intent) -> Result<Outcome, Refusal> {
        let begins_to_watch = loaded.config.watch && !self.desk.config().watch;
        if let Some(sources) =
            self.desk.means.sources.clone().filter(|_| begins_to_watch && intent == Intent::Force)
        {
            let noted = aside(move || sources.note_state()).await;
            noted.map_err(|error| Refusal::Unfit(error.into()))?;
        }
        self.apply(loaded, intent).await
    }

    /// Puts what the files say in force, for who insists on it. Who asked before a change was taken back does not insist on that.
    ///
    /// # Errors
    /// It makes no sense, or not here and now, or was just taken back. Nothing has changed.
    pub async fn reload(&self, read: Reading, intent: Intent) -> Result<Outcome, Refusal> {
        let reloaded = match read.loaded {
            Ok(loaded) if read.is_overtaken => self.apply_unless_taken_back(loaded, intent).await,
            Ok(loaded) => self.apply(loaded, intent).await,
            Err(refusal) => Err(refusal),
        };
        if intent == Intent::Force {
            self.desk.refused_files.set(read.state.filter(|_| reloaded.is_err()));
            self.desk.files_are_refused.set(reloaded.is_err());
        }
        reloaded
    }

    /// Does the same because the files have changed, unless they say what was taken back.
    ///
    /// # Errors
    /// It makes no sense, or not here and now, or was taken back. Nothing has changed.
    pub async fn follow(&self, read: Reading) -> Result<Outcome, Refusal> {
        let followed = match read.loaded {
            Ok(loaded) => self.apply_unless_taken_back(loaded, Intent::Force).await,
            Err(refusal) => Err(refusal),
        };
        self.desk.files_are_refused.set(followed.is_err());
        followed
    }

    async fn apply_unless_taken_back(&self, loaded: Loaded, intent: Intent) -> Result<Outcome, Refusal> {
        if self.desk.taken_back.borrow().as_ref().is_some_and(|back| back.config == loaded.config) {
            return Err(Refusal::Unfit(TakenBack.into()));
        }
        self.apply(loaded, intent).await
    }

    /// Puts settings in force in place of those that are, which are not to come back by themselves, and gives those.
    ///
    /// # Errors
    /// They do not fit here and now. Nothing has changed.
    pub(in crate::control) async fn take_back(&self, settings: Loaded) -> Result<Arc<Loaded>, Refusal> {
        let (back, before) = (self.desk.written(), self.desk.revision());
        self.apply(settings, Intent::Force).await?;
        if self.desk.revision() == before {
            return Err(Refusal::Unfit(OnlyFiles.into()));
        }
        *self.desk.taken_back.borrow_mut() = Some(Arc::clone(&back));
        Ok(back)
    }

    /// Puts settings in force.
    ///
    /// # Errors
    /// They do not fit here and now. Nothing has changed.
    pub async fn apply(&self, loaded: Loaded, intent: Intent) -> Result<Outcome, Refusal> {
        self.desk.may_change()?;
        let before = self.desk.config();
        let applied = (self.desk.means.apply)(loaded.config.clone(), intent).await;
        let applied = applied.map_err(|refusal| match refusal {
            Refusal::Unfit(error) => Refusal::Unfit(loaded.in_its_words(&error.to_string()).into()),
            other => other,
        });
        if applied.is_ok() && intent == Intent::Force {
            loaded.remarks.iter().for_each(|remark| warn!("{remark}"));
            // Whoever put it in force again insisted.
            self.desk.taken_back.borrow_mut().take_if(|back| back.config == loaded.config);
            // What means the same may be written otherwise, with a variable in place of a secret.
            *self.desk.written.borrow_mut() = Arc::new(loaded);
        }
        if !Arc::ptr_eq(&before, &self.desk.config()) {
            self.desk.revision.update(|revision| revision + 1);
            // They came with a list of backends, of which one snapshot is made with them.
            self.desk.until_all_know(self.desk.registry().revision()).await;
        }
        applied
    }
}
