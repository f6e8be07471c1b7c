//! WebSockets over HTTP/2 (RFC 8441) reach backends that know them from HTTP/1.1 (RFC 6455).

use std::sync::mpsc::channel;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use h2::ext::Protocol;
use hyper::Request;

use super::{get, until};
use crate::support::pki::Authority;
use crate::support::tls::trusting;
use crate::support::{Backend, Balancer, Http2, PATIENCE, Running, Stream, Transport, gate};

/// A request for a WebSocket, or for what else is named.
fn asking_for(protocol: &'static str) -> Request<()> {
    let request = Request::connect("http://test/chat").extension(Protocol::from_static(protocol));
    let request =
        request.header("sec-websocket-version", "13").header("sec-websocket-protocol", "chat, other");
    request.header("origin", "http://test").body(()).unwrap()
}

/// Agrees to what a client asks for, if it asks as it must, and goes on. It tells of a length, which means nothing there.
fn agreeing(script: impl Fn(Transport) + Send + Sync + 'static) -> Backend {
    Backend::that(move |mut transport| {
        assert!(transport.head.starts_with("GET /chat HTTP/1.1\r\n"), "{}", transport.head);
        for (name, value) in [
            ("host", "test"),
            ("upgrade", "websocket"),
            ("connection", "upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "chat, other"),
            ("origin", "http://test"),
        ] {
            assert_eq!(transport.header(name), Some(value), "{}", transport.head);
        }
        let accept = accepted(&transport);
        transport.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\nContent-Length: 5\r\n\r\n"
        ));
        script(transport);
    })
}

/// What a backend says that agrees to what came.
fn accepted(transport: &Transport) -> String {
    let key = transport.header("sec-websocket-key").expect("a key");
    assert_eq!(STANDARD.decode(key).expect("base64").len(), 16, "{key}");
    let salted = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, salted.as_bytes()))
}

fn echo(mut transport: Transport) {
    while let Some(bytes) = transport.try_bytes(5) {
        transport.send(bytes);
    }
}

/// A stream that has become a tunnel.
fn opened(client: &mut Http2) -> Stream {
    client.until_settings();
    assert!(client.knows_extended_connect());
    let mut stream = client.begin(asking_for("websocket"));
    let (head, ended) = stream.head();
    assert!(head.status == 200 && !ended, "{head:?}");
    assert_eq!(head.header("sec-websocket-protocol"), Some("chat"));
    for name in ["sec-websocket-accept", "connection", "upgrade", "content-length", "transfer-encoding"] {
        assert_eq!(head.header(name), None, "{head:?}");
    }
    stream
}

fn expect_echo(stream: &mut Stream, word: &'static str) {
    stream.send(word, false).unwrap();
    assert_eq!(stream.bytes(word.len()), word.as_bytes());
}

fn before(backend: &Backend, flags: &[(&str, &str)]) -> (Running, Http2) {
    let balancer = Balancer::before(&[backend.address]).flag("--access-log", "-");
    let balancer = flags.iter().fold(balancer, |balancer, (name, value)| balancer.flag(name, value)).start();
    let client = Http2::to(balancer.address);
    (balancer, client)
}

#[test]
fn bytes_pass_both_ways_in_turns_and_beside_other_streams() {
    let backend = agreeing(echo);
    let (_balancer, mut client) = before(&backend, &[]);
    let mut tunnels: Vec<_> = (0..3).map(|_| opened(&mut client)).collect();
    for word in ["hello", "\0\u{1}\r\n!"] {
        for tunnel in &mut tunnels {
            expect_echo(tunnel, word);
        }
    }
}

#[test]
fn it_works_over_tls() {
    let authority = Authority::new();
    let pair = authority.signs(&["localhost"]);
    let backend = agreeing(echo);
    let balancer = Balancer::before(&[backend.address]).secured(&[&pair]).start();
    let mut client = Http2::secure(balancer.address, trusting(&authority));
    expect_echo(&mut opened(&mut client), "hello");
}

#[test]
fn much_passes_both_ways() {
    const SIZE: usize = 8 << 20;
    let backend = agreeing(|mut transport| {
        let mut sender = transport.stream().try_clone().unwrap();
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut sender, &vec![b'b'; SIZE]));
        assert!(transport.bytes(SIZE).iter().all(|byte| *byte == b'c'));
        writer.join().unwrap().unwrap();
        transport.finish();
        transport.wait_for_end();
    });
    let (_balancer, mut client) = before(&backend, &[]);
    let mut tunnel = opened(&mut client);
    tunnel.send(vec![b'c'; SIZE], false).unwrap();
    let got = tunnel.bytes(SIZE);
    assert!(got.iter().all(|byte| *byte == b'b'));
}

#[test]
fn an_answer_other_than_agreement_is_passed_on() {
    for (answer, status, text) in [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403, "no"),
        ("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 404, "no"),
        ("HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", 302, ""),
        (
            "HTTP/1.1 426 Upgrade Required\r\nUpgrade: x\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n",
            426,
            "",
        ),
    ] {
        let backend = Backend::answers(answer);
        let (_balancer, mut client) = before(&backend, &[]);
        client.until_settings();
        assert_eq!(client.begin(asking_for("websocket")).answer().expect_status(status).text(), text);
    }
}

#[test]
fn a_backend_that_answers_as_if_it_were_no_websocket_is_told_of() {
    // A client would take any 2xx for agreement, and what follows for its tunnel.
    let backend = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain");
    let (balancer, mut client) = before(&backend, &[]);
    client.until_settings();
    let answer = client.begin(asking_for("websocket")).answer().expect_status(502);
    assert!(answer.header("proxy-status").unwrap().contains("http_upgrade_failed"), "{answer:?}");
    balancer.said("\"status\":502");
}

#[test]
fn a_backend_that_switches_to_something_else_is_told_of() {
    for agreement in [
        "",
        "Connection: upgrade\r\nUpgrade: tcp\r\nSec-WebSocket-Accept: {accept}\r\n",
        "Upgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
    ] {
        let backend = Backend::that(|mut transport| {
            let agreement = agreement.replace("{accept}", &accepted(&transport));
            transport.send(format!("HTTP/1.1 101 Switching Protocols\r\n{agreement}\r\n"));
            transport.wait_for_end();
        });
        let (balancer, mut client) = before(&backend, &[]);
        client.until_settings();
        client.begin(asking_for("websocket")).answer().expect_status(502);
        balancer.said("\"reason\":\"upgrade_ignored\"");
    }
}

#[test]
fn protocols_that_we_do_not_know_are_refused() {
    let backend = agreeing(echo);
    let (_balancer, mut client) = before(&backend, &[]);
    client.until_settings();
    // RFC 9220 section 3 has the status.
    let answer = client.begin(asking_for("connect-udp")).answer().expect_status(501);
    assert!(answer.header("proxy-status").unwrap().contains("unknown_protocol"), "{answer:?}");
    assert_eq!(backend.requests(), 0);
}

#[test]
fn a_tunnel_ends_when_the_client_has_sent_all_and_the_backend_too() {
    let (tell, told) = channel();
    let backend = agreeing(move |mut transport| {
        tell.send(transport.rest()).unwrap();
        transport.send("last words");
    });
    let (balancer, mut client) = before(&backend, &[]);
    let mut tunnel = opened(&mut client);
    tunnel.send("hello", true).unwrap();
    assert_eq!(told.recv_timeout(PATIENCE).expect("the end of one way"), b"hello");
    assert_eq!(tunnel.bytes(10), b"last words");
    assert!(tunnel.data().is_none(), "and the end");
    let line = balancer.said("\"path\":\"/chat\"");
    let parts = [
        "\"status\":200",
        "\"method\":\"CONNECT\"",
        "\"bytes_in\":5",
        "\"bytes_out\":10",
        "\"termination\":\"--\"",
    ];
    for part in parts {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn a_client_that_takes_its_tunnel_back_ends_it_at_the_backend() {
    let (tell, told) = channel();
    let (_opener, gate) = gate();
    let backend = agreeing(move |mut transport| {
        transport.rest();
        tell.send(()).unwrap();
        gate.wait();
    });
    let (balancer, mut client) = before(&backend, &[]);
    let mut tunnel = opened(&mut client);
    tunnel.cancel();
    told.recv_timeout(PATIENCE).expect("the end of the tunnel");
    // Also one that goes on, whatever it hears: it is not to wait for it.
    assert!(balancer.said("\"path\":\"/chat\"").contains("\"reason\":\"client_gone\""));
    let tunnel = opened(&mut client);
    drop(tunnel);
    drop(client);
    told.recv_timeout(PATIENCE).expect("the end of the tunnel");
}

#[test]
fn a_tunnel_that_its_client_takes_back_is_reset_for_the_backend() {
    for leave in
        [|mut tunnel: Stream, _| tunnel.cancel(), |tunnel: Stream, client: Http2| drop((tunnel, client))]
    {
        let (tell, told) = channel();
        let backend = agreeing(move |mut transport| tell.send(transport.try_rest().1).unwrap());
        let (_balancer, mut client) = before(&backend, &[]);
        let tunnel = opened(&mut client);
        leave(tunnel, client);
        told.recv_timeout(PATIENCE).expect("the end of the tunnel").expect_err("that was no orderly end");
    }
}

#[test]
fn a_backend_that_leaves_ends_the_tunnel() {
    for reset in [false, true] {
        let backend = agreeing(move |transport| if reset { transport.reset() } else { drop(transport) });
        let (_balancer, mut client) = before(&backend, &[]);
        let mut tunnel = opened(&mut client);
        match tunnel.data() {
            None => assert!(!reset, "that was no orderly end"),
            Some(ended) => assert!(reset && ended.is_err_and(|error| error.is_reset()), "{reset}"),
        }
    }
}

#[test]
fn what_a_backend_says_before_it_breaks_off_reaches_the_client() {
    let (tell, told) = channel();
    let (opener, gate) = gate();
    let backend = agreeing(move |mut transport| {
        gate.wait();
        transport.send("bye");
        transport.reset();
        tell.send(()).unwrap();
    });
    let (balancer, mut client) = before(&backend, &[]);
    let mut tunnel = opened(&mut client);
    // All of it is there at once.
    balancer.signal("STOP");
    opener.open();
    told.recv_timeout(PATIENCE).expect("it broke off");
    balancer.signal("CONT");
    assert_eq!(tunnel.bytes(3), b"bye");
    assert!(tunnel.data().expect("more than an end").is_err());
}

#[test]
fn a_client_that_was_told_all_may_go_on_telling() {
    let (tell, told) = channel();
    let backend = agreeing(move |mut transport| {
        transport.finish();
        tell.send(transport.rest()).unwrap();
    });
    let (balancer, mut client) = before(&backend, &[("--client-idle-timeout", "500ms")]);
    let mut tunnel = opened(&mut client);
    assert!(tunnel.data().is_none(), "it has said all");
    // Another client is idle for too long meanwhile.
    let _ = Http2::to(balancer.address).ended_by_the_other_side();
    tunnel.send("hello", true).unwrap();
    assert_eq!(told.recv_timeout(PATIENCE).expect("all that came"), b"hello");
}

#[test]
fn a_tunnel_without_a_byte_for_too_long_is_ended_on_both_sides() {
    let (tell, told) = channel();
    let backend = agreeing(move |mut transport| tell.send(transport.rest()).unwrap());
    let (_balancer, mut client) = before(&backend, &[("--tunnel-idle-timeout", "500ms")]);
    let mut tunnel = opened(&mut client);
    assert!(tunnel.data().is_none_or(|ended| ended.is_err()));
    assert_eq!(told.recv_timeout(PATIENCE).expect("the end of the tunnel"), b"");
}

#[test]
fn a_tunnel_whose_client_does_not_read_is_ended_when_its_time_is_over() {
    let backend = agreeing(|mut transport| {
        transport.send(vec![b'x'; 1 << 20]);
        transport.wait_for_end();
    });
    let balancer = Balancer::before(&[backend.address]).flag("--tunnel-idle-timeout", "300ms").start();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(1000);
    let mut client = Http2::with(&builder, balancer.address);
    client.until_settings();
    opened(&mut client).broken_off();
}

#[test]
fn the_timeouts_of_requests_and_idle_clients_do_not_hold_for_a_tunnel() {
    let backend = agreeing(echo);
    let timeouts = ["--response-timeout", "--body-timeout", "--client-idle-timeout", "--header-timeout"];
    let (balancer, mut client) = before(&backend, &timeouts.map(|name| (name, "500ms")));
    let mut tunnel = opened(&mut client);
    // Another client runs into such a timeout meanwhile, twice.
    for _ in 0..2 {
        let mut other = Http2::to(balancer.address);
        let _ = other.ended_by_the_other_side();
    }
    expect_echo(&mut tunnel, "hello");
}

#[test]
fn a_stop_leaves_tunnels_open_as_long_as_requests_have_to_finish() {
    let backend = agreeing(echo);
    let (balancer, mut client) = before(&backend, &[]);
    let mut tunnel = opened(&mut client);
    balancer.signal("TERM");
    balancer.said("stopping");
    until("new streams are refused", || {
        client.try_ask(get("/"), true).map_or(true, |mut stream| stream.try_answer().is_err())
    });
    expect_echo(&mut tunnel, "hello");
    drop((tunnel, client));
    assert!(balancer.ended().success());
}

#[test]
fn a_stop_ends_tunnels_when_that_time_is_over() {
    let (tell, told) = channel();
    let backend = agreeing(move |mut transport| tell.send(transport.rest()).unwrap());
    let (balancer, mut client) = before(&backend, &[("--drain-timeout", "300ms")]);
    let mut tunnel = opened(&mut client);
    balancer.signal("TERM");
    assert!(tunnel.data().is_none_or(|ended| ended.is_err()));
    assert_eq!(told.recv_timeout(PATIENCE).expect("the end of the tunnel"), b"");
    assert!(balancer.ended().success());
}
