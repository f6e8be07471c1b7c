//! Why the balancer could not start.

use std::io;
use std::slice::from_ref;
use std::sync::Arc;

use rustix::io::Errno;

use crate::config::Address;
use crate::connect::{TlsFileError, ran_out_of_files};
use crate::control::Refusal;
use crate::route::Conflict;
use crate::server::TlsError;
use crate::telemetry::remedy;

/// Why the balancer could not start, in which case nothing was started, or why it ended unasked.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listening address cannot be had.
    #[error("cannot listen on {address}: {}", explain(.address, .error))]
    Listen {
        /// The address asked for.
        address: Address,
        /// What the system said.
        error: io::Error,
    },
    /// The admin API's address cannot be had.
    #[error("no admin API on {address}: {}", explain(.address, .error).replace("--listen", "--admin"))]
    Admin {
        /// The address asked for.
        address: Address,
        /// What the system said.
        error: io::Error,
    },
    /// Nobody comes any more to the place of a Unix socket, and that is all that there is to mend.
    #[error("{}", lost(.address, .error))]
    Lost {
        /// Where that is.
        address: Address,
        /// Why it cannot be made anew.
        error: io::Error,
    },
    /// A pool that has backends would lose all of them.
    #[error(
        "pool {pool} has {backends} backend{}, and would have none: {sources} told of nobody; mend that, or name backends in \
         the settings",
        if *.backends == 1 { "" } else { "s" }
    )]
    NobodyFound {
        /// The pool.
        pool: Arc<str>,
        /// How many it has now.
        backends: usize,
        /// Where others are to come from.
        sources: String,
    },
    /// A pool of which some get requests would have none that does.
    #[error(
        "no backend of pool {pool} would get a request: all weights are 0, those that {sources} told of, too; give one a weight"
    )]
    Weightless {
        /// The pool.
        pool: Arc<str>,
        /// Where others are to come from.
        sources: String,
    },
    /// A file for TLS is of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Some routes cannot be reached, or cannot be told apart.
    #[error("{}", in_one_line(.0))]
    Routes(Vec<Conflict>),
    /// The access log cannot be written.
    #[error("--access-log {path}: cannot be opened for writing: {}", explain_log(.error))]
    AccessLog {
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// A file for TLS cannot be used.
    #[error(transparent)]
    TlsFile(#[from] TlsFileError),
    /// Several of these.
    #[error("{}", all_in_one_line(.0))]
    Several(Vec<Self>),
    /// There are too few open files to begin with.
    #[error(
        "too few open files: at least {needed} are needed to begin with, and the limit is {limit}; raise it with `ulimit -n`"
    )]
    FirstFiles {
        /// How many files that takes.
        needed: usize,
        /// How many there can be.
        limit: u64,
    },
    /// There are too few open files for the workers.
    #[error(
        "--workers {workers}: too few open files: {needed} are needed before the first client comes, and the limit is {limit}; \
         raise it with `ulimit -n`, or use fewer workers"
    )]
    Files {
        /// How many workers.
        workers: usize,
        /// How many files all that is to be started takes.
        needed: usize,
        /// How many there can be.
        limit: u64,
    },
    /// Whoever started us to take its place did not send its listening sockets.
    #[error("the process to be replaced did not send its listening sockets: {0}")]
    Predecessor(#[source] io::Error),
    /// Whoever started us to take its place is no longer there, or has given it up.
    #[error(
        "the process to be replaced has ended, or wants no successor any more; start the program by itself"
    )]
    Abandoned,
    /// Something has ended unasked, and so all others were stopped.
    #[error("{0} ended unasked, so the others were stopped: it panicked, and why is said above")]
    Fallen(Fallen),
    /// The system gives no thread or no event queue.
    #[error("the system gives no thread or event queue: {0}; see `ulimit -a`")]
    System(#[from] io::Error),
}

/// What has ended unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fallen {
    /// This worker.
    #[error("worker {0}")]
    Worker(usize),
    /// What the control thread cannot do without.
    #[error("a task of the control thread")]
    Control,
}

impl StartError {
    /// Those that are to be told one by one.
    pub fn each(&self) -> &[Self] {
        match self {
            Self::Several(all) => all,
            one => from_ref(one),
        }
    }

    /// All of them as one. None if there are none.
    pub(super) fn of(errors: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut all: Vec<_> = errors.into_iter().flat_map(Self::parts).collect();
        if all.len() > 1 { Some(Self::Several(all)) } else { all.pop() }
    }

    fn parts(self) -> Vec<Self> {
        match self {
            Self::Several(all) => all,
            one => vec![one],
        }
    }
}

impl From<StartError> for Refusal {
    fn from(error: StartError) -> Self {
        Self::Unfit(error.into())
    }
}

fn all_in_one_line(errors: &[StartError]) -> String {
    errors.iter().map(StartError::to_string).collect::<Vec<_>>().join(" | ")
}

fn in_one_line(conflicts: &[Conflict]) -> String {
    conflicts.iter().map(Conflict::to_string).collect::<Vec<_>>().join(" | ")
}

fn explain_log(error: &io::Error) -> String {
    if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) {
        return "nobody reads this pipe; start its reader first".to_owned();
    }
    format!("{error}; {}", remedy(error, "name a file in a folder that exists and is ours"))
}

/// What is said of a Unix socket whose file others removed, and which cannot be made anew.
pub(super) fn lost(address: &Address, error: &io::Error) -> String {
    let why = match of_a_socket(error) {
        Some((why, remedy)) => format!("{why}; {remedy} and reload"),
        None => format!("{error}; mend that and reload"),
    };
    format!("the file of {address} was removed, and it cannot be made anew: {why}")
}

/// Why a Unix socket cannot be made, and what would help.
fn of_a_socket(error: &io::Error) -> Option<(&'static str, &'static str)> {
    Some(match error.kind() {
        io::ErrorKind::AddrInUse => ("a program answers there", "stop it"),
        io::ErrorKind::NotFound => ("the folder of the socket does not exist", "make it"),
        io::ErrorKind::AlreadyExists => ("a file is there that is no socket", "remove it"),
        // It is what we found, not what the system said of the folder.
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
            ("we may not find out whether a program answers at the socket that is there", "remove that")
        }
        io::ErrorKind::PermissionDenied => ("we may not make a socket in its folder", "let us"),
        _ => return None,
    })
}

fn explain(address: &Address, error: &io::Error) -> String {
    if let (Address::Unix(_), Some((why, remedy))) = (address, of_a_socket(error)) {
        return format!("{why}; {remedy}, or choose another path with --listen");
    }
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use; stop the program that has it (`ss -ltnp` shows it) or choose another with --listen"
        }
        io::ErrorKind::PermissionDenied => {
            "the port is reserved; choose one above 1023 with --listen, or grant CAP_NET_BIND_SERVICE"
        }
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this machine has that address; choose another with --listen"
        }
        _ if ran_out_of_files(error) => return format!("{error}; {}", remedy(error, "")),
        _ => return error.to_string(),
    };
    why.to_owned()
}
