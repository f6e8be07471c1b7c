//! Connections to backends that settings no longer name are not kept, whatever is still under way there or elsewhere.

use std::sync::mpsc::channel;

use crate::support::h2_backend::H2Backend;
use crate::support::{Backend, Client, PATIENCE, Sample, Settings, gate, get, until};

use super::pool;

#[test]
fn connections_to_a_removed_backend_are_closed_whether_idle_by_then_or_later() {
    let (opener, opened) = gate();
    let (closes, closed) = channel();
    let backend = Backend::that(move |mut transport| {
        loop {
            if transport.head.starts_with("GET /slow ") {
                opened.wait();
            }
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            if !transport.read_head() {
                return closes.send(()).unwrap_or_default();
            }
        }
    });
    let next = Sample::start("next");
    let settings = Settings::that_say(&pool("first", &[backend.address.to_string()]));
    let balancer = settings.balancer().start();
    let mut clients = [(); 2].map(|()| Client::to(balancer.address));
    for client in &mut clients {
        client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    until("both are under way", || backend.requests() == 2);
    get(balancer.address, "/").expect_status(200);
    settings.change(&balancer, &pool("first", &[next.address().to_string()]));
    closed.recv_timeout(PATIENCE).expect("the idle one is closed");
    for _ in &clients {
        opener.open();
        closed.recv_timeout(PATIENCE).expect("so is one that would be idle now");
    }
    for client in &mut clients {
        assert_eq!(client.answer().expect_status(200).text(), "ok");
    }
    assert_eq!(backend.requests(), 3);
}

#[test]
fn a_removed_backend_is_told_goodbye_while_a_request_waits_for_another_one() {
    let removed = H2Backend::that(async |exchange| exchange.answer(hyper::StatusCode::OK, "ok"));
    let (slow, coming, let_go) = Backend::held_up();
    let text = |pool: &str, backend: &str| {
        format!(
            "listeners.web.address = \"127.0.0.1:0\"\nadmin.address = \"off\"\n\
             pools.slow = {{ backends = [\"{}\"], health = {{ path = \"/health\" }} }}\n\
             pools.{pool} = {{ backends = [\"{backend}\"], health = {{ path = \"/health\" }} }}\n\
             routes.slow = {{ paths = [\"/slow\"], pool = \"slow\" }}\nroutes.all.pool = \"{pool}\"\n",
            slow.address
        )
    };
    let settings = Settings::that_say(&text("before", &removed.url()));
    let balancer = settings.balancer().start();
    get(balancer.address, "/").expect_status(200);
    let mut client = Client::to(balancer.address);
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    coming.wait();
    let next = Sample::start("next");
    settings.change(&balancer, &text("after", &next.address().to_string()));
    until("it is told", || removed.goodbyes() == 1);
    let_go.open();
    client.answer().expect_status(200);
}
