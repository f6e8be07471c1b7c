//! A backend's health: what evidence means, and when to check again. No I/O, no clock, no random source of its own.

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
}

impl Health {
    /// That of a backend nobody has looked at.
    pub fn unknown(now: Instant) -> Self {
        let (state, evidence) = (State::Unknown, Evidence::Nothing);
        let (abandoned, doubted, doubted_at, closed) = (false, false, None, (0, 0, now));
        let (learned, since, failures, well_since) = (now, now, 0, None);
        Self { state, evidence, learned, since, failures, well_since, abandoned, doubted, doubted_at, closed }
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
        self.well_since = Some(now);
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

    /// How long to wait before the next check: `interval` while it can be used, else from a second, doubling, up to
    /// `interval`. `random` is in 0..1 and spreads checks over time.
    pub fn pause(&self, interval: Duration, random: f64) -> Duration {
        let pause = match self.failures {
            0 => interval,
            failures => FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(16)).min(interval),
        };
        pause.mul_f64(1.0 - JITTER + 2.0 * JITTER * random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);
    const OK: Evidence = Evidence::Answered(StatusCode::NO_CONTENT, Duration::ZERO);

    fn after(evidence: &[Evidence]) -> Health {
        let now = Instant::now();
        let mut health = Health::unknown(now);
        evidence.iter().for_each(|evidence| health.learn(evidence.clone(), now, now));
        health
    }

    #[test]
    fn only_what_is_wanted_means_healthy() {
        assert_eq!(after(&[OK]).state(), State::Up);
        let unwanted = Evidence::Unwanted(StatusCode::FOUND, Duration::ZERO, "2xx".into());
        assert_eq!(after(&[OK, unwanted]).state(), State::Down);
        assert_eq!(after(&[OK, Evidence::Refused]).state(), State::Down);
        assert_eq!(after(&[Evidence::Refused, OK]).state(), State::Up);
    }

    #[test]
    fn it_is_well_since_it_got_well_not_since_the_last_good_check() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut health = Health::unknown(now);
        health.learn(OK, at(1), at(1));
        assert_eq!(health.well_since(), None);
        health.learn(Evidence::Refused, at(2), at(2));
        health.learn(OK, at(3), at(3));
        health.learn(OK, at(4), at(4));
        assert_eq!(health.well_since(), Some(at(3)));
    }

    #[test]
    fn closed_connections_count_together_if_they_follow_each_other_soon_and_no_answer_comes_between() {
        let now = Instant::now();
        let mut health = Health::unknown(now);
        let mut closed = |answers, seconds| health.closed(answers, now + Duration::from_secs(seconds));
        assert_eq!([closed(5, 0), closed(5, 9), closed(5, 18)], [1, 2, 3]);
        assert_eq!([closed(6, 19), closed(6, 20), closed(6, 30)], [1, 2, 1]);
    }

    #[test]
    fn a_doubt_is_news_once_a_second_and_stays_until_a_check_that_began_after_it() {
        let now = Instant::now();
        let at = |millis| now + Duration::from_millis(millis);
        let mut health = Health::unknown(now);
        assert!(health.doubt(at(100)) && !health.doubt(at(5000)));
        health.learn(OK, at(99), at(5001));
        assert!(health.is_doubted());
        health.learn(OK, at(5001), at(5002));
        assert!(!health.is_doubted());
        assert!(health.doubt(at(6000)));
        health.learn(OK, at(6001), at(6002));
        assert!(!health.doubt(at(6999)) && health.doubt(at(7000)));
    }

    #[test]
    fn a_check_that_began_before_the_backend_died_does_not_revive_it() {
        let (before, death) = (Instant::now(), Instant::now() + Duration::from_millis(1));
        let mut health = Health::unknown(before);
        health.learn(Evidence::Refused, death, death);
        health.learn(OK, before, death + Duration::from_millis(1));
        assert_eq!(health.state(), State::Down);
        health.learn(OK, death, death + Duration::from_millis(2));
        assert_eq!(health.state(), State::Up);
    }

    #[test]
    fn a_backend_nobody_has_looked_at_is_used() {
        assert!(after(&[]).is_usable());
    }

    #[test]
    fn a_backend_that_is_down_is_checked_after_one_second_then_less_and_less_often() {
        let mut evidence = vec![OK];
        let mut pauses = Vec::new();
        for _ in 0..7 {
            evidence.push(Evidence::Refused);
            pauses.push(after(&evidence).pause(INTERVAL, 0.5).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn an_interval_below_a_second_holds_for_a_backend_that_is_down_too() {
        let short = Duration::from_millis(200);
        assert_eq!(after(&[Evidence::Refused]).pause(short, 0.5), short);
    }

    #[test]
    fn checks_are_spread_by_a_tenth_of_the_interval() {
        assert_eq!(after(&[OK]).pause(INTERVAL, 0.0), Duration::from_secs(27));
        assert_eq!(after(&[OK]).pause(INTERVAL, 1.0), Duration::from_secs(33));
    }
}
