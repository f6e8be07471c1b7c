//! Backends behind Unix sockets.

mod full;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::support::pki::Folder;
use crate::support::{Balancer, Client, PATIENCE, Sample, get};

/// Listens there, answers every request with `here` and tells its head.
pub fn listen(path: &Path) -> Receiver<String> {
    let listener = UnixListener::bind(path).unwrap();
    let (heads, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let heads = heads.clone();
            thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                let mut head = String::new();
                while let Ok(1..) = reader.read_line(&mut head) {
                    if head.ends_with("\r\n\r\n") {
                        let _ = heads.send(std::mem::take(&mut head));
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhere\n";
                        if reader.get_mut().write_all(answer).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    told
}

fn url(path: &Path) -> String {
    format!("unix:{}", path.display())
}

#[test]
fn a_backend_behind_a_unix_socket_is_checked_and_answers_requests() {
    let folder = Folder::new();
    let (socket, log) = (folder.path("socket"), folder.path("access.log"));
    let heads = listen(&socket);
    let balancer = Balancer::before(&[]).flag("--backend", &url(&socket));
    let balancer = balancer.flag("--access-log", log.to_str().unwrap()).start();
    balancer.said(&format!("{} is healthy: answered 200", url(&socket)));
    let check = heads.recv_timeout(PATIENCE).unwrap();
    assert!(check.starts_with("GET /health ") && check.contains("host: localhost\r\n"), "{check}");
    let mut client = Client::to(balancer.address);
    for _ in 0..3 {
        client.send("GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n");
        assert_eq!(client.answer().expect_status(200).text(), "here\n");
        let head = heads.recv_timeout(PATIENCE).unwrap();
        assert!(head.starts_with("GET /a ") && head.contains("host: example.com\r\n"), "{head}");
    }
    balancer.signal("TERM");
    assert!(balancer.ended().success());
    let line = fs::read_to_string(log).unwrap();
    assert!(line.contains(&format!("\"backend\":\"{}\"", url(&socket))), "{line}");
}

#[test]
fn a_client_is_told_in_one_way_what_a_connection_failed_of() {
    let folder = Folder::new();
    let socket = folder.path("socket");
    let _heads = listen(&socket);
    let balancer = Balancer::before(&[]).flag("--backend", &url(&socket)).start();
    balancer.said("is healthy");
    fs::remove_file(&socket).unwrap();
    let answer = get(balancer.address, "/").expect_status(503);
    let status = "loadbalancer; error=destination_unavailable; details=\"connect_failed\"";
    assert_eq!(answer.header("proxy-status"), Some(status));
    let told = format!(
        "the backend cannot be reached: No such file or directory (os error 2)\n\
         {}: cannot connect: No such file or directory ",
        url(&socket)
    );
    assert!(answer.text().starts_with(&told), "{}", answer.text());
}

#[test]
fn a_socket_that_nobody_listens_at_is_passed_over_for_a_backend_on_the_network() {
    let second = Sample::start("second");
    let folder = Folder::new();
    let gone = folder.path("gone");
    drop(UnixListener::bind(&gone).unwrap());
    let no_socket = folder.write("no-socket", "");
    for (path, why) in [
        (folder.path("missing"), "cannot connect: No such file or directory"),
        (gone, "connection refused"),
        (no_socket, "connection refused"),
    ] {
        let balancer = Balancer::before(&[]).flag("--backend", &url(&path));
        let balancer = balancer.flag("--backend", &second.address().to_string()).start();
        assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from second\n");
        balancer.said(&format!("{} is down: {why}", url(&path)));
    }
}

#[test]
fn a_backend_on_the_network_that_dies_is_replaced_by_one_behind_a_socket() {
    let first = Sample::start("first");
    let folder = Folder::new();
    let socket = folder.path("socket");
    let _heads = listen(&socket);
    let balancer = Balancer::before(&[first.address()]).flag("--backend", &url(&socket)).start();
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from first\n");
    first.kill();
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "here\n");
}

#[test]
fn a_path_that_no_socket_can_have_is_refused() {
    let long = format!("unix:/{}", "x".repeat(107));
    for text in ["unix:", &long] {
        let (status, said) = Balancer::bare().flag("--backend", text).fail();
        assert_eq!(status, Some(2));
        assert!(
            said.starts_with(&format!("loadbalancer: --backend {text}: not a path for a socket")),
            "{said}"
        );
    }
}
