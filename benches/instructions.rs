//! What a pick, a header line and a whole proxied request cost, in instructions and in allocations: counted under
//! callgrind, so that two runs agree where clocks do not.
//!
//! `cargo bench` prints a table; `cargo bench -- request` only the rows whose name holds that word. Each figure is the
//! difference of two runs of different length, so what happens once does not count. Needs `valgrind`.

#[path = "instructions/routes.rs"]
mod routes;

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use clap::ValueEnum;
use loadbalancer::backends::Load;
use loadbalancer::balance::{Ask, Member, Pool, Tried, Turn};
use loadbalancer::config::{BackendUrl, Balancing, PolicyName};

/// Times that the measured thing is done in the shorter of two runs; the longer does it three times as often.
const FEW: usize = 500;
/// Clients that ask at the same time.
const CLIENTS: usize = 50;

/// What is measured.
enum Case {
    /// `Pool::pick` among so many, and the drop of its lease.
    Pick(PolicyName, u16),
    /// `Routes::find` among so many routes.
    Route(usize),
    /// A request with so many more header lines, and an answer with a body of so many bytes.
    Request { headers: usize, body: usize },
    /// A request that takes one of so many routes to one of as many backends, which take turns.
    Amid(u8),
}

const CASES: [(&str, Case); 17] = [
    ("pick first", Case::Pick(PolicyName::First, 8)),
    ("pick round_robin", Case::Pick(PolicyName::RoundRobin, 8)),
    ("pick random", Case::Pick(PolicyName::Random, 8)),
    ("pick least_requests", Case::Pick(PolicyName::LeastRequests, 8)),
    ("pick peak_ewma", Case::Pick(PolicyName::PeakEwma, 8)),
    ("pick maglev", Case::Pick(PolicyName::Maglev, 8)),
    ("pick ring", Case::Pick(PolicyName::Ring, 8)),
    ("pick round_robin of 100", Case::Pick(PolicyName::RoundRobin, 100)),
    ("pick least_requests of 100", Case::Pick(PolicyName::LeastRequests, 100)),
    ("pick ring of 100", Case::Pick(PolicyName::Ring, 100)),
    ("route, the only one", Case::Route(1)),
    ("route, one of 100", Case::Route(100)),
    ("route, one of 10 000", Case::Route(10_000)),
    ("request", Case::Request { headers: 0, body: 128 }),
    ("request with 20 more header lines", Case::Request { headers: 20, body: 128 }),
    ("request with an answer of 16 KiB", Case::Request { headers: 0, body: 16 * 1024 }),
    ("request amid 100 routes and 100 backends", Case::Amid(100)),
];

/// What was counted.
#[derive(Clone, Copy)]
struct Counts {
    instructions: u64,
    allocations: u64,
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [word, what, times] = &arguments[..] {
        let times = times.parse().expect("a number");
        return match (word.as_str(), what.split_once(':')) {
            ("pick", Some((policy, members))) => pick(policy, members.parse().expect("a number"), times),
            _ => routes::find(what.parse().expect("a number"), times),
        };
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with("--")).map_or("", String::as_str);
    println!("| what | instructions | allocations |\n|---|--:|--:|");
    for (name, case) in CASES.iter().filter(|(name, _)| name.contains(filter)) {
        let (less, more) = (measure(case, FEW), measure(case, 3 * FEW));
        let each = |less: u64, more: u64| more.saturating_sub(less) as f64 / (2 * FEW) as f64;
        let instructions = each(less.instructions, more.instructions);
        let allocations = each(less.allocations, more.allocations);
        println!("| {name} | {instructions:.0} | {allocations:.1} |");
    }
}

fn measure(case: &Case, times: usize) -> Counts {
    let out = std::env::temp_dir().join(format!("loadbalancer-callgrind-{}", std::process::id()));
    match case {
        Case::Pick(policy, members) => {
            again(&out, ["pick", &format!("{policy}:{members}"), &times.to_string()]);
        }
        Case::Route(count) => again(&out, ["route", &count.to_string(), &times.to_string()]),
        Case::Request { headers, body } => {
            let backend = format!("--backend={}", backend("127.0.0.1", *body));
            requests(
                &out,
                times,
                *headers,
                *body,
                &[&backend, "--listen=127.0.0.1:0", "--health-interval=1h"],
            );
        }
        Case::Amid(count) => {
            let settings =
                std::env::temp_dir().join(format!("loadbalancer-bench-{}.toml", std::process::id()));
            fs::write(&settings, amid(*count, backend("0.0.0.0", 128).port()))
                .expect("a folder for what is temporary");
            requests(&out, times, 0, 128, &[&format!("--config={}", settings.display())]);
            fs::remove_file(&settings).expect("it was just written");
        }
    }
    let counts = read(&out);
    fs::remove_file(&out).expect("callgrind wrote it");
    counts
}

/// Runs this program under callgrind.
fn again(out: &Path, arguments: [&str; 3]) {
    let own = std::env::current_exe().expect("this program has a path");
    let status = under_callgrind(out, &own).args(arguments).status();
    assert!(status.expect("valgrind is installed").success());
}

fn under_callgrind(out: &Path, program: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind"]).arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(program);
    command
}

/// Reads what callgrind wrote: its sum, and how often the allocator was asked for memory.
fn read(out: &Path) -> Counts {
    let text = fs::read_to_string(out).expect("callgrind wrote it");
    let sum = text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    let instructions = sum.and_then(|sum| sum.trim().parse().ok()).expect("callgrind counts instructions");
    Counts { instructions, allocations: calls_to_the_allocator(&text) }
}

/// A function's name is written where it first occurs, with a number that stands for it from then on.
fn calls_to_the_allocator(text: &str) -> u64 {
    const DOORS: [&str; 5] =
        ["_rjem_malloc", "_rjem_mallocx", "_rjem_calloc", "_rjem_realloc", "_rjem_rallocx"];
    let mut numbers = Vec::new();
    let (mut calls, mut is_door, mut from_door) = (0, false, false);
    for line in text.lines() {
        if let Some((kind, rest)) = line.split_once("fn=(") {
            let (number, name) = rest.split_once(')').expect("a number in brackets");
            if DOORS.contains(&name.trim()) {
                numbers.push(number.to_owned());
            }
            let known = numbers.iter().any(|known| known == number);
            *(if kind == "c" { &mut is_door } else { &mut from_door }) = known;
        } else if let Some(rest) = line.strip_prefix("calls=") {
            if is_door && !from_door {
                calls += rest.split(' ').next().and_then(|count| count.parse::<u64>().ok()).expect("a count");
            }
            is_door = false;
        }
    }
    calls
}

/// The measured part of [`Case::Pick`], in a process of its own.
fn pick(policy: &str, members: u16, times: usize) {
    let policy = PolicyName::from_str(policy, false).expect("the name of a policy");
    let now = Instant::now();
    let member = |port: u16| Member {
        id: u32::from(port).into(),
        place: port.into(),
        way: Arc::new(BackendUrl::from(SocketAddr::from(([127, 0, 0, 1], port))).into()),
        load: Arc::new(Load::new(now)),
        usable: port != 2,
        well_since: None,
        weight: 1,
        drained: false,
        disabled: false,
        tier: 0,
        zone: None,
        max_requests: None,
        tags: BTreeMap::new(),
    };
    let pool = Pool::new(Balancing::by(policy), (1..=members).map(member).collect());
    let (turn, tried) = (Turn::default(), Tried::default());
    for key in 0..times as u64 {
        let key = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let ask = Ask { turn: &turn, now, key, cookie: None };
        drop(black_box(black_box(&pool).pick(black_box(&ask), &tried)));
    }
}

/// Settings with so many routes, of which the last one is taken, and so many backends at this port.
fn amid(count: u8, port: u16) -> String {
    let backends: Vec<_> = (1..=count).map(|number| format!("\"127.0.0.{number}:{port}\"")).collect();
    let others = (1..count).map(|number| {
        let place = if number % 2 == 0 { "host = \"h{}.example.com\"" } else { "path = \"/p{}/*\"" };
        format!("[routes.r{number}]\n{}\npool = \"all\"\n", place.replace("{}", &number.to_string()))
    });
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
         [routes.taken]\nhost = \"example.com\"\npath = \"/some/*\"\npool = \"all\"\n{}\
         [pools.all]\npolicy = \"round_robin\"\nhealth = {{ interval = \"1h\" }}\nbackends = [{}]\n",
        others.collect::<String>(),
        backends.join(", ")
    )
}

/// Runs the balancer under callgrind while clients ask it `times` times in all.
fn requests(out: &Path, times: usize, headers: usize, body: usize, settings: &[&str]) {
    let mut balancer = under_callgrind(out, Path::new(env!("CARGO_BIN_EXE_loadbalancer")))
        .args(["--workers=1", "--log-level=info"])
        .args(settings)
        .stderr(Stdio::piped())
        .spawn()
        .expect("valgrind is installed");
    let address = listening(&mut balancer);
    let lines: String = (0..headers).map(|n| format!("X-Some-Header-{n}: some value of it\r\n")).collect();
    let request = format!("GET /some/path HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench\r\n{lines}\r\n");
    let mut clients: Vec<_> =
        (0..CLIENTS).map(|_| TcpStream::connect(address).expect("it listens")).collect();
    let mut answer = vec![0; 64 * 1024];
    for _ in 0..times / CLIENTS {
        for client in &mut clients {
            client.write_all(request.as_bytes()).expect("it reads");
        }
        for client in &mut clients {
            let mut read = 0;
            while !is_whole(&answer[..read], body) {
                read += client.read(&mut answer[read..]).expect("it answers");
            }
        }
    }
    let id = balancer.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("there is a kill command").success());
    assert!(balancer.wait().expect("it is our child").success());
}

fn is_whole(answer: &[u8], body: usize) -> bool {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n");
    head.is_some_and(|end| answer.len() == end + 4 + body)
}

fn listening(balancer: &mut Child) -> SocketAddr {
    let mut lines =
        BufReader::new(balancer.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
    let address = lines.find_map(|line| {
        line.split_once("listening on http://").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
    });
    // Whatever it says later must not block it.
    thread::spawn(move || lines.for_each(drop));
    address.expect("it says where it listens")
}

/// A backend at a host that answers every request with a body of so many bytes.
fn backend(host: &str, body: usize) -> SocketAddr {
    let listener = TcpListener::bind((host, 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: {body}\r\n\r\n"
    );
    let answer: Arc<[u8]> = [head.into_bytes(), vec![b'x'; body]].concat().into();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                let (mut stream, mut buffer) = (stream, [0; 16 * 1024]);
                // A request comes in one piece here, and the next one only after its answer.
                while let Ok(1..) = stream.read(&mut buffer) {
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
