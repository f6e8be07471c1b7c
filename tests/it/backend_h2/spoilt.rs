//! Connections of HTTP/2 that end with requests on them: because of an answer that is none, or because the backend closes.

use std::io::{Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use hyper::StatusCode;

use crate::support::frames::{HEADERS, SETTINGS};
use crate::support::h2_backend::H2Backend;
use crate::support::{Balancer, Client, Running, frame, get, read_frame, until};

const ACK: u8 = 1;
/// The ends of a head and of its stream.
const ALL: u8 = 5;
const PREFACE: usize = 24;
/// `:status: 200` (RFC 7541 appendix A).
const OK: u8 = 0x88;

/// What a backend does when as many requests as it waits for are on one connection.
type Deed = fn(&mut TcpStream, u32) -> Result<()>;

/// A backend, frame by frame.
struct Raw {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    came: Arc<AtomicUsize>,
}

impl Raw {
    /// Answers the first request of each connection and does this at the last of so many that follow, once or always.
    fn that(count: usize, once: bool, deed: Deed) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, came) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let raw = Self { address, connections: Arc::clone(&connections), came: Arc::clone(&came) };
        let done = Arc::new(AtomicBool::new(false));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(std::result::Result::ok) {
                connections.fetch_add(1, Ordering::SeqCst);
                let (came, done) = (Arc::clone(&came), Arc::clone(&done));
                thread::spawn(move || {
                    let deed = |stream: &mut TcpStream, number| {
                        done.store(once, Ordering::SeqCst);
                        deed(stream, number)
                    };
                    drop(serve(stream, count, &came, &done, deed));
                });
            }
        });
        raw
    }
}

fn serve(
    mut stream: TcpStream,
    count: usize,
    came: &AtomicUsize,
    done: &AtomicBool,
    deed: impl Fn(&mut TcpStream, u32) -> Result<()>,
) -> Result<()> {
    stream.read_exact(&mut [0; PREFACE])?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    let mut here = 0;
    loop {
        let next = read_frame(&mut stream)?;
        match (next.kind, next.flags) {
            (SETTINGS, 0) => stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
            (HEADERS, _) => {
                came.fetch_add(1, Ordering::SeqCst);
                if here == 0 || done.load(Ordering::SeqCst) {
                    stream.write_all(&frame(HEADERS, ALL, next.stream, &[OK]))?;
                } else if here == count {
                    deed(&mut stream, next.stream)?;
                }
                here += 1;
            }
            _ => {}
        }
    }
}

/// Answers with a value that has a byte which none may have (RFC 9110 section 5.5).
fn spoil(stream: &mut TcpStream, number: u32) -> Result<()> {
    stream.write_all(&frame(HEADERS, ALL, number, &[OK, 0, 1, b'x', 1, 0x7f]))
}

/// In front of this one, and of another that is well; on the connection to the former a request was answered.
fn before(raw: &Raw, second: &H2Backend) -> (Running, Client) {
    let balancer = Balancer::before(&[]).flag("--backend", &format!("h2c://{}", raw.address));
    let balancer = balancer.flag("--backend", &second.url()).flag("--health-interval", "1h").start();
    balancer.said_times("is healthy", 2);
    let mut client = Client::to(balancer.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.answer().expect_status(200).text(), "");
    (balancer, client)
}

fn second() -> H2Backend {
    H2Backend::that(|exchange| async { exchange.answer(StatusCode::OK, "second") })
}

#[test]
fn an_answer_that_is_none_fails_no_other_request_on_its_connection_that_may_be_repeated() {
    const REPEATABLE: usize = 3;
    let (raw, second) = (Raw::that(REPEATABLE + 1, false, spoil), second());
    let (balancer, mut post) = before(&raw, &second);
    let before = raw.came.load(Ordering::SeqCst);
    post.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    until("it came", || raw.came.load(Ordering::SeqCst) == before + 1);
    let mut clients: Vec<_> = (0..REPEATABLE).map(|_| Client::to(balancer.address)).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.answer().expect_status(200).text(), "second");
    }
    let answer = post.answer().expect_status(502);
    assert!(answer.header("proxy-status").unwrap().contains("backend_closed"), "{answer:?}");
    assert_eq!(raw.came.load(Ordering::SeqCst), before + 1 + REPEATABLE, "each once");
    assert_eq!(balancer.times_said("is down"), 0);
}

#[test]
fn an_answer_that_is_none_is_told_as_one_where_no_other_request_shares_its_connection() {
    let (raw, second) = (Raw::that(1, false, spoil), second());
    let (balancer, _client) = before(&raw, &second);
    let answer = get(balancer.address, "/").expect_status(502);
    assert!(answer.header("proxy-status").unwrap().contains("bad_answer"), "{answer:?}");
    assert_eq!(second.requests(), 0);
}

#[test]
fn requests_whose_connection_was_closed_share_a_new_one() {
    const MANY: usize = 40;
    let (raw, second) = (Raw::that(MANY, true, |stream, _| stream.shutdown(Shutdown::Both)), second());
    let (balancer, _client) = before(&raw, &second);
    let before = raw.connections.load(Ordering::SeqCst);
    let mut clients: Vec<_> = (0..MANY).map(|_| Client::to(balancer.address)).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.answer().expect_status(200).text(), "");
    }
    assert_eq!((raw.connections.load(Ordering::SeqCst), second.requests()), (before + 1, 0));
}
