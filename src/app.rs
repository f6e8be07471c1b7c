//! Where all parts meet.

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tracing::{info, warn};

use crate::backends::{Registry, Terms};
use crate::config::{Address, Config, Listener};
use crate::connect::{TlsFileError, Way};
use crate::control;
use crate::proxy::Access;
use crate::server::{Bound, News, Team, Tls, TlsError, Worker, Workers};
use crate::snapshot::Snapshot;
use crate::telemetry::access_log::{Destination, Writer};

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
    /// A file for TLS is of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
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
    /// The system gives no thread or no event queue.
    #[error("the system gives no thread or event queue: {0}; see `ulimit -a`")]
    System(#[from] io::Error),
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
/// thread.
///
/// # Errors
/// It could not start.
pub fn run<F: Future<Output = ()>>(
    config: Config,
    registry: &'static Registry,
    shutdown: impl FnOnce(&Address) -> F,
) -> Result<(), StartError> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let tls = config.tls.as_ref().map(Tls::load).transpose()?.map(Arc::new);
    registry.replace(backends(&config)?);
    let log = open_log(&config)?;
    let ended = runtime.block_on(serve(Arc::new(config), registry, (tls, log.as_ref()), shutdown));
    // Requests that were cut have their lines written when they are dropped.
    drop(runtime);
    if let Some(log) = log {
        log.finish();
    }
    ended?;
    info!("stopped");
    Ok(())
}

async fn serve<F: Future<Output = ()>>(
    config: Arc<Config>,
    registry: &'static Registry,
    (tls, log): (Option<Arc<Tls>>, Option<&Writer>),
    shutdown: impl FnOnce(&Address) -> F,
) -> Result<(), StartError> {
    let mut bound = bind(&config)?;
    let shutdown = shutdown(&bound[0].listener.address);
    for bound in &bound {
        bound.listen().map_err(|error| refused(&bound.listener, error))?;
    }
    let first = Snapshot::compile(&config, &registry.backends(), None);
    let (publish, snapshots) = watch::channel(Arc::new(first));
    let (stop, stopping) = watch::channel(false);
    let (beat, ticks) = watch::channel(());
    let news = News { snapshots, stop: stopping, ticks };
    let workers = start_workers(&config, registry, (&tls, log), &mut bound, &news)?;
    if let Some(tls) = tls {
        spawn_local(tls.watch());
    }
    let stopped = async {
        shutdown.await;
        info!("stopping: no new clients; running requests have {:?} to finish", config.timeouts.drain);
        stop.send_replace(true);
        let left = workers.ended().await;
        if left > 0 {
            warn!("cut at the end of the drain time: {left} connection{}", if left == 1 { "" } else { "s" });
        }
    };
    control::run(Arc::clone(&config), registry, publish, beat, stopped).await;
    Ok(())
}

/// All backends of all pools, and how they are reached.
fn backends(config: &Config) -> Result<Vec<(Terms, Arc<Way>)>, TlsFileError> {
    let mut backends = Vec::new();
    for pool in &config.pools {
        let check = Arc::new(pool.health.clone());
        for (backend, way) in pool.backends.iter().zip(Way::all(pool)?) {
            let terms =
                Terms { pool: Arc::clone(&pool.name), backend: backend.clone(), check: Arc::clone(&check) };
            backends.push((terms, way));
        }
    }
    Ok(backends)
}

fn bind(config: &Config) -> Result<Vec<Bound>, StartError> {
    let bind =
        |listener| Bound::bind(listener, config.workers.get()).map_err(|error| refused(listener, error));
    config.listeners.iter().map(bind).collect()
}

fn refused(listener: &Listener, error: io::Error) -> StartError {
    StartError::Listen { address: listener.address.clone(), error }
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

fn start_workers(
    config: &Arc<Config>,
    registry: &'static Registry,
    (tls, log): (&Option<Arc<Tls>>, Option<&Writer>),
    bound: &mut [Bound],
    news: &News,
) -> Result<Workers, StartError> {
    let count = config.workers.get();
    let (team, inboxes) = Team::new(config);
    let access = Access::of(&config.access);
    let mut sockets =
        || bound.iter_mut().filter_map(|bound| Some((bound.listener.clone(), bound.take()?))).collect();
    let workers = inboxes.into_iter().enumerate().map(|(index, inbox)| Worker {
        index,
        config: Arc::clone(config),
        tls: tls.clone(),
        sockets: sockets(),
        registry,
        news: news.clone(),
        access: access.clone(),
        access_log: log.map(Writer::buffer),
        team: Arc::clone(&team),
        inbox,
    });
    let workers = Workers::start(workers.collect())?;
    for Bound { listener, .. } in bound {
        info!("listening on {listener} with {count} worker{}", if count == 1 { "" } else { "s" });
    }
    for pool in &config.pools {
        let backends: Vec<_> = pool.backends.iter().map(|backend| backend.url.to_string()).collect();
        info!("forwarding to {} ({})", backends.join(", "), pool.balancing.policy);
    }
    Ok(workers)
}
