//! What the program says of itself.

pub mod access_log;

use std::io;

use tracing_subscriber::filter::LevelFilter;

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
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(colour)
        .init();
}
