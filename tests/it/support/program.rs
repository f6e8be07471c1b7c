//! The three programs.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::pki::Pair;
use super::{PATIENCE, Successor, kept_port, signal};

/// A balancer that is yet to be started.
pub struct Balancer {
    command: Command,
    listen: Option<String>,
}

impl Balancer {
    /// With these backends, a free port to listen on, one worker and checks of `/health`.
    pub fn before(backends: &[SocketAddr]) -> Self {
        Self::of(Path::new(env!("CARGO_BIN_EXE_loadbalancer")), backends)
    }

    /// The same, from this file.
    pub fn of(program: &Path, backends: &[SocketAddr]) -> Self {
        let balancer = Self::from(program).flag("--listen", "127.0.0.1:0").flag("--health-path", "/health");
        let balancer = balancer.flag("--workers", "1");
        backends.iter().fold(balancer, |balancer, backend| balancer.flag("--backend", &backend.to_string()))
    }

    /// With no flag at all.
    pub fn bare() -> Self {
        Self::from(Path::new(env!("CARGO_BIN_EXE_loadbalancer")))
    }

    /// The same, from this file.
    pub fn from(program: &Path) -> Self {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LOADBALANCER_")) {
            command.env_remove(name);
        }
        Self { command, listen: None }
    }

    /// With the settings of a file, started in the file's folder.
    pub fn configured(file: &Path) -> Self {
        let mut balancer = Self::bare();
        let name = file.file_name().expect("a file has a name");
        balancer.command.arg("--config").arg(name).current_dir(file.parent().expect("a file is in a folder"));
        balancer
    }

    /// With no more open files than this.
    pub fn open_files(self, most: usize) -> Self {
        self.by_shell(&format!("ulimit -n {most}; exec \"$0\" \"$@\""))
    }

    /// With a file for standard input.
    pub fn reading(self, file: &Path) -> Self {
        self.by_shell(&format!("exec \"$0\" \"$@\" <'{}'", file.display()))
    }

    /// Saying what it says of itself to this pipe or file.
    pub fn standard_error_to(self, file: &Path) -> Self {
        self.by_shell(&format!("exec \"$0\" \"$@\" 2>'{}'", file.display()))
    }

    /// With this pipe or file for standard output.
    pub fn standard_output_to(self, file: &Path) -> Self {
        self.by_shell(&format!("exec \"$0\" \"$@\" >'{}'", file.display()))
    }

    /// With files that it writes to no longer than so many blocks of 512 bytes.
    pub fn file_blocks(self, most: usize) -> Self {
        self.by_shell(&format!("ulimit -f {most}; exec \"$0\" \"$@\""))
    }

    /// Started by who ignores this signal, which is ignored from then on.
    pub fn ignoring(self, signal: &str) -> Self {
        self.by_shell(&format!("exec env --ignore-signal={signal} \"$0\" \"$@\""))
    }

    /// Started from this file while another one takes the file's name.
    pub fn replaced_by(self, new: &Path) -> Self {
        let replace = format!("exec 3<\"$0\"; mv '{}' \"$0\"", new.display());
        self.by_shell(&format!("{replace}; exec /proc/self/fd/3 \"$@\""))
    }

    /// With this file for the system's own list of names, which others keep; see [`lacks_lists_of_names`](super::lacks_lists_of_names).
    pub fn names_from(self, file: &Path) -> Self {
        self.with_own("/etc/hosts", file)
    }

    /// The same for where the system says whom it asks for names.
    pub fn servers_of_names_from(self, file: &Path) -> Self {
        self.with_own("/etc/resolv.conf", file)
    }

    fn with_own(self, place: &str, file: &Path) -> Self {
        let (unshare, mount) = ("unshare --mount --map-root-user", format!("mount --bind \"$0\" {place}"));
        let file = file.display();
        self.by_shell(&format!("exec {unshare} sh -c '{mount} && exec \"$@\"' '{file}' \"$0\" \"$@\""))
    }

    /// As one who may do with a file what its mode says, which root need not be.
    pub fn bound_by_modes(self) -> Self {
        let drop = "setpriv --bounding-set=-dac_override,-dac_read_search";
        self.by_shell(&format!("[ $(id -u) -ne 0 ] || exec {drop} \"$0\" \"$@\"; exec \"$0\" \"$@\""))
    }

    fn by_shell(mut self, script: &str) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell.arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        self.command = shell;
        self
    }

    /// With one more flag. The last one wins, save for those that add up; of `--listen` only one is kept.
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        match name {
            "--listen" => self.listen = Some(value.to_owned()),
            _ => drop(self.command.arg(format!("{name}={value}"))),
        }
        self
    }

    /// Listening for TLS alone, with these certificates.
    pub fn secured(self, pairs: &[&Pair]) -> Self {
        self.secured_on("127.0.0.1:0", pairs)
    }

    /// The same at this address.
    pub fn secured_on(mut self, address: &str, pairs: &[&Pair]) -> Self {
        self.listen = None;
        let pair = |balancer: Self, pair: &&Pair| {
            let balancer = balancer.flag("--tls-cert", pair.certificate().to_str().unwrap());
            balancer.flag("--tls-key", pair.key().to_str().unwrap())
        };
        pairs.iter().fold(self.flag("--tls-listen", address), pair)
    }

    /// With one more word on the command line.
    pub fn word(self, word: &str) -> Self {
        self.word_of_bytes(OsStr::new(word))
    }

    /// With one more word, which may be no text.
    pub fn word_of_bytes(mut self, word: &OsStr) -> Self {
        self.command.arg(word);
        self
    }

    /// With one more variable in its environment.
    pub fn env(self, name: &str, value: &str) -> Self {
        self.env_of_bytes(name, OsStr::new(value))
    }

    /// With one more, which may be no text.
    pub fn env_of_bytes(mut self, name: &str, value: &OsStr) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it and waits until it listens.
    pub fn start(self) -> Running {
        let mut running = Running::start(self.command());
        let line = running.said("listening on http");
        running.address = address_in(&line);
        running
    }

    /// Runs it without waiting for anything.
    pub fn run(self) -> Running {
        Running::start(self.command())
    }

    /// Runs a balancer that cannot start, to its end: its exit status and what it wrote to standard error.
    pub fn fail(self) -> (Option<i32>, String) {
        let running = self.run();
        let status = running.ended();
        (status.code(), running.all_said())
    }

    fn command(mut self) -> Command {
        self.command.args(self.listen.map(|listen| format!("--listen={listen}")));
        self.command
    }
}

/// Starts `backends1` or `backends2` with these words.
pub fn backends(program: &str, words: &[&str]) -> Running {
    let mut command = Command::new(match program {
        "backends1" => env!("CARGO_BIN_EXE_backends1"),
        _ => env!("CARGO_BIN_EXE_backends2"),
    });
    command.args(words);
    Running::start(command)
}

/// A sample backend: `backends1` or `backends2`.
pub struct Sample {
    running: Running,
    name: String,
    port: u16,
    /// Keeps its port for it while it does not run.
    _kept: Socket,
}

impl Sample {
    /// Starts a sample backend of this name on a free port.
    pub fn start(name: &str) -> Self {
        let (kept, port) = kept_port(Ipv4Addr::LOCALHOST);
        Self { running: Self::run(port, name), name: name.to_owned(), port, _kept: kept }
    }

    fn run(port: u16, name: &str) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backends1"));
        command.args(["--name", name, "--port", &port.to_string()]);
        let mut running = Running::start(command);
        let line = running.said("listens on http://");
        running.address = address_in(&line);
        running
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running.address
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// Kills it as the system does (SIGKILL): what it was doing is lost.
    pub fn kill(&self) {
        self.running.signal("KILL");
        self.running.ended();
    }

    /// Stops it as an operator does (Ctrl+C), and waits for its end.
    pub fn interrupt(&self) {
        self.running.signal("INT");
        self.running.ended();
    }

    /// Starts one in its place once it has ended: the same name, the same port.
    pub fn restart(&mut self) {
        self.running = Self::run(self.port, &self.name);
    }
}

/// A program that runs, as do those that take its place, until it is dropped.
pub struct Running {
    child: Mutex<Child>,
    log: Arc<Log>,
    /// Where it listens.
    pub address: SocketAddr,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    /// How many of the two outputs have ended.
    closed: AtomicUsize,
    grown: Condvar,
}

impl Log {
    /// A test that failed while it held them did no harm to them.
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, lines: MutexGuard<'a, Vec<String>>, most: Duration) -> MutexGuard<'a, Vec<String>> {
        self.grown.wait_timeout(lines, most).unwrap_or_else(PoisonError::into_inner).0
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst) == 2
    }
}

impl Running {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program was built");
        let log = Arc::new(Log::default());
        follow(child.stdout.take().expect("it is piped"), &log);
        follow(child.stderr.take().expect("it is piped"), &log);
        Self { child: Mutex::new(child), log, address: SocketAddr::from(([127, 0, 0, 1], 0)) }
    }

    /// Waits until it says where it listens.
    pub fn listening(mut self) -> Self {
        let line = self.said("http://");
        self.address = address_in(&line);
        self
    }

    /// Waits for a line, on either output, that holds this text, and gives it.
    pub fn said(&self, text: &str) -> String {
        self.said_times(text, 1)
    }

    /// Waits until so many lines hold this text, and gives the last of them.
    pub fn said_times(&self, text: &str, times: usize) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.log.lines();
        loop {
            if let Some(line) = lines.iter().filter(|line| line.contains(text)).nth(times - 1) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let over = left.is_zero() || self.log.is_closed();
            assert!(!over, "{text:?} was not said {times} times, but this was:\n{}", lines.join("\n"));
            lines = self.log.wait(lines, left);
        }
    }

    /// How many lines so far hold this text.
    pub fn times_said(&self, text: &str) -> usize {
        self.log.lines().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits until both outputs are closed, and gives all that was said.
    pub fn all_said(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.log.lines();
        while !self.log.is_closed() {
            assert!(Instant::now() < deadline, "its outputs stay open");
            lines = self.log.wait(lines, PATIENCE);
        }
        lines.join("\n")
    }

    /// Kilobytes of memory that it has.
    pub fn memory(&self) -> usize {
        self.kilobytes("VmRSS:")
    }

    /// The most that it ever had.
    pub fn most_memory(&self) -> usize {
        self.kilobytes("VmHWM:")
    }

    fn kilobytes(&self, of: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(of)).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// Sends it a signal, by the name that `kill` knows.
    pub fn signal(&self, name: &str) {
        signal(name, self.id());
    }

    /// Waits for its end.
    pub fn ended(&self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.lock().unwrap().try_wait().expect("it is our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it goes on running");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have ended already.
        let _ = child.kill();
        let _ = child.wait();
        drop(Successor::all_in(&self.log.lines()));
        if thread::panicking() {
            eprintln!("it said:\n{}", self.log.lines().join("\n"));
        }
    }
}

fn follow(output: impl Read + Send + 'static, log: &Arc<Log>) {
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            log.lines().push(line);
            log.grown.notify_all();
        }
        let _lines = log.lines();
        log.closed.fetch_add(1, Ordering::SeqCst);
        log.grown.notify_all();
    });
}

/// The address of the first URL in a line.
pub fn address_in(line: &str) -> SocketAddr {
    let rest = line.split("://").nth(1).expect("a line with an address");
    rest.split_whitespace().next().and_then(|address| address.parse().ok()).expect("an address")
}
