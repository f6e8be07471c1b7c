//! Backends that misbehave, each in one way. They pass their checks (`GET /health`) all the same.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use socket2::{Domain, SockRef, Socket, Type};

use super::{Gate, Opener, PATIENCE, gate};

/// A backend whose answers are scripted. Its threads end with the test's process.
pub struct Backend {
    /// Where it listens.
    pub address: SocketAddr,
    requests: Arc<AtomicUsize>,
    listener: Arc<TcpListener>,
}

/// A connection on which a backend has read the head of a request that is not a check.
pub struct Transport {
    reader: BufReader<TcpStream>,
    listener: Arc<TcpListener>,
    /// The head, with its last empty line.
    pub head: String,
}

impl Backend {
    /// Does this with each connection once the head of its first request, checks aside, has come.
    pub fn that(script: impl Fn(Transport) + Send + Sync + 'static) -> Self {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let (script, counter) = (Arc::new(script), Arc::clone(&requests));
        let queue = Arc::clone(&listener);
        thread::spawn(move || {
            for stream in queue.incoming().map_while(Result::ok) {
                let (script, counter) = (Arc::clone(&script), Arc::clone(&counter));
                let listener = Arc::clone(&queue);
                thread::spawn(move || {
                    let mut transport = Transport::over(stream, listener);
                    if !transport.read_head() {
                        return;
                    }
                    if transport.head.starts_with("GET /health ") {
                        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                        return;
                    }
                    counter.fetch_add(1, Ordering::SeqCst);
                    script(transport);
                });
            }
        });
        Self { address, requests, listener }
    }

    /// Where its connections wait.
    pub fn listener(&self) -> SockRef<'_> {
        SockRef::from(&*self.listener)
    }

    /// How many connections with a request, checks aside, it has seen.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// An address where nobody listens, so that connections are refused.
    pub fn refuses() -> SocketAddr {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        // Bound for good and never listening: nobody else can have the port.
        std::mem::forget(socket);
        address
    }

    /// Answers every request on a connection with the same bytes, for as long as requests come.
    pub fn answers(bytes: &'static str) -> Self {
        Self::that(move |mut transport| {
            loop {
                transport.read_body();
                transport.send(bytes);
                if !transport.read_head() {
                    return;
                }
            }
        })
    }

    /// The same, and tells the head of each request.
    pub fn tells(bytes: &'static str) -> (Self, Receiver<String>) {
        let (heads, told) = channel();
        let backend = Self::that(move |mut transport| {
            loop {
                // The test may have heard enough.
                let _ = heads.send(transport.head.clone());
                transport.read_body();
                transport.send(bytes);
                if !transport.read_head() {
                    return;
                }
            }
        });
        (backend, told)
    }

    /// Closes the connection in place of an answer.
    pub fn closes_before_the_head() -> Self {
        Self::that(drop)
    }

    /// Resets the connection amid the head of its answer.
    pub fn resets_mid_head() -> Self {
        Self::that(|mut transport| {
            transport.send("HTTP/1.1 200 OK\r\nContent-Le");
            transport.reset();
        })
    }

    /// Answers `/slow` once it is let, and all else at once. With what waits until `/slow` is asked for, and what lets it.
    pub fn held_up() -> (Self, Gate, Opener) {
        let ((came, coming), (let_go, go)) = (gate(), gate());
        let backend = Self::that(move |mut transport| {
            if transport.head.starts_with("GET /slow ") {
                came.open();
                go.wait();
            }
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        });
        (backend, coming, let_go)
    }

    /// Never answers.
    pub fn stalls() -> Self {
        Self::that(|mut transport| transport.wait_for_end())
    }

    /// Sends the head and half of the body, then closes.
    pub fn closes_mid_body() -> Self {
        Self::that(|mut transport| transport.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst"))
    }

    /// Sends the head and half of the body, then nothing.
    pub fn stalls_mid_body() -> Self {
        Self::that(|mut transport| {
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
            transport.wait_for_end();
        })
    }

    /// Answers before it has read the body of the request, and reads none of it.
    pub fn answers_early() -> Self {
        Self::that(|mut transport| {
            transport.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n");
            transport.wait_for_end();
        })
    }

    /// Sends more than its Content-Length says.
    pub fn lies_about_content_length() -> Self {
        Self::answers(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst, and HTTP/1.1 200 OK of my own\r\n\r\n",
        )
    }

    /// Answers with something that is not HTTP.
    pub fn sends_garbage() -> Self {
        Self::answers("\u{1}\u{2} this is no HTTP \u{3}\r\n\r\n")
    }
}

impl Transport {
    fn over(stream: TcpStream, listener: Arc<TcpListener>) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { reader: BufReader::new(stream), listener, head: String::new() }
    }

    /// Reads the head of the next request, if one comes.
    pub fn read_head(&mut self) -> bool {
        self.head.clear();
        while !self.head.ends_with("\r\n\r\n") {
            if !matches!(self.reader.read_line(&mut self.head), Ok(1..)) {
                return false;
            }
        }
        true
    }

    /// Reads the body that the head announces.
    pub fn read_body(&mut self) -> Vec<u8> {
        if self.header("transfer-encoding").is_some() {
            return self.read_chunks().0;
        }
        let mut body = vec![0; self.header("content-length").map_or(0, |length| length.parse().unwrap())];
        self.reader.read_exact(&mut body).expect("the body that was announced");
        body
    }

    /// Reads a chunked body, and its trailers as they came.
    pub fn read_chunks(&mut self) -> (Vec<u8>, String) {
        let (mut body, mut trailers) = (Vec::new(), String::new());
        while let Some(chunk) = self.read_chunk() {
            body.extend(chunk);
        }
        while !trailers.ends_with("\r\n\r\n") && trailers != "\r\n" {
            assert!(self.reader.read_line(&mut trailers).expect("a line") > 0, "amid trailers");
        }
        (body, trailers)
    }

    /// Reads a chunk, unless it is the last, empty one.
    pub fn read_chunk(&mut self) -> Option<Vec<u8>> {
        let mut size = String::new();
        self.reader.read_line(&mut size).expect("the size of a chunk");
        let size = usize::from_str_radix(size.trim_end(), 16).expect("the size of a chunk");
        let mut chunk = self.bytes(size + if size > 0 { 2 } else { 0 });
        chunk.truncate(size);
        (size > 0).then_some(chunk)
    }

    /// Reads so many bytes and forgets them.
    pub fn skip(&mut self, count: u64) -> std::io::Result<u64> {
        std::io::copy(&mut (&mut self.reader).take(count), &mut std::io::sink())
    }

    /// Reads to the end of the connection, orderly or not.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // What came before a reset counts, too.
        let _ = self.reader.read_to_end(&mut rest);
        rest
    }

    /// Reads to the end of the connection: what came, and how it ended.
    pub fn try_rest(&mut self) -> (Vec<u8>, std::io::Result<usize>) {
        let mut rest = Vec::new();
        let ended = self.reader.read_to_end(&mut rest);
        (rest, ended)
    }

    /// Sends bytes, if the connection still takes them.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())
    }

    /// Sends no more, but goes on reading.
    pub fn finish(&self) {
        self.reader.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// Reads so many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes).expect("as many bytes");
        bytes
    }

    /// Reads so many bytes, unless the connection ends before.
    pub fn try_bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes).ok().map(|()| bytes)
    }

    /// The connection itself.
    pub fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    /// The value of a header of the request, its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Sends bytes; that the other side has gone is for the test to notice there.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.reader.get_mut().write_all(bytes.as_ref());
    }

    /// Waits until the other side closes the connection, reading what still comes.
    pub fn wait_for_end(&mut self) {
        let _ = std::io::copy(&mut self.reader, &mut std::io::sink());
    }

    /// Closes with a reset.
    pub fn reset(self) {
        SockRef::from(self.reader.get_ref()).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    /// Closes, and first its backend listens no more, as if all of it had died.
    pub fn die(self) {
        SockRef::from(&*self.listener).shutdown(Shutdown::Both).unwrap();
    }
}
