//! How often is done what takes a look at all backends: of many thousand some change at any time, and others have their turn, too.

use std::time::Duration;

use tokio::time::sleep;

/// For the time that such a look takes, so much more is left to others.
const OTHERS: u32 = 4;
/// Nobody waits longer for what is new.
const LONGEST: Duration = Duration::from_millis(250);
/// No timer is finer, and what takes so little keeps nobody waiting.
const SHORTEST: Duration = Duration::from_millis(1);
/// Of fewer backends a look that takes long says only that the machine is busy.
const MANY: usize = 500;

/// Pauses after a look at so many backends that took so long.
pub async fn pause(backends: usize, took: Duration) {
    let pause = pause_after(backends, took);
    if !pause.is_zero() {
        sleep(pause).await;
    }
}

/// How long to pause after a look at so many backends that took so long.
pub fn pause_after(backends: usize, took: Duration) -> Duration {
    let pause = took.saturating_mul(OTHERS).min(LONGEST);
    if backends < MANY || pause < SHORTEST { Duration::ZERO } else { pause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_at_many_pauses_four_times_as_long_but_not_for_ever_and_who_looks_at_few_not_at_all() {
        let took = [0, 200, 250, 5_000, 62_500, 1_000_000].map(Duration::from_micros);
        assert!(took.iter().all(|took| pause_after(MANY - 1, *took).is_zero()));
        assert_eq!(
            took.map(|took| pause_after(MANY, took).as_micros()),
            [0, 0, 1_000, 20_000, 250_000, 250_000]
        );
    }
}
