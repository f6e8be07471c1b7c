//! The first usable backend in the order given; the others stand by.

use super::Tried;

pub(super) fn pick(usable: &[usize], tried: &Tried) -> Option<usize> {
    usable.iter().copied().find(|index| !tried.contains(*index))
}
