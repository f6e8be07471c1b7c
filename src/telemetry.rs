//! What the program says of itself.

pub mod access_log;
mod histogram;
mod lost;
pub mod manager;
mod panic;
mod recent;
mod seldom;
mod standstill;
mod tally;
mod voice;
mod want;

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::OnceLock;

use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

pub use histogram::Histogram;
pub use lost::Log;
pub use recent::{Recent, Seen};
pub use seldom::Seldom;
pub use standstill::{LATE, Watchman, long_standstills, stood_still};
pub use tally::{Failures, Report, Tally, class_of};
pub use voice::{LastLines, settle};
pub use want::{is_want_of_files, remedy, unreadable};

use voice::Voice;

/// What lets events through, once [`init`] has been called.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// How much the program says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Only what broke.
    Error,
    /// And what may break.
    Warn,
    /// And each change of a backend's health.
    Info,
    /// And each request that did not go as planned.
    Debug,
    /// Everything.
    Trace,
}

/// Sends the program's events to standard error, a line each, and what panics with them. Nobody waits for its reader: see
/// [`LastLines`].
pub fn init(level: LogLevel) {
    let colour = io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let (filter, handle) = reload::Layer::new(targets(level));
    let lines = tracing_subscriber::fmt::layer().with_writer(|| Voice).with_target(false).with_ansi(colour);
    tracing_subscriber::registry().with(filter).with(lines).init();
    // A second call would have panicked above.
    let _ = FILTER.set(handle);
    panic::tell();
}

/// Says more or less from now on.
pub fn set_level(level: LogLevel) {
    if let Some(filter) = FILTER.get() {
        // It fails only when nobody listens to events any more.
        let _ = filter.reload(targets(level));
    }
}

/// Writes to standard error what is no event: why something is not done. Whether anybody takes it changes nothing.
pub fn complain(text: impl Display) {
    // In one piece, so that what others say at the same moment stands before or behind it.
    let text = format!("{text}\n");
    if io::IsTerminal::is_terminal(&io::stderr()) {
        // Somebody looks at it, who may have stopped it for a while.
        settle();
        let _ = io::stderr().write_all(text.as_bytes());
    } else {
        voice::say(text.as_bytes());
    }
}

fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Libraries tell of each frame that passes; an operator wants to hear of requests.
    let ours = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("loadbalancer", level);
    // What h2 warns of is what a client did, as often as it likes.
    ours.with_target("h2", level.min(LevelFilter::ERROR))
}

/// How many lines end in these bytes.
fn lines_in(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

fn count_of_lines(count: u64) -> String {
    format!("{count} line{}", if count == 1 { "" } else { "s" })
}
