//! Certificates are renewed while clients are served.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustls::{ClientConfig, HandshakeKind};

use super::{REQUEST, expect_answer, handshake};
use crate::support::pki::{Authority, Pair, replace};
use crate::support::tls::{remembering, trusting};
use crate::support::{Balancer, Client, End, Running, Sample, until};

fn behind(pair: &Pair) -> (Sample, Running) {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).secured(&[pair]).start();
    (backend, balancer)
}

/// Whether a client that connects now is shown this certificate.
fn shows(balancer: &Running, config: &Arc<ClientConfig>, pair: &Pair) -> bool {
    let client = Client::secure(balancer.address, config);
    client.agreed().peer_certificates().expect("a certificate")[0] == pair.der
}

#[test]
fn a_new_certificate_is_shown_as_soon_as_it_is_there_and_no_request_fails() {
    let authority = Authority::new();
    let pairs: Vec<_> = (0..4).map(|_| authority.signs(&["localhost"])).collect();
    let (_backend, balancer) = behind(&pairs[0]);
    let over = AtomicBool::new(false);
    let config = || Arc::new(trusting(&authority));
    let asked = thread::scope(|scope| {
        let end = End(&over);
        let keep = || {
            let mut client = Client::secure(balancer.address, &config());
            let mut asked = 0;
            while !over.load(Ordering::Relaxed) {
                expect_answer(&mut client);
                asked += 1;
            }
            asked
        };
        let renew = || {
            let mut asked = 0;
            while !over.load(Ordering::Relaxed) {
                expect_answer(&mut Client::secure(balancer.address, &config()));
                asked += 1;
            }
            asked
        };
        let threads = [scope.spawn(keep), scope.spawn(renew)];
        for pair in &pairs[1..] {
            pairs[0].become_that_of(pair);
            until("the new certificate is shown", || shows(&balancer, &config(), pair));
        }
        drop(end);
        threads.map(|thread| thread.join().expect("no request fails"))
    });
    assert!(asked.iter().all(|asked| *asked > 0), "{asked:?}");
    let valid = " is for localhost and valid until ";
    balancer.said_times(valid, pairs.len());
    assert_eq!(balancer.times_said(valid), pairs.len());
}

#[test]
fn a_pair_that_does_not_fit_changes_nothing_is_said_once_and_can_be_repaired() {
    let authority = Authority::new();
    let [pair, other] = [authority.signs(&["localhost"]), authority.signs(&["localhost"])];
    let original = fs::read(pair.key()).unwrap();
    let (_backend, balancer) = behind(&pair);
    let config = Arc::new(trusting(&authority));
    let kept = "; what was loaded of it before stays in use";
    replace(&pair.key(), &fs::read(other.key()).unwrap());
    let said = balancer.said(kept);
    let problem = format!("WARN --tls-key {}: is not the key of the certificate in ", pair.key().display());
    assert!(said.contains(&problem), "{said}");
    assert!(shows(&balancer, &config, &pair));
    replace(&pair.key(), b"");
    let said = balancer.said_times(kept, 2);
    assert!(said.contains("holds no private key"), "{said}");
    fs::remove_file(pair.certificate()).unwrap();
    let said = balancer.said_times(kept, 3);
    assert!(said.contains(&format!("--tls-cert {}: cannot be read", pair.certificate().display())), "{said}");
    assert!(shows(&balancer, &config, &pair));
    // Each was said once, though files are looked at each second: the next thing said is of the next change.
    assert_eq!(balancer.times_said(kept), 3);
    fs::copy(other.certificate(), pair.certificate()).unwrap();
    replace(&pair.key(), &fs::read(other.key()).unwrap());
    until("the repaired pair is shown", || shows(&balancer, &config, &other));
    replace(&pair.certificate(), pair.der.as_ref());
    balancer.said_times(kept, 4);
    replace(&pair.certificate(), pem(&pair).as_bytes());
    replace(&pair.key(), &original);
    until("the first pair is shown again", || shows(&balancer, &config, &pair));
}

#[test]
fn a_pair_that_cannot_be_used_keeps_no_other_from_being_renewed() {
    let authority = Authority::new();
    let [first, second] = [authority.signs(&["localhost"]), authority.signs(&["other.test"])];
    let renewed = authority.signs(&["localhost"]);
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).secured(&[&first, &second]).start();
    let config = Arc::new(trusting(&authority));
    replace(&second.key(), b"");
    balancer.said("holds no private key");
    first.become_that_of(&renewed);
    until("the other is renewed", || shows(&balancer, &config, &renewed));
    assert_eq!(balancer.times_said("holds no private key"), 1);
    balancer.said_times(" is for localhost and valid until ", 2);
    assert_eq!(balancer.times_said(" is for other.test and valid until "), 1, "it is the same as before");
}

#[test]
fn a_pair_whose_files_never_rest_keeps_no_other_from_being_renewed() {
    let authority = Authority::new();
    let [first, second] = [authority.signs(&["localhost"]), authority.signs(&["other.test"])];
    let renewed = authority.signs(&["localhost"]);
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).secured(&[&first, &second]).start();
    let config = Arc::new(trusting(&authority));
    let (over, key) = (AtomicBool::new(false), fs::read(second.key()).unwrap());
    thread::scope(|scope| {
        let _end = End(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                replace(&second.key(), &key);
                thread::sleep(Duration::from_millis(20));
            }
        });
        first.become_that_of(&renewed);
        until("the other is renewed", || shows(&balancer, &config, &renewed));
    });
}

fn pem(pair: &Pair) -> String {
    let base64 = base64_of(&pair.der);
    format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn clients_that_were_here_before_are_still_known_after_a_renewal() {
    let authority = Authority::new();
    let [pair, other] = [authority.signs(&["localhost"]), authority.signs(&["localhost"])];
    let (_backend, balancer) = behind(&pair);
    let config = remembering(trusting(&authority));
    assert_eq!(handshake(&balancer, &config), HandshakeKind::Full);
    pair.become_that_of(&other);
    until("the new certificate is shown", || shows(&balancer, &Arc::new(trusting(&authority)), &other));
    assert_eq!(handshake(&balancer, &config), HandshakeKind::Resumed);
}

#[test]
fn a_connection_outlives_the_certificate_that_it_began_with() {
    let authority = Authority::new();
    let [pair, other] = [authority.signs(&["localhost"]), authority.signs(&["localhost"])];
    let (_backend, balancer) = behind(&pair);
    let config = Arc::new(trusting(&authority));
    let mut client = Client::secure(balancer.address, &config);
    client.send(REQUEST);
    client.answer().expect_status(200);
    pair.become_that_of(&other);
    until("the new certificate is shown", || shows(&balancer, &config, &other));
    expect_answer(&mut client);
}
