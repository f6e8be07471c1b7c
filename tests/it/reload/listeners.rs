//! Listeners come and go.

use std::net::{SocketAddr, TcpStream};

use super::{Client, Sample, Settings, get, until};
use crate::support::pki::Authority;
use crate::support::{Balancer, tls};

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

fn listeners(listeners: &[(&str, SocketAddr)], backend: SocketAddr) -> String {
    let listeners: String = listeners
        .iter()
        .map(|(name, address)| format!("[listeners.{name}]\naddress = \"{address}\"\n"))
        .collect();
    format!("{listeners}[admin]\naddress = \"off\"\n[pools.all]\nbackends = [\"{backend}\"]\n")
}

/// An address that nobody listens on, and is not likely to be given to another program meanwhile.
fn free() -> SocketAddr {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
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
