//! The whole system in one process, and the sample backends by themselves.

use std::net::{SocketAddr, TcpListener};

use crate::support::pki::Authority;
use crate::support::{Balancer, Client, Running, Sample, backends, default_ports, get, request, until};

#[test]
fn the_demo_balances_two_backends_and_says_what_to_try() {
    let _ports = default_ports();
    let demo = Balancer::bare().flag("--listen", "127.0.0.1:0").word("demo").start();
    let [first, _] = forwards_to(&demo);
    demo.said(&format!("curl -X POST {first}/health/fail"));
    demo.said(&format!("curl localhost:{} ", demo.address.port()));
    demo.said("Ctrl+C ends it.");
    assert_eq!(get(demo.address, "/").expect_status(200).text(), "hello from backends1\n");
    demo.said(&format!("{first} is healthy"));
    post(first, "/health/fail");
    demo.said(&format!("{first} is down: answered 503"));
    until("the second answers", || get(demo.address, "/").text() == "hello from backends2\n");
    demo.signal("INT");
    assert_eq!(demo.ended().code(), Some(0));
}

#[test]
fn the_demo_says_what_to_try_where_it_listens() {
    let _ports = default_ports();
    let pair = Authority::new().signs(&["localhost"]);
    let demo = Balancer::bare().secured(&[&pair]).word("demo").start();
    demo.said(&format!("curl -k https://localhost:{} ", demo.address.port()));
    drop(demo);
    let demo = Balancer::bare().flag("--listen", "127.0.0.2:0").word("demo").start();
    demo.said(&format!("curl {} ", demo.address));
    demo.said(&format!("curl -i {}/echo -d hello", demo.address));
}

#[test]
fn flags_may_stand_behind_the_word_demo_too() {
    let _ports = default_ports();
    let demo = Balancer::bare().flag("--workers", "7").word("demo");
    let demo = demo.word("--workers=1").word("--listen=127.0.0.1:0").word("--policy=round_robin").start();
    demo.said("with 1 worker");
    demo.said("(round_robin)");
    demo.said("Ctrl+C ends it.");
}

#[test]
fn the_demo_takes_free_ports_when_those_of_the_sample_backends_are_taken() {
    let _ports = default_ports();
    // Whether it is we or somebody else who has them is the same.
    let taken = [3000, 3001].map(|port| TcpListener::bind(("127.0.0.1", port)));
    let demo = Balancer::bare().flag("--listen", "127.0.0.1:0").word("demo").start();
    for address in forwards_to(&demo) {
        assert!(address.port() > 3001, "{address}");
        get(address, "/health").expect_status(200);
    }
    get(demo.address, "/").expect_status(200);
    drop(taken);
}

#[test]
fn without_any_flag_the_three_programs_are_one_system() {
    let _ports = default_ports();
    if [8080, 3000, 3001].iter().any(|port| TcpListener::bind(("127.0.0.1", *port)).is_err()) {
        eprintln!("another program has port 8080, 3000 or 3001: nothing was tried");
        return;
    }
    let first = backends("backends1", &[]);
    first.said("backends1 listens on http://127.0.0.1:3000");
    let second = backends("backends2", &[]);
    second.said("backends2 listens on http://127.0.0.1:3001");
    let balancer = Balancer::bare().start();
    assert_eq!(balancer.address, "127.0.0.1:8080".parse().unwrap());
    balancer.said("forwarding to 127.0.0.1:3000, 127.0.0.1:3001 (first)");
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from backends1\n");
    first.signal("INT");
    assert_eq!(first.ended().code(), Some(0));
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from backends2\n");
    second.signal("TERM");
    assert_eq!(second.ended().code(), Some(0));
    get(balancer.address, "/").expect_status(503);
}

#[test]
fn the_sample_backends_say_their_defaults_and_what_they_were_told_wrong() {
    for (program, port) in [("backends1", "3000"), ("backends2", "3001")] {
        let help = ends(&backends(program, &["--help"]), 0);
        for text in
            [format!("[default: {port}]"), format!("[default: {program}]"), format!("Usage: {program} ")]
        {
            assert!(help.contains(&text), "{text} is not in {help}");
        }
        assert!(ends(&backends(program, &["--version"]), 0).starts_with(&format!("{program} ")));
        let complaint = ends(&backends(program, &["--prot", "1"]), 2);
        assert_eq!(complaint, format!("{program}: unexpected argument '--prot' found; see --help"));
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let complaint = ends(&backends(program, &["--port", &address.port().to_string()]), 1);
        assert_eq!(
            complaint,
            format!(
                "{program}: {address} is in use; stop what listens there or choose another port with --port"
            )
        );
    }
}

#[test]
fn a_sample_backend_answers_as_its_table_says() {
    let sample = Sample::start("blue");
    let long = "abcdefghijklmnopqrstuvwxyz".repeat(4000);
    for (asks, status, body) in [
        ("GET /", 200, "hello from blue\n"),
        ("POST /", 200, "hello from blue\n"),
        ("GET /health", 200, "ok\n"),
        ("GET /status/418", 418, "418 I'm a teapot\n"),
        ("GET /status/204", 204, ""),
        ("GET /delay/1", 200, "waited 1 ms\n"),
        ("GET /bytes/0", 200, ""),
        ("GET /bytes/28", 200, "abcdefghijklmnopqrstuvwxyzab"),
        ("GET /bytes/65536", 200, &long[..65536]),
        ("GET /chunked/5", 200, "abcde"),
        ("GET /status/99", 400, "'99' is no status of a final answer: expected a number from 200 to 999\n"),
        ("GET /delay/soon", 400, "'soon' is no delay in milliseconds: expected a number from 0 to 600000\n"),
    ] {
        let answer = request(sample.address(), &format!("{asks} HTTP/1.1\r\nHost: test\r\n\r\n"));
        let answer = answer.expect_status(status);
        assert_eq!(answer.header("server"), Some("blue"), "{asks}");
        assert!(answer.text() == body, "{asks}: {}", answer.text());
    }
    let answer = get(sample.address(), "/nothing").expect_status(404);
    assert!(
        answer.text().starts_with("no such path; there are /, /health, /health/fail, "),
        "{}",
        answer.text()
    );
}

#[test]
fn a_sample_backend_frames_and_repeats_as_it_was_asked() {
    let sample = Sample::start("blue");
    assert_eq!(get(sample.address(), "/bytes/28").header("content-length"), Some("28"));
    let chunked = |te: &str| {
        request(sample.address(), &format!("GET /chunked/70000 HTTP/1.1\r\nHost: test\r\n{te}\r\n"))
    };
    let answer = chunked("TE: trailers\r\nConnection: TE\r\n");
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert_eq!((answer.body.len(), answer.trailers), (70_000, vec![("x-bytes".into(), "70000".into())]));
    assert_eq!(chunked("").trailers, []);
    let text = "POST /echo?q=1 HTTP/1.1\r\nHost: test\r\nX-Some: thing\r\nContent-Length: 5\r\n\r\nhello";
    let answer = request(sample.address(), text).expect_status(200);
    assert!(answer.text().starts_with("POST /echo?q=1 HTTP/1.1\n"), "{}", answer.text());
    assert!(answer.text().contains("\nx-some: thing\n") && answer.text().ends_with("\n\nhello"));
    let mut client = Client::to(sample.address());
    client.send("HEAD /bytes/9 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    assert_eq!(client.head().expect_status(200).header("content-length"), Some("9"));
    client.expect_end();
}

#[test]
fn a_sample_backend_takes_as_many_header_lines_as_the_balancer_passes_on() {
    let sample = Sample::start("blue");
    let balancer = Balancer::before(&[sample.address()]).start();
    let lines: String = (0..98).map(|number| format!("x-{number}: 1\r\n")).collect();
    let asked = format!("GET /echo HTTP/1.1\r\nHost: test\r\n{lines}\r\n");
    let answer = request(balancer.address, &asked).expect_status(200);
    assert!(answer.text().contains("\nx-97: 1\n"), "{}", answer.text());
}

#[test]
fn a_sample_backend_takes_a_large_body_that_it_does_not_want() {
    let sample = Sample::start("blue");
    let balancer = Balancer::before(&[sample.address()]).start();
    let body = "x".repeat(8 << 20);
    for (path, status) in
        [("/health/ok", 200), ("/", 200), ("/health", 405), ("/bytes/9", 200), ("/nothing", 404)]
    {
        for address in [balancer.address, sample.address()] {
            let mut client = Client::to(address);
            for _ in 0..2 {
                client.send(format!(
                    "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ));
                client.answer().expect_status(status);
            }
        }
    }
}

#[test]
fn a_sample_backend_fails_its_checks_when_told_to_and_nothing_else() {
    let sample = Sample::start("blue");
    assert_eq!(get(sample.address(), "/health/fail").expect_status(405).header("allow"), Some("POST"));
    get(sample.address(), "/health").expect_status(200);
    post(sample.address(), "/health/fail");
    assert_eq!(get(sample.address(), "/health").expect_status(503).text(), "failing\n");
    get(sample.address(), "/").expect_status(200);
    let text = "POST /health HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(request(sample.address(), text).expect_status(405).header("allow"), Some("GET, HEAD"));
    post(sample.address(), "/health/ok");
    get(sample.address(), "/health").expect_status(200);
}

#[test]
fn a_sample_backend_that_is_stopped_finishes_what_it_does() {
    let sample = backends("backends2", &["--port", "0"]).listening();
    let mut busy = Client::to(sample.address);
    let mut idle = Client::to(sample.address);
    idle.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    idle.answer().expect_status(200);
    busy.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhel");
    let head = busy.head();
    sample.signal("INT");
    idle.expect_end();
    busy.send("lo");
    assert!(busy.with_body(head).expect_status(200).text().ends_with("hello"));
    assert_eq!(sample.ended().code(), Some(0));
}

/// Where a demo's line says that it forwards to.
fn forwards_to(demo: &Running) -> [SocketAddr; 2] {
    let line = demo.said("forwarding to ");
    let (_, rest) = line.split_once("forwarding to ").unwrap();
    let addresses = rest.trim_end_matches(" (first)").split(", ").map(|address| address.parse().unwrap());
    addresses.collect::<Vec<_>>().try_into().expect("two of them")
}

/// What a program said that ends with this status.
fn ends(program: &Running, code: i32) -> String {
    assert_eq!(program.ended().code(), Some(code), "{}", program.all_said());
    program.all_said()
}

fn post(backend: SocketAddr, path: &str) {
    let text = format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    request(backend, &text).expect_status(200);
}
