//! A stream whose connection has no room left for what its client would send.

use std::sync::mpsc::channel;

use super::expect_reason;
use super::pace::drip;
use crate::support::h2_backend::H2Backend;
use crate::support::{Backend, Balancer, Client, Http2, PATIENCE, Settings, Stream};
use crate::timeouts::deaf;

/// What a stream may send before its backend took it.
const WINDOW: usize = 256 << 10;

#[test]
fn a_stream_that_can_send_nothing_while_backends_keep_others_waiting_is_not_cut_for_that() {
    let (deaf, _kept) = deaf();
    let (reached, told) = channel();
    let backend = Backend::that(move |mut transport| {
        if transport.head.starts_with("POST /drips ") {
            return transport.wait_for_end();
        }
        if transport.head.starts_with("POST ") {
            reached.send(()).expect("the test goes on");
            transport.read_body();
        }
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let settings = Settings::that_say(&format!(
        "workers = 1\n[timeouts]\nbody = \"2s\"\nconnect = \"1h\"\n[limits]\nmin_data_rate = \"1000B/s\"\n\
         [listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
         [pools.all]\nbackends = [\"{}\"]\n[routes.rest]\npool = \"all\"\n\
         [pools.deaf]\nbackends = [\"{deaf}\"]\nhealth = {{ timeout = \"1h\" }}\n\
         [routes.deaf]\npool = \"deaf\"\npath = \"/deaf\"\n",
        backend.address
    ));
    let balancer = settings.balancer().start();
    let mut client = Http2::to(balancer.address);
    let post = |path| hyper::Request::post(format!("http://test{path}")).body(()).expect("a request");
    let mut held: Vec<_> = (0..16).map(|_| client.begin(post("/deaf"))).collect();
    held.iter_mut().for_each(|stream| stream.send(vec![0; WINDOW], false).expect("room of its own"));
    let mut healthy = client.begin(post("/"));
    told.recv_timeout(PATIENCE).expect("it is at its backend");
    // One that can send, and does so too slowly, is cut when the time of the other one is over, too.
    let mut drips = Client::to(balancer.address);
    drips.send("POST /drips HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n");
    drip(drips.stream());
    expect_reason(drips.answer(), 408, "upload_timeout");
    held.iter_mut().for_each(Stream::cancel);
    healthy.send("hello", true).expect("room again");
    assert_eq!(healthy.answer().expect_status(200).text(), "ok");
}

#[test]
fn streams_whose_bodies_have_all_come_leave_room_for_others() {
    let (reached, told) = channel();
    let backend = H2Backend::that(move |mut exchange| {
        let reached = reached.clone();
        async move {
            while exchange.next().await.is_some() {}
            reached.send(()).expect("the test goes on");
            std::future::pending::<()>().await;
            drop(exchange);
        }
    });
    let balancer = Balancer::before(&[]).flag("--health-interval", "1h").flag("--body-timeout", "300ms");
    let balancer = balancer.flag("--backend", &backend.url()).start();
    let mut client = Http2::to(balancer.address);
    let post = || hyper::Request::post("http://test/").body(()).expect("a request");
    let mut waits: Vec<_> = (0..20).map(|_| client.begin(post())).collect();
    waits.iter_mut().for_each(|stream| stream.send("all of it", true).expect("room"));
    waits.iter().for_each(|_| told.recv_timeout(PATIENCE).expect("it is at its backend"));
    expect_reason(client.begin(post()).answer(), 408, "upload_timeout");
}
