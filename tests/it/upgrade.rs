//! Upgraded connections (WebSocket) are tunnelled.

mod broken;
mod ending;

use crate::support::{Answer, Backend, Balancer, Client, PATIENCE, Running, Transport, get};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A backend that switches protocols and then does this, behind a balancer.
fn tunnel_to(script: impl Fn(Transport) + Send + Sync + 'static) -> (Backend, Balancer) {
    let backend = Backend::that(move |mut transport| {
        transport.send(SWITCH);
        script(transport);
    });
    let balancer = Balancer::before(&[backend.address]);
    (backend, balancer)
}

/// A client whose connection was upgraded.
fn upgraded(balancer: &Running) -> Client {
    let mut client = Client::to(balancer.address);
    client.send(ASK);
    assert_eq!(client.head().status, 101);
    client
}

/// Sends back each five bytes, until the other side has ended.
fn echo(mut transport: Transport) {
    while let Some(bytes) = transport.try_bytes(5) {
        transport.send(bytes);
    }
}

#[test]
fn both_heads_of_an_upgrade_pass_with_what_they_need() {
    let (tell, told) = std::sync::mpsc::channel();
    let backend = Backend::that(move |mut transport| {
        tell.send(transport.head.to_ascii_lowercase()).unwrap();
        transport.send(SWITCH);
        transport.wait_for_end();
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(ASK);
    let answer = client.head();
    let head = told.recv_timeout(PATIENCE).unwrap();
    for line in ["connection: upgrade", "upgrade: websocket", "sec-websocket-key: dghlihnhbxbszsbub25jzq=="] {
        assert!(head.lines().any(|seen| seen == line), "{line} is not in {head}");
    }
    assert_eq!(answer.header("connection").map(str::to_ascii_lowercase).as_deref(), Some("upgrade"));
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!((answer.header("content-length"), answer.header("transfer-encoding")), (None, None));
}

#[test]
fn bytes_pass_both_ways_in_turns() {
    let (_backend, balancer) = tunnel_to(echo);
    let balancer = balancer.start();
    let mut client = upgraded(&balancer);
    for bytes in [b"hello", b"\0\x01\xff\r\n", b"GET /"] {
        client.send(bytes);
        assert_eq!(client.bytes(5), bytes);
    }
}

#[test]
fn what_a_client_sends_right_behind_its_request_reaches_the_backend() {
    let (_backend, balancer) = tunnel_to(echo);
    let balancer = balancer.start();
    let mut client = Client::to(balancer.address);
    client.send(format!("{ASK}early"));
    assert_eq!(client.head().status, 101);
    assert_eq!(client.bytes(5), b"early");
    client.send("later");
    assert_eq!(client.bytes(5), b"later");
}

#[test]
fn what_a_backend_sends_right_behind_its_head_reaches_the_client() {
    let backend = Backend::that(|mut transport| {
        transport.send(format!("{SWITCH}early"));
        echo(transport);
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = upgraded(&balancer);
    assert_eq!(client.bytes(5), b"early");
    client.send("later");
    assert_eq!(client.bytes(5), b"later");
}

#[test]
fn much_passes_both_ways_at_once() {
    const SIZE: usize = 8 << 20;
    let (_backend, balancer) = tunnel_to(|mut transport| {
        let mut sender = transport.stream().try_clone().unwrap();
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut sender, &vec![b'b'; SIZE]));
        assert!(transport.bytes(SIZE).iter().all(|byte| *byte == b'c'));
        writer.join().unwrap().unwrap();
    });
    let balancer = balancer.start();
    let mut client = upgraded(&balancer);
    let mut sender = client.stream().try_clone().unwrap();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut sender, &vec![b'c'; SIZE]));
    assert!(client.bytes(SIZE).iter().all(|byte| *byte == b'b'), "something else came");
    writer.join().unwrap().unwrap();
    client.expect_end();
}

#[test]
fn a_tunnel_in_which_nobody_says_anything_holds_little() {
    const TUNNELS: usize = 400;
    let (_backend, balancer) = tunnel_to(echo);
    let balancer = balancer.flag("--workers", "1").start();
    let open = |count| {
        let mut clients: Vec<_> = (0..count).map(|_| upgraded(&balancer)).collect();
        for client in &mut clients {
            client.send("hello");
            assert_eq!(client.bytes(5), b"hello");
        }
        clients
    };
    let few = open(20);
    let before = balancer.memory();
    let many = open(TUNNELS);
    let each = balancer.memory().saturating_sub(before) / TUNNELS;
    assert!(each < 24, "{each} kB for each of them");
    drop((few, many));
}

#[test]
fn an_upgrade_works_on_a_connection_that_carried_requests_before() {
    let backend = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert!(transport.read_head());
        transport.send(SWITCH);
        echo(transport);
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().text(), "ok");
    client.send(ASK);
    assert_eq!(client.head().status, 101);
    client.send("hello");
    assert_eq!(client.bytes(5), b"hello");
}

/// What a client gets that asks for an upgrade, twice, if it gets this.
fn declined(answer: &'static str) -> Vec<Answer> {
    let backend = Backend::answers(answer);
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    let asked = |_| {
        client.send(ASK);
        client.answer()
    };
    (0..2).map(asked).collect()
}

#[test]
fn a_request_with_a_body_becomes_a_tunnel_once_its_body_has_gone_whole() {
    const START: &str = "POST /exec/1/start HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n";
    for body in ["Content-Length: 2\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"] {
        let backend = Backend::that(|mut transport| {
            assert_eq!(transport.header("upgrade"), Some("tcp"));
            assert_eq!(transport.read_body(), b"{}");
            transport.send("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
            echo(transport);
        });
        let balancer = Balancer::before(&[backend.address]).start();
        for behind in ["", "early"] {
            let mut client = Client::to(balancer.address);
            client.send(format!("{START}{body}{behind}"));
            assert_eq!((client.head().status, client.bytes(behind.len())), (101, behind.as_bytes().to_vec()));
            client.send("hello");
            assert_eq!(client.bytes(5), b"hello");
        }
    }
}

#[test]
fn a_switch_amid_the_body_of_a_request_is_not_passed_on() {
    let (_backend, balancer) = tunnel_to(|mut transport| transport.wait_for_end());
    let balancer = balancer.start();
    for body in ["Content-Length: 5\r\n\r\nhi", "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"] {
        let mut client = Client::to(balancer.address);
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: tcp\r\n{body}"));
        let answer = client.answer().expect_status(502);
        assert!(answer.header("proxy-status").unwrap().contains("unasked_upgrade"), "{answer:?}");
    }
}

#[test]
fn a_backend_that_declines_is_passed_on_and_the_connection_goes_on() {
    for answer in declined("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain") {
        assert_eq!((answer.status, answer.text(), answer.header("upgrade")), (200, "plain", None));
    }
}

#[test]
fn a_backend_that_wants_another_protocol_may_say_so() {
    let answer = "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n";
    for answer in declined(answer) {
        // RFC 9110 section 15.5.22: the answer must say which protocol is wanted.
        assert_eq!((answer.status, answer.header("upgrade")), (426, Some("websocket")));
    }
}

#[test]
fn a_switch_that_nobody_asked_for_is_not_passed_on() {
    for ask in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: TLS/1.2\r\n\r\n",
    ] {
        let backend = Backend::that(|mut transport| {
            transport.send(SWITCH);
            transport.wait_for_end();
        });
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send(ask);
        let answer = client.answer();
        assert_eq!(answer.status, 502, "{ask}");
        assert!(answer.header("proxy-status").unwrap().contains("unasked_upgrade"), "{answer:?}");
    }
}

#[test]
fn other_requests_are_served_while_a_tunnel_is_open() {
    let (_backend, balancer) = tunnel_to(echo);
    let plain = Backend::answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let balancer =
        balancer.flag("--backend", &plain.address.to_string()).flag("--policy", "round-robin").start();
    let mut tunnels = Vec::new();
    let mut answered = 0;
    for _ in 0..4 {
        let mut client = Client::to(balancer.address);
        client.send(ASK);
        match client.head().status {
            101 => tunnels.push(client),
            status => answered += u32::from(status == 200),
        }
    }
    assert_eq!((tunnels.len(), answered), (2, 2));
    for tunnel in &mut tunnels {
        tunnel.send("hello");
        assert_eq!(tunnel.bytes(5), b"hello");
    }
}

#[test]
fn an_early_answer_to_who_could_have_switched_reaches_even_a_slow_client_whole() {
    expect_whole(|_| "Connection: upgrade\r\nUpgrade: h2c\r\n");
}

#[test]
fn so_does_one_to_who_could_have_switched_with_a_request_before() {
    expect_whole(|client| {
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n");
        client.answer().expect_status(204);
        ""
    });
}

/// Looks whether all of an early answer reaches a client that takes it slowly, after `begin`, which tells lines of its request.
fn expect_whole(begin: impl Fn(&mut Client) -> &'static str) {
    const PIECE: usize = 64 * 1024;
    let backend = Backend::that(|mut transport| {
        if transport.head.starts_with("GET / ") {
            return transport.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        }
        let all: usize = transport.header("x-all").unwrap().parse().unwrap();
        transport
            .send(format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {all}\r\nConnection: close\r\n\r\n"));
        transport.send(vec![b'x'; all]);
        transport.finish();
        transport.wait_for_end();
    });
    let balancer = Balancer::before(&[backend.address]).start();
    // At the end of one of them there is no room left in the buffers of the system.
    for pieces in (120..160).step_by(2) {
        let mut client = Client::to(balancer.address);
        socket2::SockRef::from(client.stream()).set_recv_buffer_size(PIECE).unwrap();
        let lines = begin(&mut client);
        // Most of it is still to come, and nobody wants it.
        client.send(format!(
            "POST /early HTTP/1.1\r\nHost: a\r\n{lines}X-All: {}\r\nContent-Length: 1000\r\n\r\nhello",
            pieces * PIECE
        ));
        client.head().expect_status(403);
        for _ in 0..pieces {
            // With its answer the worker has had a turn, and filled what there is room for again.
            get(balancer.address, "/").expect_status(204);
            client.bytes(PIECE);
        }
        client.expect_end();
    }
}
