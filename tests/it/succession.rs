//! A process is replaced by another one of the same program (SIGUSR2), and clients do not notice.

mod asked;
mod failing;
mod idle;
mod lost;
mod places;
mod secured;
mod taken_back;
mod told;

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::support::pki::Folder;
use crate::support::{
    Backend, Balancer, Client, End, Running, Sample, Settings, Successor, get, signal, until,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

fn runs(id: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{id}/stat"));
    state.is_ok_and(|state| !state.contains(") Z "))
}

fn text(workers: usize, backend: &Sample) -> String {
    format!(
        "workers = {workers}\n[listeners.web]\naddress = \"127.0.0.1:0\"\n[listeners.other]\naddress = \"127.0.0.1:0\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\n[pools.all]\nbackends = [\"{}\"]\nhealth = {{ path = \"/health\" }}\n",
        backend.address()
    )
}

/// Asks on one connection after the other, each until it is told that this was the last time, or once.
fn ask(address: SocketAddr, path: &str, once: bool, answered: &AtomicUsize, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        let mut client = Client::to(address);
        while !over.load(Ordering::SeqCst) {
            client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
            let answer = client.answer().expect_status(200);
            answered.fetch_add(1, Ordering::SeqCst);
            if once || answer.header("connection") == Some("close") {
                break;
            }
        }
    }
}

#[test]
fn processes_replace_each_other_under_load_and_no_request_is_lost() {
    let backend = Sample::start("one");
    let settings = Settings::that_say(&text(1, &backend));
    let balancer = Balancer::bare().flag("--config", settings.path()).start();
    let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    // They go on until nobody asks.
    let mut all = Vec::new();
    thread::scope(|scope| {
        let _end = End(&over);
        for (path, once) in [("/", false), ("/bytes/20000", true), ("/bytes/20000", false), ("/", true)] {
            let (address, answered, over) = (balancer.address, &answered, &over);
            scope.spawn(move || ask(address, path, once, answered, over));
        }
        let more = || {
            let before = answered.load(Ordering::SeqCst);
            until("more is answered", || answered.load(Ordering::SeqCst) > before + 100);
        };
        let mut at_work = balancer.id();
        // More workers than before, and fewer, whose queues others take over.
        for (round, workers) in [3, 2, 4, 1].into_iter().enumerate() {
            more();
            settings.write(&text(workers, &backend));
            let successor = Successor::of(at_work, &balancer, round);
            until("the one before has ended", || !runs(at_work));
            at_work = successor.0;
            all.push(successor);
            more();
        }
    });
    assert!(balancer.ended().success());
}

#[test]
fn what_the_old_process_has_begun_it_ends_and_the_new_one_has_all_that_comes() {
    let (backend, came, let_go) = Backend::held_up();
    let balancer = Balancer::before(&[backend.address]).flag("--access-log", "-");
    let balancer = balancer.flag("--admin", "127.0.0.1:0").start();
    let (old, admin) = (balancer.id(), balancer.admin());
    let mut slow = Client::to(balancer.address);
    slow.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    came.wait();
    let successor = Successor::of(old, &balancer, 0);
    for _ in 0..20 {
        get(balancer.address, "/new").expect_status(200);
        let clients = &admin.get("/api/v1/overview")["clients"];
        assert_eq!(clients, 0, "the old process has one, so the new one is to answer");
    }
    assert!(runs(old));
    let_go.open();
    assert_eq!(slow.answer().expect_status(200).header("connection"), Some("close"));
    assert!(balancer.ended().success());
    get(balancer.address, "/new").expect_status(200);
    signal("TERM", successor.0);
    let log = balancer.all_said();
    for (path, times) in [("/slow", 1), ("/new", 21)] {
        let path = format!("\"path\":\"{path}\"");
        assert_eq!(log.lines().filter(|line| line.contains(&path)).count(), times, "{log}");
    }
}

#[test]
fn what_the_old_process_does_not_end_in_its_time_is_cut() {
    let (backend, came, _let_go) = Backend::held_up();
    let balancer = Balancer::before(&[backend.address]).flag("--succession-timeout", "300ms").start();
    let mut slow = Client::to(balancer.address);
    slow.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    came.wait();
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    slow.expect_end();
    balancer.said("cut at the end of the drain time: 1 connection");
    assert!(balancer.ended().success());
    get(balancer.address, "/new").expect_status(200);
}

/// A program that does this, and then is the balancer.
fn script(folder: &Folder, what: &str) -> PathBuf {
    let text = format!("#!/bin/sh\n{what}\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_loadbalancer"));
    let script = folder.write("script", text);
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    script
}

#[test]
fn the_file_that_is_in_the_programs_place_by_then_is_the_one_that_is_started() {
    let (sample, folder) = (Sample::start("one"), Folder::new());
    let program = folder.path("loadbalancer");
    fs::hard_link(env!("CARGO_BIN_EXE_loadbalancer"), &program).unwrap();
    let balancer = Balancer::of(&program, &[sample.address()]).start();
    // As packages are installed: another file takes the name, and the old one has none any more.
    fs::rename(script(&folder, "echo new program"), &program).unwrap();
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    balancer.said("new program");
    assert!(balancer.ended().success());
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn a_file_that_takes_the_programs_place_while_it_starts_is_started_next() {
    let (sample, folder) = (Sample::start("one"), Folder::new());
    let program = folder.path("loadbalancer");
    fs::hard_link(env!("CARGO_BIN_EXE_loadbalancer"), &program).unwrap();
    let new = script(&folder, "echo new program");
    let balancer = Balancer::of(&program, &[sample.address()]).replaced_by(&new).start();
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    balancer.said("new program");
    assert!(balancer.ended().success());
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn a_link_to_the_program_may_lead_elsewhere_by_then() {
    let (sample, folder) = (Sample::start("one"), Folder::new());
    let link = folder.path("loadbalancer");
    symlink(env!("CARGO_BIN_EXE_loadbalancer"), &link).unwrap();
    let balancer = Balancer::of(&link, &[sample.address()]).start();
    symlink(script(&folder, "echo new program"), folder.path("new link")).unwrap();
    fs::rename(folder.path("new link"), &link).unwrap();
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    balancer.said("new program");
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn clients_that_wait_in_a_queue_are_accepted_by_either() {
    let backend = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let balancer = Balancer::before(&[backend.address]).flag("--workers", "3").start();
    // While it stands still, the system takes connections for all its workers.
    balancer.signal("STOP");
    let mut clients: Vec<_> = (0..60).map(|_| Client::to(balancer.address)).collect();
    clients.iter_mut().for_each(|client| client.send(GET));
    balancer.signal("USR2");
    balancer.signal("CONT");
    let line = balancer.said(" serves in place of this one");
    let _successor = Successor::named_in(&line);
    clients.into_iter().for_each(|mut client| drop(client.answer().expect_status(200)));
    assert!(balancer.ended().success());
}
