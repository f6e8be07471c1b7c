//! The first usable backend in the order given; the others stand by.

pub(super) fn pick(usable: &[usize], is_new: impl Fn(&usize) -> bool) -> Option<usize> {
    usable.iter().copied().find(is_new)
}
