//! How many of a kind one worker may have under way at one time.

use std::rc::Rc;

/// A quota for those of one kind.
#[derive(Debug, Default)]
pub(super) struct Quota(Rc<()>);

/// What one of them takes of it, until it is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    _counted: Rc<()>,
}

impl Quota {
    /// One more, if there are fewer than `most`.
    pub(super) fn take(&self, most: usize) -> Option<Taken> {
        (Rc::strong_count(&self.0) <= most).then(|| Taken { _counted: Rc::clone(&self.0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_than_so_many_until_one_has_ended() {
        let quota = Quota::default();
        let mut taken: Vec<_> = (0..2).map(|_| quota.take(2)).collect();
        assert!(taken.iter().all(Option::is_some) && quota.take(2).is_none());
        taken.pop();
        assert!(quota.take(2).is_some());
    }
}
