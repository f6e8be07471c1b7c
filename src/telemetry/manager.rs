//! What a service manager is told (`sd_notify(3)`, which systemd and others understand): nothing if there is none.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::sleep;
use tracing::warn;

/// Clients are served.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The settings are read anew; [`ready`] says that this is over.
pub fn reloading() {
    // In one message, or systemd 253 ends us.
    let since = NotifyState::monotonic_usec_now().into_iter();
    tell(&[NotifyState::Reloading].into_iter().chain(since).collect::<Vec<_>>());
}

/// No new clients are served.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Another process is the service from now on.
pub fn replaced_by(process: u32) {
    // A reload that was under way is over with it.
    tell(&[NotifyState::Ready, NotifyState::MainPid(process)]);
}

/// All that should run does: said as often as the manager wants, each time when those who should answer have done so.
pub async fn show_life<A: Future>(ask: impl Fn() -> A) {
    let Some(most) = sd_notify::watchdog_enabled() else { return };
    // Longer than `most` without a word, and we were taken for dead.
    say_when_answered(most / 3, ask, || tell(&[NotifyState::Watchdog])).await;
}

async fn say_when_answered<A: Future>(pause: Duration, ask: impl Fn() -> A, say: impl Fn()) {
    loop {
        drop(ask().await);
        say();
        sleep(pause).await;
    }
}

/// The variable that says which process the manager watches: not one that takes its place.
pub const WATCHED: &str = "WATCHDOG_PID";

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!("the service manager cannot be told anything: {error}; see NOTIFY_SOCKET");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;

    use tokio::runtime::Builder;
    use tokio::task::yield_now;

    use super::*;

    #[test]
    fn no_sign_of_life_is_given_for_those_who_do_not_answer() {
        let (asked, said) = (Cell::new(0), Cell::new(0));
        let ask = || {
            asked.set(asked.get() + 1);
            let answers = asked.get() < 3;
            async move { if answers { yield_now().await } else { pending().await } }
        };
        let show = say_when_answered(Duration::ZERO, ask, || said.set(said.get() + 1));
        let look = async {
            while asked.get() < 3 {
                yield_now().await;
            }
        };
        Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
            tokio::select! { biased; () = show => {}, () = look => {} }
        });
        assert_eq!(said.get(), 2);
    }
}
