//! Other certificates are asked of clients while some are connected.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind};

use super::{Backend, Client, Sample, Settings, until};
use crate::support::pki::{Authority, Pair, replace};
use crate::support::tls::{remembering, showing, speaking, trusting};
use crate::support::{Balancer, End, Http2, PATIENCE, Running, expect_reason, http2_get, kept_port};

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nok";

/// A balancer whose settings change, with a route to one backend where little is asked, and to another where more is.
struct Scene {
    authority: Authority,
    pair: Pair,
    lax: Sample,
    strict: Sample,
    settings: Settings,
}

impl Scene {
    fn new() -> Self {
        let authority = Authority::new();
        let pair = authority.signs(&["localhost"]);
        let (lax, strict) = (Sample::start("lax"), Sample::start("strict"));
        Self { authority, pair, lax, strict, settings: Settings::that_say("") }
    }

    /// Settings with this backend that ask this of clients.
    fn text(&self, backend: SocketAddr, asked: &str) -> String {
        let (certificate, key) = (self.pair.certificate(), self.pair.key());
        format!(
            "[listeners.web]\naddress = \"127.0.0.1:0\"\ntls = true\n[admin]\naddress = \"off\"\n\
             [pools.all]\nbackends = [\"{backend}\"]\n\
             [tls]\ncertificates = [{{ cert_file = {certificate:?}, key_file = {key:?} }}]\n{asked}"
        )
    }

    fn auth(&self, auth: &str) -> String {
        match auth {
            "off" => String::new(),
            auth => by(&self.authority, auth),
        }
    }

    /// A balancer that asks little.
    fn start(&self, asked: &str, workers: &str) -> Running {
        self.settings.write(&self.text(self.lax.address(), asked));
        Balancer::bare()
            .flag("--config", self.settings.path())
            .flag("--workers", workers)
            .flag("--log-level", "debug")
            .start()
    }

    /// It asks more from now on.
    fn harden(&self, balancer: &Running, asked: &str) {
        self.settings.change(balancer, &self.text(self.strict.address(), asked));
    }

    fn client(&self, balancer: &Running) -> Client {
        served(balancer, &Arc::new(trusting(&self.authority)), "lax")
    }

    fn certified(&self) -> ClientConfig {
        showing(&self.authority, &self.authority.signs(&["somebody.test"]))
    }
}

/// What asks for certificates of this authority.
fn by(authority: &Authority, auth: &str) -> String {
    format!("client_ca_file = {:?}\nclient_auth = \"{auth}\"\n", authority.file())
}

/// A client who is connected and was answered by this backend.
fn served(balancer: &Running, config: &Arc<ClientConfig>, by: &str) -> Client {
    let mut client = Client::secure(balancer.address, config);
    expect_served(&mut client, by);
    client
}

fn expect_served(client: &mut Client, by: &str) {
    client.send(GET);
    assert_eq!(client.answer().expect_status(200).text(), format!("hello from {by}\n"));
}

/// Sends the rest of a request and fails unless the client is told to come anew.
fn expect_told(client: &mut Client, rest: &str) {
    client.send(rest);
    let answer = expect_reason(client.answer(), 421, "outdated_connection");
    assert_eq!(answer.header("connection"), Some("close"));
    client.expect_end();
}

/// Fails if a client who was connected is served: it finds its connection closed, or is told to come anew.
fn expect_unserved(client: &mut Client) {
    let _ = client.try_send(GET);
    let (read, _) = client.try_rest();
    let read = String::from_utf8_lossy(&read);
    assert!(read.is_empty() || read.starts_with("HTTP/1.1 421 "), "{read}");
}

#[test]
fn who_is_connected_without_the_certificate_that_is_asked_for_now_is_told_to_come_anew() {
    for (before, after) in [("off", "required"), ("optional", "required"), ("off", "optional")] {
        for workers in ["1", "2"] {
            let scene = Scene::new();
            let balancer = scene.start(&scene.auth(before), workers);
            let mut parked = scene.client(&balancer);
            balancer.said(" is parked");
            let [mut idle, mut amid, mut uploads] = [(); 3].map(|()| scene.client(&balancer));
            let (head, rest) = GET.split_at(20);
            amid.send(head);
            let (upload, rest_of_upload) = POST.split_at(20);
            uploads.send(upload);
            scene.harden(&balancer, &scene.auth(after));
            expect_told(&mut amid, rest);
            expect_told(&mut uploads, rest_of_upload);
            parked.expect_end();
            expect_unserved(&mut idle);
            served(&balancer, &Arc::new(scene.certified()), "strict");
        }
    }
}

#[test]
fn who_shows_a_certificate_of_an_authority_that_is_none_any_more_is_told_to_come_anew() {
    let (scene, other) = (Scene::new(), Authority::new());
    let balancer = scene.start(&scene.auth("required"), "1");
    let mut client = served(&balancer, &Arc::new(scene.certified()), "lax");
    let (head, rest) = GET.split_at(20);
    client.send(head);
    scene.harden(&balancer, &by(&other, "optional"));
    expect_told(&mut client, rest);
    served(&balancer, &Arc::new(showing(&scene.authority, &other.signs(&["a"]))), "strict");
}

#[test]
fn an_authority_that_is_taken_out_of_the_file_takes_its_clients_along() {
    let (scene, other) = (Scene::new(), Authority::new());
    let file = scene.settings.put("ca.pem", fs::read(scene.authority.file()).unwrap());
    let balancer = scene.start(&format!("client_ca_file = {file:?}\n"), "2");
    let mut clients = [(); 4].map(|()| served(&balancer, &Arc::new(scene.certified()), "lax"));
    let both = [&scene.authority, &other].map(|authority| fs::read(authority.file()).unwrap()).concat();
    replace(&file, &both);
    let by_other = Arc::new(showing(&scene.authority, &other.signs(&["a"])));
    until("the other one is one, too", || answered(&balancer, &by_other).is_some());
    clients.iter_mut().for_each(|client| expect_served(client, "lax"));
    replace(&file, &fs::read(other.file()).unwrap());
    clients.iter_mut().for_each(Client::expect_end);
}

#[test]
fn routes_that_come_with_other_authorities_in_the_file_are_met_by_their_clients_alone() {
    let (scene, other) = (Scene::new(), Authority::new());
    let file = scene.settings.put("ca.pem", fs::read(scene.authority.file()).unwrap());
    let asked = format!("client_ca_file = {file:?}\n");
    let balancer = scene.start(&asked, "1");
    let config = Arc::new(scene.certified());
    let mut client = served(&balancer, &config, "lax");
    let (head, rest) = GET.split_at(20);
    client.send(head);
    replace(&file, &fs::read(other.file()).unwrap());
    scene.harden(&balancer, &asked);
    assert_eq!(answered(&balancer, &config), None);
    expect_told(&mut client, rest);
    served(&balancer, &Arc::new(showing(&scene.authority, &other.signs(&["a"]))), "strict");
}

/// What a client who connects now is answered, if it is served.
fn answered(balancer: &Running, config: &Arc<ClientConfig>) -> Option<String> {
    let mut client = Client::secure_to(balancer.address, "localhost", config).ok()?;
    let _ = client.try_send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    let (read, _) = client.try_rest();
    let answer = String::from_utf8(read).expect("it is ASCII");
    answer.starts_with("HTTP/1.1 200 ").then_some(answer)
}

#[test]
fn streams_that_are_under_way_are_answered_as_they_began_and_no_others_go_by_new_routes() {
    let scene = Scene::new();
    let (backend, arrived, opener) = Backend::held_up();
    scene.settings.write(&scene.text(backend.address, &scene.auth("optional")));
    let balancer = scene.settings.balancer().start();
    let mut idle = Http2::secure(balancer.address, trusting(&scene.authority));
    let mut client = Http2::secure(balancer.address, trusting(&scene.authority));
    let mut stream = client.ask(http2_get("/slow"));
    arrived.wait();
    scene.harden(&balancer, &scene.auth("required"));
    assert!(idle.ended_by_the_other_side().is_ok(), "a GOAWAY without an error");
    until("no more are taken", || match client.try_ask(http2_get("/"), true) {
        // It may have been sent before the word came.
        Ok(mut stream) => match stream.try_answer() {
            Ok(answer) => {
                expect_reason(answer, 421, "outdated_connection");
                false
            }
            Err(error) => error.is_go_away() || error.is_reset(),
        },
        Err(error) => error.is_go_away(),
    });
    opener.open();
    stream.answer().expect_status(200);
    assert!(client.ended_by_the_other_side().is_ok(), "a GOAWAY without an error");
    let mut client = Http2::secure(balancer.address, scene.certified());
    assert_eq!(client.get("/").expect_status(200).text(), "hello from strict\n");
}

#[test]
fn an_answer_that_is_under_way_is_given_whole_and_a_request_behind_it_is_not_served() {
    let scene = Scene::new();
    let (backend, arrived, opener) = Backend::held_up();
    scene.settings.write(&scene.text(backend.address, &scene.auth("optional")));
    let balancer = scene.settings.balancer().start();
    let mut client = Client::secure(balancer.address, &Arc::new(trusting(&scene.authority)));
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    arrived.wait();
    client.send(GET);
    scene.harden(&balancer, &scene.auth("required"));
    opener.open();
    client.answer().expect_status(200);
    expect_unserved(&mut client);
}

#[test]
fn a_handshake_that_began_when_less_was_asked_lets_nobody_in() {
    let scene = Scene::new();
    let balancer = scene.start(&scene.auth("optional"), "1");
    let mut socket = TcpStream::connect(balancer.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(trusting(&scene.authority)), name).unwrap();
    client.write_tls(&mut socket).unwrap();
    // It was asked by now.
    while client.is_handshaking() {
        client.read_tls(&mut socket).unwrap();
        client.process_new_packets().unwrap();
    }
    scene.harden(&balancer, &scene.auth("required"));
    client.writer().write_all(GET.as_bytes()).unwrap();
    let mut stream = rustls::StreamOwned::new(client, socket);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 421 "), "{answer}");
}

#[test]
fn a_session_of_who_was_asked_for_no_certificate_is_not_gone_on_with_where_one_is_required() {
    for version in [&TLS12, &TLS13] {
        let scene = Scene::new();
        let balancer = scene.start("", "1");
        let config = remembering(speaking(&scene.authority, version));
        served(&balancer, &config, "lax");
        let client = served(&balancer, &config, "lax");
        assert_eq!(client.agreed().handshake_kind(), Some(HandshakeKind::Resumed));
        scene.harden(&balancer, &scene.auth("required"));
        assert_eq!(answered(&balancer, &config), None);
        assert_eq!(answered(&balancer, &config), None);
    }
}

#[test]
fn who_is_asked_no_more_than_before_stays_connected() {
    let (scene, other) = (Scene::new(), Authority::new());
    let balancer = scene.start(&scene.auth("required"), "1");
    let config = scene.certified();
    let mut http2 = Http2::secure(balancer.address, config.clone());
    http2.get("/").expect_status(200);
    let mut client = served(&balancer, &Arc::new(config), "lax");
    let both = [&scene.authority, &other].map(|authority| fs::read(authority.file()).unwrap()).concat();
    let both = scene.settings.put("both.pem", both);
    let renewed = scene.authority.signs(&["localhost"]);
    let other_files = |text: &str| {
        text.replace(scene.pair.certificate().to_str().unwrap(), renewed.certificate().to_str().unwrap())
            .replace(scene.pair.key().to_str().unwrap(), renewed.key().to_str().unwrap())
    };
    let strict = |asked: &str| scene.text(scene.strict.address(), asked);
    for text in [
        strict(&scene.auth("required")),
        // Another certificate is shown.
        other_files(&strict(&scene.auth("required"))),
        other_files(&strict(&format!("client_ca_file = {both:?}\n"))),
        strict(&format!("client_ca_file = {both:?}\nclient_auth = \"optional\"\n")),
        strict(""),
    ] {
        scene.settings.change(&balancer, &text);
        expect_served(&mut client, "strict");
        assert_eq!(http2.get("/").expect_status(200).text(), "hello from strict\n");
    }
    served(&balancer, &Arc::new(trusting(&scene.authority)), "strict");
}

#[test]
fn who_came_in_the_clear_meets_no_route_where_all_others_are_asked_for_certificates() {
    let scene = Scene::new();
    let [(_one, first), (_other, second)] = [(); 2].map(|()| kept_port([127, 0, 0, 78].into()));
    let [first, second] = [first, second].map(|port| SocketAddr::from(([127, 0, 0, 78], port)));
    let strict = scene.text(scene.strict.address(), &scene.auth("required"));
    let strict = strict.replace("127.0.0.1:0", &first.to_string());
    let lax = format!(
        "[listeners.web]\naddress = \"{first}\"\n[listeners.other]\naddress = \"{second}\"\n\
         [admin]\naddress = \"off\"\n[pools.all]\nbackends = [\"{}\"]\n",
        scene.lax.address()
    );
    for workers in ["1", "2"] {
        scene.settings.write(&lax);
        let balancer =
            Balancer::bare().flag("--config", scene.settings.path()).flag("--workers", workers).start();
        // The one listener comes to speak TLS, the other is closed.
        let mut clients = [first, second].map(Client::to);
        let (head, rest) = GET.split_at(20);
        for client in &mut clients {
            expect_served(client, "lax");
            client.send(head);
        }
        scene.settings.change(&balancer, &strict);
        clients.iter_mut().for_each(|client| expect_told(client, rest));
    }
}

#[test]
fn no_route_that_relies_on_a_certificate_is_met_by_who_has_none_however_often_that_changes() {
    let scene = Scene::new();
    let balancer = scene.start(&scene.auth("off"), "2");
    let (over, config) = (AtomicBool::new(false), Arc::new(trusting(&scene.authority)));
    let lax = scene.text(scene.lax.address(), &scene.auth("off"));
    let strict = scene.text(scene.strict.address(), &scene.auth("required"));
    thread::scope(|scope| {
        let end = End(&over);
        let ask = || {
            let mut served = 0;
            while !over.load(Ordering::SeqCst) {
                // One is left idle, one is answered and asks again.
                let Some(answer) = answered_twice(&balancer, &config) else { continue };
                assert!(!answer.contains("hello from strict"), "{answer}");
                served += 1;
            }
            served
        };
        let threads = [scope.spawn(ask), scope.spawn(ask)];
        for _ in 0..20 {
            scene.settings.change(&balancer, &strict);
            scene.settings.change(&balancer, &lax);
            served(&balancer, &config, "lax");
        }
        drop(end);
        for thread in threads {
            assert!(thread.join().expect("nobody meets it") > 0);
        }
    });
}

/// What came of two requests on one connection, if it came about.
fn answered_twice(balancer: &Running, config: &Arc<ClientConfig>) -> Option<String> {
    let mut client = Client::secure_to(balancer.address, "localhost", config).ok()?;
    let _ =
        client.try_send([GET, GET.replace("test\r\n", "test\r\nConnection: close\r\n").as_str()].concat());
    let (read, _) = client.try_rest();
    Some(String::from_utf8_lossy(&read).into_owned())
}
