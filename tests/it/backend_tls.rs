//! Backends behind TLS: who is trusted, what is agreed upon, and what is said when nothing is.

mod files;
mod sessions;

use rustls::version::{TLS12, TLS13};

use crate::support::h2_backend::H2Backend;
use crate::support::pki::{Authority, Kind, Pair};
use crate::support::tls_backend::{Met, TlsBackend, settings, with_certificate};
use crate::support::{Balancer, Client, Running, Sample, get, request};

/// In front of one backend, for which these flags are given.
fn before(url: &str, flags: &[(&str, &str)]) -> Running {
    let balancer = Balancer::before(&[]).flag("--backend", url);
    flags.iter().fold(balancer, |balancer, (name, value)| balancer.flag(name, value)).start()
}

/// Fails unless this is what the client, the log and `Proxy-Status` say.
fn expect_failure(balancer: &Running, sentence: &str, status_type: &str, reason: &str) {
    balancer.said(&format!("is down: {sentence}"));
    let answer = get(balancer.address, "/");
    // It is down by now, unless the request was faster than the news.
    assert!(matches!(answer.status, 502 | 503), "{answer:?}");
    assert!(answer.text().contains(sentence), "{answer:?}");
    if answer.status == 502 {
        let told = answer.header("proxy-status").unwrap();
        assert!(told.contains(status_type) && told.contains(reason), "{told}");
    }
}

#[test]
fn a_backend_whose_authority_was_named_is_spoken_to_and_told_its_name() {
    let authority = Authority::new();
    let backend = TlsBackend::start(with_certificate(&authority.signs(&["localhost"])));
    let url = backend.url("localhost");
    let balancer = before(&url, &[("--backend-ca", authority.file().to_str().unwrap())]);
    assert_eq!(get(balancer.address, "/a").expect_status(200).text(), "ok");
    let met =
        backend.wait_for("the request came", |met| met.heads.iter().any(|head| head.starts_with("GET /a ")));
    assert_eq!(met.name.as_deref(), Some("localhost"));
    balancer.said(&format!("{url} is healthy"));
    let check = backend.wait_for("a check came", |met| met.heads[0].starts_with("GET /health "));
    let host = format!("host: localhost:{}\r\n", backend.address.port());
    assert!(check.heads[0].contains(&host), "{}", check.heads[0]);
}

#[test]
fn the_systems_authorities_are_trusted_unless_others_are_named() {
    let authority = Authority::new();
    let backend = TlsBackend::start(with_certificate(&authority.signs(&["localhost"])));
    let system = |balancer: Balancer| balancer.env("SSL_CERT_FILE", authority.file().to_str().unwrap());
    let url = backend.url("localhost");
    let balancer = system(Balancer::before(&[]).flag("--backend", &url)).start();
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "ok");
    let other = Authority::new();
    let balancer = system(Balancer::before(&[]).flag("--backend", &url));
    let balancer = balancer.flag("--backend-ca", other.file().to_str().unwrap()).start();
    balancer.said("is down: its certificate is signed by an authority that is not trusted");
}

#[test]
fn an_address_is_verified_as_one_and_a_name_can_be_given_in_its_place() {
    let authority = Authority::new();
    let ca = authority.file();
    let ca = ca.to_str().unwrap();
    let backend = TlsBackend::start(with_certificate(&authority.signs(&["127.0.0.1"])));
    let balancer = before(&backend.url("127.0.0.1"), &[("--backend-ca", ca)]);
    get(balancer.address, "/").expect_status(200);
    let backend = TlsBackend::start(with_certificate(&authority.signs(&["app.internal"])));
    let flags = [("--backend-ca", ca), ("--backend-tls-name", "app.internal")];
    let balancer = before(&backend.url("127.0.0.1"), &flags);
    get(balancer.address, "/").expect_status(200);
    let met =
        backend.wait_for("the request came", |met| met.heads.iter().any(|head| head.starts_with("GET / ")));
    assert_eq!(met.name.as_deref(), Some("app.internal"));
}

#[test]
fn a_certificate_that_is_not_good_is_refused_in_words_that_say_why() {
    let authority = Authority::new();
    let unknown = Authority::new();
    let ca = authority.file();
    let ca = ca.to_str().unwrap();
    let authoritys = authority.signs_with(&["localhost"], Kind::Ecdsa, |params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    let for_clients = authority.signs_with(&["localhost"], Kind::Ecdsa, |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    for (pair, sentence) in [
        (authoritys, "its certificate is that of an authority, which is none for a server"),
        (authority.signs_until(-1), "its certificate has expired, "),
        (
            authority.signs(&["a.example", "b.example"]),
            "its certificate is not for the name localhost but for a.example, b.example",
        ),
        (
            for_clients,
            "its certificate is not one for a server; give it one whose extendedKeyUsage has serverAuth",
        ),
        (unknown.signs(&["localhost"]), "its certificate is signed by an authority that is not trusted"),
        (Pair::self_signed(&["localhost"]), "its certificate is signed by an authority that is not trusted"),
    ] {
        let backend = TlsBackend::start(with_certificate(&pair));
        let balancer = before(&backend.url("localhost"), &[("--backend-ca", ca)]);
        expect_failure(&balancer, sentence, "tls_certificate_error", "bad_certificate");
        assert!(backend.met().iter().all(|met| met.heads.is_empty()), "no request goes there");
    }
}

#[test]
fn an_authority_of_the_same_name_with_another_kind_of_key_is_told_from_a_weak_signature() {
    let [trusted, other] = [Kind::Rsa, Kind::Ecdsa].map(|kind| Authority::named("namesake", kind));
    let backend = TlsBackend::start(with_certificate(&other.signs(&["localhost"])));
    let ca = trusted.file();
    let balancer = before(&backend.url("localhost"), &[("--backend-ca", ca.to_str().unwrap())]);
    balancer.said("is down: its certificate is not signed by the key of the trusted authority that has the name of its issuer; ");
}

#[test]
fn a_certificate_can_be_its_own_authority() {
    let pair = Pair::self_signed(&["localhost"]);
    let backend = TlsBackend::start(with_certificate(&pair));
    let ca = pair.certificate();
    let ca = ca.to_str().unwrap();
    let balancer = before(&backend.url("localhost"), &[("--backend-ca", ca)]);
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn any_certificate_is_taken_only_when_asked_and_with_a_warning() {
    let backend = TlsBackend::start(with_certificate(&Pair::self_signed(&["elsewhere"])));
    let balancer = Balancer::before(&[]).flag("--backend", &backend.url("localhost"));
    let balancer = balancer.word("--backend-tls-insecure").start();
    balancer.said("WARN --backend-tls-insecure: certificates of backends are not verified");
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn a_backend_that_wants_our_certificate_gets_it() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let ca = authority.file();
    let ca = ca.to_str().unwrap();
    let us = clients.signs(&["balancer"]);
    let (certificate, key) = (us.certificate(), us.key());
    let flags = [
        ("--backend-ca", ca),
        ("--backend-cert", certificate.to_str().unwrap()),
        ("--backend-key", key.to_str().unwrap()),
    ];
    for versions in [&[&TLS12], &[&TLS13]] {
        let backend = settings(&authority.signs(&["localhost"]), versions, Some(&clients));
        let backend = TlsBackend::start(backend);
        let balancer = before(&backend.url("localhost"), &flags);
        get(balancer.address, "/").expect_status(200);
        assert!(backend.met().iter().all(|met| met.has_certificate));
    }
}

#[test]
fn a_backend_that_wants_our_certificate_and_gets_none_is_down_and_says_why() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let ca = authority.file();
    let ca = ca.to_str().unwrap();
    let backend = settings(&authority.signs(&["localhost"]), &[&TLS13], Some(&clients));
    let backend = TlsBackend::start(backend);
    let balancer = before(&backend.url("localhost"), &[("--backend-ca", ca)]);
    let sentence = "it wants a certificate of ours; give one with --backend-cert";
    expect_failure(&balancer, sentence, "tls_protocol_error", "tls_failed");
    let backend = settings(&authority.signs(&["localhost"]), &[&TLS12], Some(&clients));
    let backend = TlsBackend::start(backend);
    let balancer = before(&backend.url("localhost"), &[("--backend-ca", ca)]);
    balancer.said("is down: it ");
}

#[test]
fn a_kept_connection_is_used_again_and_ended_with_a_goodbye() {
    let authority = Authority::new();
    let backend = TlsBackend::start(with_certificate(&authority.signs(&["localhost"])));
    let ca = authority.file();
    let ca = ca.to_str().unwrap();
    let flags = [("--backend-ca", ca), ("--backend-idle-timeout", "300ms"), ("--health-interval", "1h")];
    let balancer = before(&backend.url("localhost"), &flags);
    let post = "POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n";
    let mut client = Client::to(balancer.address);
    for _ in 0..5 {
        client.send(post);
        client.answer().expect_status(200);
    }
    let used =
        backend.wait_for("requests came", |met| met.heads.iter().any(|head| head.starts_with("POST /x ")));
    assert_eq!(used.heads.len(), 5, "{used:?}");
    backend.wait_for("it was ended", |met| met.heads.len() == 5 && met.ended_well);
}

#[test]
fn a_backend_that_does_not_speak_tls_is_down_and_says_so() {
    let plain = Sample::start("plain");
    let url = format!("https://localhost:{}", plain.address().port());
    let authority = Authority::new();
    let balancer = before(&url, &[("--backend-ca", authority.file().to_str().unwrap())]);
    let sentence = "it does not speak TLS; write http:// if it should not";
    expect_failure(&balancer, sentence, "tls_protocol_error", "tls_failed");
}

#[test]
fn a_backend_that_closes_or_stalls_amid_the_handshake_is_passed_over() {
    let second = Sample::start("second");
    let authority = Authority::new();
    let ca = authority.file();
    let ca = ca.to_str().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for (port, sentence) in [
        (closes_at_once().port(), "it closed the connection amid the TLS handshake"),
        (resets_at_once().port(), "it closed the connection amid the TLS handshake"),
        (port, "no connection in time"),
    ] {
        let first = format!("https://localhost:{port}");
        let balancer = Balancer::before(&[]).flag("--backend", &first).flag("--backend-ca", ca);
        let balancer = balancer.flag("--backend", &second.address().to_string());
        let balancer = balancer.flag("--connect-timeout", "300ms").flag("--health-timeout", "300ms").start();
        assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from second\n");
        balancer.said(&format!("{first} is down: {sentence}"));
    }
}

#[test]
fn a_backend_that_resets_connections_amid_the_handshake_fails_at_tls_and_not_at_connecting() {
    let authority = Authority::new();
    let url = format!("https://localhost:{}", resets_at_once().port());
    let balancer = before(&url, &[("--backend-ca", authority.file().to_str().unwrap())]);
    let sentence = "it closed the connection amid the TLS handshake";
    expect_failure(&balancer, sentence, "tls_protocol_error", "tls_failed");
}

#[test]
fn a_websocket_goes_to_a_backend_behind_tls_and_ends_with_its_client() {
    let authority = Authority::new();
    let mut backend = with_certificate(&authority.signs(&["localhost"]));
    // Left the choice, it would take HTTP/2, on which protocols cannot be switched.
    backend.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let backend = TlsBackend::start(backend);
    let balancer = Balancer::before(&[]).flag("--backend", &backend.url("localhost"));
    let balancer = balancer.flag("--backend-ca", authority.file().to_str().unwrap());
    let balancer = balancer.flag("--health-interval", "1h").start();
    let mut client = Client::to(balancer.address);
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    client.send(format!("GET /chat HTTP/1.1\r\nHost: test\r\n{upgrade}\r\n"));
    assert_eq!(client.answer().status, 101);
    client.send("over and out");
    assert_eq!(client.bytes(12), b"over and out");
    drop(client);
    let is_chat = |met: &Met| met.heads.first().is_some_and(|head| head.starts_with("GET /chat "));
    backend.wait_for("the tunnel ended", |met| is_chat(met) && met.ended_well);
}

#[test]
fn a_backend_that_speaks_only_http_2_is_not_taken_from_others_by_who_wants_to_switch_protocols() {
    let authority = Authority::new();
    let mut tls = with_certificate(&authority.signs(&["localhost"]));
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let backend = H2Backend::with(&h2::server::Builder::new(), Some(tls), |exchange| async move {
        exchange.answer(hyper::StatusCode::OK, "ok");
    });
    let url = format!("https://localhost:{}", backend.address.port());
    let balancer = before(&url, &[("--backend-ca", authority.file().to_str().unwrap())]);
    balancer.said("is healthy");
    let switch = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    request(balancer.address, switch).expect_status(501);
    get(balancer.address, "/").expect_status(200);
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn an_answer_without_a_length_is_whole_only_with_tlss_farewell_and_a_line_says_so() {
    let authority = Authority::new();
    let backend = TlsBackend::start(with_certificate(&authority.signs(&["localhost"])));
    let trusted = authority.file();
    let flags = [("--backend-ca", trusted.to_str().unwrap()), ("--log-level", "debug")];
    let balancer = before(&backend.url("localhost"), &flags);
    balancer.said("is healthy");
    assert_eq!(get(balancer.address, "/open").expect_status(200).text(), "ok");
    let remains = |path: &str| {
        let mut client = Client::to(balancer.address);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        String::from_utf8(client.remains()).unwrap()
    };
    // Chunks say themselves that more was to come.
    let told = remains("/chunked");
    assert!(told.ends_with("ok\r\n"), "{told}");
    balancer.said(": the backend's answer broke off");
    assert_eq!(balancer.times_said("close_notify"), 0);
    let told = remains("/cut");
    assert!(told.ends_with("ok\r\n"), "the last chunk is missing: {told}");
    let why = "it closed without TLS's farewell (close_notify), so whether that was all cannot be known; \
               let it send a Content-Length";
    balancer.said(&format!("the backend's answer broke off: {why}"));
    balancer.said(&format!("WARN {} broke off an answer: {why}", backend.url("localhost")));
}

#[test]
fn one_request_on_which_tls_fails_takes_the_backend_from_nobody() {
    let authority = Authority::new();
    let backend = TlsBackend::start(with_certificate(&authority.signs(&["localhost"])));
    let trusted = authority.file();
    let balancer = before(&backend.url("localhost"), &[("--backend-ca", trusted.to_str().unwrap())]);
    balancer.said("is healthy");
    for _ in 0..3 {
        get(balancer.address, "/garbage").expect_status(502);
        get(balancer.address, "/").expect_status(200);
    }
    assert_eq!(balancer.times_said("is down"), 0);
}

/// Accepts connections and closes them in order, having read what came.
fn closes_at_once() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            // A close with bytes unread would be a reset.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    address
}

/// Accepts connections and drops them as soon as something came, which it leaves unread: that resets them.
fn resets_at_once() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.peek(&mut [0]);
        }
    });
    address
}
