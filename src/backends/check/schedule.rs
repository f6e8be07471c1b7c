//! When backends are checked that are one to a check: one address, reached and asked in the same way for several pools.

use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use crate::backends::{Backend, BackendId, Health, Registry, State};
use crate::config::Checks;
use crate::connect::Way;

use super::{Common, check};

/// When some backends are checked, until it is dropped.
pub(super) struct Schedule {
    way: Arc<Way>,
    check: Arc<Checks>,
    group: Rc<Group>,
    /// Who they were before, in order; none if nobody has been checked yet.
    before: Option<Vec<BackendId>>,
    task: AbortHandle,
}

/// Those that a check is for.
#[derive(Default)]
struct Group {
    ids: RefCell<Vec<BackendId>>,
    /// How many of them are dead, and how many of those are known to who waits for more.
    dead: Cell<usize>,
    known: Cell<usize>,
    /// Told whenever there are more.
    more_dead: Notify,
    /// Told whenever one has come of which nothing is known, or is doubted.
    wanted: Notify,
}

impl Schedule {
    /// One that begins with a check.
    pub(super) fn new(
        registry: &'static Registry,
        backend: &Backend,
        common: &Rc<Common>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (way, check) = (Arc::clone(&backend.way), Arc::clone(&backend.terms.check));
        let group = Rc::<Group>::default();
        // A certificate that has expired is found to have, whatever was agreed upon before.
        let what = (Arc::new(way.anew()), Arc::clone(&check), Rc::clone(common));
        let checking = keep_checking(registry, Rc::clone(&group), what);
        let task = tasks.spawn_local(checking);
        Self { way, check, group, before: None, task }
    }

    /// Whether a check of the one tells all of the other.
    pub(super) fn is_for(&self, backend: &Backend) -> bool {
        !self.task.is_finished() && self.check.is_same(&backend.terms.check) && self.way.is_same(&backend.way)
    }

    /// From now on it is for those only that it is told of.
    pub(super) fn begin_round(&mut self) {
        let mut before = mem::take(&mut *self.group.ids.borrow_mut());
        before.sort_unstable();
        self.before = Some(before);
        self.group.dead.set(0);
    }

    /// It is for this backend, too.
    pub(super) fn take(&self, backend: &Backend) {
        self.group.ids.borrow_mut().push(backend.id);
        // A new one begins with a check anyway.
        let is_new = |before: &Vec<_>| before.binary_search(&backend.id).is_err();
        if self.before.as_ref().is_some_and(|before| is_new(before) || backend.health.is_doubted()) {
            self.group.wanted.notify_one();
        }
        if backend.health.state() == State::Down {
            self.group.one_is_dead();
        }
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Group {
    fn healths(&self, registry: &Registry) -> Vec<Health> {
        self.ids.borrow().iter().filter_map(|id| registry.health(*id)).collect()
    }

    /// Where many are dead for long, each is told of with each change: who waits is woken only for what is news.
    fn one_is_dead(&self) {
        self.dead.update(|dead| dead + 1);
        if self.dead.get() > self.known.get() {
            self.more_dead.notify_one();
        }
    }

    /// Waits until more of them are dead than are known to be: a request found one that a check did not.
    async fn more_dead(&self, registry: &Registry) {
        loop {
            self.more_dead.notified().await;
            if dead(&self.healths(registry)) > self.known.get() {
                return;
            }
        }
    }
}

async fn keep_checking(
    registry: &'static Registry,
    group: Rc<Group>,
    (way, settings, common): (Arc<Way>, Arc<Checks>, Rc<Common>),
) {
    loop {
        let began = Instant::now();
        if let Some(evidence) = check(&way, &settings, &common).await {
            let ids = group.ids.borrow().clone();
            ids.into_iter().for_each(|id| registry.observe(id, evidence.clone(), began));
        }
        let mut healths = group.healths(registry);
        loop {
            // That of the one that is waited for most. If all are gone, others may come yet, or this ends with its schedule.
            let pauses = healths.iter().map(|health| health.pause(settings.interval, fastrand::f64()));
            let pause = pauses.min();
            group.known.set(dead(&healths));
            tokio::select! {
                () = sleep(pause.unwrap_or_default()), if pause.is_some() => break,
                () = group.wanted.notified() => break,
                () = group.more_dead(registry) => healths = group.healths(registry),
            }
        }
    }
}

fn dead(healths: &[Health]) -> usize {
    healths.iter().filter(|health| health.state() == State::Down).count()
}
