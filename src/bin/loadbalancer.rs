//! The balancer: flags, logging, allocator, [`app::run`].

use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use loadbalancer::backends::Registry;
use loadbalancer::config::{Command, Config, Flags};
use loadbalancer::{app, telemetry};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A flag or a value that makes no sense.
const USAGE: u8 = 2;
/// It could not start.
const FAILED: u8 = 1;
/// A second signal: what a shell reports of a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    let (flags, config) = match read_flags() {
        Ok(read) => read,
        Err(code) => return code,
    };
    telemetry::init(flags.log_level);
    let ended = match flags.command {
        None => app::run(config, Registry::global(), stop_signal()).map_err(anyhow::Error::from),
        Some(Command::Demo) => demo(config),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(FAILED, &error),
    }
}

fn complain(code: u8, problem: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("loadbalancer: {problem}");
    ExitCode::from(code)
}

fn demo(_config: Config) -> anyhow::Result<()> {
    anyhow::bail!("not yet")
}

fn read_flags() -> Result<(Flags, Config), ExitCode> {
    let flags = Flags::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        _ => complain(USAGE, &in_one_line(&error)),
    })?;
    // Each connection takes two files, so take what the system lets us have.
    let open_files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    match flags.resolve(open_files) {
        Ok(config) => Ok((flags, config)),
        Err(error) => Err(complain(USAGE, &error)),
    }
}

/// clap's report is a paragraph; an operator's log wants a line.
fn in_one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let problem = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let nearest = match error.get(ContextKind::SuggestedArg).or(error.get(ContextKind::SuggestedValue)) {
        Some(ContextValue::String(nearest)) => format!("; did you mean {nearest}?"),
        Some(ContextValue::Strings(nearest)) if !nearest.is_empty() => {
            format!("; did you mean {}?", nearest.join(" or "))
        }
        _ => String::new(),
    };
    format!("{problem}{nearest} (see --help)")
}

/// Ready at the first SIGINT or SIGTERM; a second one ends the process at once.
async fn stop_signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        std::process::exit(INTERRUPTED);
    });
}
