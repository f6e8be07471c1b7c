//! A backend of HTTP/2 whose connections are served by the test itself, frame by frame.

use std::net::TcpListener;

use socket2::SockRef;

use crate::support::h2_backend::H2Backend;
use crate::support::{Balancer, Client, PATIENCE, Running, frame};

use super::small::begin;

const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` (RFC 7541 appendix A).
const OK: &[u8] = &[0x88];

/// A balancer before that backend.
pub(super) struct Scene {
    pub(super) balancer: Running,
    backend: TcpListener,
}

impl Scene {
    /// The check is answered.
    pub(super) fn set() -> Self {
        Self::beside(&[])
    }

    /// The same with others behind it.
    pub(super) fn beside(others: &[&H2Backend]) -> Self {
        let backend = TcpListener::bind("127.0.0.1:0").expect("a free port");
        // It is waited no longer for a connection.
        SockRef::from(&backend).set_read_timeout(Some(PATIENCE)).unwrap();
        let url = format!("h2c://{}", backend.local_addr().unwrap());
        let balancer = Balancer::before(&[]).flag("--backend", &url).flag("--access-log", "-");
        let balancer = balancer.flag("--health-interval", "1h");
        let add = |balancer: Balancer, other: &&H2Backend| balancer.flag("--backend", &other.url());
        let scene = Self { balancer: others.iter().fold(balancer, add).start(), backend };
        scene.answer();
        scene.balancer.said_times("is healthy", 1 + others.len());
        scene
    }

    /// Answers the request that comes next, on a connection of its own.
    pub(super) fn answer(&self) -> Client {
        let mut connection = self.accept();
        begin(&mut connection);
        connection.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, OK));
        connection
    }

    /// The next connection that is made.
    pub(super) fn accept(&self) -> Client {
        Client::over(self.backend.accept().expect("a connection").0)
    }

    /// Does this while the balancer sees none of it, so that it sees all of it at once.
    pub(super) fn at_once(&self, deed: impl FnOnce()) {
        self.balancer.signal("STOP");
        deed();
        self.balancer.signal("CONT");
    }

    /// Answers the request that comes next with these frames, and sends no more on its connection.
    pub(super) fn answer_and_close(&self, answer: &[u8]) -> Client {
        let mut connection = self.accept();
        begin(&mut connection);
        self.at_once(|| {
            connection.send(answer);
            connection.finish();
        });
        connection
    }

    /// Waits for so many lines with this reason in the access log.
    pub(super) fn says(&self, reason: &str, times: usize) {
        self.balancer.said_times(&format!("\"reason\":{reason}"), times);
    }
}
