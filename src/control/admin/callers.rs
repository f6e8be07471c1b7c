//! Who is connected to the admin API.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

/// Connections at one time; others wait.
const MOST: usize = 32;
/// Who has not asked for anything for so long makes room, if nobody else does: probes have their answers in time however many connect and
/// say nothing.
const SILENT: Duration = Duration::from_millis(100);
/// The same of who has been answered: the last of the answer may be on its way.
const SILENT_AGAIN: Duration = Duration::from_secs(1);

/// Until when a caller who asks for nothing has its place for certain; nothing while it is answered.
#[derive(Clone, Debug)]
pub(super) struct Silence(Rc<Cell<Option<Instant>>>);

impl Silence {
    fn new() -> Self {
        Self(Rc::new(Cell::new(Some(Instant::now() + SILENT))))
    }

    /// It asks.
    pub(super) fn end(&self) {
        self.0.set(None);
    }

    /// It has its answer, or most of it.
    pub(super) fn begin(&self) {
        self.0.set(Some(Instant::now() + SILENT_AGAIN));
    }
}

/// Those who are connected.
#[derive(Default)]
pub(super) struct Callers {
    connections: JoinSet<()>,
    all: Vec<(Silence, AbortHandle)>,
}

impl Callers {
    /// Whether one more may come.
    pub(super) fn have_room(&self) -> bool {
        self.all.len() < MOST || self.most_silent().is_some()
    }

    /// Attends to one more, in the place of the most silent one if there is no other.
    pub(super) fn add<F: Future<Output = ()> + 'static>(&mut self, attend: impl FnOnce(Silence) -> F) {
        if self.all.len() >= MOST
            && let Some(place) = self.most_silent()
        {
            self.all.swap_remove(place).1.abort();
        }
        let silence = Silence::new();
        let handle = self.connections.spawn_local(attend(silence.clone()));
        self.all.push((silence, handle));
    }

    /// Waits until there may be more room.
    pub(super) async fn change(&mut self) {
        tokio::select! {
            Some(_) = self.connections.join_next() => self.all.retain(|(_, handle)| !handle.is_finished()),
            // One may have been silent for long enough by then.
            () = sleep(SILENT), if self.all.len() >= MOST => {}
            else => pending().await,
        }
    }

    fn most_silent(&self) -> Option<usize> {
        let silent = self.all.iter().enumerate();
        let silent = silent.filter_map(|(place, (silence, _))| Some((silence.0.get()?, place)));
        silent.min().filter(|(until, _)| *until <= Instant::now()).map(|(_, place)| place)
    }
}
