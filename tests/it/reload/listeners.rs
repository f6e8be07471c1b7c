//! Listeners come and go.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::{Client, Sample, Settings, get, until};
use crate::support::pki::Authority;
use crate::support::{Balancer, Successor, kept_port, tls};

const POST: &str = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

fn listeners(listeners: &[(&str, SocketAddr)], backend: SocketAddr) -> String {
    let listeners: String = listeners
        .iter()
        .map(|(name, address)| format!("[listeners.{name}]\naddress = \"{address}\"\n"))
        .collect();
    format!("{listeners}[admin]\naddress = \"off\"\n[pools.all]\nbackends = [\"{backend}\"]\n")
}

/// An address that nobody listens on. Others who take any port that is free are on another one.
fn free() -> SocketAddr {
    let taken = std::net::TcpListener::bind("127.0.0.78:0").expect("a free port");
    taken.local_addr().expect("it is bound")
}

#[test]
fn a_listener_that_stays_keeps_its_clients_while_others_open_and_close() {
    let sample = Sample::start("only");
    let (stays, goes, comes) = (free(), free(), free());
    let settings = Settings::that_say(&listeners(&[("stays", stays), ("goes", goes)], sample.address()));
    for workers in ["1", "2"] {
        settings.write(&listeners(&[("stays", stays), ("goes", goes)], sample.address()));
        let balancer = Balancer::bare().flag("--config", settings.path()).flag("--workers", workers).start();
        let (mut kept, mut left) = (Client::to(stays), Client::to(goes));
        for client in [&mut kept, &mut left] {
            client.send(GET);
            client.answer().expect_status(200);
        }
        settings.change(&balancer, &listeners(&[("stays", stays), ("comes", comes)], sample.address()));
        until("the new one answers", || TcpStream::connect(comes).is_ok());
        get(comes, "/").expect_status(200);
        until("the old one refuses", || TcpStream::connect(goes).is_err());
        kept.send(GET);
        kept.answer().expect_status(200);
        // Who came through the listener that is gone is let go of.
        left.expect_end();
        balancer.said(&format!("no longer listening on http://{goes}"));
    }
}

#[test]
fn the_next_request_behind_a_listener_s_removal_is_answered_and_the_last_one() {
    let sample = Sample::start("only");
    let (stays, goes) = (free(), free());
    let both = listeners(&[("stays", stays), ("goes", goes)], sample.address());
    let one = listeners(&[("stays", stays)], sample.address());
    let settings = Settings::that_say(&both);
    for workers in ["1", "2"] {
        settings.write(&both);
        let balancer = settings.balancer().flag("--workers", workers).flag("--log-level", "debug").start();
        let mut parked = Client::to(goes);
        parked.send(GET);
        parked.answer().expect_status(200);
        balancer.said("is parked");
        let silent = Client::to(goes);
        let mut busy = Client::to(goes);
        busy.send(GET);
        busy.answer().expect_status(200);
        settings.change(&balancer, &one);
        balancer.said(&format!("no longer listening on http://{goes}"));
        until("the old one refuses", || TcpStream::connect(goes).is_err());
        // Who asked at the other listener behind that was answered when all had been told to go.
        get(stays, "/").expect_status(200);
        for mut client in [busy, parked, silent] {
            client.send(POST);
            let answer = client.answer().expect_status(200);
            assert_eq!(answer.header("connection"), Some("close"));
            client.expect_end();
        }
    }
}

#[test]
fn the_next_request_in_the_clear_is_answered_when_its_listener_has_come_to_speak_tls() {
    let (sample, authority) = (Sample::start("only"), Authority::new());
    let (pair, address) = (authority.signs(&["localhost"]), free());
    let clear = listeners(&[("web", address)], sample.address());
    let settings = Settings::that_say(&clear);
    let balancer = settings.balancer().start();
    let mut client = Client::to(address);
    client.send(GET);
    client.answer().expect_status(200);
    let secure = clear.replace("\n[admin]", "\ntls = true\n[admin]");
    let (certificate, key) = (pair.certificate(), pair.key());
    let section = format!("[tls]\ncertificates = [{{ cert_file = {certificate:?}, key_file = {key:?} }}]\n");
    settings.change(&balancer, &format!("{secure}{section}"));
    let config = tls::remembering(tls::trusting(&authority));
    until("a handshake succeeds", || Client::secure_to(address, "localhost", &config).is_ok());
    client.send(POST);
    assert_eq!(client.answer().expect_status(200).header("connection"), Some("close"));
    client.expect_end();
}

#[test]
fn a_listener_that_cannot_be_had_changes_nothing() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let (ours, taken) = (free(), std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let settings = Settings::that_say(&listeners(&[("ours", ours)], first.address()));
    let balancer = settings.balancer().start();
    let both = [("ours", ours), ("taken", taken.local_addr().expect("it is bound"))];
    settings.write(&listeners(&both, second.address()));
    balancer.signal("HUP");
    let line = balancer.said("reload refused, the settings stay as they were");
    assert!(line.contains("the port is in use"), "{line}");
    assert_eq!(get(ours, "/").expect_status(200).text(), "hello from first\n");
}

#[test]
fn a_listener_comes_to_speak_tls_at_the_same_address() {
    let sample = Sample::start("only");
    let (address, authority) = (free(), Authority::new());
    let pair = authority.signs(&["localhost"]);
    let clear = listeners(&[("web", address)], sample.address());
    let settings = Settings::that_say(&clear);
    let balancer = settings.balancer().start();
    get(address, "/").expect_status(200);
    let secure = clear.replace("\n[admin]", "\ntls = true\n[admin]");
    let (certificate, key) = (pair.certificate(), pair.key());
    let section = format!("[tls]\ncertificates = [{{ cert_file = {certificate:?}, key_file = {key:?} }}]\n");
    settings.change(&balancer, &format!("{secure}{section}"));
    let config = tls::remembering(tls::trusting(&authority));
    until("a handshake succeeds", || Client::secure_to(address, "localhost", &config).is_ok());
    let mut client = Client::secure(address, &config);
    client.send(GET);
    client.answer().expect_status(200);
}

#[test]
fn a_listener_on_one_address_comes_to_be_one_on_all_and_back() {
    let sample = Sample::start("only");
    let (_kept, port) = kept_port(Ipv4Addr::UNSPECIFIED);
    let [one, other, all] = [[127, 0, 0, 78], [127, 0, 0, 2], [0; 4]].map(|ip| SocketAddr::from((ip, port)));
    let settings = Settings::that_say(&listeners(&[("web", one)], sample.address()));
    let balancer = Balancer::bare().flag("--config", settings.path()).flag("--workers", "2").start();
    settings.change(&balancer, &listeners(&[("web", all)], sample.address()));
    get(other, "/").expect_status(200);
    settings.change(&balancer, &listeners(&[("web", one)], sample.address()));
    get(one, "/").expect_status(200);
    until("nobody listens there", || TcpStream::connect(other).is_err());
}

#[test]
fn a_listener_on_all_addresses_comes_beside_one_on_one_of_them_that_stays() {
    let sample = Sample::start("only");
    let (_kept, port) = kept_port(Ipv4Addr::UNSPECIFIED);
    let [one, other, all] = [[127, 0, 0, 78], [127, 0, 0, 2], [0; 4]].map(|ip| SocketAddr::from((ip, port)));
    let settings = Settings::that_say(&listeners(&[("one", one)], sample.address()));
    let balancer = Balancer::bare().flag("--config", settings.path()).flag("--workers", "2").start();
    for beside in [("all", all), ("other", other)] {
        settings.change(&balancer, &listeners(&[("one", one), beside], sample.address()));
        [one, other].iter().for_each(|at| drop(get(*at, "/").expect_status(200)));
    }
    settings.change(&balancer, &listeners(&[("all", all)], sample.address()));
    settings.change(&balancer, &listeners(&[("one", one), ("all", all)], sample.address()));
    [one, other].iter().for_each(|at| drop(get(*at, "/").expect_status(200)));
}

#[test]
fn a_listener_at_the_port_that_the_system_chose_for_another_is_refused() {
    let sample = Sample::start("only");
    let chosen = SocketAddr::from(([127, 0, 0, 78], 0));
    let settings = Settings::that_say(&listeners(&[("web", chosen)], sample.address()));
    let balancer = settings.balancer().start();
    settings.write(&listeners(&[("web", chosen), ("api", balancer.address)], sample.address()));
    balancer.signal("HUP");
    assert!(balancer.said("reload refused").contains("the port is in use"));
}

#[test]
fn a_listener_comes_to_be_at_the_port_that_the_system_chose_for_it() {
    let sample = Sample::start("only");
    let chosen = SocketAddr::from(([127, 0, 0, 78], 0));
    let settings = Settings::that_say(&listeners(&[("web", chosen)], sample.address()));
    let balancer = settings.balancer().start();
    let mut waiting = Client::to(balancer.address);
    settings.change(&balancer, &listeners(&[("web", balancer.address)], sample.address()));
    waiting.send(GET);
    waiting.answer().expect_status(200);
    get(balancer.address, "/").expect_status(200);
    for line in ["was removed", "no longer listening"] {
        assert_eq!(balancer.times_said(line), 0, "{line}");
    }
}

#[test]
fn a_port_that_the_system_chose_and_the_settings_say_now_is_kept_beside_another_and_by_a_successor() {
    let sample = Sample::start("only");
    let chosen = SocketAddr::from(([127, 0, 0, 78], 0));
    let settings = Settings::that_say(&listeners(&[("web", chosen)], sample.address()));
    let balancer = settings.balancer().start();
    let both = [("api", chosen), ("web", balancer.address)];
    settings.change(&balancer, &listeners(&both, sample.address()));
    get(balancer.address, "/").expect_status(200);
    assert_eq!(balancer.times_said("no longer listening"), 0);
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    assert!(balancer.ended().success());
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn a_listener_of_another_name_keeps_its_clients() {
    let sample = Sample::start("only");
    let address = free();
    let settings = Settings::that_say(&listeners(&[("web", address)], sample.address()));
    let balancer = settings.balancer().start();
    let mut client = Client::to(address);
    client.send(GET);
    client.answer().expect_status(200);
    settings.change(&balancer, &listeners(&[("other", address)], sample.address()));
    client.send(GET);
    client.answer().expect_status(200);
    assert_eq!(balancer.times_said("no longer listening"), 0);
}

fn ask_at(path: &Path) -> Vec<u8> {
    let mut client = UnixStream::connect(path).expect("a listener there");
    client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("it takes bytes");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_unix_socket_comes_to_speak_tls_and_goes_with_its_file() {
    let (sample, authority) = (Sample::start("only"), Authority::new());
    let pair = authority.signs(&["localhost"]);
    let (certificate, key) = (pair.certificate(), pair.key());
    let web = listeners(&[("web", free())], sample.address());
    let settings = Settings::that_say("");
    let path = settings.put("unused", "").with_file_name("socket");
    let local = |more: &str| format!("{web}[listeners.z]\naddress = \"unix:{}\"\n{more}", path.display());
    settings.write(&local(""));
    let balancer = settings.balancer().start();
    assert!(ask_at(&path).ends_with(b"hello from only\n"));
    let section = format!("[tls]\ncertificates = [{{ cert_file = {certificate:?}, key_file = {key:?} }}]\n");
    settings.change(&balancer, &local(&format!("tls = true\n{section}")));
    // What is no handshake is answered with an alert (RFC 8446 section 6).
    until("it speaks TLS", || ask_at(&path).first() == Some(&21));
    assert_eq!(balancer.times_said("no longer listening"), 0);
    settings.change(&balancer, &web);
    balancer.said(&format!("no longer listening on https://unix:{}", path.display()));
    assert!(!path.exists());
}

#[test]
fn a_client_without_a_certificate_is_not_remembered_when_one_comes_to_be_required() {
    let (sample, authority) = (Sample::start("only"), Authority::new());
    let pair = authority.signs(&["localhost"]);
    let address = free();
    let web = listeners(&[("web", address)], sample.address()).replace("\n[admin]", "\ntls = true\n[admin]");
    let settings = Settings::that_say("");
    let ca = authority.file();
    let (certificate, key) = (pair.certificate(), pair.key());
    let asking = |auth: &str| {
        format!(
            "{web}[tls]\ncertificates = [{{ cert_file = {certificate:?}, key_file = {key:?} }}]\n\
             client_ca_file = {ca:?}\nclient_auth = \"{auth}\"\n"
        )
    };
    settings.write(&asking("optional"));
    let balancer = settings.balancer().start();
    let config = tls::remembering(tls::trusting(&authority));
    let mut client = Client::secure(address, &config);
    client.send(GET);
    client.answer().expect_status(200);
    settings.change(&balancer, &asking("required"));
    let Ok(mut client) = Client::secure_to(address, "localhost", &config) else { return };
    let _ = client.try_send(GET);
    let (read, _) = client.try_rest();
    assert!(read.is_empty(), "{}", String::from_utf8_lossy(&read));
}
