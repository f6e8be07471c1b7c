//! What a service manager is told (`sd_notify(3)`, which systemd and others understand): nothing if there is none.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::net::UnixDatagram as Patient;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};
use tracing::warn;

/// Messages that may wait for a manager that does not read.
const MOST_UNREAD: usize = 64;
/// How long a process that has a successor waits for a manager to read of it, and between two looks whether it did.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What the manager did not take at once, the first of it until it has.
static UNREAD: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

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

/// Waits until the manager has been told all, but not for long: who does not hear of a successor takes our end for the service's.
pub async fn settle() {
    let told = async {
        while !unread().is_empty() {
            sleep(LOOK_EVERY).await;
        }
    };
    // What is lost then was said to wait.
    let _ = timeout(PATIENCE, told).await;
}

fn tell(states: &[NotifyState<'_>]) {
    let Some(address) = env::var_os("NOTIFY_SOCKET") else { return };
    let message: String = states.iter().map(|state| format!("{state}\n")).collect();
    if let Err(error) = tell_in_turn(&address, message) {
        cannot(&error);
    }
}

/// Nobody who serves waits for a manager that does not read: it is told later, by a task.
fn tell_in_turn(address: &OsStr, message: String) -> io::Result<()> {
    let mut unread = unread();
    let is_sign = message == format!("{}\n", NotifyState::Watchdog);
    if unread.is_empty() {
        let socket = connect(address)?;
        match socket.send(message.as_bytes()) {
            // The next one says the same.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !is_sign => {
                let socket = Patient::from_std(socket)?;
                unread.push_back(message);
                spawn_local(tell_later(socket));
                warn!("the service manager does not read what it is told: it is told later");
                Ok(())
            }
            sent => sent.map(drop),
        }
    } else if unread.len() < MOST_UNREAD && !is_sign {
        unread.push_back(message);
        Ok(())
    } else {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

async fn tell_later(socket: Patient) {
    loop {
        let Some(message) = unread().front().cloned() else { return };
        if let Err(error) = socket.send(message.as_bytes()).await {
            cannot(&error);
        }
        unread().pop_front();
    }
}

/// A socket that leads to the manager and does not wait. An address that begins with `@` is no file.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

fn cannot(error: &io::Error) {
    warn!("the service manager cannot be told anything: {error}; see NOTIFY_SOCKET");
}

/// Nobody waits for anything while it is locked.
fn unread() -> MutexGuard<'static, VecDeque<String>> {
    UNREAD.lock().unwrap_or_else(PoisonError::into_inner)
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
