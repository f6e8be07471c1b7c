//! The first usable backend in the order of preference; the others stand by.

pub(super) fn pick(order: &[u32], is_open: impl Fn(u32) -> bool) -> Option<u32> {
    order.iter().copied().find(|index| is_open(*index))
}
