//! Where all parts meet.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::backends::Registry;
use crate::config::Config;
use crate::control;
use crate::proxy::Deadlines;
use crate::server::{self, Team, Worker};
use crate::snapshot::Snapshot;
use crate::telemetry::access_log::{Destination, Writer};

/// Why the balancer could not start. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listening address cannot be had.
    #[error("cannot listen on {address}: {}", explain(.error))]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
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
/// `shutdown` begins to watch for a stop before anything listens, so that none is missed, and what it gives is polled
/// when all is started, on the control thread's runtime, which is the caller's thread.
///
/// # Errors
/// It could not start.
pub fn run<F: Future<Output = ()>>(
    config: Config,
    registry: &'static Registry,
    shutdown: impl FnOnce() -> F,
) -> Result<(), StartError> {
    let config = Arc::new(config);
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let entered = runtime.enter();
    let shutdown = shutdown();
    drop(entered);
    registry.replace(&config.backends);
    let snapshot = Arc::new(Snapshot::compile(&config, &registry.backends()));
    let (publish, snapshots) = watch::channel(snapshot);
    let (stop, stopping) = watch::channel(false);
    let log = open_log(&config)?;
    let workers = start_workers(&config, registry, &snapshots, log.as_ref(), &stopping)?;
    let drained = async {
        shutdown.await;
        info!("stopping: no new clients; running requests have {:?} to finish", config.timeouts.drain);
        stop.send_replace(true);
        // Joined aside, so that checks, failover and signals go on meanwhile.
        let join = || workers.into_iter().map(|worker| worker.join().unwrap_or_default()).sum::<usize>();
        let left = spawn_blocking(join).await.unwrap_or_default();
        if left > 0 {
            warn!("cut at the end of the drain time: {left} connection{}", if left == 1 { "" } else { "s" });
        }
    };
    runtime.block_on(control::run(Arc::clone(&config), registry, publish, drained));
    if let Some(log) = log {
        log.finish();
    }
    info!("stopped");
    Ok(())
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
    snapshots: &watch::Receiver<Arc<Snapshot>>,
    log: Option<&Writer>,
    stop: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<usize>>, StartError> {
    let count = config.workers.get();
    let (address, sockets) = server::bind(config.listen, count)
        .map_err(|error| StartError::Listen { address: config.listen, error })?;
    let (team, inboxes) = Team::new(count, config.limits.connections);
    let ticks = server::start_ticks(Duration::from_millis(Deadlines::of(config).tick()))?;
    let workers = sockets.into_iter().zip(inboxes).enumerate().map(|(index, (socket, inbox))| Worker {
        index,
        config: Arc::clone(config),
        socket,
        address,
        registry,
        snapshots: snapshots.clone(),
        access_log: log.map(Writer::buffer),
        team: Arc::clone(&team),
        inbox,
        stop: stop.clone(),
        ticks: ticks.clone(),
    });
    let workers = workers.map(server::start).collect::<io::Result<_>>()?;
    let backends: Vec<_> = config.backends.iter().map(ToString::to_string).collect();
    info!("listening on http://{address} with {count} worker{}", if count == 1 { "" } else { "s" });
    info!("forwarding to {} ({})", backends.join(", "), config.policy);
    Ok(workers)
}
