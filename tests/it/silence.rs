//! Backends that say nothing any more, not even that they are gone: their machine has lost its power, or they hang.

use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use socket2::{SockFilter, SockRef};

use crate::support::{Backend, Balancer, Client, Sample, Settings, expect_reason, get, signal, until};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A machine with a backend on it that answers, until it has no power any more.
struct Machine {
    backend: Backend,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Machine {
    fn start() -> Self {
        let connections = Arc::<Mutex<Vec<TcpStream>>>::default();
        let known = Arc::clone(&connections);
        let backend = Backend::that(move |mut transport| {
            known.lock().unwrap().extend([transport.stream().try_clone().unwrap()]);
            if transport.head.starts_with("GET /slow ") {
                return transport.wait_for_end();
            }
            loop {
                transport.read_body();
                transport.send(OK);
                if !transport.read_head() {
                    return;
                }
            }
        });
        Self { backend, connections }
    }

    /// From now on the system drops whatever comes for it, unseen: nothing is answered or acknowledged.
    fn lose_power(&self) {
        // The one instruction returns how many bytes of what came are kept.
        let none = [SockFilter::new(0x06, 0, 0, 0)];
        let deafen = |socket: SockRef<'_>| socket.attach_filter(&none).unwrap();
        deafen(self.backend.listener());
        self.connections.lock().unwrap().iter().for_each(|connection| deafen(SockRef::from(connection)));
    }
}

#[test]
fn a_request_that_waits_for_a_machine_without_power_goes_to_another_unless_it_may_be_done_twice_then() {
    let (first, second) = (Machine::start(), Machine::start());
    let balancer = Balancer::before(&[first.backend.address, second.backend.address]);
    let balancer = balancer.flag("--response-timeout", "15s").start();
    // On two connections, which are kept.
    let [mut one, mut other] = [(); 2].map(|()| Client::to(balancer.address));
    for client in [&mut one, &mut other] {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    for client in [&mut one, &mut other] {
        client.answer().expect_status(200);
    }
    balancer.said_times("is healthy", 2);
    first.lose_power();
    one.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    other.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    one.answer().expect_status(200);
    balancer.said(&format!("{} is down: no connection in time", first.backend.address));
    get(balancer.address, "/").expect_status(200);
    expect_reason(other.answer(), 504, "response_timeout");
}

#[test]
fn a_request_that_waits_for_a_machine_that_was_disabled_before_it_lost_power_goes_to_another() {
    let (first, second) = (Machine::start(), Backend::answers(OK));
    let balancer = Balancer::before(&[first.backend.address, second.address]);
    let balancer = balancer.flag("--admin", "127.0.0.1:0").start();
    balancer.said_times("is healthy", 2);
    let mut client = Client::to(balancer.address);
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    until("it has the request", || first.backend.requests() == 1);
    let path = format!("/api/v1/pools/default/backends/{}", first.backend.address);
    let json = "Content-Type: application/json\r\n";
    balancer.admin().ask("PATCH", &path, json, r#"{"hold": "disable"}"#).expect_status(200);
    first.lose_power();
    client.answer().expect_status(200);
    balancer.said(&format!("{} is down: no connection in time", first.backend.address));
}

#[test]
fn a_request_that_waits_for_a_machine_that_was_taken_out_before_it_lost_power_goes_to_another() {
    let (first, second) = (Machine::start(), Backend::answers(OK));
    let text = |backends: &str| {
        format!(
            "listeners.web.address = \"127.0.0.1:0\"\nadmin.address = \"off\"\n\
             [pools.all]\nbackends = [{backends}]\nhealth = {{ path = \"/health\" }}\n"
        )
    };
    let (left, stays) = (format!("\"{}\"", first.backend.address), format!("\"{}\"", second.address));
    let settings = Settings::that_say(&text(&format!("{left}, {stays}")));
    let balancer = settings.balancer().start();
    balancer.said_times("is healthy", 2);
    let mut client = Client::to(balancer.address);
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    until("it has the request", || first.backend.requests() == 1);
    settings.change(&balancer, &text(&stays));
    balancer.said(&format!("{} is removed; requests still with it: 1", first.backend.address));
    first.lose_power();
    client.answer().expect_status(200);
    balancer.said(&format!("{} is down: no connection in time", first.backend.address));
    balancer.said(&format!("{} is gone: nothing is under way there", first.backend.address));
}

#[test]
fn a_request_that_waits_for_a_program_that_hangs_goes_to_another_whatever_is_spoken() {
    for scheme in ["http", "h2c"] {
        let (first, second) = (Sample::start("first"), Sample::start("second"));
        // The samples speak no HTTP/2.
        let before = Balancer::before(&[first.address()]).start();
        // With a worker each, it might be another one's first connection that is waited for.
        let balancer = Balancer::bare().flag("--listen", "127.0.0.1:0").flag("--workers", "1");
        let balancer = balancer.flag("--backend", &format!("{scheme}://{}", before.address));
        let balancer = balancer.flag("--backend", &second.address().to_string()).start();
        balancer.said_times("is healthy", 2);
        assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from first\n", "{scheme}");
        signal("STOP", before.id());
        assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from second\n", "{scheme}");
        balancer.said("is down: no ");
        signal("CONT", before.id());
        // It gets well by itself.
        balancer.said_times("is healthy", 3);
    }
}

#[test]
fn a_request_that_waits_for_the_last_of_all_goes_to_another_as_soon_as_there_is_one() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let balancer =
        Balancer::before(&[first.address(), second.address()]).flag("--health-interval", "1s").start();
    balancer.said_times("is healthy", 2);
    // Its connection is kept.
    get(balancer.address, "/").expect_status(200);
    for sample in [&second, &first] {
        signal("STOP", sample.id());
    }
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    balancer.said_times("is down: no answer in time", 2);
    signal("CONT", second.id());
    assert_eq!(client.answer().expect_status(200).text(), "hello from second\n");
    signal("CONT", first.id());
}

#[test]
fn who_may_be_sent_to_one_backend_only_is_told_that_it_was_found_dead() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let settings = Settings::that_say(&format!(
        "listeners.web.address = \"127.0.0.1:0\"\nadmin.address = \"off\"\n\
         pools.all.backends = [\"{}\", \"{}\"]\nroutes.all = {{ pool = \"all\", retry.attempts = 1 }}\n",
        first.address(),
        second.address()
    ));
    let balancer = settings.balancer().start();
    balancer.said_times("is healthy", 2);
    signal("STOP", first.id());
    let answer = expect_reason(get(balancer.address, "/"), 504, "found_dead");
    assert_eq!(answer.text(), "the backend was found dead before it answered\n");
    signal("CONT", first.id());
}

#[test]
fn a_request_waits_on_if_nobody_else_may_have_it() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let settings = Settings::that_say(&format!(
        "listeners.web.address = \"127.0.0.1:0\"\npools.all.backends = [\"{}\", \"{}\"]\n",
        first.address(),
        second.address()
    ));
    let balancer = settings.balancer().flag("--admin", "127.0.0.1:0").flag("--workers", "1").start();
    balancer.said_times("is healthy", 2);
    // Its connection is kept.
    get(balancer.address, "/").expect_status(200);
    balancer.admin().patch(second.address(), r#"{"hold": "drain"}"#);
    signal("STOP", first.id());
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    balancer.said("is down: no answer in time");
    until("its worker knows", || get(balancer.address, "/").status == 503);
    signal("CONT", first.id());
    assert_eq!(client.answer().expect_status(200).text(), "hello from first\n");
}
