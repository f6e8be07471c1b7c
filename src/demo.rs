//! The sample backend: what `backends1` and `backends2` run, and what `loadbalancer` can be tried against.
//!
//! | path | answers |
//! |---|---|
//! | `/` | a line that names the backend |
//! | `/health` | 200, or 503 between `POST /health/fail` and `POST /health/ok` |
//! | `/status/{code}` | with that status |
//! | `/delay/{ms}` | after that many milliseconds |
//! | `/bytes/{n}` | with that many bytes and a `Content-Length` |
//! | `/chunked/{n}` | the same in chunks, then the trailer `x-bytes` for clients that take trailers |
//! | `/echo` | with the request: its first line, its headers, an empty line, its body |
//!
//! The health paths insist on their methods; the others take any, so a POST can be retried, too.

mod answers;
mod bodies;
mod pair;
mod request;
mod serve;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::error::{Error, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::telemetry::{LastLines, complain};

pub use pair::start_pair;
pub use serve::serve;

/// Connections that the system accepts on our behalf while we are busy.
const BACKLOG: u32 = 1024;

/// As a shell reports a program that an interrupt ended: 128 and the signal's number.
const INTERRUPTED: u8 = 130;

/// A sample backend, to try the load balancer against. It listens on the loopback interface only.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
struct Flags {
    /// Port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    /// Name to answer with
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Runs a sample backend as a program: flags, listener, signals, exit status. `name` and `port` are the
/// defaults of `--name` and `--port`.
///
/// SIGINT or SIGTERM ends it when the running requests are answered; a second one ends it at once.
pub fn main(name: &str, port: u16) -> ExitCode {
    let _last_lines = LastLines;
    let flags = match parse(name, port, std::env::args_os()) {
        Ok(flags) => flags,
        Err(refusal) => return explain(name, &refusal),
    };
    let name_to_answer_with = flags.name.unwrap_or_else(|| name.to_owned());
    run(name_to_answer_with, flags.port.unwrap_or(port)).unwrap_or_else(|error| {
        complain(format_args!("{name}: {error:#}"));
        ExitCode::FAILURE
    })
}

fn parse(name: &str, port: u16, arguments: impl IntoIterator<Item = OsString>) -> Result<Flags, Error> {
    let matches = Flags::command()
        .bin_name(name)
        .display_name(name)
        .mut_arg("port", |flag| with_default(flag, &port.to_string()))
        .mut_arg("name", |flag| with_default(flag, name))
        .try_get_matches_from(arguments)?;
    Flags::from_arg_matches(&matches)
}

/// clap wants the text of a default to live as long as the program, so it is shown here and applied later.
fn with_default(flag: clap::Arg, default: &str) -> clap::Arg {
    let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
    flag.help(format!("{help} [default: {default}]"))
}

fn explain(name: &str, refusal: &Error) -> ExitCode {
    if matches!(refusal.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return refusal.print().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let text = refusal.to_string();
    let line = text.lines().next().unwrap_or_default();
    complain(format_args!("{name}: {}; see --help", line.trim_start_matches("error: ")));
    ExitCode::from(2)
}

fn run(name: String, port: u16) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        let mut signals = Signals::catch().context("cannot catch signals")?;
        announce(&name, listener.local_addr().context("the listener has no address")?);

        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            // An error means that `stop` is gone, and then nobody waits for the answer.
            let _ = stopped.await;
        };
        let twice = async {
            signals.next().await;
            // It fails only when the backend has ended already.
            let _ = stop.send(());
            signals.next().await;
        };
        tokio::select! {
            () = serve(listener, name, shutdown) => Ok(ExitCode::SUCCESS),
            () = twice => Ok(ExitCode::from(INTERRUPTED)),
        }
    })
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow::anyhow!("{address} is in use; stop what listens there or choose another port with --port")
        }
        _ => anyhow::anyhow!("cannot listen on {address}: {error}; choose another port with --port"),
    })
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Else the connections that a killed backend left behind keep its port busy for a minute.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn announce(name: &str, address: SocketAddr) {
    // Whoever started us may have closed the output; that is no reason not to serve.
    let _ = writeln!(io::stdout(), "{name} listens on http://{address}");
}

/// The signals that ask a program to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(arguments: &[&str]) -> Result<Flags, Error> {
        parse("backends1", 3000, ["program"].iter().chain(arguments).map(OsString::from))
    }

    #[test]
    fn flags_win_over_the_defaults_of_the_binary() {
        let given = flags(&["--port", "4000", "--name", "blue"]).unwrap();
        assert_eq!((given.port, given.name.as_deref()), (Some(4000), Some("blue")));
        let left_out = flags(&[]).unwrap();
        assert_eq!((left_out.port, left_out.name), (None, None));
    }

    #[test]
    fn the_help_names_the_binary_and_its_defaults() {
        let help = flags(&["--help"]).unwrap_err().to_string();
        for part in ["Usage: backends1 ", "[default: 3000]", "[default: backends1]"] {
            assert!(help.contains(part), "{part:?} is not in {help}");
        }
    }
}
