//! A backend behind a Unix socket whose queue of connections is full for a while: the system does not wait there, as it does
//! on the network, but says so at once.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use socket2::{Domain, SockAddr, Socket, Type};

use super::url;
use crate::support::pki::Folder;
use crate::support::{Balancer, Client, Running};

/// A backend that accepts nobody until it is told to.
struct Full {
    listener: UnixListener,
    path: PathBuf,
    /// Who waits to be accepted, and has nothing to say.
    waiting: Vec<Socket>,
}

impl Full {
    /// With as many in its queue as fit there.
    fn at(path: &Path) -> Self {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(path).unwrap()).unwrap();
        socket.listen(1).unwrap();
        let mut full = Self { listener: socket.into(), path: path.to_owned(), waiting: Vec::new() };
        full.fill();
        full
    }

    fn fill(&mut self) {
        loop {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            match socket.connect(&SockAddr::unix(&self.path).unwrap()) {
                Ok(()) => self.waiting.push(socket),
                Err(error) => return assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
    }

    /// Accepts those who wait and had nothing to say.
    fn accept_waiting(&mut self) {
        for waiting in self.waiting.drain(..) {
            drop(waiting);
            drop(self.listener.accept().unwrap());
        }
    }

    /// Accepts everybody, and answers each of their requests with `here`.
    fn answer_all(mut self) {
        self.accept_waiting();
        thread::spawn(move || {
            for stream in self.listener.incoming().map_while(Result::ok) {
                thread::spawn(move || answer(stream, usize::MAX));
            }
        });
    }
}

/// Answers so many requests.
fn answer(mut stream: UnixStream, most: usize) {
    let mut head = Vec::new();
    let mut left = most;
    let mut byte = [0];
    while left > 0 && stream.read(&mut byte).is_ok_and(|read| read > 0) {
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            left -= 1;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhere\n");
        }
    }
}

/// Waits until the only worker has read what came before.
fn is_read(address: SocketAddr) {
    let mut client = Client::to(address);
    client.send("GET / HTTP/1.1\r\n\r\n");
    client.answer().expect_status(400);
}

/// A balancer that found it healthy, before its queue was full again.
fn healthy(full: &mut Full, flags: &[(&str, &str)]) -> Running {
    full.accept_waiting();
    let balancer = Balancer::before(&[]).flag("--backend", &url(&full.path));
    let balancer = flags.iter().fold(balancer, |balancer, (name, value)| balancer.flag(name, value)).start();
    answer(full.listener.accept().unwrap().0, 1);
    balancer.said(" is healthy: answered 200");
    full.fill();
    balancer
}

#[test]
fn requests_wait_until_a_full_queue_has_room() {
    let folder = Folder::new();
    let mut full = Full::at(&folder.path("socket"));
    let balancer = healthy(&mut full, &[("--connect-timeout", "30s")]);
    let mut clients: Vec<_> = (0..20).map(|_| Client::to(balancer.address)).collect();
    clients.iter_mut().for_each(|client| client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n"));
    is_read(balancer.address);
    full.answer_all();
    for client in &mut clients {
        assert_eq!(client.answer().expect_status(200).text(), "here\n");
    }
    assert_eq!(balancer.times_said(" is down"), 0);
}

#[test]
fn a_queue_that_stays_full_takes_the_time_for_a_connection_and_is_no_evidence() {
    let folder = Folder::new();
    let mut full = Full::at(&folder.path("socket"));
    let balancer = healthy(&mut full, &[("--connect-timeout", "300ms")]);
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let answer = client.answer().expect_status(504);
    assert!(
        answer.header("proxy-status").is_some_and(|said| said.contains("connection_timeout")),
        "{answer:?}"
    );
    full.answer_all();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.answer().expect_status(200).text(), "here\n");
    assert_eq!(balancer.times_said(" is down"), 0);
}

#[test]
fn a_check_waits_until_a_full_queue_has_room() {
    let folder = Folder::new();
    let full = Full::at(&folder.path("socket"));
    let balancer = Balancer::before(&[]).flag("--backend", &url(&full.path)).flag("--health-timeout", "30s");
    let balancer = balancer.start();
    is_read(balancer.address);
    full.answer_all();
    balancer.said(" is healthy: answered 200");
    assert_eq!(balancer.times_said(" is down"), 0);
}

#[test]
fn a_backend_that_takes_no_connection_for_as_long_as_a_check_may_last_is_down() {
    let folder = Folder::new();
    let full = Full::at(&folder.path("socket"));
    let balancer =
        Balancer::before(&[]).flag("--backend", &url(&full.path)).flag("--health-timeout", "300ms");
    let balancer = balancer.start();
    balancer.said(" is down: no connection in time");
}
