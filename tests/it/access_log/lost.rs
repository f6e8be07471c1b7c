//! There is no room for the access log, or nobody takes it: that costs lines, which are counted, and nothing else.

use std::fs;

use serde_json::Value;

use super::Log;
use crate::support::{Balancer, Client, Fifo, Sample, get, until};

#[test]
fn a_disk_that_is_full_costs_lines_but_no_request() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).flag("--access-log", "/dev/full").start();
    get(balancer.address, "/").expect_status(200);
    let line = balancer.said("the access log /dev/full cannot be written: ");
    assert!(line.contains("; make room on its disk; lost: "), "{line}");
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn lines_that_a_full_disk_cost_are_counted_and_half_a_line_spoils_no_other() {
    let sample = Sample::start("one");
    let log = Log::new();
    let balancer = Balancer::before(&[sample.address()]).flag("--access-log", log.path());
    let balancer = balancer.file_blocks(8).start();
    let mut requests = 0;
    until("the disk is full", || {
        get(balancer.address, "/").expect_status(200);
        requests += 1;
        fs::metadata(log.path()).is_ok_and(|file| file.len() == 4096)
    });
    let path = log.path();
    balancer
        .said(&format!("the access log {path} cannot be written: File too large (os error 27); rotate it, "));
    let full = fs::read_to_string(log.path()).unwrap();
    let whole = full.matches('\n').count();
    // Room again, behind a line that is torn.
    let first = full.find('\n').expect("a line") + 1;
    fs::File::options().write(true).open(log.path()).unwrap().set_len(first as u64 + 20).unwrap();
    get(balancer.address, "/status/201").expect_status(201);
    log.stop(&balancer);
    let text = fs::read_to_string(log.path()).unwrap();
    let lines: Vec<_> = text.lines().map(serde_json::from_str::<Value>).collect();
    // Lines of the last requests may have been on their way yet when there was room again.
    let [Ok(_), Err(_), late @ .., Ok(last)] = &lines[..] else { panic!("{text}") };
    assert!(late.iter().all(Result::is_ok), "{text}");
    assert_eq!(last["status"], 201);
    let lost =
        |line: &str| line.split("(`ulimit -f`); lost: ").nth(1)?.split(' ').next()?.parse::<usize>().ok();
    let lost: usize = balancer.all_said().lines().filter_map(lost).sum();
    assert_eq!(lost + late.len(), requests - whole);
}

#[test]
fn a_stop_ends_it_though_nobody_takes_its_access_log() {
    let sample = Sample::start("one");
    let mut log = Fifo::open();
    let balancers = [
        Balancer::before(&[sample.address()]).flag("--access-log", "-").standard_output_to(log.path()),
        Balancer::before(&[sample.address()]).flag("--access-log", log.path().to_str().expect("UTF-8")),
    ];
    for balancer in balancers {
        let balancer = balancer.start();
        get(balancer.address, "/status/201").expect_status(201);
        log.said("/status/201");
        log.fill();
        get(balancer.address, "/").expect_status(200);
        balancer.signal("TERM");
        assert_eq!(balancer.ended().code(), Some(0));
        balancer.said("lost of the access log, for nobody took it for 1s: 1 line");
    }
}

#[test]
fn a_pipe_that_nobody_reads_is_refused_as_an_access_log() {
    let path = Fifo::make();
    let balancer = Balancer::before(&[]).flag("--access-log", path.to_str().expect("UTF-8"));
    let (code, said) = balancer.fail();
    fs::remove_file(&path).expect("it is there");
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(
        said.ends_with("cannot be opened for writing: nobody reads this pipe; start its reader first"),
        "{said}"
    );
}

#[test]
fn lines_that_are_dropped_while_nobody_takes_any_are_told_of_meanwhile() {
    let sample = Sample::start("one");
    let mut log = Fifo::open();
    let path = log.path().to_str().expect("UTF-8").to_owned();
    let balancer = Balancer::before(&[sample.address()]).flag("--access-log", &path).start();
    log.fill();
    let full = log.holds();
    let mut client = Client::to(balancer.address);
    // JSON has two bytes for each of these.
    let agent = "\"".repeat(2048);
    let request = format!("GET /{} HTTP/1.1\r\nHost: test\r\nUser-Agent: {agent}\r\n\r\n", "x".repeat(2000));
    let dropped = format!("dropped of the access log {path}, for ");
    until("it is told", || {
        client.send(request.repeat(20));
        (0..20).for_each(|_| drop(client.answer()));
        balancer.times_said(&dropped) > 0
    });
    let line = balancer.said(&dropped);
    assert!(line.contains(&format!("{dropped}what takes it is slower than the requests come: ")), "{line}");
    assert_eq!(log.holds(), full);
}
