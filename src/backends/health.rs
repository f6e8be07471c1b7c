//! A backend's health: what evidence means, and when to check again. No I/O, no clock, no random source of its own.

#[cfg(test)]
mod tests;

use std::fmt::{self, Display, Formatter};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::StatusCode;

use crate::connect::{DialError, Garbage, TlsFault};

/// The first pause before a backend that is down is checked again; it doubles up to the interval.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How long a closed connection counts together with the next one.
const LATELY: Duration = Duration::from_secs(10);
/// The interval is shortened or lengthened by up to this part, so that checks do not march in step.
const JITTER: f64 = 0.1;

/// Whether a backend can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is known yet: it is used, for a refused connection costs little.
    Unknown,
    /// It answered the last check with success.
    Up,
    /// It did not, or a request found it dead.
    Down,
}

/// What a check or a request learned of a backend.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// Nothing yet.
    Nothing,
    /// It answered a check with this status, which means healthy, after this time.
    Answered(StatusCode, Duration),
    /// It answered a check with this status after this time, which means healthy only if it is this, in words.
    Unwanted(StatusCode, Duration, Arc<str>),
    /// It answered a check in gRPC with this after this time.
    Grpc(GrpcReply, Duration),
    /// It refused a connection.
    Refused,
    /// It did not accept a connection in time.
    ConnectTimeout,
    /// It accepted a check and did not answer in time.
    AnswerTimeout,
    /// It closed or reset a fresh connection without an answer.
    Closed,
    /// It did so on this many requests in succession, and had passed its last check.
    ClosedOn(u32),
    /// It answered a check with what is not to be passed on.
    Garbage(Garbage),
    /// It reset the stream of a check without an answer.
    Reset(h2::Reason),
    /// It wants requests over HTTP/1.1, and is not known to speak that.
    WantsHttp1,
    /// It began to answer a check, and did not end.
    BrokeOff,
    /// No TLS was agreed upon with it.
    Tls(TlsFault),
    /// It was to speak HTTP/2 and did not begin to.
    NotHttp2,
    /// It was to speak HTTP/2 in the clear, and closed or reset a fresh connection before it did.
    ClosedInClear,
    /// The system could not connect, for this reason in its words.
    Unreachable(Arc<str>),
    /// The process that served before had found it dead, in its words.
    Before(Arc<str>),
}

/// What an answer in gRPC says of how a backend is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcReply {
    /// That it serves.
    Serving,
    /// Something else.
    Said(&'static str),
    /// Nothing but that the call ended with this status of gRPC.
    Status(u32),
    /// Not even that.
    NoStatus,
    /// Nothing in gRPC, but this status of HTTP.
    Http(StatusCode),
}

impl Evidence {
    /// What a failed attempt to connect says of a backend.
    pub fn of_dial(error: &DialError) -> Self {
        match error {
            DialError::Connect(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => Self::Refused,
                io::ErrorKind::TimedOut => Self::ConnectTimeout,
                // It was there: as with one that is reset a moment later.
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Closed,
                _ => Self::Unreachable(in_words(error).into()),
            },
            DialError::Tls(fault) => Self::Tls(fault.clone()),
            DialError::NotHttp2 => Self::NotHttp2,
            DialError::ClosedInClear => Self::ClosedInClear,
            DialError::Closed => Self::Closed,
            DialError::Full | DialError::CannotSwitch => Self::Nothing,
        }
    }

    fn state(&self) -> State {
        match self {
            Self::Nothing => State::Unknown,
            Self::Answered(..) | Self::Grpc(GrpcReply::Serving, _) => State::Up,
            Self::Unwanted(..)
            | Self::Grpc(..)
            | Self::Refused
            | Self::ConnectTimeout
            | Self::AnswerTimeout
            | Self::Closed
            | Self::ClosedOn(_)
            | Self::Garbage(_)
            | Self::Reset(_)
            | Self::WantsHttp1
            | Self::BrokeOff
            | Self::Tls(_)
            | Self::NotHttp2
            | Self::ClosedInClear
            | Self::Unreachable(_)
            | Self::Before(_) => State::Down,
        }
    }

    /// Whether it is that a connection was closed, which may be for what came on it, or for the moment.
    pub fn is_of_closing(&self) -> bool {
        match self {
            Self::Tls(fault) => fault.is_of_closing(),
            found => matches!(found, Self::Closed | Self::ClosedInClear),
        }
    }

    /// Whether it is that nothing comes from there: its machine may be gone, or it hangs.
    fn is_silence(&self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::AnswerTimeout | Self::Unreachable(_))
    }

    /// In words, without who found it, and how long an answer took: what is found again and again is the same.
    pub fn finding(&self) -> String {
        match self {
            Self::Before(finding) => finding.to_string(),
            Self::Unwanted(status, _, wanted) => format!("answered {} (not {wanted})", status.as_u16()),
            Self::Grpc(reply, _) => reply.to_string(),
            found => found.to_string(),
        }
    }
}

impl Display for Evidence {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("not checked yet"),
            Self::Answered(status, after) => {
                write!(f, "answered {} in {} ms", status.as_u16(), after.as_millis())
            }
            Self::Unwanted(status, after, wanted) => {
                write!(f, "answered {} in {} ms (not {wanted})", status.as_u16(), after.as_millis())
            }
            Self::Grpc(reply, after) => write!(f, "{reply} in {} ms", after.as_millis()),
            Self::Refused => f.write_str("connection refused"),
            Self::ConnectTimeout => f.write_str("no connection in time"),
            Self::AnswerTimeout => f.write_str("no answer in time"),
            Self::Closed => f.write_str("connection closed without an answer"),
            Self::ClosedOn(times) => write!(
                f,
                "closed its connection on {times} requests in succession, though its checks are well"
            ),
            Self::Garbage(what) => write!(f, "answered with {what}"),
            Self::Reset(reason) => write!(f, "stream reset without an answer ({reason:?})"),
            Self::WantsHttp1 => {
                f.write_str("it wants HTTP/1.1 (HTTP_1_1_REQUIRED), which is not spoken with it")
            }
            Self::BrokeOff => f.write_str("its answer broke off"),
            Self::Tls(fault) => fault.fmt(f),
            Self::NotHttp2 => f.write_str("it did not begin to speak HTTP/2; write http:// if it should not"),
            Self::ClosedInClear => f.write_str(
                "connection closed before it spoke HTTP/2; write http:// if it speaks only HTTP/1.1",
            ),
            Self::Unreachable(reason) => write!(f, "cannot connect: {reason}"),
            Self::Before(finding) => write!(f, "{finding}, as the process before found"),
        }
    }
}

impl Display for GrpcReply {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serving => f.write_str("said SERVING"),
            Self::Said(what) => write!(f, "said {what}"),
            // UNIMPLEMENTED.
            Self::Status(12) => f.write_str("answered with gRPC status 12 (it has no such check)"),
            Self::Status(status) => write!(f, "answered with gRPC status {status}"),
            Self::NoStatus => f.write_str("answered 200 without a gRPC status"),
            Self::Http(status) => write!(f, "answered {}", status.as_u16()),
        }
    }
}

/// What the system says of an error, without its number.
fn in_words(error: &io::Error) -> String {
    let said = error.to_string();
    said.split(" (os error ").next().unwrap_or_default().to_owned()
}

/// What is known of a backend's health.
#[derive(Clone, Debug)]
pub struct Health {
    state: State,
    evidence: Evidence,
    learned: Instant,
    since: Instant,
    failures: u32,
    well_since: Option<Instant>,
    /// Whether nobody is to wait for its answers any more.
    abandoned: bool,
    doubted: bool,
    /// When it was doubted last.
    doubted_at: Option<Instant>,
    /// How often in succession it closed a connection on a request, how many answers it had given by then, and when that was.
    closed: (u32, u64, Instant),
    /// If it was found dead for that when it was in use last: how often before, each time soon after it had come back, and how many answers
    /// it had given by then.
    relapses: Option<(u32, u64)>,
}

impl Health {
    /// That of a backend nobody has looked at.
    pub fn unknown(now: Instant) -> Self {
        let (state, evidence) = (State::Unknown, Evidence::Nothing);
        let (abandoned, doubted, doubted_at) = (false, false, None);
        let (learned, since, failures, well_since) = (now, now, 0, None);
        let (closed, relapses) = ((0, 0, now), None);
        Self {
            state,
            evidence,
            learned,
            since,
            failures,
            well_since,
            abandoned,
            doubted,
            doubted_at,
            closed,
            relapses,
        }
    }

    /// That of a backend that joins others which are at work already.
    pub fn new(now: Instant) -> Self {
        Self { well_since: Some(now), ..Self::unknown(now) }
    }

    /// That of a backend that was found dead so often in succession before this process served.
    pub fn dead_before(failures: u32, finding: &str, now: Instant) -> Self {
        let (state, evidence) = (State::Down, Evidence::Before(finding.into()));
        Self { state, evidence, failures, ..Self::unknown(now) }
    }

    /// Whether it can be used.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether requests may be sent to it.
    pub fn is_usable(&self) -> bool {
        self.state != State::Down
    }

    /// Why it is in this state.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// When the evidence was found.
    pub fn learned(&self) -> Instant {
        self.learned
    }

    /// When it came into this state.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// How often in succession it was found dead.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Since when it can be used, if it could not before: it got well, it is new among others, or it was let back in. None
    /// for those that were there from the beginning and never failed.
    pub fn well_since(&self) -> Option<Instant> {
        self.well_since
    }

    /// It is one of the first, and so joined no others when it was told of.
    pub fn was_there(&mut self, told: Instant) {
        self.well_since.take_if(|since| *since >= told);
    }

    /// It was well for so long when the process before was replaced, and had not been before that.
    pub fn was_well_for(&mut self, time: Duration, now: Instant) {
        self.well_since = now.checked_sub(time);
    }

    /// It was out of use for a reason that is not its health, and is let back in.
    pub fn let_back_in(&mut self, now: Instant) {
        (self.well_since, self.relapses) = (Some(now), None);
    }

    /// Whether the evidence was found before it was let back in.
    pub fn is_of_before(&self) -> bool {
        self.evidence != Evidence::Nothing && self.well_since.is_some_and(|since| self.learned < since)
    }

    /// It is to be checked at once, if that was not so a moment ago: a path on which it is always slow has it checked once a
    /// second. Tells whether that is new.
    pub fn doubt(&mut self, now: Instant) -> bool {
        let lately = |at: Instant| now.saturating_duration_since(at) < FIRST_PAUSE;
        if self.doubted || self.doubted_at.is_some_and(lately) {
            return false;
        }
        (self.doubted, self.doubted_at) = (true, Some(now));
        true
    }

    /// Whether it is to be checked at once.
    pub fn is_doubted(&self) -> bool {
        self.doubted
    }

    /// Nobody is to wait for its answers any more, if it was found dead because there was none, or no connection. Tells whether
    /// that is new.
    pub fn abandon(&mut self) -> bool {
        let is_new = self.state == State::Down && self.evidence.is_silence() && !self.abandoned;
        self.abandoned |= is_new;
        is_new
    }

    /// Whether nobody is to wait for its answers any more.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned
    }

    /// It closed a connection on a request, when it had given so many answers to others. Tells how often it did that lately with
    /// no answer in between.
    pub fn closed(&mut self, answers: u64, now: Instant) -> u32 {
        let (times, before, last) = self.closed;
        let goes_on = answers == before && now.saturating_duration_since(last) < LATELY;
        let times = if goes_on { times.saturating_add(1) } else { 1 };
        self.closed = (times, answers, now);
        times
    }

    /// Takes a piece of evidence, sought since `since` and found at `now`, into account. A success that was sought before
    /// the backend was found dead says nothing of it any more.
    pub fn learn(&mut self, evidence: Evidence, since: Instant, now: Instant) {
        // A check that was under way by then may have seen nothing of what made it doubtful.
        if self.doubted_at.is_none_or(|doubted| doubted <= since) {
            self.doubted = false;
        }
        if evidence.state() == State::Up && self.state == State::Down && since < self.learned {
            return;
        }
        let was_usable = self.is_usable();
        let state = evidence.state();
        if state == State::Down {
            self.relapses = matches!(evidence, Evidence::ClosedOn(_)).then(|| self.relapse(now));
        }
        if self.state != state {
            self.since = now;
        }
        self.state = state;
        if self.is_usable() && !was_usable {
            (self.well_since, self.abandoned) = (Some(now), false);
        }
        self.failures = if self.is_usable() { 0 } else { self.failures.saturating_add(1) };
        self.evidence = evidence;
        self.learned = now;
    }

    /// Closes on requests once more. It came back for nothing if it has given no answer since, or was well for moments.
    fn relapse(&self, now: Instant) -> (u32, u64) {
        let (_, answers, _) = self.closed;
        let was_short = self.well_since.is_some_and(|since| now.saturating_duration_since(since) < LATELY);
        let times = match self.relapses {
            Some((times, before)) if was_short || answers == before => times.saturating_add(1),
            _ => 0,
        };
        (times, answers)
    }

    /// Whether it is too soon to go by a check that was made since `since`: it passes checks, be it that of another pool, and closes on
    /// requests. Where it is missed nobody is helped by waiting.
    pub fn is_too_soon(&self, evidence: &Evidence, since: Instant, interval: Duration) -> bool {
        let is_away = matches!(self.evidence, Evidence::ClosedOn(_)) && self.relapses.is_some();
        let is_over = since.saturating_duration_since(self.learned) >= self.pause(interval, 0.0);
        is_away && evidence.state() == State::Up && !self.doubted && !is_over
    }

    /// How long to wait before the next check: `interval` while it can be used, else from a second, doubling, up to
    /// `interval`, and for who closes on requests again and again, however its checks are, from where that was last. `random` is in 0..1
    /// and spreads checks over time.
    pub fn pause(&self, interval: Duration, random: f64) -> Duration {
        let relapses = self.relapses.map_or(0, |(times, _)| times);
        let pause = match self.failures {
            0 => interval,
            failures => {
                let doublings = (failures - 1).saturating_add(relapses).min(16);
                FIRST_PAUSE.saturating_mul(1 << doublings).min(interval)
            }
        };
        pause.mul_f64(1.0 - JITTER + 2.0 * JITTER * random)
    }
}
