//! The health checker: GETs every backend now and then and tells the registry what it found.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use http_body_util::Empty;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response, body::Incoming};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::config::Health as Settings;
use crate::connect::{Connection, HeadLimits, dial, is_our_want};

use super::{Evidence, Registry, State};

/// What we call ourselves in a backend's log.
const AGENT: &str = "loadbalancer-check";
const LIMITS: HeadLimits = HeadLimits { size: 64 * 1024, headers: 100 };
/// Of an answer's body, what is read so that the backend can end it in order.
const BODY_READ: usize = 64 * 1024;

/// Checks all backends of the registry for ever, each on its own schedule, concurrently.
pub async fn run(registry: &'static Registry, settings: &Settings) {
    let mut changes = registry.subscribe();
    loop {
        let addresses: Vec<_> = registry.backends().iter().map(|backend| backend.address).collect();
        let mut schedules: FuturesUnordered<_> =
            addresses.iter().map(|address| keep_checking(registry, *address, settings)).collect();
        let all = std::pin::pin!(async { while schedules.next().await.is_some() {} });
        let others = std::pin::pin!(backends_change(registry, &mut changes, &addresses));
        select(all, others).await;
    }
}

async fn backends_change(registry: &Registry, changes: &mut watch::Receiver<u64>, known: &[SocketAddr]) {
    while changes.changed().await.is_ok() {
        let backends = registry.backends();
        if !backends.iter().map(|backend| &backend.address).eq(known) {
            return;
        }
    }
}

/// Checks one backend until it is no longer one.
async fn keep_checking(registry: &Registry, address: SocketAddr, settings: &Settings) {
    let mut changes = registry.subscribe();
    loop {
        let began = Instant::now();
        if let Some(evidence) = check(address, settings).await {
            registry.observe(address, evidence, began);
        }
        let Some(mut health) = registry.health(address) else { return };
        if health.is_usable() {
            let pause = std::pin::pin!(sleep(health.pause(settings.interval, fastrand::f64())));
            let dead = std::pin::pin!(found_dead(registry, address, &mut changes));
            if let Either::Left(_) = select(pause, dead).await {
                continue;
            }
            let Some(worse) = registry.health(address) else { return };
            health = worse;
        }
        sleep(health.pause(settings.interval, fastrand::f64())).await;
    }
}

/// Waits until a request finds the backend dead, or it is removed.
async fn found_dead(registry: &Registry, address: SocketAddr, changes: &mut watch::Receiver<u64>) {
    while registry.health(address).is_some_and(|health| health.state() != State::Down) {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// What a check finds; nothing if it cannot be made for want of something of our own.
async fn check(address: SocketAddr, settings: &Settings) -> Option<Evidence> {
    let started = Instant::now();
    let mut connection = match timeout(settings.timeout, dial(address, LIMITS)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) if is_our_want(&error) => return None,
        Ok(Err(error)) => return Some(Evidence::of_dial(&error)),
        Err(_) => return Some(Evidence::ConnectTimeout),
    };
    let left = settings.timeout.saturating_sub(started.elapsed());
    Some(match timeout(left, ask(&mut connection, address, &settings.path)).await {
        Ok(Ok(answer)) => {
            let evidence = Evidence::Answered(answer.status(), started.elapsed());
            // Neither an endless nor a stalled body says anything of health once the head was good.
            let _ = timeout(left.min(Duration::from_secs(1)), read(&mut connection, answer)).await;
            evidence
        }
        Ok(Err(error)) if error.is_parse() => Evidence::Garbage,
        Ok(Err(_)) => Evidence::Closed,
        Err(_) => Evidence::AnswerTimeout,
    })
}

type CheckConnection = Connection<Empty<Bytes>>;

async fn ask(
    connection: &mut CheckConnection,
    address: SocketAddr,
    path: &str,
) -> Result<Response<Incoming>, hyper::Error> {
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close")
        .body(Empty::new())
        .expect("the path and the address were parsed");
    let sent = connection.send(request, false, |_| None::<std::convert::Infallible>).await;
    sent.map_err(|failed| match failed {
        Ok(failed) => failed.error,
        Err(never) => match never {},
    })
}

async fn read(connection: &mut CheckConnection, answer: Response<Incoming>) {
    let mut body = answer.into_body();
    let mut left = BODY_READ;
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| connection.poll_body(&mut body, cx)).await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}
