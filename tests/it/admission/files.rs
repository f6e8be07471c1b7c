//! With few open files nobody hangs, and idle connections to backends make room for clients.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread;

use crate::support::{Balancer, Client, PATIENCE, Running, Sample, get, until};

/// Asks on a connection of its own: what came, up to its end, however it ended.
fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // A client that is refused may find its connection closed before it has asked.
    let _ = stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes());
    let mut came = Vec::new();
    match stream.read_to_end(&mut came) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("it hangs"),
        _ => String::from_utf8_lossy(&came).into_owned(),
    }
}

/// The numbers of the files that a process has open.
fn files_of(process: &Running) -> Vec<usize> {
    let entries = std::fs::read_dir(format!("/proc/{}/fd", process.id())).expect("it runs");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

#[test]
fn with_few_files_each_of_many_clients_is_served_or_refused_at_once() {
    let samples = [Sample::start("one"), Sample::start("two")];
    let balancer = Balancer::before(&samples.each_ref().map(Sample::address));
    let balancer = balancer.flag("--policy", "round_robin").open_files(100).start();
    let address = balancer.address;
    for _ in 0..3 {
        let clients: Vec<_> = (0..200).map(|_| thread::spawn(move || ask(address, "/delay/20"))).collect();
        let answers: Vec<_> = clients.into_iter().map(|client| client.join().expect("an end")).collect();
        let count = |status: &str| answers.iter().filter(|answer| answer.starts_with(status)).count();
        let (served, refused) = (count("HTTP/1.1 200"), count("HTTP/1.1 503"));
        assert!(served > 0 && served + refused == answers.len(), "{served} {refused}: {answers:?}");
    }
    until("all is well again", || get(address, "/").status == 200);
}

#[test]
fn idle_connections_to_backends_make_room_for_clients() {
    for workers in ["1", "2"] {
        let sample = Sample::start("one");
        let balancer = Balancer::before(&[sample.address()]).flag("--workers", workers).start();
        let asking: Vec<_> = (0..60)
            .map(|_| {
                let address = balancer.address;
                thread::spawn(move || get(address, "/delay/500").expect_status(200))
            })
            .collect();
        asking.into_iter().for_each(|client| drop(client.join().expect("an answer")));
        // There is room for as many clients as have gone, and no more: the idle connections have the rest.
        let files = files_of(&balancer);
        // Numbers above the limit would be lost when they are given back.
        let most = files.iter().max().expect("it has some") + 1;
        let (pid, limit) = (balancer.id().to_string(), format!("--nofile={most}"));
        assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().expect("prlimit").success());
        let mut clients: Vec<_> = (0..100).map(|_| Client::to(balancer.address)).collect();
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
            client.answer().expect_status(200);
        }
        assert!(files_of(&balancer).len() >= clients.len());
    }
}
