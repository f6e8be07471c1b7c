//! The old process, which gives way to its successor.

use std::env;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{self, Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{spawn_blocking, spawn_local};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::app::live::Live;
use crate::app::prepare::Admin;
use crate::backends::Legacy;
use crate::config::Sources;
use crate::control::{self, Desk, Refusal, Verdict};
use crate::telemetry::manager;

use super::{BACKEND, HERE, LOOK, PREDECESSOR, SERVING, THAT_IS_ALL, packet};

/// How long a successor may take until it serves. What it reads for its settings may be slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// The number of the first process of a container, which ends with it.
const FIRST: u32 = 1;

/// Why there is no successor.
#[derive(Debug, Error)]
enum Error {
    #[error("process 1 cannot be replaced, for its container would end with it: start another container")]
    First,
    #[error("{0}")]
    Unrepeatable(&'static str),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("a change is watched, which the new process would not know of: wait for its end")]
    Watched,
    #[error("the program's own file is not known")]
    Program,
    #[error("{}: {error}", program.display())]
    Start { program: PathBuf, error: io::Error },
    #[error("it was not given the listening sockets: {0}")]
    Sockets(#[from] io::Error),
    #[error("it ended with {0} before it served; what it said stands above")]
    Ended(ExitStatus),
    #[error("it did not serve after {PATIENCE:?}, and was ended")]
    Late,
}

/// What is needed to start the same program again.
pub(in crate::app) struct Succession {
    signal: Option<Signal>,
    /// Found at the start: later, another file may be in its place, which is the one to start.
    program: Option<PathBuf>,
    unrepeatable: Option<&'static str>,
}

impl Succession {
    /// From here on SIGUSR2 asks for it. With settings that cannot be read again there is none.
    pub(in crate::app) fn prepare(sources: Option<&Sources>) -> Self {
        let unrepeatable = match sources {
            None => Some("the sample backends of a demo are in the process itself"),
            Some(sources) if sources.is_read_once() => Some("the settings came from standard input"),
            Some(_) => None,
        };
        let signal = signal(SignalKind::user_defined2()).ok();
        Self { signal, program: program(), unrepeatable }
    }

    /// Ready when another process, which it tells, serves in our place. If nobody waits for that any more, none will.
    pub(in crate::app) async fn happens(mut self, live: &Live, desk: &Desk) -> u32 {
        let Some(mut signal) = self.signal.take() else { return pending().await };
        loop {
            if signal.recv().await.is_none() {
                return pending().await;
            }
            match self.succeed(live, desk).await {
                Ok(id) => {
                    info!("process {id} serves in place of this one");
                    spawn_local(control::refer(signal, id));
                    return id;
                }
                Err(error) => warn!("no successor, this process goes on: {error}"),
            }
        }
    }

    async fn succeed(&self, live: &Live, desk: &Desk) -> Result<u32, Error> {
        if std::process::id() == FIRST {
            return Err(Error::First);
        }
        if let Some(why) = self.unrepeatable {
            return Err(Error::Unrepeatable(why));
        }
        // What others change meanwhile, the new process would not know of.
        let (_turn, _holding) = (desk.turn().await?, desk.holding().await?);
        if desk.confirmation().is_some_and(|watched| watched.verdict == Verdict::Watching) {
            return Err(Error::Watched);
        }
        let program = self.program.clone().ok_or(Error::Program)?;
        info!("starting a successor: {}", program.display());
        let (ours, its) = packet::ends()?;
        let started = spawn_blocking(move || Successor::start(program, its)).await;
        let mut successor = started.unwrap_or_else(|error| Err(io::Error::other(error).into()))?;
        let legacies = desk.registry().legacies();
        let serves = timeout(PATIENCE, successor.serves(packet::End::of(ours)?, live, &legacies)).await;
        serves.unwrap_or(Err(Error::Late))?;
        let id = successor.keep();
        manager::replaced_by(id);
        // Who waits for a turn is told of it.
        desk.give_way(id);
        live.own_files(false);
        live.change_admin(Admin::Closed).await;
        Ok(id)
    }
}

/// The file of the program, by the path by which it was started if that leads there: a link in it may lead elsewhere by then.
fn program() -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    let word = PathBuf::from(env::args_os().next()?);
    let named = if word.components().count() > 1 {
        path::absolute(word).ok()
    } else {
        let folders = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&folders).map(|folder| folder.join(&word)).find(|path| path.is_file())
    };
    let leads_there = |path: &Path| path.canonicalize().is_ok_and(|it| it == own);
    Some(named.filter(|path| leads_there(path)).unwrap_or(own))
}

/// A process that is to serve in our place. It ends when this is dropped, unless it is kept.
struct Successor(Option<Child>);

impl Successor {
    fn start(program: PathBuf, its: OwnedFd) -> Result<Self, Error> {
        let mut words = env::args_os();
        let mut command = Command::new(&program);
        if let Some(name) = words.next() {
            command.arg0(name);
        }
        command.args(words).env(PREDECESSOR, std::process::id().to_string());
        // The command holds our copy of its end, without which its own end would not be noticed, and is dropped here.
        let child = command.stdin(its).env_remove(manager::WATCHED).spawn();
        child.map(|child| Self(Some(child))).map_err(|error| Error::Start { program, error })
    }

    /// Ready when it serves.
    async fn serves(&mut self, end: packet::End, live: &Live, legacies: &[Legacy]) -> Result<(), Error> {
        match introduce(&end, live, legacies).await {
            Ok(true) => Ok(()),
            Ok(false) => self.ends().await,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) =>
            {
                self.ends().await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for its end, and says how it ended.
    async fn ends(&mut self) -> Result<(), Error> {
        while let Some(child) = &mut self.0 {
            if let Some(status) = child.try_wait()? {
                return Err(Error::Ended(status));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn keep(mut self) -> u32 {
        self.0.take().map_or(0, |child| child.id())
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends a successor all sockets, and what is known of backends, as soon as it wants that: a program that is not one never has them.
/// Tells whether it serves.
async fn introduce(to: &packet::End, live: &Live, legacies: &[Legacy]) -> io::Result<bool> {
    if to.receive().await?.is_none_or(|(said, _)| said != HERE) {
        return Ok(false);
    }
    for (number, (address, sockets)) in live.lend().await?.iter().enumerate() {
        for sockets in sockets.chunks(packet::MOST_SOCKETS) {
            to.send(&format!("{number} {address}"), sockets).await?;
        }
    }
    for legacy in legacies {
        let text = format!("{BACKEND}{}", serde_json::to_string(legacy)?);
        if text.len() <= packet::MOST_BYTES {
            to.send(&text, &[]).await?;
        }
    }
    to.send(THAT_IS_ALL, &[]).await?;
    Ok(to.receive().await?.is_some_and(|(said, _)| said == SERVING))
}
