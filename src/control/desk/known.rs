//! Which workers know what the registry does.

use std::time::Duration;

use tokio::sync::watch;

use crate::connect::Patience;

/// For all workers to go by a change: they are many times as quick, unless the machine has no time for them.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether all workers go by what was known at a revision of the registry. One that has ended asks for nothing any more.
pub(super) fn to_all(workers: &[watch::Receiver<u64>], as_of: u64) -> bool {
    workers.iter().all(|worker| *worker.borrow() >= as_of || worker.has_changed().is_err())
}

/// Waits until that is so, though not for ever.
pub(super) async fn wait(workers: &[watch::Receiver<u64>], as_of: u64) {
    let all = async {
        for worker in workers {
            // An error says that it has ended.
            let _ = worker.clone().wait_for(|known| *known >= as_of).await;
        }
    };
    // Whoever asks is told whether it is so.
    let _ = Patience::of(PATIENCE).wait(all).await;
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_all_workers_go_by_is_known_to_all_and_who_has_ended_is_not_waited_for() {
        let ((quick, one), (slow, other)) = (watch::channel(6), watch::channel(6));
        let workers = [one, other];
        assert!(to_all(&workers, 6) && wait(&workers, 6).now_or_never().is_some());
        quick.send_replace(8);
        assert!(!to_all(&workers, 7) && wait(&workers, 7).now_or_never().is_none());
        slow.send_replace(7);
        assert!(to_all(&workers, 7) && !to_all(&workers, 8));
        let waits = wait(&workers, 8);
        drop(slow);
        waits.await;
        assert!(to_all(&workers, 8) && !to_all(&workers, 9));
        drop(quick);
        assert!(to_all(&workers, 9));
    }
}
