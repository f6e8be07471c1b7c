//! The health checker: GETs every backend now and then and tells the registry what it found.

mod grpc;
mod judge;
mod schedule;

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONNECTION, HOST, HeaderMap, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::config::{Address, Checks};
use crate::connect::{
    AnswerBody, Broken, Connection, Connections, DialError, HeadLimits, Need, Patience, Wants, Way,
    is_our_want, ran_out_of_files, unfit_length,
};
use crate::telemetry::LATE;

use judge::judge;
use schedule::Schedule;

use super::health::GrpcReply;
use super::{Backend, Evidence, Registry, missed, pause, silence};

/// What we call ourselves in a backend's log.
const AGENT: &str = "loadbalancer-check";
/// What heads of answers may hold at least: a check is no place to be strict.
const LEAST: HeadLimits = HeadLimits { size: 64 * 1024, headers: 100 };
/// The first pause before what may pass in a moment is tried again; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);
/// Of an answer's body, what is read so that the backend can end it in order.
const BODY_READ: usize = 64 * 1024;

/// What all checks have in common.
struct Common {
    wants: Wants,
    limits: Box<dyn Fn() -> HeadLimits>,
}

/// Checks all backends of the registry for ever, and those at once that are silent or missed. `limits` tells what heads of answers may
/// hold now.
pub async fn run(registry: &'static Registry, limits: impl Fn() -> HeadLimits + 'static) {
    let common = Rc::new(Common { wants: Wants::default(), limits: Box::new(limits) });
    tokio::select! {
        () = keep_schedules(registry, &common) => {}
        () = silence::watch(registry) => {}
        () = missed::watch(registry) => {}
    }
}

/// Checks each backend on its own schedule, which those that stay as they are keep. Those of several pools that are reached and
/// checked in the same way are one to it: what is found holds for all of them.
async fn keep_schedules(registry: &'static Registry, common: &Rc<Common>) {
    let (mut changes, mut doubts) = (registry.subscribe(), registry.doubts.subscribe());
    let mut tasks = JoinSet::new();
    let mut schedules = HashMap::<Address, Vec<Schedule>>::new();
    loop {
        let began = Instant::now();
        // Before the backends themselves, which may be newer.
        changes.mark_unchanged();
        doubts.mark_unchanged();
        let mut before = mem::take(&mut schedules);
        before.values_mut().flatten().for_each(Schedule::begin_round);
        let backends = registry.backends();
        let count = backends.len();
        for backend in backends.into_iter().filter(is_checked) {
            let address = &backend.way.url.address;
            let here = schedules.entry(address.clone()).or_default();
            let is_for = |schedule: &Schedule| schedule.is_for(&backend);
            let place = here.iter().position(is_for).unwrap_or_else(|| {
                let known = before.get_mut(address).and_then(|known| {
                    let place = known.iter().position(is_for)?;
                    Some(known.swap_remove(place))
                });
                here.push(known.unwrap_or_else(|| Schedule::new(registry, &backend, common, &mut tasks)));
                here.len() - 1
            });
            here[place].take(&backend);
        }
        // What is left of those before ends with them.
        drop(before);
        pause(count, began.elapsed()).await;
        loop {
            tokio::select! {
                biased;
                // If it did not end since its backends are gone, what it did is done by nobody: who hears of chores that fall is
                // to hear of this one.
                Some(ended) = tasks.join_next() => if let Err(Ok(panic)) = ended.map_err(JoinError::try_into_panic) {
                    resume_unwind(panic)
                },
                Ok(()) = changes.changed() => break,
                Ok(()) = doubts.changed() => break,
                else => return,
            }
        }
    }
}

fn is_checked(backend: &Backend) -> bool {
    // One that was taken out is checked when requests that it still has hear nothing of it.
    !backend.is_taken_out() || backend.health.is_doubted() && backend.load.in_flight() > 0
}

/// What a check finds; nothing if it cannot be made for want of something of our own.
async fn check(way: &Arc<Way>, settings: &Checks, common: &Common) -> Option<Evidence> {
    let (began, mut patience) = (Instant::now(), Patience::of(settings.timeout));
    let found = look(way, settings, common, &mut patience).await;
    // What our own patience or an answer tells, it tells all the same.
    let has_given_up = !matches!(
        found,
        None | Some(
            Evidence::Answered(..)
                | Evidence::Unwanted(..)
                | Evidence::Grpc(..)
                | Evidence::ConnectTimeout
                | Evidence::AnswerTimeout
        )
    );
    if !has_given_up || began.elapsed() < patience.spent() + LATE {
        return found;
    }
    // The process stood still meanwhile: the backend may have waited for us until its patience was at an end.
    look(way, settings, common, &mut Patience::of(settings.timeout)).await
}

async fn look(
    way: &Arc<Way>,
    settings: &Checks,
    common: &Common,
    patience: &mut Patience,
) -> Option<Evidence> {
    let limits = LEAST.or_more((common.limits)());
    let mut connection = match connect(way, patience, limits, false).await {
        Ok(connection) => connection,
        Err(error) => return of_dial(&error, &common.wants),
    };
    let mut asked = patience.wait(ask(&mut connection, way, settings)).await;
    // As requests are sent that it wants so.
    if matches!(&asked, Some(Err(error)) if error.wants_http1()) {
        match connect(way, patience, limits, true).await {
            Ok(other) => {
                connection = other;
                asked = patience.wait(ask(&mut connection, way, settings)).await;
            }
            // It wants what it does not speak.
            Err(DialError::CannotSwitch) => {}
            Err(error) => return of_dial(&error, &common.wants),
        }
    }
    Some(match asked {
        Some(Ok(answer)) if settings.is_grpc() && answer.status() == StatusCode::OK => {
            hear(&mut connection, answer, patience).await
        }
        Some(Ok(answer)) => {
            let (status, took) = (answer.status(), patience.spent());
            let unfit = unfit_length(answer.headers());
            // Neither an endless nor a stalled body says anything of health once the head was good.
            let reading = read(&mut connection, answer);
            let _ = timeout(patience.left().min(Duration::from_secs(1)), reading).await;
            match unfit {
                // Requests would be refused an answer with such a head.
                Some(garbage) => Evidence::Garbage(garbage),
                None if settings.is_grpc() => Evidence::Grpc(GrpcReply::Http(status), took),
                None => judge(status, took, settings, way),
            }
        }
        Some(Err(error)) => of_broken(&error),
        None => Evidence::AnswerTimeout,
    })
}

/// What it says that there is no connection; nothing if that is for want of something of our own.
fn of_dial(error: &DialError, wants: &Wants) -> Option<Evidence> {
    match error {
        DialError::Connect(error) if is_our_want(error) => {
            complain(wants, error);
            None
        }
        error => Some(Evidence::of_dial(error)),
    }
}

/// What an answer in gRPC says, which it does at its end.
async fn hear(
    connection: &mut CheckConnection,
    answer: Response<AnswerBody>,
    patience: &mut Patience,
) -> Evidence {
    match patience.wait(read(connection, answer)).await {
        Some(Ok((fields, message))) => Evidence::Grpc(grpc::reply(&fields, &message), patience.spent()),
        Some(Err(error)) => match of_broken(&error) {
            Evidence::Closed | Evidence::Reset(_) | Evidence::WantsHttp1 => Evidence::BrokeOff,
            found => found,
        },
        None => Evidence::AnswerTimeout,
    }
}

/// What it says that no head of an answer came.
fn of_broken(error: &Broken) -> Evidence {
    match (error.tls_fault(), error.garbage(), error.reset()) {
        (Some(fault), ..) => Evidence::Tls(fault),
        (None, Some(garbage), _) => Evidence::Garbage(garbage),
        (None, None, Some(_)) if error.wants_http1() => Evidence::WantsHttp1,
        (None, None, Some(reason)) => Evidence::Reset(reason),
        (None, None, None) => Evidence::Closed,
    }
}

type CheckConnection = Connection<Full<Bytes>>;

/// Connects. What may pass in a moment is tried again for as long as there is time: no file is left, until workers have made
/// room, or the backend's queue is full.
async fn connect(
    way: &Arc<Way>,
    patience: &mut Patience,
    limits: HeadLimits,
    over_http1: bool,
) -> Result<CheckConnection, DialError> {
    // Not one that requests share: whether the backend takes new ones is a part of what is asked.
    let connections = Connections::to(way, &Rc::default());
    let need = Need { upgrade: over_http1, since: None, behalf: None, limits, is_rare: true };
    // What we lacked when the time was over, if anything.
    let mut lacked = None;
    let dial = async {
        let mut pause = FIRST_PAUSE;
        loop {
            match connections.connect(need).await {
                Err(DialError::Connect(error)) if ran_out_of_files(&error) => lacked = Some(error),
                Err(DialError::Full) => {}
                ended => return ended,
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
            lacked = None;
        }
    };
    let in_time = patience.wait(dial).await;
    let late = || lacked.unwrap_or(io::ErrorKind::TimedOut.into());
    in_time.unwrap_or_else(|| Err(DialError::Connect(late())))
}

#[cold]
fn complain(wants: &Wants, error: &io::Error) {
    wants.add(error);
    if let Some((count, error)) = wants.to_say(Instant::now()) {
        warn!("cannot connect to backends to check them: {error}; checks that were not made: {count}");
    }
}

async fn ask(
    connection: &mut CheckConnection,
    way: &Way,
    settings: &Checks,
) -> Result<Response<AnswerBody>, Broken> {
    let mut request = Request::get(&settings.path)
        .header(HOST, settings.host_for(&way.url))
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close")
        .body(Full::default())
        .expect("the path, the host and the address were parsed");
    if settings.is_grpc() {
        grpc::ask(&mut request);
    }
    let sent = connection.send(&mut Some(request), None, false, |_| None::<std::convert::Infallible>).await;
    sent.map_err(|failed| match failed {
        Ok(broken) => broken,
        Err(never) => match never {},
    })
}

/// Reads a body, as far as it matters: gives the fields of its head and trailers, and its bytes.
async fn read(
    connection: &mut CheckConnection,
    answer: Response<AnswerBody>,
) -> Result<(HeaderMap, Vec<u8>), Broken> {
    let (head, mut body) = answer.into_parts();
    let (mut fields, mut bytes) = (head.headers, Vec::new());
    while bytes.len() < BODY_READ
        && let Some(frame) = poll_fn(|cx| connection.poll_body(&mut body, cx)).await
    {
        match frame?.into_data() {
            Ok(data) => bytes.extend(data),
            // There is an end to the fields that one can hold. Nobody misses those beyond.
            Err(frame) => drop(
                frame
                    .trailers_ref()
                    .into_iter()
                    .flatten()
                    .try_for_each(|(name, value)| fields.try_append(name, value.clone()).map(drop)),
            ),
        }
    }
    Ok((fields, bytes))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::thread;

    use tokio::runtime::{Builder, LocalOptions};

    use crate::backends::Terms;
    use crate::config;
    use crate::connect::Chores;

    use super::*;

    #[test]
    fn a_check_that_panics_is_told_of_as_the_chore_that_all_checks_are() {
        let registry = Registry::isolated();
        let backend = config::Backend::at(SocketAddr::from(([127, 0, 0, 1], 1)).into());
        let (way, check) = (Arc::new(backend.url.clone().into()), Arc::new(Checks::usual("/")));
        let terms = Terms { pool: "pool".into(), backend, check, told_apart_by: [].into() };
        registry.replace(vec![(terms, way)]);
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        runtime.expect("an event queue").block_on(async {
            let chores = Chores::default();
            let limits = || {
                assert!(thread::current().name().is_none(), "as it may");
                LEAST
            };
            chores.begin(run(registry, limits));
            chores.fallen().await;
        });
    }
}
