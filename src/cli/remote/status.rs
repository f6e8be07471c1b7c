//! What runs, on a page that can be read at three in the morning.

use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::control::api::{Backend, BackendState, Confirmation, Counts, Overview, Pool, Stage, Verdict};

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";
const BOLD: &str = "1";

const HEAD: [&str; 7] = ["POOL", "BACKEND", "STATE", "SINCE", "WEIGHT", "IN FLIGHT", "WHY"];
/// The place of the state among the columns.
const STATE: usize = 2;

/// The page. `now` is the time where that runs.
pub(super) fn page(
    overview: &Overview,
    pools: &[Pool],
    backends: &[Backend],
    last: &Confirmation,
    (now, colour): (SystemTime, bool),
) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    let mut states = vec![None];
    // Those of pools that are gone are among them until they have ended what they do.
    for backend in backends {
        rows.push(row(backend, now));
        states.push(Some(backend.state));
    }
    let widths = widths(&rows);
    let mut page = summary(overview, pools, (now, colour));
    page += &last_change(last, overview.revision, colour);
    page.push('\n');
    for (cells, state) in rows.iter().zip(states) {
        let paint = |column: usize, text: String| match state {
            _ if !colour => text,
            None => painted(BOLD, &text),
            Some(state) if column == STATE => painted(colour_of(state), &text),
            Some(_) => text,
        };
        let padded = cells.iter().zip(widths).enumerate();
        // Paint has no width, so it comes after the padding.
        let line: Vec<_> =
            padded.map(|(column, (cell, width))| paint(column, format!("{cell:<width$}"))).collect();
        page += line.join("  ").trim_end();
        page.push('\n');
    }
    page
}

/// First what is wrong, for that is what is looked for.
fn summary(overview: &Overview, pools: &[Pool], (now, colour): (SystemTime, bool)) -> String {
    let Overview { version, uptime, revision, workers, clients, .. } = overview;
    let up = span(*uptime);
    let stage = match overview.stage {
        Stage::Serving => format!("serving for {up}"),
        Stage::Stopping => format!("stopping, {up} after its start"),
    };
    let mut text = format!(
        "loadbalancer {version}, {stage}, settings {revision}, {}, {}\n",
        count(*workers, "worker"),
        count(*clients, "client"),
    );
    for pool in pools.iter().filter(|pool| pool.usable == 0) {
        let line = empty(pool);
        text += &if colour { painted(RED, &line) } else { line };
        text.push('\n');
    }
    for line in pools.iter().flat_map(|pool| troubles(pool, now)) {
        text += &if colour { painted(YELLOW, &line) } else { line };
        text.push('\n');
    }
    text + &counted(&overview.backends) + "\n"
}

/// What is said of a pool whose requests nobody gets.
pub(super) fn empty(pool: &Pool) -> String {
    format!("pool {} has no backend that is used", pool.name)
}

/// What is wrong with the sources of a pool's backends.
fn troubles(pool: &Pool, now: SystemTime) -> impl Iterator<Item = String> {
    pool.sources.iter().filter_map(move |source| {
        let (why, since) = (source.trouble.as_ref()?, source.trouble_since.as_ref()?);
        let known = count(source.backends, "backend");
        let (pool, source) = (&pool.name, &source.source);
        Some(format!("pool {pool}: {source}: {why}, for {}; {known} known of it", age(since, now)?))
    })
}

/// What came of the last change that was to be confirmed, unless it is nothing to look at, or the settings were changed since:
/// to take a change back is a change as well.
fn last_change(last: &Confirmation, revision: u64, colour: bool) -> String {
    let own = u64::from(last.verdict == Verdict::RolledBack);
    if last.revision.is_some_and(|watched| watched + own < revision) {
        return String::new();
    }
    let reason = last.reason.as_deref().unwrap_or_default();
    let (line, paint) = match last.verdict {
        Verdict::None | Verdict::Kept | Verdict::Overtaken => return String::new(),
        Verdict::Watching => (format!("the last change is watched for {} more", span(last.left)), YELLOW),
        Verdict::RolledBack => (format!("the last change was taken back: {reason}"), RED),
        Verdict::Stuck => (format!("the last change should be taken back, and cannot be yet: {reason}"), RED),
    };
    (if colour { painted(paint, &line) } else { line }) + "\n"
}

fn counted(counts: &Counts) -> String {
    let Counts { up, down, unknown, draining, disabled, leaving } = *counts;
    let all = [
        (down, "down"),
        (draining, "draining"),
        (disabled, "disabled"),
        (leaving, "leaving"),
        (unknown, "unknown"),
        (up, "up"),
    ];
    let said: Vec<_> = all.iter().filter(|(count, _)| *count > 0).collect();
    let said: Vec<_> = said.into_iter().map(|(count, what)| format!("{count} {what}")).collect();
    if said.is_empty() { "no backends".to_owned() } else { format!("backends: {}", said.join(", ")) }
}

fn row(backend: &Backend, now: SystemTime) -> [String; 7] {
    [
        backend.pool.clone(),
        backend.address.clone(),
        backend.state.to_string(),
        since(&backend.since, now),
        weight(backend),
        backend.in_flight.to_string(),
        why(backend, now),
    ]
}

/// The weight that counts, that of the settings if it is another one, and how much of it counts yet.
pub(super) fn weight(backend: &Backend) -> String {
    let (weight, warmth) = (backend.weight, backend.warmth);
    let set = (weight.set != weight.effective).then(|| format!("set: {}", weight.set));
    let warmth = (warmth < 100).then(|| format!("{warmth} % yet"));
    let more: Vec<_> = set.into_iter().chain(warmth).collect();
    match &more[..] {
        [] => weight.effective.to_string(),
        more => format!("{} ({})", weight.effective, more.join(", ")),
    }
}

/// Why it is in its state, and how long it is spared yet.
fn why(backend: &Backend, now: SystemTime) -> String {
    let until = backend.rests_until.as_ref().and_then(|until| OffsetDateTime::parse(until, &Rfc3339).ok());
    let left = until.and_then(|until| SystemTime::from(until).duration_since(now).ok());
    match left {
        Some(left) => format!("{}; it asked to be spared for {} more", backend.why, span(left.as_secs())),
        None => backend.why.clone(),
    }
}

/// How long ago it was, or the moment itself if it is not one that is known here.
fn since(moment: &str, now: SystemTime) -> String {
    age(moment, now).map_or_else(|| moment.to_owned(), |age| format!("{age} ago"))
}

fn age(moment: &str, now: SystemTime) -> Option<String> {
    let moment = OffsetDateTime::parse(moment, &Rfc3339).ok()?;
    Some(span(now.duration_since(moment.into()).unwrap_or_default().as_secs()))
}

/// Seconds, in the two largest units.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m {}s", seconds % 60),
        3600..86400 => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn widths(rows: &[[String; 7]]) -> [usize; 7] {
    let mut widths = [0; 7];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}

fn colour_of(state: BackendState) -> &'static str {
    match state {
        BackendState::Up => GREEN,
        BackendState::Down => RED,
        BackendState::Unknown | BackendState::Draining | BackendState::Disabled | BackendState::Leaving => {
            YELLOW
        }
    }
}

fn painted(colour: &str, text: &str) -> String {
    format!("\u{1b}[{colour}m{text}\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_could_not_be_taken_back_is_told_until_the_next_one() {
        let last = |verdict| Confirmation { verdict, revision: Some(5), left: 0, reason: None };
        let is_told = |verdict, revision| !last_change(&last(verdict), revision, false).is_empty();
        assert!(is_told(Verdict::Stuck, 5) && !is_told(Verdict::Stuck, 6));
        // That it was taken back was a change of its own.
        assert!(is_told(Verdict::RolledBack, 6) && !is_told(Verdict::RolledBack, 7));
    }

    #[test]
    fn a_span_is_told_in_its_two_largest_units() {
        for (seconds, told) in [(0, "0s"), (61, "1m 1s"), (7_260, "2h 1m"), (200_000, "2d 7h")] {
            assert_eq!(span(seconds), told);
        }
    }
}
