//! The health checker: GETs every backend now and then and tells the registry what it found.

mod grpc;

use std::collections::HashMap;
use std::mem;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::{Either, select};
use http_body_util::Full;
use hyper::header::{CONNECTION, HOST, HeaderMap, USER_AGENT};
use hyper::{Request, Response};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::config::Health as Settings;
use crate::connect::{AnswerBody, Broken, Connection, Connections, HeadLimits, Need, Way};

use super::{Backend, BackendId, Evidence, Hold, Registry, State};

/// What we call ourselves in a backend's log.
const AGENT: &str = "loadbalancer-check";
const LIMITS: HeadLimits = HeadLimits { size: 64 * 1024, headers: 100 };
/// Of an answer's body, what is read so that the backend can end it in order.
const BODY_READ: usize = 64 * 1024;

/// Checks all backends of the registry for ever, each on its own schedule, which those that stay as they are keep.
pub async fn run(registry: &'static Registry) {
    let mut changes = registry.subscribe();
    let mut tasks = JoinSet::new();
    let mut schedules = HashMap::<BackendId, Schedule>::new();
    loop {
        let mut before = mem::take(&mut schedules);
        for backend in registry.backends().into_iter().filter(is_checked) {
            let kept = before.remove(&backend.id).filter(|known| known.is_for(&backend));
            let schedule = kept.unwrap_or_else(|| Schedule::begin(registry, &backend, &mut tasks));
            if backend.health.state() == State::Down {
                schedule.dead.notify_one();
            }
            schedules.insert(backend.id, schedule);
        }
        // What is left of those before ends with them.
        drop(before);
        while tasks.try_join_next().is_some() {}
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn is_checked(backend: &Backend) -> bool {
    !backend.leaving && backend.hold != Some(Hold::Disable)
}

/// When one backend is checked, until it is dropped.
struct Schedule {
    way: Arc<Way>,
    check: Arc<Settings>,
    /// Told whenever the backend is known to be dead.
    dead: Rc<Notify>,
    task: AbortHandle,
}

impl Schedule {
    fn begin(registry: &'static Registry, backend: &Backend, tasks: &mut JoinSet<()>) -> Self {
        let (way, check) = (Arc::clone(&backend.way), Arc::clone(&backend.terms.check));
        let dead = Rc::<Notify>::default();
        let checking =
            keep_checking(registry, backend.id, Arc::clone(&way), Arc::clone(&check), Rc::clone(&dead));
        let task = tasks.spawn_local(checking);
        Self { way, check, dead, task }
    }

    fn is_for(&self, backend: &Backend) -> bool {
        Arc::ptr_eq(&self.way, &backend.way) && self.check == backend.terms.check
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Checks one backend until it is no longer one.
async fn keep_checking(
    registry: &'static Registry,
    id: BackendId,
    way: Arc<Way>,
    settings: Arc<Settings>,
    dead: Rc<Notify>,
) {
    loop {
        let began = Instant::now();
        if let Some(evidence) = check(&way, &settings).await {
            registry.observe(id, evidence, began);
        }
        let Some(mut health) = registry.health(id) else { return };
        if health.is_usable() {
            let pause = pin!(sleep(health.pause(settings.interval, fastrand::f64())));
            let dead = pin!(found_dead(registry, id, &dead));
            if let Either::Left(_) = select(pause, dead).await {
                continue;
            }
            let Some(worse) = registry.health(id) else { return };
            health = worse;
        }
        sleep(health.pause(settings.interval, fastrand::f64())).await;
    }
}

/// Waits until a request finds the backend dead, or it is removed.
async fn found_dead(registry: &Registry, id: BackendId, dead: &Notify) {
    while registry.health(id).is_some_and(|health| health.state() != State::Down) {
        dead.notified().await;
    }
}

/// What a check finds; nothing if it cannot be made for want of something of our own.
async fn check(way: &Arc<Way>, settings: &Settings) -> Option<Evidence> {
    let started = Instant::now();
    // Not one that requests share: whether the backend takes new ones is a part of what is asked.
    let connections = Connections::to(way);
    let need = Need { upgrade: false, fresh: true, origin: None, limits: LIMITS };
    let mut connection = match timeout(settings.timeout, connections.connect(need)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) if !error.says_of_the_backend() => return None,
        Ok(Err(error)) => return Some(Evidence::of_dial(&error)),
        Err(_) => return Some(Evidence::ConnectTimeout),
    };
    let left = settings.timeout.saturating_sub(started.elapsed());
    Some(match timeout(left, ask(&mut connection, way, &settings.path)).await {
        Ok(Ok(answer)) => {
            let (mut status, took) = (answer.status(), started.elapsed());
            let (mut fields, mut message) = (answer.headers().clone(), Vec::new());
            // Neither an endless nor a stalled body says anything of health once the head was good.
            let reading = read(&mut connection, answer, &mut fields, &mut message);
            let _ = timeout(left.min(Duration::from_secs(1)), reading).await;
            if grpc::is_asked(&settings.path) {
                status = grpc::status(status, &fields, &message);
            }
            Evidence::Answered(status, took)
        }
        Ok(Err(error)) => match error.tls_fault() {
            Some(fault) => Evidence::Tls(fault),
            None if error.is_garbage() => Evidence::Garbage,
            None => Evidence::Closed,
        },
        Err(_) => Evidence::AnswerTimeout,
    })
}

type CheckConnection = Connection<Full<Bytes>>;

async fn ask(
    connection: &mut CheckConnection,
    way: &Way,
    path: &str,
) -> Result<Response<AnswerBody>, Broken> {
    let mut request = Request::get(path)
        .header(HOST, way.url.authority())
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close")
        .body(Full::default())
        .expect("the path and the address were parsed");
    if grpc::is_asked(path) {
        grpc::ask(&mut request);
    }
    let sent = connection.send(&mut Some(request), false, |_| None::<std::convert::Infallible>).await;
    sent.map_err(|failed| match failed {
        Ok(broken) => broken,
        Err(never) => match never {},
    })
}

/// Reads a body: its bytes, as far as they matter, and its trailers.
async fn read(
    connection: &mut CheckConnection,
    answer: Response<AnswerBody>,
    fields: &mut HeaderMap,
    bytes: &mut Vec<u8>,
) {
    let mut body = answer.into_body();
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| connection.poll_body(&mut body, cx)).await {
        match frame.into_data() {
            Ok(data) => bytes.extend(data),
            Err(frame) => fields.extend(frame.into_trailers().unwrap_or_default()),
        }
        if bytes.len() >= BODY_READ {
            return;
        }
    }
}
