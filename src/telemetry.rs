//! What the program says of itself.

pub mod access_log;

use std::io;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

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

/// Sends the program's events to standard error, a line each.
pub fn init(level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let colour = io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false).with_ansi(colour);
    // Libraries tell of each frame that passes; an operator wants to hear of requests.
    let ours = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("loadbalancer", level);
    // What h2 warns of is what a client did, as often as it likes.
    let ours = ours.with_target("h2", level.min(LevelFilter::ERROR));
    tracing_subscriber::registry().with(lines).with(ours).init();
}
