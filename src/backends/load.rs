//! What a backend is doing for us right now, and how well it did lately.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::Score;

/// How long a backend is spared at most because it asked for it: an answer to one client must not take it from all others
/// for long.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// No answer counts as faster than this, in milliseconds: what is below is chance.
const LEAST: f32 = 0.01;
/// The weight that the latest request has at least among those that failed and those that did not: some sixteen tell.
const LATEST: f32 = 1.0 / 16.0;
/// As if at least this part of the requests succeeded.
const LEAST_SUCCESS: f32 = 0.02;

/// Written by all workers with relaxed atomics, shared by pointer: a new snapshot forgets nothing. It reads no clock: what
/// depends on time is told it.
#[derive(Debug)]
pub struct Load {
    in_flight: AtomicUsize,
    score: Score,
    /// What times are counted from.
    born: Instant,
    /// Two halves: the time to an answer in milliseconds, and the part of requests that failed. Zero until there is a
    /// measurement.
    measured: AtomicU64,
    /// The weight that the latest answer had among those.
    weight: AtomicU32,
    /// When that was, in milliseconds.
    measured_at: AtomicU64,
    /// When it was last given a request by a policy that asks for this, in milliseconds.
    given_at: AtomicU64,
    /// Until when it asked to be spared, in milliseconds.
    rests_until: AtomicU64,
    /// Whether a request would have been sent to it, had it been usable, and there was no other.
    missed: AtomicBool,
}

/// How a request went that a backend was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Experience {
    /// From its sending to the head of the answer, or to the failure.
    pub took: Duration,
    /// How it ended.
    pub ending: Ending,
    /// How long the backend asked to be spared (RFC 9110 section 10.2.3).
    pub retry_after: Option<Duration>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With an answer.
    Answered,
    /// With nothing that its client can use.
    Failed,
    /// Before there was an answer, because nobody waited for it any more.
    GivenUp,
}

impl Load {
    /// That of a backend that has done nothing yet.
    pub fn new(now: Instant) -> Self {
        Self {
            in_flight: AtomicUsize::new(0),
            score: Score::default(),
            born: now,
            measured: AtomicU64::new(0),
            weight: AtomicU32::new(0),
            measured_at: AtomicU64::new(0),
            given_at: AtomicU64::new(0),
            rests_until: AtomicU64::new(0),
            missed: AtomicBool::new(false),
        }
    }

    /// Requests that were sent and are not yet answered to their end.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// How often it answered, and how often it did not.
    pub fn score(&self) -> &Score {
        &self.score
    }

    /// A request begins.
    pub fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A request begins, unless there are as many as there may be: whichever worker asks, there are never more.
    pub fn begin_within(&self, most: NonZeroU32) -> bool {
        let one_more = |now: usize| (now < most.get() as usize).then_some(now + 1);
        self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// A request ended, in whatever way.
    pub fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes into account how a request went. A slow answer counts at once and in full; `decay` is the time in which it, or
    /// any other measurement, loses 63 % of its weight. A failure makes no backend look faster, however soon it came, and a request
    /// that was given up counts if it took longer than answers do. Of two workers that do this at the same moment, one may
    /// be ignored.
    pub fn learn(&self, experience: &Experience, now: Instant, decay: Duration) {
        let at = self.millis(now);
        let measured = self.measured.load(Ordering::Relaxed);
        let (latency, failing) = halves(measured);
        let kept = self.kept(at, decay);
        let took = (experience.took.as_secs_f32() * 1000.0).max(LEAST);
        let weight = (1.0 - kept).max(LATEST);
        let (latency, failing) = match experience.ending {
            Ending::GivenUp if took <= latency * kept || measured == 0 => return,
            Ending::GivenUp => (took, failing),
            Ending::Failed => (took.max(latency * kept), failing + (1.0 - failing) * weight),
            Ending::Answered => {
                let slower = took > latency * kept;
                let latency = if slower { took } else { latency * kept + took * (1.0 - kept) };
                self.weight.store(weight.to_bits(), Ordering::Relaxed);
                (latency, failing * (1.0 - weight))
            }
        };
        self.measured.store(united(latency, failing), Ordering::Relaxed);
        self.measured_at.store(at, Ordering::Relaxed);
        if let Some(rest) = experience.retry_after {
            let until = self.millis(now + rest.min(LONGEST_REST));
            self.rests_until.fetch_max(until, Ordering::Relaxed);
        }
    }

    /// An answer that was taken into account when it began did not come to its end, and the backend is to blame: it counts as a
    /// failure after all. If others came meanwhile, their weight is as good.
    pub fn broke_off(&self) {
        let measured = self.measured.load(Ordering::Relaxed);
        // As long as nothing was measured, nobody goes by it.
        if measured != 0 {
            let (latency, failing) = halves(measured);
            let failing = failing + f32::from_bits(self.weight.load(Ordering::Relaxed));
            self.measured.store(united(latency, failing.min(1.0)), Ordering::Relaxed);
        }
    }

    /// What an answer is expected to take, in milliseconds, or rather what it is worth: the time is divided by the fourth
    /// power of the part of requests that succeed, so that a failure now and then means little, and nobody looks fast who
    /// fails fast. None if nothing was measured. What was measured long ago counts less and less, so that a backend that is
    /// hardly asked any more looks better with time.
    pub fn expected(&self, now: Instant, decay: Duration) -> Option<f32> {
        let measured = self.measured.load(Ordering::Relaxed);
        if measured == 0 {
            return None;
        }
        let (latency, failing) = halves(measured);
        let latency = (latency * self.kept(self.millis(now), decay)).max(LEAST);
        Some(latency / (1.0 - failing).max(LEAST_SUCCESS).powi(4))
    }

    /// Whether it asked to be spared and is.
    pub fn rests(&self, now: Instant) -> bool {
        let until = self.rests_until.load(Ordering::Relaxed);
        until > 0 && self.millis(now) < until
    }

    /// Until when it is spared, if it asked for that and is.
    pub fn rests_until(&self, now: Instant) -> Option<Instant> {
        let until = Duration::from_millis(self.rests_until.load(Ordering::Relaxed));
        self.rests(now).then(|| self.born + until)
    }

    /// Notes that it is given a request.
    pub fn give(&self, now: Instant) {
        self.given_at.store(self.millis(now), Ordering::Relaxed);
    }

    /// Whether it has been given none for this long.
    pub fn is_quiet(&self, now: Instant, since: Duration) -> bool {
        let quiet = self.millis(now).saturating_sub(self.given_at.load(Ordering::Relaxed));
        Duration::from_millis(quiet) >= since
    }

    /// A request would have been sent to it, had it been usable, and there is no other.
    pub fn miss(&self) {
        // Each of many requests would take the line from those who look.
        if !self.missed.load(Ordering::Relaxed) {
            self.missed.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was missed since last asked.
    pub fn was_missed(&self) -> bool {
        self.missed.load(Ordering::Relaxed) && self.missed.swap(false, Ordering::Relaxed)
    }

    /// The part of a measurement's weight that is left.
    fn kept(&self, at: u64, decay: Duration) -> f32 {
        let age = Duration::from_millis(at.saturating_sub(self.measured_at.load(Ordering::Relaxed)));
        (-age.as_secs_f32() / decay.as_secs_f32().max(0.001)).exp()
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_millis()).unwrap_or(u64::MAX)
    }
}

fn united(latency: f32, failing: f32) -> u64 {
    u64::from(latency.to_bits()) << 32 | u64::from(failing.to_bits())
}

fn halves(measured: u64) -> (f32, f32) {
    let low = u32::try_from(measured & u64::from(u32::MAX)).expect("it is the lower half");
    let high = u32::try_from(measured >> 32).expect("it is the upper half");
    (f32::from_bits(high), f32::from_bits(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECAY: Duration = Duration::from_secs(10);

    fn answered(took: u64) -> Experience {
        Experience { took: Duration::from_millis(took), ending: Ending::Answered, retry_after: None }
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_fades() {
        let now = Instant::now();
        let load = Load::new(now);
        assert_eq!(load.expected(now, DECAY), None);
        load.learn(&answered(10), now, DECAY);
        assert_eq!(load.expected(now, DECAY), Some(10.0));
        load.learn(&answered(200), now, DECAY);
        assert_eq!(load.expected(now, DECAY), Some(200.0));
        let later = now + DECAY;
        let faded = load.expected(later, DECAY).unwrap();
        assert!((70.0..80.0).contains(&faded), "{faded}");
        load.learn(&answered(10), later, DECAY);
        let mended = load.expected(later, DECAY).unwrap();
        assert!((75.0..85.0).contains(&mended), "{mended}");
    }

    #[test]
    fn what_has_faded_of_a_slow_answer_does_not_come_back_with_a_failure() {
        let now = Instant::now();
        let load = Load::new(now);
        load.learn(&answered(20_000), now, DECAY);
        let later = now + 6 * DECAY;
        load.learn(&Experience { ending: Ending::Failed, ..answered(1) }, later, DECAY);
        let (latency, _) = halves(load.measured.into_inner());
        assert!((40.0..60.0).contains(&latency), "{latency}");
    }

    #[test]
    fn one_failure_among_many_answers_weighs_little_and_many_failures_weigh_more_than_any_answer() {
        let now = Instant::now();
        let at = |millis| now + Duration::from_millis(millis);
        let load = Load::new(now);
        (0..1000).for_each(|millis| load.learn(&answered(10), at(millis), DECAY));
        let fail = |millis: u64| {
            load.learn(&Experience { ending: Ending::Failed, ..answered(1) }, at(1000 + millis), DECAY);
        };
        fail(1);
        let once = load.expected(at(1001), DECAY).unwrap();
        assert!((10.0..15.0).contains(&once), "{once}");
        (2..50_u64).for_each(fail);
        let often = load.expected(at(1050), DECAY).unwrap();
        assert!(often > 60_000.0, "{often}");
    }

    #[test]
    fn an_answer_that_breaks_off_counts_as_one_that_failed_at_once() {
        let now = Instant::now();
        for pause in [Duration::from_millis(10), DECAY] {
            let [fails, breaks_off] = [(); 2].map(|()| Load::new(now));
            for turn in 1..5 {
                let at = now + pause * turn;
                fails.learn(&Experience { ending: Ending::Failed, ..answered(10) }, at, DECAY);
                breaks_off.learn(&answered(10), at, DECAY);
                breaks_off.broke_off();
            }
            let [fails, breaks_off] = [fails, breaks_off].map(|load| halves(load.measured.into_inner()).1);
            assert!(fails > 0.0 && (fails - breaks_off).abs() < 0.001, "{fails} and {breaks_off}");
        }
        let unasked = Load::new(now);
        unasked.broke_off();
        assert_eq!(unasked.expected(now, DECAY), None);
    }

    #[test]
    fn a_request_that_was_given_up_tells_only_that_its_answer_would_have_taken_longer() {
        let now = Instant::now();
        let load = Load::new(now);
        let given_up = |took| Experience { ending: Ending::GivenUp, ..answered(took) };
        load.learn(&given_up(50), now, DECAY);
        assert_eq!(load.expected(now, DECAY), None);
        load.learn(&answered(10), now, DECAY);
        load.learn(&given_up(5), now, DECAY);
        assert_eq!(load.expected(now, DECAY), Some(10.0));
        load.learn(&given_up(50), now, DECAY);
        assert_eq!(load.expected(now, DECAY), Some(50.0));
    }

    #[test]
    fn it_rests_as_long_as_it_asked_but_not_longer_than_a_minute() {
        let now = Instant::now();
        for (asked, rests) in [(2, 2), (86_400, 60)] {
            let load = Load::new(now);
            let retry_after = Some(Duration::from_secs(asked));
            load.learn(&Experience { retry_after, ..answered(1) }, now, DECAY);
            let just_before = now + Duration::from_secs(rests) - Duration::from_millis(1);
            assert!(load.rests(now) && load.rests(just_before));
            assert!(!load.rests(now + Duration::from_secs(rests)));
        }
    }

    #[test]
    fn a_limit_holds_to_the_last() {
        let load = Load::new(Instant::now());
        let most = NonZeroU32::new(2).unwrap();
        assert_eq!([(); 3].map(|()| load.begin_within(most)), [true, true, false]);
        load.end();
        assert!(load.begin_within(most));
        assert_eq!(load.in_flight(), 2);
    }
}
