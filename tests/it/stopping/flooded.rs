//! A stop, and a listener that is closed, while clients go on coming.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{GET, ended_well, stop};
use crate::support::{Backend, Balancer, Client, Http2, Settings, http2_get, until};

/// As many clients as the queue is never without, each of which comes anew for each request, for as long as somebody listens.
struct Flood(Arc<AtomicBool>);

impl Flood {
    fn on(address: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        for _ in 0..400 {
            let over = Arc::clone(&over);
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let Ok(mut client) = TcpStream::connect(address) else { return };
                    // One that comes too late is reset.
                    let _ = client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                    let _ = client.read_to_end(&mut Vec::new());
                }
            });
        }
        Self(over)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_stop_does_not_wait_for_clients_that_go_on_coming() {
    let balancer =
        Balancer::before(&[Backend::refuses()]).flag("--drain-timeout", "1s").flag("--workers", "1").start();
    let _flood = Flood::on(balancer.address);
    stop(&balancer, "TERM");
    ended_well(&balancer);
}

#[test]
fn a_listener_that_is_gone_from_the_settings_closes_though_clients_go_on_coming() {
    let text = |listeners: &str| {
        format!(
            "workers = 1\n[listeners]\n{listeners}[admin]\naddress = \"off\"\n[pools.all]\nbackends = [\"127.0.0.1:1\"]\n"
        )
    };
    let stays = "web = { address = \"127.0.0.1:0\" }\n";
    let settings = Settings::that_say(&text(&format!("goes = {{ address = \"127.0.0.1:0\" }}\n{stays}")));
    let balancer = settings.balancer().start();
    let _flood = Flood::on(balancer.address);
    settings.change(&balancer, &text(stays));
    until("nobody listens", || TcpStream::connect(balancer.address).is_err());
}

#[test]
fn a_stop_does_not_wait_for_files_that_clients_in_the_queue_would_need() {
    let stalls = Backend::stalls();
    let balancer = Balancer::before(&[stalls.address]).flag("--drain-timeout", "1s").flag("--workers", "1");
    let balancer = balancer.open_files(100).start();
    let mut takes_all = Http2::to(balancer.address);
    let _streams: Vec<_> = (0..100).map(|_| takes_all.ask(http2_get("/"))).collect();
    balancer.said("cannot connect to backends: Too many open files");
    // A check that ends meanwhile leaves its file to one of them.
    let _wait = [(); 4].map(|()| Client::to(balancer.address));
    balancer.said("cannot accept clients");
    stop(&balancer, "TERM");
    ended_well(&balancer);
}

#[test]
fn a_client_who_waits_for_a_file_at_a_stop_is_served_when_others_have_left() {
    let backend = Backend::that(|mut transport| match transport.head.starts_with("GET /stalls ") {
        true => transport.wait_for_end(),
        false => transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"),
    });
    let balancer = Balancer::before(&[backend.address]).flag("--drain-timeout", "4s").flag("--workers", "1");
    let balancer = balancer.flag("--log-level", "debug").open_files(100).start();
    let mut idle = [(); 10].map(|()| Client::to(balancer.address));
    for client in &mut idle {
        client.send(GET);
        client.answer().expect_status(200);
    }
    balancer.said_times("is parked", idle.len());
    let mut takes_all = Http2::to(balancer.address);
    let mut streams: Vec<_> = (0..100).map(|_| takes_all.ask(http2_get("/stalls"))).collect();
    assert_eq!(streams.last_mut().expect("there are some").answer().status, 503);
    let mut waits = Client::to(balancer.address);
    waits.send(GET);
    balancer.said("cannot accept clients");
    stop(&balancer, "TERM");
    assert_eq!(waits.answer().expect_status(200).text(), "ok");
    drop((takes_all, streams));
    ended_well(&balancer);
}
