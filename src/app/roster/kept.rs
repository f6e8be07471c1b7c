//! Sources that are asked although the settings in force name others.

use std::rc::{Rc, Weak};
use std::sync::Arc;

use crate::config::Config;

use super::Roster;

/// While it is there, the sources of some settings are asked, be these in force or not.
pub(in crate::app) struct Kept {
    roster: Weak<Roster>,
    config: Arc<Config>,
}

impl Kept {
    /// The sources of the settings that are in force now.
    pub(super) fn of(roster: &Rc<Roster>) -> Self {
        let config = Arc::clone(&roster.current.borrow().config);
        roster.kept.borrow_mut().push(Arc::clone(&config));
        Self { roster: Rc::downgrade(roster), config }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let Some(roster) = self.roster.upgrade() else { return };
        let mut kept = roster.kept.borrow_mut();
        if let Some(at) = kept.iter().position(|config| Arc::ptr_eq(config, &self.config)) {
            kept.swap_remove(at);
        }
        drop(kept);
        roster.forget();
    }
}
