//! Tasks of a thread without which it cannot go on.

use std::future::Future;
use std::rc::Rc;
use std::thread;

use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};

/// Those of one thread. Who begins them hears of it when one panics: that ends the task alone, and what it did is done by nobody.
#[derive(Clone, Debug, Default)]
pub struct Chores(Rc<Notify>);

impl Chores {
    /// Begins one, from within a runtime for local tasks.
    pub fn begin<T: 'static>(&self, chore: impl Future<Output = T> + 'static) -> JoinHandle<T> {
        let fall = Fall(Rc::clone(&self.0));
        spawn_local(async move {
            let _fall = fall;
            chore.await
        })
    }

    /// Ready when one has panicked.
    pub async fn fallen(&self) {
        self.0.notified().await;
    }
}

/// Tells if the task that has it panics.
struct Fall(Rc<Notify>);

impl Drop for Fall {
    fn drop(&mut self) {
        if thread::panicking() {
            // Kept until somebody waits for it.
            self.0.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures::FutureExt;
    use tokio::runtime::{Builder, LocalOptions};

    use super::*;

    #[test]
    fn a_chore_that_panics_is_told_of_and_one_that_ends_or_is_ended_is_not() {
        let runtime = Builder::new_current_thread().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let chores = Chores::default();
            assert_eq!(chores.begin(async { 42 }).await.ok(), Some(42));
            let ended = chores.begin(pending::<()>());
            ended.abort();
            assert!(ended.await.is_err());
            assert_eq!(chores.fallen().now_or_never(), None);
            let begun = chores.clone();
            let panics = async { assert!(thread::current().name().is_none(), "as it may") };
            assert!(begun.begin(panics).await.is_err());
            chores.fallen().await;
        });
    }
}
