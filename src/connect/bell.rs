//! Reading without asking the runtime twice.
//!
//! hyper asks for bytes several times in each exchange when none can have come. To pass each question on to the runtime would
//! cost some 150 instructions, and it has promised to call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// What the runtime calls when something can be read: it notes that, and wakes who waits.
///
/// All calls come from one worker's thread; the atomic is what [`Wake`] asks for.
#[derive(Debug)]
struct Bell {
    rang: AtomicBool,
    waiting: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Relaxed);
        self.waiting.wake_by_ref();
    }
}

/// Whether a connection has anything to read, as far as the runtime has said so.
#[derive(Debug, Default)]
pub struct Doorbell {
    bell: Option<(Arc<Bell>, Waker)>,
    /// The runtime had nothing, and is to ring.
    waits: bool,
}

impl Doorbell {
    /// Asks the runtime by `ask`, unless it had nothing and has not rung since.
    pub fn poll<T>(&mut self, cx: &Context<'_>, ask: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let (bell, waker) = match &mut self.bell {
            Some(known) if known.0.waiting.will_wake(cx.waker()) => known,
            bell => {
                self.waits = false;
                let made = Arc::new(Bell { rang: AtomicBool::new(false), waiting: cx.waker().clone() });
                bell.insert((Arc::clone(&made), Waker::from(made)))
            }
        };
        if bell.rang.load(Ordering::Relaxed) {
            bell.rang.store(false, Ordering::Relaxed);
        } else if self.waits {
            return Poll::Pending;
        }
        let polled = ask(&mut Context::from_waker(waker));
        self.waits = polled.is_pending();
        polled
    }

    /// The runtime is asked next time though it did not ring: for bytes that were read already, and not taken.
    pub fn distrust(&mut self) {
        self.waits = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_is_asked_again_when_it_rang_or_another_waits() {
        let mut doorbell = Doorbell::default();
        let mut runtime = None;
        let mut asked = |doorbell: &mut Doorbell, waker: &Waker, found: Poll<()>| {
            let mut asked = false;
            let polled = doorbell.poll(&Context::from_waker(waker), |cx| {
                asked = true;
                runtime = Some(cx.waker().clone());
                found
            });
            assert_eq!(polled, if asked { found } else { Poll::Pending });
            (asked, runtime.clone())
        };
        // Of two clones it is certain that they can be told to be of one; of one and what it was made from it is not.
        let task = || {
            let waiting = Waker::noop().clone();
            Waker::from(Arc::new(Bell { rang: AtomicBool::new(false), waiting })).clone()
        };
        let (waker, other) = (task(), task());
        assert!(asked(&mut doorbell, &waker, Poll::Ready(())).0);
        let (was_asked, runtime_waker) = asked(&mut doorbell, &waker, Poll::Pending);
        assert!(was_asked);
        assert!(!asked(&mut doorbell, &waker, Poll::Ready(())).0);
        runtime_waker.expect("it was asked").wake();
        assert!(asked(&mut doorbell, &waker, Poll::Pending).0);
        assert!(asked(&mut doorbell, &other, Poll::Ready(())).0);
    }
}
