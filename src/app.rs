//! Where all parts meet.

mod check;
mod error;
mod live;
mod places;
mod prepare;
mod renewal;
mod roster;
mod signals;
mod stop;
mod succession;

use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;

use futures::FutureExt;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::yield_now;
use tracing::{info, warn};

use crate::backends::Registry;
use crate::config::{Config, DEFAULT_POOL, Listener, Loaded, Pool, Source, Sources};
use crate::connect::{Chores, most_files, ran_out_of_files, spare_files};
use crate::control::{self, Desk, Means};
use crate::proxy::{Rules, Stop};
use crate::server::{Bound, Claims, News, Order, Team, Threads, Worker, keep_kernel_tick};
use crate::snapshot::Snapshot;
use crate::telemetry::access_log::{Destination, Writer};
use crate::telemetry::manager;

pub use check::check;
pub use error::{Fallen, StartError};
pub use signals::Signals;
pub use succession::program;

use live::Live;
use places::Coming;
use prepare::{Before, Prepared};
use roster::Roster;
use stop::Cause;
use succession::{Predecessor, Succession};

/// Backends and sources of a pool that are named at the start.
const MOST_NAMED: usize = 8;
/// Orders that a worker may be behind.
const ORDERS: usize = 64;
/// What is said of a stop that came first.
const NEVER_SERVED: &str = "stopped before it served";

/// Runs the balancer until `shutdown` is ready and the last request is answered, or the drain deadline has passed. If that is so before
/// anybody is served, nothing is started. `shutdown` is polled on the control thread's runtime, which is the caller's thread.
/// `started` is told of the first listener, with the port that is bound, when all is started. What other `signals` ask for is done
/// from then on, also if they came before. When `cut` turns true, nobody is waited for any more, and what was answered is written for
/// a second at most. With `sources`, the settings are read anew upon SIGHUP.
///
/// # Errors
/// It could not start.
pub fn run(
    loaded: Loaded,
    sources: Option<Sources>,
    registry: &'static Registry,
    (claims, signals, cut): (Claims, Signals, &watch::Receiver<bool>),
    started: impl FnOnce(&Listener),
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    loaded.give_the_words();
    let predecessor = Predecessor::meet()?;
    find_files_for(&loaded.config, claims.files())?;
    // A single worker works here, too.
    let mut runtime = Builder::new_current_thread();
    let runtime =
        runtime.enable_all().on_thread_park(keep_kernel_tick()).build_local(LocalOptions::default())?;
    runtime.block_on(async { control::outlive_full_files() });
    let config = Arc::new(loaded.config.clone());
    let prepared = Prepared::from(config, Before::Start(&predecessor, claims));
    let (prepared, log) = both(prepared, open_log(&loaded.config))?;
    let parts = (prepared, loaded, predecessor);
    // It may be asked again who was answered: nobody is asked to stop twice.
    let ends = (started, pin!(shutdown.fuse()));
    let ended = runtime.block_on(serve(parts, sources, registry, log.as_ref(), (signals, cut), ends));
    // Requests that were cut have their lines written when they are dropped. Settings that are being read, from a file that
    // has no end or a name that nobody answers for, are not waited for.
    runtime.shutdown_background();
    if let Some(log) = log {
        log.finish(|| *cut.borrow());
    }
    info!("{}", ended?);
    Ok(())
}

/// Waits for whoever is about to listen where these settings want to, but not for long.
pub fn claim(config: &Config) -> Claims {
    let listeners = config.listeners.iter().map(|listener| &listener.address);
    Claims::to(listeners.chain(config.admin.iter().map(|admin| &admin.address)))
}

/// What each process begins with, and what it takes to catch signals.
const FIRST_FILES: (usize, usize) = (3, 6);

/// Whether there can be as many open files as it takes to catch signals, without which no settings are read.
///
/// # Errors
/// There are fewer.
pub fn find_first_files() -> Result<(), StartError> {
    let (begun, needed) = FIRST_FILES;
    find_files(needed, begun, |needed, limit| StartError::FirstFiles { needed, limit })
}

/// Whether there can be as many open files as all that is to be started takes. To find that out later would be to have
/// started a part of it. What claims take by now is free again by then.
fn find_files_for(config: &Config, claims: usize) -> Result<(), StartError> {
    let (begun, signals) = FIRST_FILES;
    let workers = config.workers.get();
    let needed = config.least_files().saturating_sub(claims);
    find_files(needed, begun + signals + claims, |needed, limit| StartError::Files { workers, needed, limit })
}

fn find_files(
    needed: usize,
    open: usize,
    too_few: impl FnOnce(usize, u64) -> StartError,
) -> Result<(), StartError> {
    spare_files(needed).map_err(|error| match most_files() {
        Ok(limit) if ran_out_of_files(&error) => {
            // Whoever started us may have left more open.
            let least = usize::try_from(limit).map_or(usize::MAX, |limit| limit + 1);
            too_few((needed + open).max(least), limit)
        }
        _ => error.into(),
    })
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

async fn serve(
    (mut prepared, loaded, mut predecessor): (Prepared, Loaded, Predecessor),
    sources: Option<Sources>,
    registry: &'static Registry,
    log: Option<&Writer>,
    (signals, cut): (Signals, &watch::Receiver<bool>),
    (started, mut shutdown): (impl FnOnce(&Listener), Pin<&mut impl Future<Output = ()>>),
) -> Result<&'static str, StartError> {
    let Signals { hangups, stray, succession } = signals;
    let mut succession = Succession::prepare(sources.as_ref(), succession);
    let chores = Chores::default();
    let roster = roster_of((registry, &chores), &prepared, &mut predecessor);
    tokio::select! {
        biased;
        () = shutdown.as_mut() => return Ok(NEVER_SERVED),
        () = predecessor.leaves() => return Err(StartError::Abandoned),
        // Signals that came before are heard first.
        () = yield_now().then(|()| roster.meet(&prepared.settings.config)) => registry.settle(),
    }
    let threads = Threads::start(prepared.settings.config.workers.get())?;
    prepared.listen()?;
    let Prepared { settings, tls, listeners, admin, .. } = prepared;
    let (mut bound, listeners) = places::opened_first(listeners);
    let first = Snapshot::compile(&settings, (0, &registry.backends()), None);
    let (publish, snapshots) = watch::channel(Arc::new(first));
    let (stop, stopping) = watch::channel(None);
    let (beat, ticks) = watch::channel(());
    let news = News { snapshots: snapshots.clone(), stop: stopping.clone(), cut: cut.clone(), ticks };
    let rules = Rules::of(Arc::clone(&settings.config), None);
    let (team, workers, orders, as_of) = make_workers(&rules, registry, log, &mut bound, &news);
    tell(&settings.config, &bound);
    let (doors, callers) = mpsc::channel(1);
    let live = Live::of((roster, &chores), (settings, rules), tls, listeners, (team, orders), doors);
    live.let_callers_in(admin.and_then(Coming::bound).as_mut()).await;
    // Who is to stop just now must not be who serves.
    if predecessor.id().is_some() && is_asked_for(shutdown.as_mut()).await {
        return Ok(NEVER_SERVED);
    }
    predecessor.relieve(&live)?;
    // Whoever comes before waits in the queues, where the one before still takes them if we do not serve.
    let mut workers = threads.set_to_work(workers);
    let desk =
        desk_over(&live, registry, (snapshots, as_of, stopping.clone()), predecessor.id(), (sources, loaded));
    // A reload that is asked for during a stop is refused, and told so.
    chores.begin(control::reload(hangups, Rc::clone(&desk)));
    let watch = chores.begin(control::watch(Rc::clone(&desk)));
    chores.begin(control::explain(stray));
    let life = chores.begin(show_life(Rc::clone(&live)));
    let memory = chores.begin(remember(Rc::clone(&desk)));
    let admin = chores.begin(control::admin(Rc::clone(&desk), callers));
    let mut cause = Cause::Asked;
    let stopped = async {
        cause =
            stop::cause((shutdown.as_mut(), cut), (&mut workers, &chores), (&mut succession, &live, &desk))
                .await;
        watch.abort();
        if let Cause::Succeeded(_) = cause {
            // The successor is who is watched.
            life.abort();
        }
        cause = stop::stop((cause, shutdown), (workers, &chores, succession), &live, (stop, cut)).await;
    };
    started(&live.listeners()[0]);
    control::run(live.subscribe(), registry, (publish, beat), stopping, &chores, stopped).await;
    admin.abort();
    memory.abort();
    match cause {
        Cause::Asked | Cause::Succeeded(_) => Ok("stopped"),
        Cause::Fallen(fallen) => Err(StartError::Fallen(fallen)),
    }
}

/// Whether it is by now: a signal is heard where there is nothing else to do.
async fn is_asked_for(stop: Pin<&mut impl Future<Output = ()>>) -> bool {
    yield_now().await;
    stop.now_or_never().is_some()
}

/// What the process before knew and was told holds until it is found to be otherwise.
fn roster_of(
    (registry, chores): (&'static Registry, &Chores),
    prepared: &Prepared,
    predecessor: &mut Predecessor,
) -> Rc<Roster> {
    registry.inherit(predecessor.legacies());
    let config = Arc::clone(&prepared.settings.config);
    Roster::of((registry, chores), config, prepared.ways.clone(), predecessor.told())
}

/// Tells the service manager that all workers are at work: each is asked.
async fn show_life(live: Rc<Live>) {
    manager::show_life(|| Rc::clone(&live).report()).await;
}

/// Remembers the last minute, for ever.
async fn remember(desk: Rc<Desk>) {
    desk.remember().await;
}

fn desk_over(
    live: &Rc<Live>,
    registry: &'static Registry,
    (snapshots, as_of, stopping): (watch::Receiver<Arc<Snapshot>>, AsOf, watch::Receiver<Option<Stop>>),
    predecessor: Option<u32>,
    (sources, loaded): (Option<Sources>, Loaded),
) -> Rc<Desk> {
    let [changed, kept, told, counted, open, shown, asked, recalled] =
        std::array::from_fn(|_| Rc::clone(live));
    let stops = stopping.clone();
    let apply = move |config, intent| Rc::clone(&changed).apply(config, intent, stops.clone()).boxed_local();
    let means = Means {
        chores: live.chores().clone(),
        registry,
        settings: live.subscribe(),
        snapshots,
        workers_as_of: as_of,
        stopping,
        predecessor,
        sources,
        apply: Box::new(apply),
        keep_sources: Box::new(move || Box::new(kept.keep_sources())),
        source_states: Box::new(move || told.source_states()),
        clients: Box::new(move || counted.clients()),
        listeners: Box::new(move || open.listeners()),
        certificates: Box::new(move || shown.certificates()),
        report: Box::new(move || Rc::clone(&asked).report().boxed_local()),
        recall: Box::new(move || Rc::clone(&recalled).recall().boxed_local()),
    };
    Rc::new(Desk::over(means, loaded))
}

fn open_log(config: &Config) -> Result<Option<Writer>, StartError> {
    let Some(destination) = &config.access_log else { return Ok(None) };
    Writer::start(destination, config.workers.get()).map(Some).map_err(|error| StartError::AccessLog {
        path: match destination {
            Destination::Stdout => "-".to_owned(),
            Destination::File(path) => path.display().to_string(),
        },
        error,
    })
}

type Orders = Vec<mpsc::Sender<Order>>;
/// For each worker, of which revision of the registry its snapshot is.
type AsOf = Vec<watch::Receiver<u64>>;

fn make_workers(
    rules: &Rules,
    registry: &'static Registry,
    log: Option<&Writer>,
    bound: &mut [Bound],
    news: &News,
) -> (Arc<Team>, Vec<Worker>, Orders, AsOf) {
    let (team, inboxes) = Team::new(&rules.config);
    let (mut ends, mut all_as_of) = (Vec::new(), Vec::new());
    let count = inboxes.len();
    let workers = inboxes.into_iter().enumerate().map(|(index, inbox)| {
        let (orders, end) = mpsc::channel(ORDERS);
        ends.push(orders);
        let (as_of, said) = watch::channel(0);
        all_as_of.push(said);
        Worker {
            index,
            rules: rules.clone(),
            sockets: bound.iter_mut().flat_map(|bound| bound.take(count - index)).collect(),
            orders: end,
            registry,
            news: news.clone(),
            access_log: log.map(Writer::buffer),
            team: Arc::clone(&team),
            inbox,
            as_of,
        }
    });
    let workers = workers.collect();
    (team, workers, ends, all_as_of)
}

fn tell(config: &Config, bound: &[Bound]) {
    let count = config.workers.get();
    for bound in bound {
        let listener = &bound.opened.listener;
        info!("listening on {listener} with {count} worker{}", if count == 1 { "" } else { "s" });
    }
    if let Some(limit) = config.limits.few_files() {
        let most = config.limits.connections;
        let s = if most == 1 { "" } else { "s" };
        warn!(
            "room for {most} connection{s} only: the limit on open files is {limit}; raise it with `ulimit -n`"
        );
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
