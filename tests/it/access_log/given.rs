//! A request has ended when the system has all of its answer: what hyper still holds may never get to its client.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;

use serde_json::{Value, json};

use super::Log;
use crate::support::{Backend, Balancer, PATIENCE, Running, Sample, until};

/// Answers whose lengths differ by less than hyper holds, the longest of them longer than the system takes: of some only the last is
/// not out. By Unix sockets, for which the system takes far less than for TCP.
const STEP: usize = 32 << 10;
const CLIENTS: usize = 20;

/// A balancer that serves clients at a Unix socket.
struct Scene {
    balancer: Running,
    log: Log,
}

impl Scene {
    fn before(backend: SocketAddr, flags: &[(&str, &str)]) -> Self {
        let log = Log::new();
        let balancer = Balancer::before(&[backend]).flag("--listen", &format!("unix:{}.sock", log.path()));
        let balancer = balancer.flag("--access-log", log.path());
        let balancer =
            flags.iter().fold(balancer, |balancer, (name, value)| balancer.flag(name, value)).run();
        balancer.said("is healthy");
        balancer.said("listening on");
        Self { balancer, log }
    }

    /// Clients that read nothing of their answers, by the length of those.
    fn clients(&self) -> BTreeMap<usize, UnixStream> {
        let client = |number: usize| {
            let length = number * STEP;
            let mut client = UnixStream::connect(format!("{}.sock", self.log.path())).expect("it listens");
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            write!(client, "GET /bytes/{length} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                .unwrap();
            (length, client)
        };
        (1..=CLIENTS).map(client).collect()
    }

    /// The lines of the log, by the length of the answer.
    fn lines(&self) -> BTreeMap<usize, Value> {
        let length = |line: &Value| line["path"].as_str()?.strip_prefix("/bytes/")?.parse().ok();
        self.log.lines().into_iter().map(|line| (length(&line).expect("a length"), line)).collect()
    }

    /// Fails unless what the log says of each answer is what its client got, and hyper had all of some that did not get there whole.
    fn expect_truth(&self, clients: BTreeMap<usize, UnixStream>, reason: &str, termination: &str) {
        until("all have their lines", || self.lines().len() == CLIENTS);
        let (lines, mut given) = (self.lines(), 0);
        for (length, mut client) in clients {
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).expect("the end of the connection");
            let head = answer.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
            let line = &lines[&length];
            let told = json!([line["status"], line["reason"], line["termination"]]);
            if answer.len() - head == length {
                assert_eq!(told, json!([200, null, "--"]), "{line}");
            } else {
                assert_eq!(told, json!([200, reason, termination]), "{} of {line}", answer.len() - head);
                given += usize::from(line["bytes_out"] == length);
            }
        }
        assert!(given > 0, "hyper never had all of an answer whose last was not out");
    }
}

#[test]
fn an_answer_whose_last_bytes_its_client_does_not_take_is_no_success() {
    let sample = Sample::start("one");
    let scene = Scene::before(sample.address(), &[("--body-timeout", "500ms"), ("--admin", "127.0.0.1:0")]);
    let clients = scene.clients();
    scene.expect_truth(clients, "client_stalled", "cD");
    let stalled = scene.lines().values().filter(|line| line["reason"] == "client_stalled").count();
    let metrics = scene.balancer.admin().ask("GET", "/metrics", "", "").expect_status(200);
    let counted = format!("loadbalancer_failures_total{{reason=\"client_stalled\"}} {stalled}");
    assert!(metrics.text().lines().any(|line| line == counted), "{counted}");
}

#[test]
fn nor_is_one_whose_last_bytes_are_not_out_when_the_time_of_a_stop_is_over() {
    let sample = Sample::start("one");
    let scene = Scene::before(sample.address(), &[("--drain-timeout", "1s")]);
    let clients = scene.clients();
    scene.balancer.signal("TERM");
    assert!(scene.balancer.ended().success());
    scene.expect_truth(clients, "stopped", "KD");
}

#[test]
fn nor_is_one_whose_last_bytes_are_not_out_when_its_client_leaves() {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        let path = transport.head.split(' ').nth(1).unwrap();
        let length: usize = path.trim_start_matches("/bytes/").parse().unwrap();
        transport.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"));
        transport.send(vec![b'x'; length]);
        // It is let go of when hyper has all of the answer.
        transport.wait_for_end();
        // The test may be over.
        let _ = tell.send(length);
    });
    let scene = Scene::before(backend.address, &[]);
    let mut clients = scene.clients();
    let mut given = Vec::new();
    until("hyper had all of an answer whose last was not out", || {
        for length in told.try_iter() {
            given.push(length);
            drop(clients.remove(&length));
        }
        let lines = scene.lines();
        let lines = given.iter().filter_map(|length| lines.get(length));
        lines.into_iter().any(|line| line["reason"] == "client_gone")
    });
}
