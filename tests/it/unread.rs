//! Nobody reads what it says of itself: it serves and stops all the same.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::support::admin::Admin;
use crate::support::{
    Balancer, Fifo, PATIENCE, Running, Sample, Settings, address_in, get, kept_port, until,
};

#[test]
fn clients_are_served_and_a_stop_ends_it_though_nobody_reads_its_log() {
    for workers in ["1", "2"] {
        let samples = [Sample::start("one"), Sample::start("two")];
        let (balancer, mut log) = talking_to_a_pipe(&samples, workers);
        log.fill();
        samples[0].kill();
        for _ in 0..10 {
            assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from two\n");
        }
        balancer.signal("TERM");
        assert_eq!(balancer.ended().code(), Some(0));
    }
}

#[test]
fn what_nobody_read_at_first_is_read_later_and_one_thread_is_left() {
    let samples = [Sample::start("one"), Sample::start("two")];
    let (balancer, mut log) = talking_to_a_pipe(&samples, "1");
    log.fill();
    samples[0].kill();
    get(balancer.address, "/").expect_status(200);
    log.said(&format!("{} is down", samples[0].address()));
    let threads = || fs::read_dir(format!("/proc/{}/task", balancer.id())).expect("it runs").count();
    until("one thread is left", || threads() == 1);
    balancer.signal("TERM");
    log.said("stopping");
    log.said("stopped");
    assert_eq!(balancer.ended().code(), Some(0));
}

#[test]
fn lines_that_have_no_room_are_counted_and_the_count_is_told() {
    const POOLS: usize = 150;
    let sample = Sample::start("one");
    let settings = Settings::that_say("");
    let socket = Path::new(settings.path()).with_file_name("web.sock");
    // Each is named in a line of its own at the start.
    let pools: String = (0..POOLS)
        .map(|number| {
            let name = format!("p{number}-{}", "x".repeat(3000));
            let backends = format!("backends = [\"{}\"]", sample.address());
            format!(
                "[pools.{name}]\n{backends}\n[routes.r{number}]\npath = \"/bytes/{number}\"\npool = \"{name}\"\n"
            )
        })
        .collect();
    let listener = format!("[listeners.web]\naddress = \"unix:{}\"\n", socket.display());
    let (_kept, port) = kept_port(Ipv4Addr::LOCALHOST);
    let admin = Admin { address: (Ipv4Addr::LOCALHOST, port).into() };
    settings.write(&format!("{listener}[admin]\naddress = \"{}\"\n{pools}", admin.address));
    let mut log = Fifo::open();
    log.fill();
    let balancer = settings.balancer().standard_error_to(log.path()).run();
    let mut client = None;
    until("it listens", || {
        client = UnixStream::connect(&socket).ok();
        client.is_some()
    });
    let mut client = client.expect("it listens");
    client.set_read_timeout(Some(PATIENCE)).expect("it can be set");
    client.write_all(b"GET /bytes/1 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    until("it is counted", || lost(&admin) > 0);
    log.said("listening on");
    let told = log.said("dropped of this log, for nobody read it: ");
    let count = told.split("read it: ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    assert!(count.is_some_and(|count: usize| (1..=lost(&admin)).contains(&count)), "{told}");
    balancer.signal("TERM");
    log.said("stopped");
}

#[test]
fn lines_for_which_a_disk_has_no_room_are_counted() {
    let (_kept, port) = kept_port(Ipv4Addr::LOCALHOST);
    let admin = Admin { address: (Ipv4Addr::LOCALHOST, port).into() };
    let balancer = Balancer::before(&[]).flag("--admin", &admin.address.to_string());
    let balancer = balancer.standard_error_to(Path::new("/dev/full")).run();
    until("it listens", || TcpStream::connect(admin.address).is_ok());
    // Where it listens, that for callers of the admin API, and where it forwards to.
    until("they are counted", || lost(&admin) >= 3);
    balancer.signal("TERM");
    assert_eq!(balancer.ended().code(), Some(0));
}

/// Lines that Prometheus is told are lost.
fn lost(admin: &Admin) -> usize {
    let page = admin.ask("GET", "/metrics", "", "").expect_status(200);
    let name = "loadbalancer_log_lines_lost_total{log=\"stderr\"} ";
    let count = page.text().lines().find_map(|line| line.strip_prefix(name)?.parse().ok());
    count.expect("a number")
}

/// A balancer that says to a pipe what it says, and that pipe.
fn talking_to_a_pipe(samples: &[Sample], workers: &str) -> (Running, Fifo) {
    let mut log = Fifo::open();
    let backends: Vec<_> = samples.iter().map(Sample::address).collect();
    let balancer = Balancer::before(&backends).flag("--workers", workers);
    let mut running = balancer.standard_error_to(log.path()).run();
    running.address = address_in(&log.said("listening on http"));
    samples.iter().for_each(|_| drop(log.said("is healthy")));
    (running, log)
}

#[test]
fn a_start_that_fails_ends_it_though_nobody_reads_why() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address").to_string();
    let taken = || Balancer::before(&[]).flag("--listen", &address);
    let senseless = || Balancer::before(&[]).flag("--workers", "0");
    for (balancer, code) in [(taken(), 1), (senseless(), 2)] {
        let mut log = Fifo::open();
        log.fill();
        let balancer = balancer.standard_error_to(log.path()).run();
        assert_eq!(balancer.ended().code(), Some(code));
    }
}

#[test]
fn a_start_that_fails_tells_why_to_who_reads_it_later() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address").to_string();
    let mut log = Fifo::open();
    log.fill();
    let balancer = Balancer::before(&[]).flag("--listen", &address).standard_error_to(log.path()).run();
    log.said("the port is in use");
    assert_eq!(balancer.ended().code(), Some(1));
}
