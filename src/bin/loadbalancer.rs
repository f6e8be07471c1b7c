//! The balancer: flags, logging, allocator, [`app::run`].

use std::fmt::Display;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{self, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use loadbalancer::app::{Signals, StartError};
use loadbalancer::backends::Registry;
use loadbalancer::cli::exit::{FAILED, INTERRUPTED, USAGE};
use loadbalancer::config::{Address, Backend, Command, Flags, Listener, Loaded, Sources, slips};
use loadbalancer::connect::raise_most_files;
use loadbalancer::{app, cli, demo, telemetry};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long the program may take to end after that: its logs have a second each.
const MOST_TO_CUT: Duration = Duration::from_secs(3);
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
    let (stops, signals) = match catch_signals() {
        Ok(caught) => caught,
        Err(error) => return complain(FAILED, &format_args!("signals cannot be caught: {error}")),
    };
    // Settings may take a while to be read, in which another file may come to its place.
    app::program();
    let sources = Sources::new(flags, open_files).checked(app::check);
    let loaded = match sources.load() {
        Ok(loaded) => loaded,
        Err(problems) => return cli::refuse(&problems),
    };
    stops.are_orderly();
    telemetry::init(loaded.config.log_level);
    slips().for_each(|slip| tracing::warn!("{slip}"));
    let ended = match demo {
        true => run_demo(loaded.clone(), signals, &stops),
        false => {
            let stopped = |_: &_| stops.asked();
            app::run(loaded.clone(), Some(sources), Registry::global(), (signals, &stops.cut), stopped)
                .map_err(anyhow::Error::from)
        }
    };
    match ended {
        Ok(()) if *stops.cut.borrow() => ExitCode::from(INTERRUPTED),
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

fn run_demo(mut loaded: Loaded, signals: Signals, stops: &Stops) -> anyhow::Result<()> {
    let backends = demo::start_pair().context("no sample backends")?;
    let first = backends[0];
    let shutdown = |listener: &Listener| {
        let stop = stops.asked();
        let commands = commands_to_try(listener, first);
        // It is polled when all is started: before, the commands would not work.
        async move {
            telemetry::settle();
            // Whoever does not read it may try something else.
            let _ = writeln!(io::stdout(), "{commands}");
            stop.await;
        }
    };
    for pool in &mut loaded.config.pools {
        pool.backends = backends.iter().map(|address| Backend::at((*address).into())).collect();
        pool.health.path = "/health".to_owned();
        pool.health.interval = DEMO_INTERVAL;
    }
    Ok(app::run(loaded, None, Registry::global(), (signals, &stops.cut), shutdown)?)
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

/// clap's report is a paragraph; an operator's log wants a line.
fn in_one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let problem = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let suggested =
        [ContextKind::SuggestedArg, ContextKind::SuggestedValue, ContextKind::SuggestedSubcommand];
    let nearest = match suggested.iter().find_map(|kind| error.get(*kind)) {
        Some(ContextValue::String(nearest)) => format!("; did you mean {nearest}?"),
        Some(ContextValue::Strings(nearest)) if !nearest.is_empty() => {
            format!("; did you mean {}?", nearest.join(" or "))
        }
        _ => match error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(all)) if !all.is_empty() => format!("; use {}", all.join(" or ")),
            _ => String::new(),
        },
    };
    format!("{problem}{nearest}")
}

/// What signals ask of us that want a stop.
struct Stops {
    asked: watch::Receiver<bool>,
    /// Whether a second one came: what is under way is to be cut.
    cut: watch::Receiver<bool>,
    /// Until there are settings there is nothing that would have to be ended in order.
    at_once: Arc<Mutex<bool>>,
}

impl Stops {
    /// From here on a stop waits for who asks for it.
    fn are_orderly(&self) {
        *self.at_once.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Ready when a stop was asked for, now or before.
    fn asked(&self) -> impl Future<Output = ()> + use<> {
        let mut asked = self.asked.clone();
        async move {
            // Who tells of it ends with the process.
            let _ = asked.wait_for(|asked| *asked).await;
        }
    }
}

/// Catches all signals from here on, so that none ends us that means something else, and process 1 of a container hears of each.
/// Those that want a stop are waited for on a thread of its own: settings are read, and the last log lines are waited for, where
/// no runtime is, and by then there may be no file left to make one.
fn catch_signals() -> io::Result<(Stops, Signals)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (signals, kinds) = {
        let _inside = runtime.enter();
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::quit()];
        (Signals::catch(), kinds.map(signal))
    };
    let [interrupt, terminate, quit] = kinds;
    let caught = [interrupt?, terminate?, quit?];
    let (ask, asked) = watch::channel(false);
    let (cut, is_cut) = watch::channel(false);
    let stops = Stops { asked, cut: is_cut, at_once: Arc::new(Mutex::new(true)) };
    let at_once = Arc::clone(&stops.at_once);
    let wait = move || runtime.block_on(obey(caught, (ask, cut), &at_once));
    thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    Ok((stops, signals))
}

/// The first signal asks for a stop. What is answered is to be in the log, so at the second the process ends as it always does, but
/// waits for no request; if it does not, or at a third signal, it ends here.
async fn obey(
    mut caught: [Signal; 3],
    (ask, cut): (watch::Sender<bool>, watch::Sender<bool>),
    at_once: &Mutex<bool>,
) {
    next(&mut caught).await;
    {
        // Held to the end, so that nothing is begun meanwhile.
        let at_once = at_once.lock().unwrap_or_else(PoisonError::into_inner);
        if *at_once {
            telemetry::complain("loadbalancer: stopped before it served");
            telemetry::settle();
            process::exit(0);
        }
    }
    ask.send_replace(true);
    next(&mut caught).await;
    cut.send_replace(true);
    tokio::select! {
        () = next(&mut caught) => {}
        () = tokio::time::sleep(MOST_TO_CUT) => {
            tracing::warn!("not ended {MOST_TO_CUT:?} after the second signal: what is not written is lost");
        }
    }
    process::exit(INTERRUPTED.into());
}

async fn next([interrupt, terminate, quit]: &mut [Signal; 3]) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = quit.recv() => {}
    }
}
