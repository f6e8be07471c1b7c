//! Connections that end before HTTP/2 has begun on them, or TLS.

use std::io::{Read, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::frames::{HEADERS, SETTINGS};
use crate::support::pki::Authority;
use crate::support::tls_backend::with_certificate;
use crate::support::{Balancer, PATIENCE, Running, frame, get, read_frame, until};

const ACK: u8 = 1;
/// The ends of a head and of its stream.
const ALL: u8 = 5;
const PREFACE: usize = 24;
/// No first message of TLS is shorter.
const HELLO: usize = 100;
/// `:status: 200` (RFC 7541 appendix A).
const OK: u8 = 0x88;

/// A backend that closes some connections before it says anything, as what stands before one that restarts does.
struct Closing {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Closing {
    /// Closes those, counted from 0, on which `closes` says so; behind TLS once that is agreed upon, or amid that.
    fn on(closes: fn(usize) -> bool, tls: Option<ServerConfig>, amid: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, tls) = (Arc::<AtomicUsize>::default(), tls.map(Arc::new));
        let counter = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (number, tls) = (counter.fetch_add(1, Ordering::SeqCst), tls.clone());
                thread::spawn(move || drop(meet(stream, tls, (closes(number), amid))));
            }
        });
        Self { address, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn meet(mut stream: TcpStream, tls: Option<Arc<ServerConfig>>, (closes, amid): (bool, bool)) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let Some(tls) = tls else {
        return if closes { Ok(()) } else { serve(stream) };
    };
    if closes && amid {
        return stream.read_exact(&mut [0; HELLO]);
    }
    let mut tls = ServerConnection::new(tls).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    if closes { Ok(()) } else { serve(StreamOwned::new(tls, stream)) }
}

fn serve(mut stream: impl Read + Write) -> Result<()> {
    stream.read_exact(&mut [0; PREFACE])?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    loop {
        let next = read_frame(&mut stream)?;
        match (next.kind, next.flags) {
            (SETTINGS, 0) => stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
            (HEADERS, _) => stream.write_all(&frame(HEADERS, ALL, next.stream, &[OK]))?,
            _ => {}
        }
    }
}

fn behind_tls(closes: fn(usize) -> bool) -> (Closing, Running) {
    over_tls(closes, false)
}

fn amid_tls(closes: fn(usize) -> bool) -> (Closing, Running) {
    over_tls(closes, true)
}

/// One that chooses HTTP/2, and the balancer in front of it.
fn over_tls(closes: fn(usize) -> bool, amid: bool) -> (Closing, Running) {
    let authority = Authority::new();
    let mut tls = with_certificate(&authority.signs(&["localhost"]));
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let backend = Closing::on(closes, Some(tls), amid);
    let url = format!("https://localhost:{}", backend.address.port());
    let balancer = Balancer::before(&[]).flag("--backend", &url).flag("--health-interval", "1h");
    let balancer = balancer.flag("--backend-ca", authority.file().to_str().unwrap()).start();
    (backend, balancer)
}

fn in_the_clear(closes: fn(usize) -> bool) -> (Closing, Running) {
    let backend = Closing::on(closes, None, false);
    let url = format!("h2c://{}", backend.address);
    let balancer = Balancer::before(&[]).flag("--backend", &url).flag("--health-interval", "1h").start();
    (backend, balancer)
}

#[test]
fn a_backend_that_closes_before_http_2_begins_is_told_to_have() {
    let (_clear, balancer) = in_the_clear(|_| true);
    balancer
        .said("is down: connection closed before it spoke HTTP/2; write http:// if it speaks only HTTP/1.1");
    let (_tls, balancer) = behind_tls(|_| true);
    balancer.said("is down: connection closed without an answer");
    let (_amid, balancer) = amid_tls(|_| true);
    balancer.said("is down: it closed the connection amid the TLS handshake");
}

#[test]
fn a_backend_that_closed_one_connection_before_http_2_began_stays_in_use() {
    let ways: [(fn(_) -> _, _); _] =
        [(in_the_clear, "not_http2"), (behind_tls, "backend_closed"), (amid_tls, "tls")];
    for (meet, reason) in ways {
        let (backend, balancer) = meet(|number| number == 1);
        balancer.said("is healthy: answered 200");
        let answer = get(balancer.address, "/").expect_status(502);
        assert!(answer.header("proxy-status").unwrap().contains(reason), "{answer:?}");
        until("it is checked at once", || backend.connections() == 3);
        get(balancer.address, "/").expect_status(200);
        assert_eq!(balancer.times_said("is down"), 0);
    }
}
