//! The old process, which gives way to its successor.

use std::convert::Infallible;
use std::env;
use std::ffi::OsStr;
use std::future::pending;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{self, Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{self, Pid, kill_process};
use serde::Serialize;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::app::live::Live;
use crate::backends::Legacy;
use crate::config::Sources;
use crate::connect::{Undone, aside, ran_out_of_files, spare_files};
use crate::control::{self, Desk, Refusal, Verdict};
use crate::proxy::Deadlines;
use crate::telemetry::manager;

use super::{BACKEND, HERE, LOOK, PREDECESSOR, SERVING, THAT_IS_ALL, TOLD, packet};

/// How long a successor may take until it serves. What it reads for its settings may be slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// The number of the first process of a container, which ends with it.
const FIRST: u32 = 1;

/// Files that it takes to start one, beside those of the sockets that it is lent.
const TO_START: usize = 8;
/// How often idle connections to backends are given the time to make room for these.
const LOOKS_FOR_ROOM: u32 = 3;

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
    #[error(
        "the files say what was taken back, which the new process would put in force: change them, or send SIGHUP to insist"
    )]
    TakenBack,
    #[error(
        "too few open files: it takes {0} more to lend the listening sockets; raise the limit with `ulimit -n`"
    )]
    Files(usize),
    #[error("the program's own file is not known")]
    Program,
    #[error("{}: {error}", program.display())]
    Start { program: PathBuf, error: io::Error },
    #[error(transparent)]
    Undone(#[from] Undone),
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
    program: Option<&'static Path>,
    unrepeatable: Option<&'static str>,
}

impl Succession {
    /// This signal asks for it. With settings that cannot be read again there is none.
    pub(in crate::app) fn prepare(sources: Option<&Sources>, asked: Option<Signal>) -> Self {
        let unrepeatable = match sources {
            None => Some("the sample backends of a demo are in the process itself"),
            Some(sources) if sources.is_read_once() => Some("the settings came from standard input"),
            Some(_) => None,
        };
        // Whoever started us may ignore SIGCHLD, and we with them until it is caught: then nobody could say how a child ended.
        drop(signal(SignalKind::child()));
        Self { signal: asked, program: program(), unrepeatable }
    }

    /// Ready when another process, which it tells, serves in our place. If nobody waits for that any more, none will.
    pub(in crate::app) async fn happens(&mut self, live: &Live, desk: &Desk) -> u32 {
        loop {
            self.is_asked_for().await;
            match self.succeed(live, desk).await {
                Ok(id) => {
                    info!("process {id} serves in place of this one");
                    if let Some(signal) = self.signal.take() {
                        spawn_local(control::refer(signal, id));
                    }
                    return id;
                }
                Err(error) => warn!("no successor, this process goes on: {error}"),
            }
        }
    }

    /// Says that there will be none, as often as it is asked for.
    pub(in crate::app) async fn is_refused(&mut self) -> Infallible {
        loop {
            self.is_asked_for().await;
            warn!("no successor: {}", Refusal::Stopping);
        }
    }

    async fn is_asked_for(&mut self) {
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        pending::<()>().await;
    }

    async fn succeed(&self, live: &Live, desk: &Desk) -> Result<u32, Error> {
        if std::process::id() == FIRST {
            return Err(Error::First);
        }
        if let Some(why) = self.unrepeatable {
            return Err(Error::Unrepeatable(why));
        }
        // What others change meanwhile, the new process would not know of.
        let _turn = desk.turn().await?;
        if desk.confirmation().is_some_and(|watched| watched.verdict == Verdict::Watching) {
            return Err(Error::Watched);
        }
        if desk.files_say_what_was_taken_back().await {
            return Err(Error::TakenBack);
        }
        // Files may take long, and whoever holds a backend does not wait for them.
        let _holding = desk.holding().await?;
        let program = self.program.ok_or(Error::Program)?.to_owned();
        find_files(live).await?;
        info!("starting a successor: {}", program.display());
        let mut successor = start(program).await?;
        let legacies = desk.registry().legacies();
        let serves = timeout(PATIENCE, successor.serves(live, &legacies)).await;
        serves.unwrap_or_else(|_| if successor.serves_by_now() { Ok(()) } else { Err(Error::Late) })?;
        let id = successor.keep();
        manager::replaced_by(id);
        // Who waits for a turn is told of it.
        desk.give_way(id);
        live.own_files(false);
        live.let_callers_in(None).await;
        Ok(id)
    }
}

/// Starts it on a thread of its own. If nobody waits for that any more, as the process is about to end, it has ended before that.
async fn start(program: PathBuf) -> Result<Successor, Error> {
    let (under_way, over) = channel::<()>();
    let _waits = Waits(over);
    let (started, under_way) = aside(move || (Successor::start(program), under_way)).await?;
    drop(under_way);
    started
}

/// Waits, when it is dropped, until what holds the other end is.
struct Waits(Receiver<()>);

impl Drop for Waits {
    fn drop(&mut self) {
        // Nothing is ever sent.
        let _ = self.0.recv();
    }
}

/// Waits until there are files for all that is lent at one time. To find out later would be to have started a process in vain.
async fn find_files(live: &Live) -> Result<(), Error> {
    let needed = live.lendable() + TO_START;
    // Workers hear of it at their next tick.
    let ticks = Duration::from_millis(2 * Deadlines::of(&live.config()).tick());
    let mut looks = 0;
    loop {
        match spare_files(needed) {
            Err(error) if !ran_out_of_files(&error) => return Err(error.into()),
            Err(_) if looks == LOOKS_FOR_ROOM => return Err(Error::Files(needed)),
            Err(_) => sleep(ticks).await,
            Ok(()) => return Ok(()),
        }
        looks += 1;
    }
}

/// The file of the program. It is to be found at the start: later, another file may be in its place, which is the one to start.
pub fn program() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAM.get_or_init(find_program).as_deref()
}

/// By the path by which it was started if that leads there: a link in it may lead elsewhere by then.
fn find_program() -> Option<PathBuf> {
    let own = with_a_name(env::current_exe().ok()?);
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

/// The path of a file whose name another one has taken already, as Linux does not say it.
fn with_a_name(own: PathBuf) -> PathBuf {
    match own.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(name) if !own.exists() => PathBuf::from(OsStr::from_bytes(name)),
        _ => own,
    }
}

/// A process that is to serve in our place. It ends when this is dropped, unless it is kept: at once, or as at a stop if it serves.
struct Successor {
    child: Option<Child>,
    /// Where it speaks to us.
    end: packet::End,
}

impl Successor {
    fn start(program: PathBuf) -> Result<Self, Error> {
        let (ours, its) = packet::ends()?;
        let end = packet::End::of(ours)?;
        let mut words = env::args_os();
        let mut command = Command::new(&program);
        if let Some(name) = words.next() {
            command.arg0(name);
        }
        command.args(words).env(PREDECESSOR, std::process::id().to_string());
        // The command holds our copy of its end, without which its own end would not be noticed, and is dropped here.
        let child = command.stdin(its).env_remove(manager::WATCHED).spawn();
        child.map(|child| Self { child: Some(child), end }).map_err(|error| Error::Start { program, error })
    }

    /// Ready when it serves.
    async fn serves(&mut self, live: &Live, legacies: &[Legacy]) -> Result<(), Error> {
        match introduce(&self.end, live, legacies).await {
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
        while let Some(child) = &mut self.child {
            if let Some(status) = child.try_wait()? {
                return Err(Error::Ended(status));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Whether it has said that it serves since we looked last.
    fn serves_by_now(&self) -> bool {
        self.end.has(SERVING)
    }

    fn keep(mut self) -> u32 {
        self.child.take().map_or(0, |child| child.id())
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // It may have ended already.
        if self.serves_by_now() {
            // Clients came to it, who are to get their answers: it stops as we do, and is not waited for.
            let _ = kill_process(Pid::from_child(&child), process::Signal::TERM);
        } else {
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
    let legacies = legacies.iter().filter_map(|legacy| text_of(BACKEND, legacy));
    let told = live.told();
    for text in legacies.chain(told.iter().filter_map(|told| text_of(TOLD, told))) {
        to.send(&text, &[]).await?;
    }
    to.send(THAT_IS_ALL, &[]).await?;
    Ok(to.receive().await?.is_some_and(|(said, _)| said == SERVING))
}

/// What is sent of something known; nothing of what fits no packet, or names a file whose path is no text.
fn text_of(kind: &str, known: &impl Serialize) -> Option<String> {
    let text = format!("{kind}{}", serde_json::to_string(known).ok()?);
    (text.len() <= packet::MOST_BYTES).then_some(text)
}

#[cfg(test)]
mod tests {
    use rustix::process::{WaitOptions, waitpid};

    use super::*;

    #[test]
    fn who_serves_by_now_is_told_to_stop_and_who_does_not_is_ended() {
        assert_eq!(given_up_after(SERVING), Some(process::Signal::TERM.as_raw()));
        assert_eq!(given_up_after(HERE), None);
    }

    /// What ends it; none if its end was waited for.
    fn given_up_after(said: &str) -> Option<i32> {
        let (ours, its) = packet::ends().unwrap();
        packet::send(&its, said, &[]).unwrap();
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let id = Pid::from_child(&child);
        drop(Successor { child: Some(child), end: packet::End::of(ours).unwrap() });
        let (_, status) = waitpid(Some(id), WaitOptions::empty()).ok()??;
        status.terminating_signal()
    }
}
