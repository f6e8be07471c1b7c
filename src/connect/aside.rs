//! What takes its time, for those who have clients meanwhile.

use std::io;
use std::thread;

use thiserror::Error;
use tokio::sync::oneshot;

/// Why it was not done.
#[derive(Debug, Error)]
pub enum Undone {
    /// There is nobody to do it.
    #[error("the system gives no thread: {0}; see `ulimit -a`")]
    Thread(#[from] io::Error),
    /// It panicked, which was told.
    #[error("it broke off unasked")]
    BrokenOff,
}

/// Does something on a thread of its own, for which nobody waits at the end of the program. (A runtime's own threads for such things
/// panic where there are none.)
///
/// # Errors
/// It could not be begun, or was not ended.
pub async fn aside<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> Result<T, Undone> {
    let (say, said) = oneshot::channel();
    // Who asked may have gone.
    thread::Builder::new().name("aside".to_owned()).spawn(move || drop(say.send(what())))?;
    said.await.map_err(|_| Undone::BrokenOff)
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn what_is_done_aside_is_told_and_what_panics_is_undone() {
        Builder::new_current_thread().build().unwrap().block_on(async {
            assert_eq!(aside(|| 6 * 7).await.ok(), Some(42));
            let fell = aside(|| assert!(thread::current().name().is_none(), "as it may")).await;
            assert!(matches!(fell, Err(Undone::BrokenOff)));
        });
    }
}
