//! Clients that must, or may, show a certificate of their own.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::{ClientConfig, HandshakeKind};

use crate::support::pki::{Authority, Kind, Pair};
use crate::support::tls::{remembering, showing, trusting};
use crate::support::{Backend, Balancer, Client, Http2, PATIENCE, Running, until};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A balancer that asks clients for certificates, and what its backend is sent.
struct Asking {
    authority: Authority,
    backend: (Backend, Receiver<String>),
    balancer: Running,
    _pair: Pair,
}

fn asking(auth: Option<&str>) -> Asking {
    let authority = Authority::new();
    let backend = Backend::tells(ANSWER);
    let pair = authority.signs(&["localhost"]);
    let balancer = Balancer::before(&[backend.0.address]).secured(&[&pair]);
    let balancer = balancer.flag("--tls-client-ca", authority.file().to_str().unwrap());
    let balancer = auth.into_iter().fold(balancer, |balancer, auth| balancer.flag("--tls-client-auth", auth));
    let balancer = balancer.flag("--log-level", "debug").start();
    Asking { authority, backend, balancer, _pair: pair }
}

impl Asking {
    /// A certificate for a client, of our authority.
    fn client(&self) -> Pair {
        self.authority.signs(&["somebody.test"])
    }

    /// What the backend was sent by a client that is served.
    fn sent(&self, config: ClientConfig, fields: &str) -> String {
        let mut client = Client::secure(self.balancer.address, &Arc::new(config));
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        client.answer().expect_status(200);
        self.backend.1.recv_timeout(PATIENCE).unwrap().to_ascii_lowercase()
    }

    /// Fails unless a client is refused.
    fn refuses(&self, config: ClientConfig) {
        let config = Arc::new(config);
        // With TLS 1.3 a client learns after the handshake that its certificate was not liked.
        let Ok(mut client) = Client::secure_to(self.balancer.address, "localhost", &config) else { return };
        let _ = client.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let (read, ended) = client.try_rest();
        assert!(read.is_empty() && ended.is_err(), "{ended:?}");
        assert_ne!(ended.unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

fn field(pair: &Pair) -> String {
    format!("client-cert: :{}:", STANDARD.encode(&pair.der)).to_ascii_lowercase()
}

#[test]
fn whoever_is_asked_for_a_certificate_is_asked_on_each_connection() {
    // One that goes on with a session would be taken for who it was, though its certificate had expired.
    for auth in [None, Some("optional")] {
        let asking = asking(auth);
        let config = remembering(showing(&asking.authority, &asking.authority.signs(&["client"])));
        for _ in 0..2 {
            let mut client = Client::secure(asking.balancer.address, &config);
            // Tickets of TLS 1.3 come behind the handshake.
            client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
            client.answer().expect_status(200);
            assert_eq!(client.agreed().handshake_kind(), Some(HandshakeKind::Full));
        }
    }
}

#[test]
fn a_client_with_a_good_certificate_is_served_and_its_backend_learns_who_it_is() {
    for auth in [None, Some("required"), Some("optional")] {
        let asking = asking(auth);
        let pair = asking.client();
        // RFC 9440 section 2.2.
        let head = asking.sent(showing(&asking.authority, &pair), "");
        assert!(head.lines().any(|line| line == field(&pair)), "{auth:?}: {head}");
    }
}

#[test]
fn a_client_without_a_certificate_is_refused_unless_that_is_allowed() {
    for auth in [None, Some("required")] {
        let asking = asking(auth);
        asking.refuses(trusting(&asking.authority));
        asking.balancer.said("no TLS: ");
        assert_eq!(asking.backend.0.requests(), 0);
    }
    let asking = asking(Some("optional"));
    let head = asking.sent(trusting(&asking.authority), "");
    assert!(!head.contains("client-cert"), "{head}");
}

#[test]
fn a_certificate_of_another_authority_or_an_expired_one_is_refused_always() {
    for auth in ["required", "optional"] {
        let asking = asking(Some(auth));
        let stranger = Authority::new().signs(&["somebody.test"]);
        asking.refuses(showing(&asking.authority, &stranger));
        asking.refuses(showing(&asking.authority, &asking.authority.signs_until(-1)));
        assert_eq!(asking.backend.0.requests(), 0);
    }
}

#[test]
fn why_the_certificate_of_a_client_is_not_taken_is_said_aloud_and_in_words() {
    let authority = Authority::new();
    let for_servers = authority.signs_with(&["somebody.test"], Kind::Ecdsa, |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    for (pair, why) in [
        (Pair::of_version_1(), "of X.509 version 1; give it one with extensions (subjectAltName)"),
        (for_servers, "not one for a client; give it one whose extendedKeyUsage has clientAuth"),
        (authority.signs_until(-2), "has expired, 2 days ago"),
        (Authority::new().signs(&["a"]), "signed by an authority that is not trusted"),
    ] {
        let shown = authority.signs(&["localhost"]);
        let balancer = Balancer::before(&[Backend::refuses()]).secured(&[&shown]);
        let balancer = balancer.flag("--tls-client-ca", authority.file().to_str().unwrap()).start();
        // With TLS 1.3 a client learns after the handshake that its certificate was not liked.
        drop(Client::secure_to(balancer.address, "localhost", &Arc::new(showing(&authority, &pair))));
        let line = balancer.said("no TLS: its certificate ");
        assert!(line.contains(" INFO ") && line.ends_with(why), "{line}");
    }
}

#[test]
fn nobody_can_claim_to_have_a_certificate() {
    let claim = "Client-Cert: :AAAA:\r\nClient-Cert-Chain: :BBBB:\r\n";
    let asking = asking(Some("optional"));
    let head = asking.sent(trusting(&asking.authority), claim);
    assert!(!head.contains("client-cert"), "{head}");
    let pair = asking.client();
    let head = asking.sent(showing(&asking.authority, &pair), claim);
    let fields: Vec<_> = head.lines().filter(|line| line.starts_with("client-cert")).collect();
    assert_eq!(fields, [field(&pair)]);
    // Nor at a listener that asks for none.
    let (backend, told) = Backend::tells(ANSWER);
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{claim}\r\n"));
    client.answer().expect_status(200);
    let head = told.recv_timeout(PATIENCE).unwrap().to_ascii_lowercase();
    assert!(!head.contains("client-cert"), "{head}");
}

#[test]
fn each_request_of_a_client_tells_who_it_is_also_by_http_2_and_after_a_pause() {
    let asking = asking(None);
    let pair = asking.authority.signs_with(&["a.test"], Kind::Ecdsa, |_| {});
    let config = showing(&asking.authority, &pair);
    let mut client = Http2::secure(asking.balancer.address, config.clone());
    for _ in 0..2 {
        client.get("/").expect_status(200);
        assert!(
            asking.backend.1.recv_timeout(PATIENCE).unwrap().to_ascii_lowercase().contains(&field(&pair))
        );
    }
    let mut client = Client::secure(asking.balancer.address, &Arc::new(config));
    for turn in 1..3 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client.answer().expect_status(200);
        assert!(
            asking.backend.1.recv_timeout(PATIENCE).unwrap().to_ascii_lowercase().contains(&field(&pair))
        );
        until("it is parked", || asking.balancer.times_said(" is parked") == turn);
    }
}
