//! What does not come to a succession.

use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::symlink;

use crate::support::pki::Folder;
use crate::support::{
    Balancer, Client, PATIENCE, Running, Sample, Settings, Successor, get, leave_files, leave_none,
    limit_files, signal, until,
};

use super::{runs, script, text};

#[test]
fn a_successor_that_cannot_start_changes_nothing() {
    let sample = Sample::start("one");
    let good = text(1, &sample);
    let settings = Settings::that_say(&good);
    let balancer = Balancer::bare().flag("--config", settings.path()).start();
    settings.write("workers = \"two\"\n");
    for times in 1..=2 {
        balancer.signal("USR2");
        let line = balancer.said_times("no successor, this process goes on: ", times);
        assert!(line.contains("it ended with exit status: 2 before it served"), "{line}");
        assert_eq!(balancer.times_said("two: expected a whole number"), times, "what is wrong is said, too");
        get(balancer.address, "/").expect_status(200);
    }
    settings.write(&good);
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    assert!(balancer.ended().success());
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn how_a_successor_ended_is_told_though_who_started_us_ignores_the_ends_of_children() {
    let sample = Sample::start("one");
    let settings = Settings::that_say(&text(1, &sample));
    let balancer = Balancer::bare().flag("--config", settings.path()).ignoring("CHLD").start();
    settings.write("workers = \"two\"\n");
    balancer.signal("USR2");
    let line = balancer.said("no successor, this process goes on: ");
    assert!(line.contains("it ended with exit status: 2 before it served"), "{line}");
}

#[test]
fn a_stop_meanwhile_stops_both_whatever_the_program_is_by_then() {
    let (sample, folder) = (Sample::start("one"), Folder::new());
    let program = folder.path("loadbalancer");
    fs::hard_link(env!("CARGO_BIN_EXE_loadbalancer"), &program).unwrap();
    let balancer = Balancer::of(&program, &[sample.address()]).start();
    // A program that knows nothing of successions and does not end.
    fs::rename(script(&folder, "echo process $$\nexec sleep 1000"), &program).unwrap();
    balancer.signal("USR2");
    let line = balancer.said("process ");
    let started = Successor::named_in(&line);
    balancer.signal("TERM");
    assert!(balancer.ended().success());
    assert!(!runs(started.0));
    until("nobody has the listening sockets", || TcpStream::connect(balancer.address).is_err());
}

/// A balancer whose successor is about to serve, and is given this signal or its predecessor is: it waits for a server of names
/// that says nothing, but not for ever. If it serves before the signal comes, that is done again.
fn amid_a_succession(sample: &Sample, act: impl Fn(&Running, &Successor)) -> (Running, Successor) {
    loop {
        let (folder, names) = (Folder::new(), UdpSocket::bind("127.0.0.1:0").unwrap());
        names.set_read_timeout(Some(PATIENCE)).unwrap();
        let (program, new) = (folder.path("loadbalancer"), folder.path("new"));
        symlink(env!("CARGO_BIN_EXE_loadbalancer"), &program).unwrap();
        symlink(script(&folder, "echo process $$"), &new).unwrap();
        let settings = Settings::that_say(&text(1, sample));
        let balancer = Balancer::from(&program).flag("--config", settings.path()).start();
        let address = names.local_addr().unwrap();
        let named = "[pools.named]\ndiscover = [\"dns:app.test:80\"]\n[routes.all]\npool = \"all\"\n";
        settings.write(&format!("dns_servers = [\"{address}\"]\n{}{named}", text(1, sample)));
        fs::rename(&new, &program).unwrap();
        balancer.signal("USR2");
        let successor = Successor::named_in(&balancer.said("process "));
        names.recv_from(&mut [0; 1024]).expect("the successor asks");
        act(&balancer, &successor);
        until("it ends or serves", || !runs(successor.0) || balancer.times_said("taking over from") > 0);
        if balancer.times_said("taking over from") == 0 {
            return (balancer, successor);
        }
    }
}

#[test]
fn a_successor_whose_predecessor_is_killed_meanwhile_ends_too() {
    let sample = Sample::start("one");
    let (balancer, _successor) = amid_a_succession(&sample, |balancer, _| balancer.signal("KILL"));
    balancer.said("the process to be replaced has ended, or wants no successor any more");
    until("nobody listens", || TcpStream::connect(balancer.address).is_err());
}

#[test]
fn a_successor_that_is_told_to_stop_before_it_serves_leaves_all_as_it_was() {
    let sample = Sample::start("one");
    let (balancer, _successor) = amid_a_succession(&sample, |_, successor| signal("TERM", successor.0));
    balancer.said("no successor, this process goes on: it ended with exit status: 0 before it served");
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn a_change_that_is_watched_is_waited_for() {
    let sample = Sample::start("one");
    let settings = Settings::that_say(&text(1, &sample));
    let balancer = Balancer::bare().flag("--config", settings.path()).start();
    let changed = balancer.admin().ask(
        "POST",
        "/api/v1/config?confirm=60s",
        "Content-Type: application/toml\r\n",
        &format!("log_level = \"debug\"\n{}", text(1, &sample)),
    );
    changed.expect_status(200);
    balancer.signal("USR2");
    balancer.said("no successor, this process goes on: a change is watched");
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn settings_that_were_read_from_standard_input_cannot_be_read_again() {
    let (sample, folder) = (Sample::start("one"), Folder::new());
    let file = folder.write("settings.toml", text(1, &sample));
    let balancer = Balancer::bare().flag("--config", "-").reading(&file).run().listening();
    balancer.signal("USR2");
    balancer.said("no successor, this process goes on: the settings came from standard input");
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn without_files_for_the_sockets_of_a_successor_none_is_started_and_it_says_what_would_help() {
    let sample = Sample::start("one");
    let settings = Settings::that_say(&text(2, &sample));
    let balancer = Balancer::bare().flag("--config", settings.path()).start();
    limit_files(&balancer, 4);
    balancer.signal("USR2");
    let line = balancer.said("no successor, this process goes on: ");
    assert!(
        line.contains("too few open files: ") && line.ends_with("raise the limit with `ulimit -n`"),
        "{line}"
    );
    assert_eq!(balancer.times_said("starting a successor"), 0);
}

#[test]
fn idle_connections_to_backends_make_room_for_a_successor() {
    let sample = Sample::start("one");
    let settings = Settings::that_say(&text(2, &sample));
    let balancer = Balancer::bare().flag("--config", settings.path()).start();
    balancer.said(" is healthy");
    let mut clients: Vec<_> = (0..60).map(|_| Client::to(balancer.address)).collect();
    clients.iter_mut().for_each(|client| client.send("GET /delay/500 HTTP/1.1\r\nHost: test\r\n\r\n"));
    clients.iter_mut().for_each(|client| drop(client.answer().expect_status(200)));
    leave_none(&balancer);
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    drop(clients);
    assert!(balancer.ended().success());
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn sockets_of_a_predecessor_with_more_workers_count_among_those_that_a_successor_is_lent() {
    let sample = Sample::start("one");
    let settings = Settings::that_say(&text(32, &sample));
    let balancer = Balancer::bare().flag("--config", settings.path()).start();
    settings.write(&text(1, &sample));
    let successor = Successor::of(balancer.id(), &balancer, 0);
    assert!(balancer.ended().success());
    // It has 32 for each of two listeners, and one for the admin API.
    leave_files(successor.0, 65);
    signal("USR2", successor.0);
    let line = balancer.said("no successor, this process goes on: ");
    assert!(line.contains("too few open files: it takes 73 more to lend the listening sockets"), "{line}");
    assert_eq!(balancer.times_said("starting a successor"), 1);
    // A few more, for checks.
    leave_files(successor.0, 80);
    let _next = Successor::of(successor.0, &balancer, 1);
    get(balancer.address, "/").expect_status(200);
}
