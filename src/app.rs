//! Where all parts meet.

mod check;
mod live;
mod prepare;
mod roster;

use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use futures::FutureExt;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_local;
use tracing::{info, warn};

use crate::backends::Registry;
use crate::config::{Address, Config, DEFAULT_POOL, Loaded, Pool, Source, Sources};
use crate::connect::TlsFileError;
use crate::control::{self, Desk, Means, Unfit};
use crate::proxy::Rules;
use crate::route::Conflict;
use crate::server::{Bound, News, Order, Team, TlsError, Worker, Workers};
use crate::snapshot::Snapshot;
use crate::telemetry::access_log::{Destination, Writer};

pub use check::check;

use live::Live;
use prepare::Prepared;
use roster::Roster;

/// Backends and sources of a pool that are named at the start.
const MOST_NAMED: usize = 8;
/// Orders that a worker may be behind.
const ORDERS: usize = 64;

/// Why the balancer could not start. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listening address cannot be had.
    #[error("cannot listen on {address}: {}", explain(.error))]
    Listen {
        /// The address asked for.
        address: Address,
        /// What the system said.
        error: io::Error,
    },
    /// The admin API's address cannot be had.
    #[error("no admin API on {address}: {}", explain_admin(.error))]
    Admin {
        /// The address asked for.
        address: Address,
        /// What the system said.
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
    /// A file for TLS is of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Some routes cannot be reached, or cannot be told apart.
    #[error("{}", in_one_line(.0))]
    Routes(Vec<Conflict>),
    /// The access log cannot be written.
    #[error(
        "--access-log {path}: cannot be opened for writing: {error}; name a file in a folder that exists and is ours"
    )]
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
    /// The system gives no thread or no event queue.
    #[error("the system gives no thread or event queue: {0}; see `ulimit -a`")]
    System(#[from] io::Error),
}

impl StartError {
    /// Those that are to be told one by one.
    pub fn each(&self) -> &[Self] {
        match self {
            Self::Several(all) => all,
            one => std::slice::from_ref(one),
        }
    }

    /// All of them as one. None if there are none.
    fn of(errors: impl IntoIterator<Item = Self>) -> Option<Self> {
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

fn all_in_one_line(errors: &[StartError]) -> String {
    errors.iter().map(StartError::to_string).collect::<Vec<_>>().join(" | ")
}

fn in_one_line(conflicts: &[Conflict]) -> String {
    conflicts.iter().map(Conflict::to_string).collect::<Vec<_>>().join(" | ")
}

fn explain_admin(error: &io::Error) -> String {
    explain(error).replace("--listen", "--admin")
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use; stop the program that has it (`ss -ltnp` shows it) or choose another with --listen"
                .to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "the port is reserved; choose one above 1023 with --listen, or grant CAP_NET_BIND_SERVICE".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this machine has that address; choose another with --listen".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Runs the balancer until `shutdown` is ready and the last request is answered, or the drain deadline has passed.
/// `shutdown` is told the first address that is bound and begins to watch for a stop before anything listens there, so that
/// none is missed. What it gives is polled when all is started, on the control thread's runtime, which is the caller's
/// thread. With `sources`, the settings are read anew upon SIGHUP.
///
/// # Errors
/// It could not start.
pub fn run<F: Future<Output = ()>>(
    loaded: Loaded,
    sources: Option<Sources>,
    registry: &'static Registry,
    shutdown: impl FnOnce(&Address) -> F,
) -> Result<(), StartError> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let (prepared, log) =
        both(Prepared::from(Arc::new(loaded.config.clone()), None), open_log(&loaded.config))?;
    let ended = runtime.block_on(serve((prepared, loaded), sources, registry, log.as_ref(), shutdown));
    // Requests that were cut have their lines written when they are dropped. Settings that are being read, from a file that
    // has no end or a name that nobody answers for, are not waited for.
    runtime.shutdown_background();
    if let Some(log) = log {
        log.finish();
    }
    ended?;
    info!("stopped");
    Ok(())
}

/// What came of two steps, or all that is wrong with either.
fn both<A, B>(one: Result<A, StartError>, other: Result<B, StartError>) -> Result<(A, B), StartError> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (one, other) => {
            let errors = one.err().into_iter().chain(other.err());
            Err(StartError::of(errors).expect("one of them failed"))
        }
    }
}

async fn serve<F: Future<Output = ()>>(
    (prepared, loaded): (Prepared, Loaded),
    sources: Option<Sources>,
    registry: &'static Registry,
    log: Option<&Writer>,
    shutdown: impl FnOnce(&Address) -> F,
) -> Result<(), StartError> {
    let shutdown = shutdown(&prepared.bound[0].opened.listener.address);
    // From here on a reload is not taken for a wish to end.
    let hangups = control::hangups();
    let roster = Roster::of(registry, Arc::clone(&prepared.settings.config), prepared.ways.clone());
    roster.meet(&prepared.settings.config).await;
    prepared.listen()?;
    let Prepared { settings, tls, mut bound, admin, .. } = prepared;
    let config = Arc::clone(&settings.config);
    let first = Snapshot::compile(&settings, &registry.backends(), None);
    let (publish, snapshots) = watch::channel(Arc::new(first));
    let (stop, stopping) = watch::channel(false);
    let (beat, ticks) = watch::channel(());
    let news = News { snapshots: snapshots.clone(), stop: stopping.clone(), ticks };
    let rules = Rules::of(Arc::clone(&config), None);
    let (team, workers, orders) = start_workers(&rules, registry, log, &mut bound, &news)?;
    tell(&config, &bound);
    let (doors, callers) = mpsc::channel(1);
    let live = Rc::new(Live::of(roster, (settings, rules), tls, &mut bound, team, orders, doors));
    live.change_admin(admin).await;
    let desk = Rc::new(desk_over(&live, registry, (snapshots, stopping), sources, loaded));
    let reload = spawn_local(control::reload(hangups, Rc::clone(&desk)));
    let watch = spawn_local(control::watch(Rc::clone(&desk)));
    let memory = spawn_local({
        let desk = Rc::clone(&desk);
        async move { desk.remember().await }
    });
    let admin = spawn_local(control::admin(desk, callers));
    let stopped = async {
        shutdown.await;
        reload.abort();
        watch.abort();
        let drain = live.config().timeouts.drain;
        info!("stopping: no new clients; running requests have {drain:?} to finish");
        stop.send_replace(true);
        let left = workers.ended().await;
        if left > 0 {
            warn!("cut at the end of the drain time: {left} connection{}", if left == 1 { "" } else { "s" });
        }
    };
    control::run(live.subscribe(), registry, publish, beat, stopped).await;
    admin.abort();
    memory.abort();
    Ok(())
}

fn desk_over(
    live: &Rc<Live>,
    registry: &'static Registry,
    (snapshots, stopping): (watch::Receiver<Arc<Snapshot>>, watch::Receiver<bool>),
    sources: Option<Sources>,
    loaded: Loaded,
) -> Desk {
    let [changed, counted, open, asked, recalled] = std::array::from_fn(|_| Rc::clone(live));
    let apply = move |config, intent| {
        let applied = Rc::clone(&changed).apply(config, intent);
        async { applied.await.map_err(Unfit::from) }.boxed_local()
    };
    let means = Means {
        registry,
        settings: live.subscribe(),
        snapshots,
        stopping,
        sources,
        apply: Box::new(apply),
        clients: Box::new(move || counted.clients()),
        listeners: Box::new(move || open.listeners()),
        report: Box::new(move || Rc::clone(&asked).report().boxed_local()),
        recall: Box::new(move || Rc::clone(&recalled).recall().boxed_local()),
    };
    Desk::over(means, loaded)
}

fn open_log(config: &Config) -> Result<Option<Writer>, StartError> {
    let Some(destination) = &config.access_log else { return Ok(None) };
    Writer::start(destination).map(Some).map_err(|error| StartError::AccessLog {
        path: match destination {
            Destination::Stdout => "-".to_owned(),
            Destination::File(path) => path.display().to_string(),
        },
        error,
    })
}

type Orders = Vec<mpsc::Sender<Order>>;

fn start_workers(
    rules: &Rules,
    registry: &'static Registry,
    log: Option<&Writer>,
    bound: &mut [Bound],
    news: &News,
) -> Result<(Arc<Team>, Workers, Orders), StartError> {
    let (team, inboxes) = Team::new(&rules.config);
    let mut ends = Vec::new();
    let workers = inboxes.into_iter().enumerate().map(|(index, inbox)| {
        let (orders, end) = mpsc::channel(ORDERS);
        ends.push(orders);
        Worker {
            index,
            rules: rules.clone(),
            sockets: bound.iter_mut().filter_map(Bound::take).collect(),
            orders: end,
            registry,
            news: news.clone(),
            access_log: log.map(Writer::buffer),
            team: Arc::clone(&team),
            inbox,
        }
    });
    let workers = Workers::start(workers.collect())?;
    Ok((team, workers, ends))
}

fn tell(config: &Config, bound: &[Bound]) {
    let count = config.workers.get();
    for bound in bound {
        let listener = &bound.opened.listener;
        info!("listening on {listener} with {count} worker{}", if count == 1 { "" } else { "s" });
    }
    for pool in &config.pools {
        let of = if &*pool.name == DEFAULT_POOL { String::new() } else { format!("pool {}: ", pool.name) };
        info!("{of}forwarding to {} ({})", forwards_to(pool), pool.balancing.policy);
    }
}

/// Backends and sources, of which the first few are named.
fn forwards_to(pool: &Pool) -> String {
    let backends = pool.backends.iter().map(|backend| backend.url.to_string());
    let mut all: Vec<_> = backends.chain(pool.sources.iter().map(Source::to_string)).collect();
    let more = all.len().saturating_sub(MOST_NAMED);
    all.truncate(MOST_NAMED);
    if more > 0 {
        all.push(format!("{more} more"));
    }
    all.join(", ")
}
