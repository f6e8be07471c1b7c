//! All workers of the process, and the threads that they have.

use std::future::{Future, pending};
use std::io;
use std::sync::mpsc as system;
use std::thread;

use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;

use crate::connect::Chores;

use super::kernel_tick::keep_kernel_tick;
use super::worker::Worker;

/// Threads for workers, each with its event queue; none if there is only one, which works on the caller's.
#[derive(Debug)]
pub struct Threads(Vec<Ready>);

/// A thread that waits for its worker.
#[derive(Debug)]
struct Ready {
    thread: thread::JoinHandle<()>,
    work: oneshot::Sender<(Worker, mpsc::Sender<usize>)>,
    end: oneshot::Receiver<usize>,
}

impl Threads {
    /// As many as such a number of workers needs. They are all there, or none stays.
    ///
    /// # Errors
    /// The system gives no thread or no event queue.
    pub fn start(workers: usize) -> io::Result<Self> {
        let (say, said) = system::channel();
        let count = if workers == 1 { 0 } else { workers };
        let threads = (0..count).map(|index| start_thread(index, say.clone()));
        let threads = threads.collect::<io::Result<Vec<_>>>()?;
        drop(say);
        for _ in &threads {
            said.recv().map_err(io::Error::other)??;
        }
        Ok(Self(threads))
    }

    /// Sets workers to work, from within a runtime for local tasks.
    pub fn set_to_work(self, mut workers: Vec<Worker>) -> Workers {
        let (tell, fallen) = mpsc::channel(1);
        let at_work = FuturesUnordered::new();
        match workers.pop() {
            // On the caller's thread: a process with one thread pays less for each system call.
            Some(only) if self.0.is_empty() => {
                let worker = spawn_local(work(only, tell));
                at_work.push(async { worker.await.unwrap_or_default() }.boxed_local());
            }
            last => {
                for (ready, worker) in self.0.into_iter().zip(workers.into_iter().chain(last)) {
                    at_work.push(ready.set_to_work(worker, tell.clone()).boxed_local());
                }
            }
        }
        Workers { at_work, left: 0, fallen }
    }
}

impl Ready {
    /// Gives the number of connections that the worker leaves when it ends.
    fn set_to_work(self, worker: Worker, tell: mpsc::Sender<usize>) -> impl Future<Output = usize> {
        let Self { thread, work, end } = self;
        // A thread that has ended since is noticed when it is joined.
        let _ = work.send((worker, tell));
        async {
            // Joined only then, so that checks, failover and signals go on meanwhile. One that panics says nothing.
            let left = end.await.unwrap_or_default();
            let _ = thread.join();
            left
        }
    }
}

fn start_thread(index: usize, say: system::Sender<io::Result<()>>) -> io::Result<Ready> {
    let (send, worker) = oneshot::channel();
    let (tell_end, end) = oneshot::channel();
    let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        let mut builder = Builder::new_current_thread();
        builder.enable_io().on_thread_park(keep_kernel_tick());
        let runtime = match builder.build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(error) => {
                // Who is not there any more was told of another.
                let _ = say.send(Err(error));
                return;
            }
        };
        let _ = say.send(Ok(()));
        drop(say);
        // None comes if something else could not be started.
        let Ok((worker, tell)) = worker.blocking_recv() else { return };
        let left = runtime.block_on(work(worker, tell));
        // With it goes what was cut, whose lines are logged then.
        drop(runtime);
        let _ = tell_end.send(left);
    })?;
    Ok(Ready { thread, work: send, end })
}

/// All workers of the process, at work.
#[derive(Debug)]
pub struct Workers {
    /// Each gives the number of connections that it left when it ends.
    at_work: FuturesUnordered<LocalBoxFuture<'static, usize>>,
    /// The connections that those who have ended left.
    left: usize,
    fallen: mpsc::Receiver<usize>,
}

impl Workers {
    /// Waits until one has ended unasked, and tells which.
    pub async fn fallen(&mut self) -> usize {
        match self.fallen.recv().await {
            Some(worker) => worker,
            None => pending().await,
        }
    }

    /// Waits until they have ended: a stop was asked for, and their clients are gone, the drain deadline has passed or they
    /// were told to cut. Gives the number of connections that were left.
    ///
    /// # Errors
    /// This one has ended unasked. The others can be waited for again.
    pub async fn ended(&mut self) -> Result<usize, usize> {
        loop {
            tokio::select! {
                // One that falls tells so before it ends.
                biased;
                Some(worker) = self.fallen.recv() => return Err(worker),
                ended = self.at_work.next() => match ended {
                    Some(left) => self.left += left,
                    None => return Ok(self.left),
                },
            }
        }
    }
}

async fn work(worker: Worker, tell: mpsc::Sender<usize>) -> usize {
    let (fall, chores) = (Fall { worker: worker.index, tell }, Chores::default());
    worker.run(&chores, || fall.tell()).await
}

/// Tells if the worker that has it panics.
struct Fall {
    worker: usize,
    tell: mpsc::Sender<usize>,
}

impl Fall {
    fn tell(&self) {
        // There is room for the first, and one is enough.
        let _ = self.tell.try_send(self.worker);
    }
}

impl Drop for Fall {
    fn drop(&mut self) {
        if thread::panicking() {
            self.tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_panics_is_told_of_and_one_that_ends_as_asked_is_not() {
        for panics in [true, false] {
            let (tell, mut fallen) = mpsc::channel(1);
            let worker = thread::spawn(move || {
                let _fall = Fall { worker: 3, tell };
                assert!(!panics, "as a worker may");
            });
            assert_eq!(worker.join().is_err(), panics);
            assert_eq!(fallen.try_recv().ok(), panics.then_some(3));
        }
    }

    #[test]
    fn the_others_are_waited_for_when_one_has_ended_unasked() {
        let (tell, fallen) = mpsc::channel(1);
        let (end, ends) = oneshot::channel();
        let at_work = FuturesUnordered::new();
        at_work.push(async { 2 }.boxed_local());
        at_work.push(async { ends.await.unwrap_or_default() }.boxed_local());
        let mut workers = Workers { at_work, left: 0, fallen };
        assert_eq!(workers.ended().now_or_never(), None);
        Fall { worker: 1, tell }.tell();
        assert_eq!(workers.ended().now_or_never(), Some(Err(1)));
        assert_eq!(workers.ended().now_or_never(), None);
        end.send(3).unwrap();
        assert_eq!(workers.ended().now_or_never(), Some(Ok(5)));
    }
}
