//! Backends that names and files tell of, which change without a reload.
//!
//! An error never takes a backend away, and neither does an answer without any: what was known stays, and checks tell
//! whether it still answers.

mod dns;
mod file;

use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tracing::{info, warn};

use crate::config::{Backend, BackendUrl, Config, Source};

use dns::{DnsError, Resolver, Stamp};
use file::FileError;

/// Backends that one source may tell of; more are left out.
const MOST_FOUND: usize = 10_000;
/// Between two looks at a source that failed. After one that failed in part it is twice as long each time, while the rest holds.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// An answer holds for as long as it says, within these bounds.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// Until a file that has changed is looked at again: who writes it should be through with it.
const SETTLES: Duration = Duration::from_millis(300);
/// So many looks in succession that each find something else are complained of.
const MOST_UNSETTLED: u32 = 10;

/// Whom sources are asked of.
#[derive(Clone)]
pub struct Discovery {
    /// None, if it is those that the system asks.
    servers: Rc<[SocketAddr]>,
    resolver: Rc<Resolver>,
    /// What the system said of whom to ask when that was read.
    read: Stamp,
    /// The same when that was last looked at.
    seen: Stamp,
}

/// How a source of a pool's backends is.
#[derive(Clone, Debug)]
pub struct SourceState {
    /// The pool.
    pub pool: Arc<str>,
    /// Whom it asks.
    pub source: Source,
    /// How many backends are known of it.
    pub backends: usize,
    /// What is wrong with it, if anything is.
    pub trouble: Option<Trouble>,
}

/// What is wrong with a source.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// In words.
    pub why: String,
    /// Since when something has been.
    pub since: Instant,
}

impl Trouble {
    /// What is wrong now, if anything is, behind what was before.
    pub fn after(before: Option<Self>, why: Option<String>) -> Option<Self> {
        why.map(|why| Self { why, since: before.map_or_else(Instant::now, |before| before.since) })
    }
}

/// What a source tells, and for how long that holds.
struct Found {
    backends: Vec<Backend>,
    holds: Duration,
    /// What was not told, if anything, so that what was known of that is told again.
    failed: Option<DnsError>,
}

/// Why a source told nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum SourceError {
    #[error(transparent)]
    Dns(#[from] DnsError),
    #[error(transparent)]
    File(#[from] FileError),
    /// There would be nobody left to send requests to.
    #[error("it tells of no backend")]
    Nobody,
    /// Nobody knows whether any of it was whole.
    #[error(
        "it says something else at each look, and counts when it says the same twice; write it less often"
    )]
    Unsettled,
    #[error(transparent)]
    Objection(#[from] Objection),
}

/// Why what a source told is not gone by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// One is the balancer itself. The others are gone by.
    #[error("{0} is where we listen, and requests would go round in circles")]
    Ourselves(BackendUrl),
    /// Nobody in the pool would get a request any more.
    #[error("all weights are 0, and no backend of its pool would get a request")]
    Weightless,
}

/// What is wrong with files that backends are read from. A start does not fail for it: they may be written later.
pub fn unlisted(config: &Config) -> impl Iterator<Item = String> {
    config.pools.iter().flat_map(|pool| &pool.sources).filter_map(|source| {
        let Source::File(path) = source else { return None };
        let wrong = match file::list(path, &[]) {
            Ok(backends) if backends.is_empty() => SourceError::Nobody,
            Ok(_) => return None,
            Err(error) => error.into(),
        };
        Some(format!("{source}: {wrong}; no backend is known of it until that is mended"))
    })
}

impl Discovery {
    /// Asks these for names, or whom the system asks.
    pub fn asking(servers: &[SocketAddr]) -> Self {
        // What changes while it is read is seen at the next look.
        let read = dns::stamp();
        let resolver = Rc::new(Resolver::asking(servers));
        Self { servers: servers.into(), resolver, read, seen: read }
    }

    /// Looks anew whom the system asks, and what it lists itself, if that has changed. It may be half written, and counts when it
    /// is the same a look later.
    fn look_for_servers(&mut self) {
        if self.servers.is_empty() {
            let before = mem::replace(&mut self.seen, dns::stamp());
            if self.seen == before && self.seen != self.read {
                *self = Self::asking(&[]);
            }
        }
    }

    /// Asks a source, of which these are known, for ever, and tells what it said whenever it said something. Whenever it was asked,
    /// what is wrong with it is noted, if anything is.
    pub async fn follow(
        mut self,
        (source, known): (Source, Vec<Backend>),
        tell: impl Fn(Vec<Backend>) -> Result<(), Objection>,
        note: impl Fn(Option<String>),
    ) {
        let mut heard = Heard { known, ..Heard::default() };
        loop {
            self.look_for_servers();
            let pause = match self.ask(&source, &heard).await {
                Ok(found) => heard.pass_on(&source, found, &tell),
                Err(error) => {
                    heard.complain(&source, error);
                    AGAIN_AFTER
                }
            };
            note(heard.complaint.as_ref().map(SourceError::to_string));
            sleep(pause).await;
        }
    }

    async fn ask(&self, source: &Source, heard: &Heard) -> Result<Found, SourceError> {
        let (known, resolver) = (&heard.known, &self.resolver);
        let found = match source {
            Source::Dns { scheme, name, port } => {
                dns::addresses(resolver, *scheme, name, *port, known).await?
            }
            Source::Srv { scheme, name } => dns::services(resolver, *scheme, name, known).await?,
            Source::File(path) => file::read(path.clone(), heard.led_to()).await?,
        };
        if found.backends.is_empty() { Err(SourceError::Nobody) } else { Ok(found) }
    }
}

/// What a source has told so far.
#[derive(Default)]
struct Heard {
    known: Vec<Backend>,
    /// What was found last, gone by or not.
    seen: Option<Vec<Backend>>,
    /// How many backends it told of last.
    count: Option<usize>,
    /// How often in succession a part of them was not told.
    halves: u32,
    /// How often in succession it may have been half written.
    unsettled: u32,
    complaint: Option<SourceError>,
}

impl Heard {
    /// Tells what was found, and for how long nobody needs to ask again.
    fn pass_on(
        &mut self,
        source: &Source,
        mut found: Found,
        tell: impl Fn(Vec<Backend>) -> Result<(), Objection>,
    ) -> Duration {
        let count = found.backends.len();
        found.backends.truncate(MOST_FOUND);
        if self.may_change_yet(source, &found.backends) {
            self.unsettled += 1;
            if self.unsettled == MOST_UNSETTLED {
                self.complain(source, SourceError::Unsettled);
            }
            return SETTLES;
        }
        self.unsettled = 0;
        let objection = tell(found.backends.clone()).err();
        if objection == Some(Objection::Weightless) {
            self.complain(source, Objection::Weightless.into());
            return AGAIN_AFTER;
        }
        // What was not told may only be slow, or never come.
        self.halves = if found.failed.is_some() { self.halves.saturating_add(1) } else { 0 };
        let pause = match self.halves {
            0 => found.holds,
            halves => found.holds.min(AGAIN_AFTER.saturating_mul(1 << (halves - 1).min(16))),
        };
        let failed = found.failed.map(SourceError::Dns).or(objection.map(Into::into));
        self.tells_of(source, count, self.known != found.backends, failed);
        self.known = found.backends;
        pause.clamp(SHORTEST, LONGEST)
    }

    /// Where a file led, gone by or not: a new name in it must lead to the same place twice.
    fn led_to(&self) -> Vec<BackendUrl> {
        let seen = self.seen.iter().filter(|seen| **seen != self.known).flatten();
        self.known.iter().chain(seen).map(|backend| backend.url.clone()).collect()
    }

    /// Whether a file may be half written: what is new in it counts when it says the same a look later.
    fn may_change_yet(&mut self, source: &Source, found: &[Backend]) -> bool {
        let is_new = matches!(source, Source::File(_)) && !self.known.is_empty() && self.known != found;
        let before = self.seen.replace(found.to_vec());
        is_new && before.as_deref() != Some(found)
    }

    fn tells_of(&mut self, source: &Source, count: usize, is_new: bool, failed: Option<SourceError>) {
        let is_well_again = failed.is_none() && self.complaint.take().is_some();
        if is_well_again || is_new || self.count != Some(count) {
            info!("{source} tells of {count} backend{}", if count == 1 { "" } else { "s" });
            if count > MOST_FOUND {
                warn!("{source}: only the first {MOST_FOUND} backends are used");
            }
        }
        self.count = Some(count);
        if let Some(error) = failed {
            self.complain(source, error);
        }
    }

    /// The same complaint once, however often it is tried.
    fn complain(&mut self, source: &Source, error: SourceError) {
        if self.complaint.as_ref() != Some(&error) {
            let consequence = match (&error, self.known.is_empty()) {
                (
                    SourceError::Objection(Objection::Ourselves(_))
                    | SourceError::Dns(DnsError::Unspecified { alone: false, .. }),
                    _,
                ) => "it is left out",
                (_, true) => "nothing was known of it before",
                (_, false) => "what was known of it before still holds",
            };
            warn!("{source}: {error}; {consequence}");
            self.complaint = Some(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::path::Path;

    use super::*;

    fn at(ports: &[u16]) -> Vec<Backend> {
        let url =
            |port| BackendUrl::read(&format!("192.0.2.1:{port}"), Path::new(""), &[]).expect("an address");
        ports.iter().map(|port| Backend::at(url(port))).collect()
    }

    #[test]
    fn a_file_that_is_being_written_is_gone_by_when_it_is_whole() {
        let (told, source) = (RefCell::new(Vec::new()), Source::File("backends".into()));
        let mut heard = Heard { known: at(&[1]), ..Heard::default() };
        let tell = |backends| {
            told.borrow_mut().push(backends);
            Ok(())
        };
        for seen in [&[1][..], &[2], &[2, 3], &[2, 3]] {
            let found = Found { backends: at(seen), holds: SHORTEST, failed: None };
            heard.pass_on(&source, found, tell);
        }
        assert_eq!(*told.borrow(), [at(&[1]), at(&[2, 3])]);
    }

    #[test]
    fn what_a_source_does_not_tell_beside_the_rest_is_asked_for_again_less_and_less_soon() {
        let (source, mut heard) = (Source::File("backends".into()), Heard::default());
        let mut pauses = |failed: Option<DnsError>, times: usize| -> Vec<_> {
            let mut pause = || {
                let found = Found { backends: at(&[1]), holds: LONGEST, failed: failed.clone() };
                heard.pass_on(&source, found, |_| Ok(())).as_secs()
            };
            (0..times).map(|_| pause()).collect()
        };
        let half = Some(DnsError::NoService);
        assert_eq!(pauses(half.clone(), 10), [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(pauses(None, 1), [300]);
        assert_eq!(pauses(half, 2), [2, 4]);
    }
}
