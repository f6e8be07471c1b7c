//! The path where clients of a process that stops came is free at once, for the next one.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::support::pki::Folder;
use crate::support::{Backend, Balancer};

use super::{ended_well, stop};

#[test]
fn a_balancer_that_starts_at_a_path_while_another_one_drains_keeps_it() {
    let ((backend, came, let_go), folder) = (Backend::held_up(), Folder::new());
    let path = folder.path("balancer.sock");
    let start = || {
        let balancer = Balancer::before(&[backend.address]);
        let balancer = balancer.flag("--listen", &format!("unix:{}", path.display())).run();
        balancer.said("listening on");
        balancer
    };
    let first = start();
    let mut slow = ask(&path, "/slow");
    came.wait();
    stop(&first, "TERM");
    assert!(!path.exists(), "nobody is to come there any more");
    let second = start();
    let_go.open();
    expect_answer(&mut slow);
    ended_well(&first);
    expect_answer(&mut ask(&path, "/new"));
    stop(&second, "TERM");
    ended_well(&second);
    assert!(!path.exists(), "it is that one's to remove");
}

fn ask(path: &Path, target: &str) -> UnixStream {
    let mut client = UnixStream::connect(path).expect("somebody listens");
    write!(client, "GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    client
}

fn expect_answer(client: &mut UnixStream) {
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
