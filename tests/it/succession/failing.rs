//! What does not come to a succession.

use std::fs;
use std::net::{TcpStream, UdpSocket};

use crate::support::pki::Folder;
use crate::support::{Balancer, Running, Sample, Settings, get, until};

use super::{Successor, runs, script, signal, text};

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
    assert!(TcpStream::connect(balancer.address).is_err(), "nobody has the listening sockets");
}

/// A balancer whose successor is about to serve: it waits for a server of names, which says nothing. Gives its number, too.
fn with_a_slow_successor(sample: &Sample) -> (Running, Successor, Settings) {
    let names = UdpSocket::bind("127.0.0.1:0").unwrap();
    let settings = Settings::that_say(&text(1, sample));
    let balancer = Balancer::bare().flag("--config", settings.path()).start();
    let address = names.local_addr().unwrap();
    settings.write(&format!(
        "dns_servers = [\"{address}\"]\n{}[pools.named]\ndiscover = [\"dns:app.test:80\"]\n[routes.all]\npool = \"all\"\n",
        text(1, sample)
    ));
    balancer.signal("USR2");
    names.recv_from(&mut [0; 1024]).expect("the successor asks");
    let child = child_of(balancer.id());
    (balancer, Successor(child), settings)
}

/// The only process that this one has started.
fn child_of(id: u32) -> u32 {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let children = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap());
    let children: String = children.collect();
    children.trim().parse().expect("one number")
}

#[test]
fn a_successor_whose_predecessor_is_killed_meanwhile_ends_too() {
    let sample = Sample::start("one");
    let (balancer, successor, _settings) = with_a_slow_successor(&sample);
    balancer.signal("KILL");
    balancer.said("the process to be replaced has ended, or wants no successor any more");
    until("it has ended", || !runs(successor.0));
    until("nobody listens", || TcpStream::connect(balancer.address).is_err());
}

#[test]
fn a_successor_that_is_told_to_stop_before_it_serves_leaves_all_as_it_was() {
    let sample = Sample::start("one");
    let (balancer, successor, _settings) = with_a_slow_successor(&sample);
    signal("TERM", successor.0);
    balancer.said("no successor, this process goes on: it ended with exit status: 0 before it served");
    get(balancer.address, "/").expect_status(200);
    assert!(!runs(successor.0));
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
