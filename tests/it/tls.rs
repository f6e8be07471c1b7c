//! TLS with clients: what is agreed upon.

mod certificates_of_clients;
mod connections;
mod ending;
mod ends;
mod files;
mod renewal;

use std::io;
use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConfig, Error, HandshakeKind, NamedGroup, ProtocolVersion};

use crate::support::pki::{Authority, Kind, Pair};
use crate::support::tls::{exchanging, knowing, offering, remembering, speaking, trusting};
use crate::support::{Balancer, Client, Running, Sample};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A sample backend behind a balancer with a certificate for `localhost`, and who signed it.
fn secured() -> (Authority, Sample, Running) {
    let authority = Authority::new();
    let backend = Sample::start("one");
    let pair = authority.signs(&["localhost"]);
    let balancer = Balancer::before(&[backend.address()]).secured(&[&pair]).start();
    (authority, backend, balancer)
}

fn expect_answer(client: &mut Client) {
    client.send(REQUEST);
    assert_eq!(client.answer().expect_status(200).text(), "hello from one\n");
}

/// The alert that ended a handshake.
fn alert(refused: io::Result<Client>) -> AlertDescription {
    let Err(error) = refused else { panic!("there was a handshake") };
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(Error::AlertReceived(alert)) => *alert,
        _ => panic!("{error:?} in place of an alert"),
    }
}

#[test]
fn tls_1_2_and_1_3_are_spoken() {
    let (authority, _backend, balancer) = secured();
    for (version, name) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let mut client = Client::secure(balancer.address, &Arc::new(speaking(&authority, version)));
        assert_eq!(client.agreed().protocol_version(), Some(name));
        expect_answer(&mut client);
        expect_answer(&mut client);
    }
}

#[test]
fn at_start_it_says_that_it_speaks_tls_and_for_which_names() {
    let authority = Authority::new();
    let pair = authority.signs(&["a.test", "*.b.test"]);
    let balancer = Balancer::before(&[Sample::start("one").address()]).secured(&[&pair]).start();
    balancer.said(&format!("listening on https://{} with 1 worker", balancer.address));
    let said = balancer.said(" is for ");
    let start =
        format!("certificate {} is for a.test, *.b.test and valid until ", pair.certificate().display());
    assert!(said.contains(&start), "{said}");
}

#[test]
fn a_client_chooses_http_1_0_or_http_1_1_or_http_2_or_neither() {
    let (authority, _backend, balancer) = secured();
    for (offered, chosen) in [
        (&["http/1.1"][..], Some(&b"http/1.1"[..])),
        (&["http/1.1", "h2"], Some(b"h2")),
        (&["spdy/3", "http/1.1"], Some(b"http/1.1")),
        (&["http/1.0", "http/1.1"], Some(b"http/1.1")),
        (&["http/1.0"], Some(b"http/1.0")),
        (&[], None),
    ] {
        let config = Arc::new(offering(trusting(&authority), offered));
        let mut client = Client::secure(balancer.address, &config);
        assert_eq!(client.agreed().alpn_protocol(), chosen, "{offered:?}");
        if chosen != Some(b"h2") {
            expect_answer(&mut client);
        }
    }
}

#[test]
fn a_client_that_knows_only_other_protocols_is_told_so() {
    let (authority, _backend, balancer) = secured();
    let config = Arc::new(offering(trusting(&authority), &["spdy/3"]));
    // RFC 7301 section 3.2.
    let refused = Client::secure_to(balancer.address, "localhost", &config);
    assert_eq!(alert(refused), AlertDescription::NoApplicationProtocol);
}

/// Which of these certificates a client gets for this name.
fn got<'a>(client: &Client, of: &[(&'a str, &Pair)]) -> &'a str {
    let got = &client.agreed().peer_certificates().expect("a certificate")[0];
    of.iter().find(|(_, pair)| pair.der == *got).expect("one of them").0
}

#[test]
fn a_client_gets_the_certificate_of_the_name_that_it_asks_for() {
    let authority = Authority::new();
    // Whatever a client asks for, it must be able to take what it gets: here it takes what is for localhost.
    let [first, exact, wild, special] = [
        authority.signs(&["localhost", "both.test"]),
        authority.signs(&["localhost", "both.test", "EXACT.test"]),
        authority.signs(&["localhost", "*.wild.test"]),
        authority.signs(&["localhost", "special.wild.test"]),
    ];
    let backend = Sample::start("one");
    let pairs = [&first, &exact, &wild, &special];
    let balancer = Balancer::before(&[backend.address()]).secured(&pairs).start();
    let certificates = [("first", &first), ("exact", &exact), ("wild", &wild), ("special", &special)];
    for (name, wanted) in [
        ("localhost", "first"),
        ("exact.test", "exact"),
        ("Exact.Test", "exact"),
        // The first certificate that has a name wins.
        ("both.test", "first"),
        ("b.wild.test", "wild"),
        ("special.wild.test", "special"),
        // A wildcard stands for one label, not for two or none.
        ("deep.a.wild.test", "first"),
        ("wild.test", "first"),
        ("unknown.test", "first"),
    ] {
        let config = Arc::new(knowing(&authority, ""));
        let client = Client::secure_to(balancer.address, name, &config).expect(name);
        assert_eq!(got(&client, &certificates), wanted, "{name}");
    }
    let mut nameless = knowing(&authority, "");
    nameless.enable_sni = false;
    let client = Client::secure_to(balancer.address, "unknown.test", &Arc::new(nameless)).expect("no name");
    assert_eq!(got(&client, &certificates), "first");
}

#[test]
fn of_two_certificates_for_one_name_a_client_gets_the_one_whose_key_it_knows() {
    let authority = Authority::new();
    let ecdsa = authority.signs(&["localhost"]);
    let rsa = authority.signs_with(&["localhost"], Kind::Rsa, |_| {});
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).secured(&[&ecdsa, &rsa]).start();
    for (signatures, wanted) in [("RSA", "rsa"), ("ECDSA", "ecdsa"), ("", "ecdsa")] {
        for with_name in [true, false] {
            let mut config = knowing(&authority, signatures);
            config.enable_sni = with_name;
            let mut client = Client::secure(balancer.address, &Arc::new(config));
            assert_eq!(got(&client, &[("ecdsa", &ecdsa), ("rsa", &rsa)]), wanted, "{signatures} {with_name}");
            expect_answer(&mut client);
        }
    }
}

#[test]
fn who_does_not_know_the_key_of_the_certificate_with_the_name_gets_that_with_a_wildcard_for_it() {
    let authority = Authority::new();
    let exact = authority.signs(&["localhost", "www.wild.test"]);
    let wild = authority.signs_with(&["localhost", "*.wild.test"], Kind::Rsa, |_| {});
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).secured(&[&exact, &wild]).start();
    for (signatures, wanted) in [("RSA", "wild"), ("ECDSA", "exact"), ("", "exact")] {
        let config = Arc::new(knowing(&authority, signatures));
        let client = Client::secure_to(balancer.address, "www.wild.test", &config).expect(signatures);
        assert_eq!(got(&client, &[("exact", &exact), ("wild", &wild)]), wanted, "{signatures}");
    }
}

fn handshake(balancer: &Running, config: &Arc<ClientConfig>) -> HandshakeKind {
    let mut client = Client::secure(balancer.address, config);
    // Tickets of TLS 1.3 come behind the handshake.
    expect_answer(&mut client);
    client.agreed().handshake_kind().expect("it is over")
}

#[test]
fn a_client_that_was_here_before_is_known_to_all_workers() {
    let authority = Authority::new();
    let backend = Sample::start("one");
    let pair = authority.signs(&["localhost"]);
    let balancer = Balancer::before(&[backend.address()]).secured(&[&pair]).flag("--workers", "2").start();
    for version in [&TLS12, &TLS13] {
        let config = remembering(speaking(&authority, version));
        assert_eq!(handshake(&balancer, &config), HandshakeKind::Full);
        // The system spreads connections among the workers: of so many, each worker has some.
        for _ in 0..16 {
            assert_eq!(handshake(&balancer, &config), HandshakeKind::Resumed, "{version:?}");
        }
    }
}

#[test]
fn keys_are_exchanged_in_a_way_that_outlives_quantum_computers_if_the_client_knows_one() {
    let (authority, _backend, balancer) = secured();
    for group in [NamedGroup::X25519MLKEM768, NamedGroup::X25519, NamedGroup::secp256r1] {
        let mut client = Client::secure(balancer.address, &Arc::new(exchanging(&authority, group)));
        let agreed = client.agreed().negotiated_key_exchange_group().expect("a group").name();
        assert_eq!(agreed, group);
        expect_answer(&mut client);
    }
    let client = Client::secure(balancer.address, &Arc::new(trusting(&authority)));
    let agreed = client.agreed().negotiated_key_exchange_group().expect("a group").name();
    assert_eq!(agreed, NamedGroup::X25519MLKEM768, "of all that both know");
}
