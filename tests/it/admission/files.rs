//! With few open files nobody hangs, and idle connections to backends make room for clients.

use std::future::pending;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use hyper::{Request, StatusCode};

use crate::support::h2_backend::H2Backend;
use crate::support::{
    Backend, Balancer, Client, Http2, PATIENCE, Sample, Settings, expect_reason, files_of, get, leave_none,
    limit_files, until,
};

/// Asks on a connection of its own: what came, up to its end, however it ended.
fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // A client that is refused may find its connection closed before it has asked.
    let _ = stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes());
    let mut came = Vec::new();
    match stream.read_to_end(&mut came) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("it hangs"),
        _ => String::from_utf8_lossy(&came).into_owned(),
    }
}

/// Clients who are answered and stay, so that the balancer has as many idle connections to its backend as clients.
fn answered(address: SocketAddr) -> Vec<Client> {
    let mut clients: Vec<_> = (0..60).map(|_| Client::to(address)).collect();
    clients.iter_mut().for_each(|client| client.send("GET /delay/500 HTTP/1.1\r\nHost: test\r\n\r\n"));
    clients.iter_mut().for_each(|client| drop(client.answer().expect_status(200)));
    clients
}

#[test]
fn with_few_files_each_of_many_clients_is_served_or_refused_at_once() {
    let samples = [Sample::start("one"), Sample::start("two")];
    let balancer = Balancer::before(&samples.each_ref().map(Sample::address));
    let balancer = balancer.flag("--policy", "round_robin").open_files(100).start();
    let address = balancer.address;
    for _ in 0..3 {
        let clients: Vec<_> = (0..200).map(|_| thread::spawn(move || ask(address, "/delay/20"))).collect();
        let answers: Vec<_> = clients.into_iter().map(|client| client.join().expect("an end")).collect();
        let count = |status: &str| answers.iter().filter(|answer| answer.starts_with(status)).count();
        let (served, refused) = (count("HTTP/1.1 200"), count("HTTP/1.1 503"));
        assert!(served > 0 && served + refused == answers.len(), "{served} {refused}: {answers:?}");
    }
    until("all is well again", || get(address, "/").status == 200);
}

#[test]
fn idle_connections_to_backends_make_room_for_clients() {
    for workers in ["1", "2"] {
        let sample = Sample::start("one");
        let balancer = Balancer::before(&[sample.address()]).flag("--workers", workers).start();
        let asking: Vec<_> = (0..60)
            .map(|_| {
                let address = balancer.address;
                thread::spawn(move || get(address, "/delay/500").expect_status(200))
            })
            .collect();
        asking.into_iter().for_each(|client| drop(client.join().expect("an answer")));
        // There is room for as many clients as have gone, and no more: the idle connections have the rest.
        // Numbers above the limit would be lost when they are given back.
        limit_files(&balancer, files_of(&balancer).iter().max().expect("it has some") + 1);
        let mut clients: Vec<_> = (0..100).map(|_| Client::to(balancer.address)).collect();
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
            client.answer().expect_status(200);
        }
        assert!(files_of(&balancer).len() >= clients.len());
    }
}

#[test]
fn idle_connections_that_requests_could_share_make_room_for_clients() {
    let backends = [(); 4].map(|()| H2Backend::that(async |exchange| exchange.answer(StatusCode::OK, "")));
    let balancer = Balancer::before(&[]).flag("--workers", "1").flag("--policy", "round_robin");
    let flagged = |balancer: Balancer, backend: &H2Backend| balancer.flag("--backend", &backend.url());
    let balancer = backends.iter().fold(balancer, flagged).start();
    balancer.said_times(" is healthy", backends.len());
    for _ in &backends {
        get(balancer.address, "/").expect_status(200);
    }
    assert!(backends.iter().all(|backend| backend.connections() == 1));
    // Checks may leave gaps below, for clients to fill.
    limit_files(&balancer, files_of(&balancer).into_iter().max().expect("it has files") + 1);
    let mut clients = Vec::new();
    until("all of them are closed", || {
        let mut client = Client::to(balancer.address);
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        client.answer().expect_status(200);
        clients.push(client);
        backends.iter().all(|backend| backend.goodbyes() >= 1)
    });
}

#[test]
fn an_operator_is_answered_though_idle_connections_had_all_files() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).flag("--admin", "127.0.0.1:0").start();
    let admin = balancer.admin();
    balancer.said(" is healthy");
    let _clients = answered(balancer.address);
    leave_none(&balancer);
    admin.ask("GET", "/livez", "", "").expect_status(200);
}

#[test]
fn a_check_is_made_though_idle_connections_had_all_files() {
    let samples = [Sample::start("one"), Sample::start("two")];
    let balancer = Balancer::before(&samples.each_ref().map(Sample::address));
    let balancer = balancer.flag("--health-interval", "1s").start();
    samples.iter().for_each(|sample| drop(balancer.said(&format!("{} is healthy", sample.address()))));
    let _clients = answered(balancer.address);
    leave_none(&balancer);
    samples[1].kill();
    balancer.said(&format!("{} is down: connection refused", samples[1].address()));
}

#[test]
fn idle_connections_leave_files_for_a_change_of_settings() {
    let sample = Sample::start("one");
    let text = |policy: &str| {
        format!(
            "listeners.web.address = \"127.0.0.1:0\"\nadmin.address = \"off\"\n\
             pools.all = {{ backends = [\"{}\"], policy = \"{policy}\", health = {{ path = \"/health\" }} }}\n",
            sample.address()
        )
    };
    let settings = Settings::that_say(&text("first"));
    let balancer = settings.balancer().start();
    balancer.said(" is healthy");
    let clients = answered(balancer.address);
    leave_none(&balancer);
    let most = files_of(&balancer).len() - clients.len();
    until("idle connections are closed", || files_of(&balancer).len() <= most);
    settings.change(&balancer, &text("round_robin"));
}

#[test]
fn a_request_without_a_file_is_told_so_however_short_the_time_to_connect_is() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).flag("--connect-timeout", "50ms").start();
    balancer.said(" is healthy");
    let mut client = Client::to(balancer.address);
    // Answered by the balancer itself: no connection to the backend is idle.
    client.send("OPTIONS / HTTP/1.1\r\nHost: test\r\nMax-Forwards: 0\r\n\r\n");
    client.answer().expect_status(200);
    leave_none(&balancer);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let answer = client.answer().expect_status(503);
    assert!(answer.header("proxy-status").is_some_and(|told| told.contains("\"exhausted\"")), "{answer:?}");
}

#[test]
fn a_request_without_a_file_waits_for_one_only_once_however_many_backends_there_are() {
    let samples = [(); 9].map(|()| Sample::start("one"));
    let balancer = Balancer::before(&samples.each_ref().map(Sample::address)).flag("--workers", "1").start();
    balancer.said_times(" is healthy", samples.len());
    let mut client = Client::to(balancer.address);
    // Answered by the balancer itself: no connection to a backend is idle.
    client.send("OPTIONS / HTTP/1.1\r\nHost: test\r\nMax-Forwards: 0\r\n\r\n");
    client.answer().expect_status(200);
    leave_none(&balancer);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    // It has waited once: if it did so again, it would have a file then.
    balancer.said("cannot connect to backends: Too many open files");
    limit_files(&balancer, 1000);
    expect_reason(client.answer(), 503, "exhausted");
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    client.answer().expect_status(200);
}

#[test]
fn a_request_without_a_file_goes_to_a_backend_whose_connection_others_share() {
    let alone = Backend::stalls();
    let shared = H2Backend::that(async |exchange| match exchange.head.uri().path() {
        "/slow" => pending().await,
        _ => exchange.answer(StatusCode::OK, "shared"),
    });
    let balancer = Balancer::before(&[alone.address]).flag("--backend", &shared.url());
    let balancer = balancer.flag("--workers", "1").flag("--policy", "round_robin").start();
    balancer.said_times(" is healthy", 2);
    let [mut one, mut other, mut third] = [(); 3].map(|()| Client::to(balancer.address));
    for client in [&mut one, &mut other] {
        client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    until("each has one", || (alone.requests(), shared.requests()) == (1, 1));
    // Answered by the balancer itself.
    third.send("OPTIONS / HTTP/1.1\r\nHost: test\r\nMax-Forwards: 0\r\n\r\n");
    third.answer().expect_status(200);
    leave_none(&balancer);
    for _ in 0..2 {
        third.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(third.answer().expect_status(200).text(), "shared");
    }
    assert_eq!((alone.requests(), shared.connections()), (1, 1));
}

#[test]
fn that_files_are_missing_for_requests_and_checks_is_said_once_and_not_for_each() {
    let backend = Backend::stalls();
    let balancer = Balancer::before(&[backend.address]).flag("--health-interval", "1s");
    let balancer = balancer.flag("--health-timeout", "200ms").start();
    balancer.said(" is healthy");
    let before = files_of(&balancer).len();
    let mut refused: Vec<_> = (0..10).map(|_| Client::to(balancer.address)).collect();
    let mut waiting: Vec<_> = (0..10).map(|_| Client::to(balancer.address)).collect();
    for client in &mut waiting {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    until("all of them wait", || files_of(&balancer).len() >= before + refused.len() + 2 * waiting.len());
    leave_none(&balancer);
    for client in &mut refused {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    for client in &mut refused {
        client.answer().expect_status(503);
    }
    let line = balancer.said("cannot connect to backends: Too many open files (os error 24); attempts");
    assert!(line.contains(" WARN "), "{line}");
    let line =
        balancer.said("cannot connect to backends to check them: Too many open files (os error 24); checks");
    assert!(line.contains(" WARN "), "{line}");
    assert_eq!(balancer.times_said("cannot connect to backends: "), 1);
    assert_eq!(balancer.times_said(" is down"), 0);
}

#[test]
fn clients_with_many_streams_leave_files_to_refuse_others_and_to_answer_an_operator() {
    let backend = Backend::stalls();
    let balancer = Balancer::before(&[backend.address]).flag("--admin", "127.0.0.1:0");
    let balancer = balancer.open_files(300).start();
    balancer.said(" is healthy");
    let mut clients: Vec<_> = (0..3).map(|_| Http2::to(balancer.address)).collect();
    let begin = |client: &mut Http2| {
        let one = |_| client.begin(Request::get("http://a/").body(()).expect("a request"));
        (0..100).map(one).collect::<Vec<_>>()
    };
    let _streams: Vec<_> = clients.iter_mut().map(begin).collect();
    balancer.said("cannot connect to backends: Too many open files");
    for _ in 0..100 {
        let answer = ask(balancer.address, "/");
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
    balancer.admin().ask("GET", "/livez", "", "").expect_status(200);
}
