//! The balancer: flags, logging, allocator, [`app::run`].

use std::fmt::Display;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use loadbalancer::app::{Signals, StartError};
use loadbalancer::backends::Registry;
use loadbalancer::cli::exit::{FAILED, INTERRUPTED, USAGE};
use loadbalancer::config::{Address, Backend, Command, Flags, Listener, Loaded, Sources, in_one_line, slips};
use loadbalancer::connect::{keep_files, raise_most_files};
use loadbalancer::server::Claims;
use loadbalancer::{app, cli, demo, telemetry};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long the program may take to end after that: its logs have a second each.
const MOST_TO_CUT: Duration = Duration::from_secs(3);
/// Bytes, of which the system keeps those of a thread that has ended.
const SMALL_STACK: usize = 256 * 1024;
/// Between two checks of a sample backend: short, for somebody is watching.
const DEMO_INTERVAL: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let _last_lines = telemetry::LastLines;
    let flags = match read_flags() {
        Ok(flags) => flags,
        Err(code) => return code,
    };
    // Each connection takes two files, so take what the system lets us have.
    let open_files = raise_most_files().unwrap_or(1024);
    keep_files(open_files);
    let demo = match &flags.command {
        Some(Command::Tool(tool)) => return cli::run(tool, &flags, open_files),
        Some(Command::Remote(remote)) => return cli::ask(remote, &flags),
        Some(Command::Demo) => {
            if let Some(flag) = flags.idle_in_demo() {
                let problem = format!("demo: has backends and a pool of its own; run it without {flag}");
                return complain(USAGE, &problem);
            }
            true
        }
        None => false,
    };
    if let Err(error) = app::find_first_files() {
        return complain(FAILED, &error);
    }
    let (starting, signals) = match Starting::begin() {
        Ok(begun) => begun,
        Err(error) => return complain(FAILED, &format_args!("signals cannot be caught: {error}")),
    };
    // Settings may take a while to be read, in which another file may come to its place.
    app::program();
    let sources = Sources::new(flags, open_files).checked(app::check);
    let loaded = match sources.load() {
        Ok(loaded) => loaded,
        Err(problems) => return cli::refuse(&problems),
    };
    let claims = app::claim(&loaded.config);
    // Kept to the end: on the thread of another runtime it must not be dropped.
    let Some((runtime, stops)) = starting.end() else { return ExitCode::from(FAILED) };
    let (cut, is_cut) = watch::channel(false);
    telemetry::init(loaded.config.log_level);
    slips().chain(loaded.remarks.iter().cloned()).for_each(|remark| tracing::warn!("{remark}"));
    let stopped = stop_signal(stops, Arc::clone(&runtime), cut);
    let first = (claims, signals, &is_cut);
    let ended = match demo {
        true => run_demo(loaded.clone(), first, stopped),
        false => app::run(loaded.clone(), Some(sources), Registry::global(), first, |_| (), stopped)
            .map_err(anyhow::Error::from),
    };
    match ended {
        Ok(()) if *is_cut.borrow() => ExitCode::from(INTERRUPTED),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let all: Vec<&dyn Display> = match error.downcast_ref::<StartError>() {
                Some(error) => error.each().iter().map(|error| error as &dyn Display).collect(),
                None => vec![&error],
            };
            for error in all {
                complain(FAILED, &loaded.in_its_words(&error.to_string()));
            }
            ExitCode::from(FAILED)
        }
    }
}

fn complain(code: u8, problem: &dyn Display) -> ExitCode {
    telemetry::complain(format_args!("loadbalancer: {problem}"));
    ExitCode::from(code)
}

fn run_demo(
    mut loaded: Loaded,
    first: (Claims, Signals, &watch::Receiver<bool>),
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let backends = demo::start_pair().context("no sample backends")?;
    let sample = backends[0];
    let started = |listener: &Listener| {
        telemetry::settle();
        // Whoever does not read it may try something else.
        let _ = writeln!(io::stdout(), "{}", commands_to_try(listener, sample));
    };
    for pool in &mut loaded.config.pools {
        pool.backends = backends.iter().map(|address| Backend::at((*address).into())).collect();
        pool.health.path = "/health".to_owned();
        pool.health.interval = DEMO_INTERVAL;
    }
    Ok(app::run(loaded, None, Registry::global(), first, started, stop)?)
}

fn commands_to_try(listener: &Listener, first: SocketAddr) -> String {
    let host = match &listener.address {
        Address::Ip(address) if is_localhost(address.ip()) => format!("localhost:{}", address.port()),
        Address::Ip(address) => address.to_string(),
        Address::Unix(path) => format!("--unix-socket {} localhost", path.display()),
    };
    // The certificate is seldom one for these names.
    let balancer = if listener.tls { format!("-k https://{host}") } else { host };
    let every = DEMO_INTERVAL.as_secs();
    let commands = [
        (format!("curl {balancer}"), "the first backend answers".to_owned()),
        (
            format!("curl -X POST {first}/health/fail"),
            format!("make it fail its checks, one every {every} s"),
        ),
        (format!("curl {balancer}"), "the second one answers".to_owned()),
        (format!("curl -X POST {first}/health/ok"), "make it well again".to_owned()),
        (format!("curl -i {balancer}/echo -d hello"), "what a backend is sent".to_owned()),
        (format!("curl -i {balancer}/bytes/64"), "also /chunked/64, /delay/500, /status/404".to_owned()),
    ];
    let width = commands.iter().map(|(what, _)| what.len()).max().unwrap_or_default();
    let lines: String = commands.iter().map(|(what, why)| format!("    {what:<width$} # {why}\n")).collect();
    format!(
        "\nTry, in another terminal (or here, if you put this in the background with Ctrl+Z and `bg`):\n\n{lines}\n\
         Ctrl+C ends it.\n"
    )
}

/// Whether `localhost` leads there.
fn is_localhost(ip: IpAddr) -> bool {
    ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST
}

fn read_flags() -> Result<Flags, ExitCode> {
    Flags::read(std::env::args_os()).map_err(|error| match error.kind() {
        // These are answers to what was asked.
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => cli::answer(&error.render().to_string()),
        _ if is_for_json() => {
            let told = |kind| match error.get(kind) {
                Some(ContextValue::String(text)) => Some(text.clone()),
                _ => None,
            };
            // It is told with what it takes.
            let flag =
                told(ContextKind::InvalidArg).and_then(|flag| Some(flag.split(' ').next()?.to_owned()));
            cli::refuse_words(flag, told(ContextKind::InvalidValue), in_one_line(&error))
        }
        _ => complain(USAGE, &format_args!("{} (see --help)", in_one_line(&error))),
    })
}

/// Whether it was asked for JSON by words that make no sense as a whole.
fn is_for_json() -> bool {
    ["validate", "--json"].iter().all(|wanted| std::env::args_os().skip(1).any(|word| word == *wanted))
}

/// The time in which settings are read, and others listen first where we are to. What is done then stands still where no runtime is, so
/// a thread waits for signals meanwhile, and for no longer: a process with one thread pays less for each system call.
struct Starting {
    over: oneshot::Sender<()>,
    thread: thread::JoinHandle<(Arc<Runtime>, Stops)>,
}

impl Starting {
    /// Catches all signals from here on, so that none ends us that means something else, and process 1 of a container hears of each.
    fn begin() -> io::Result<(Self, Signals)> {
        let runtime = Arc::new(tokio::runtime::Builder::new_current_thread().enable_all().build()?);
        let (signals, stops) = {
            let _inside = runtime.enter();
            (Signals::catch(), Stops::catch()?)
        };
        let (over, is_over) = oneshot::channel();
        let wait = move || (Arc::clone(&runtime), runtime.block_on(end_at_once(stops, is_over)));
        let thread = thread::Builder::new().name("signals".to_owned()).stack_size(SMALL_STACK).spawn(wait)?;
        Ok((Self { over, thread }, signals))
    }

    /// Gives what is caught from here on, or was just now, and the runtime in which that was done.
    fn end(self) -> Option<(Arc<Runtime>, Stops)> {
        // Who does not hear of it has panicked, which was told.
        let _ = self.over.send(());
        self.thread.join().ok()
    }
}

/// Until then there is nothing that would have to be ended in order.
async fn end_at_once(mut stops: Stops, is_over: oneshot::Receiver<()>) -> Stops {
    tokio::select! {
        _ = is_over => stops,
        () = stops.next() => {
            telemetry::complain("loadbalancer: stopped before it served");
            telemetry::settle();
            process::exit(0);
        }
    }
}

/// Ready at the first SIGINT, SIGTERM or SIGQUIT; a second one cuts what is under way.
async fn stop_signal(mut stops: Stops, runtime: Arc<Runtime>, cut: watch::Sender<bool>) {
    stops.next().await;
    cut_at_the_next(stops, runtime, cut);
}

/// The signals that ask for a stop.
struct Stops([Signal; 3]);

impl Stops {
    fn catch() -> io::Result<Self> {
        let kinds = (SignalKind::interrupt(), SignalKind::terminate(), SignalKind::quit());
        Ok(Self([signal(kinds.0)?, signal(kinds.1)?, signal(kinds.2)?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, quit] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = quit.recv() => {}
        }
    }
}

/// On a thread of its own, for the last log lines are waited for when no runtime is there any more but this one, which was made when
/// there were files for it. What is answered is to be in the log, so the process ends as it always does, but waits for no request; if
/// it does not, or at a third signal, it ends here.
fn cut_at_the_next(mut stops: Stops, runtime: Arc<Runtime>, cut: watch::Sender<bool>) {
    let wait = move || {
        runtime.block_on(async {
            stops.next().await;
            cut.send_replace(true);
            tokio::select! {
                () = stops.next() => {}
                () = tokio::time::sleep(MOST_TO_CUT) => {
                    tracing::warn!("not ended {MOST_TO_CUT:?} after the second signal: what is not written is lost");
                }
            }
        });
        process::exit(INTERRUPTED.into());
    };
    // Without a thread, the drain time ends it.
    let _ = thread::Builder::new().name("signals".to_owned()).spawn(wait);
}
