//! Where clients come, when that is a file or changes with the process.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::support::pki::Folder;
use crate::support::{Balancer, Running, Sample, Settings, Successor, get, kept_port, signal, until};

fn ask_at(path: &Path) {
    let mut stream = UnixStream::connect(path).expect("somebody listens");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("hello from one\n"), "{answer}");
}

/// Settings with one listener here and one backend.
fn text(address: &str, sample: &Sample) -> String {
    let backend = sample.address();
    format!(
        "[listeners.web]\naddress = \"{address}\"\n[admin]\naddress = \"off\"\n[pools.all]\nbackends = [\"{backend}\"]\n"
    )
}

/// A balancer, its settings, and the path of the Unix socket where its clients come.
fn at_a_path(folder: &Folder, sample: &Sample) -> (Running, Settings, PathBuf) {
    let path = folder.path("balancer.sock");
    let settings = Settings::that_say(&text(&format!("unix:{}", path.display()), sample));
    let balancer = Balancer::bare().flag("--config", settings.path()).run();
    balancer.said("listening on");
    (balancer, settings, path)
}

/// Replaces it, and looks whether clients find the new one at the same path, which is gone when that has ended.
fn expect_a_successor_at(path: &Path, balancer: &Running) {
    let successor = Successor::of(balancer.id(), balancer, 0);
    assert!(balancer.ended().success());
    ask_at(path);
    signal("TERM", successor.0);
    until("it removes the file when it ends", || !path.exists());
}

#[test]
fn a_unix_socket_stays_where_it_is() {
    let (sample, folder) = (Sample::start("one"), Folder::new());
    let (balancer, _settings, path) = at_a_path(&folder, &sample);
    ask_at(&path);
    expect_a_successor_at(&path, &balancer);
}

#[test]
fn a_unix_socket_whose_file_was_removed_is_made_anew() {
    let (sample, folder) = (Sample::start("one"), Folder::new());
    let (balancer, _settings, path) = at_a_path(&folder, &sample);
    std::fs::remove_file(&path).unwrap();
    expect_a_successor_at(&path, &balancer);
}

const FAILED: &str = "no successor, this process goes on: it ended with exit status: 1 before it served";

#[test]
fn a_unix_socket_in_whose_place_another_program_is_by_then_stays_that_programs() {
    let (sample, folder) = (Sample::start("one"), Folder::new());
    let (balancer, _settings, path) = at_a_path(&folder, &sample);
    std::fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    balancer.signal("USR2");
    balancer.said("a program answers there");
    balancer.said(FAILED);
    drop(other);
    assert!(path.exists(), "it is not ours to remove");
}

#[test]
fn a_successor_that_fails_leaves_the_unix_socket_alone() {
    let (sample, folder) = (Sample::start("one"), Folder::new());
    let (balancer, settings, path) = at_a_path(&folder, &sample);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!("[listeners.taken]\naddress = \"{}\"\n", taken.local_addr().unwrap());
    settings.write(&format!("{more}{}", text(&format!("unix:{}", path.display()), &sample)));
    balancer.signal("USR2");
    balancer.said(FAILED);
    ask_at(&path);
}

#[test]
fn a_listener_may_be_everywhere_where_it_was_somewhere_before() {
    let sample = Sample::start("one");
    let (_kept, port) = kept_port(Ipv4Addr::UNSPECIFIED);
    let settings = Settings::that_say(&text(&format!("127.0.0.1:{port}"), &sample));
    let balancer = Balancer::bare().flag("--config", settings.path()).start();
    settings.write(&text(&format!("0.0.0.0:{port}"), &sample));
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    assert!(balancer.ended().success());
    get(([127, 0, 0, 2], port).into(), "/").expect_status(200);
    get(balancer.address, "/").expect_status(200);
}
