//! A client that writes what it is told, byte for byte, and reads answers as RFC 9112 frames them.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection};

use super::PATIENCE;
use super::wire::{Wire, connect};

/// One connection of a client.
pub struct Client {
    reader: BufReader<Wire>,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// As the headers are, if the body was chunked.
    pub trailers: Vec<(String, String)>,
}

impl Answer {
    /// The value of the only header line of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "{name} came twice: {self:?}");
        value
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// Fails unless it has this status.
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}: {}", String::from_utf8_lossy(&self.body));
        self
    }
}

/// Fails unless an answer is ours, with this status and for this reason.
pub fn expect_reason(answer: Answer, status: u16, reason: &str) -> Answer {
    let answer = answer.expect_status(status);
    let told = answer.header("proxy-status").expect("a Proxy-Status").to_owned();
    assert!(told.contains(&format!("details=\"{reason}\"")), "{told}");
    answer
}

/// GETs a path on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, &format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"))
}

/// Sends a whole request on a connection of its own and reads the answer.
pub fn request(address: SocketAddr, request: &str) -> Answer {
    let mut client = Client::to(address);
    client.send(request);
    client.answer()
}

impl Client {
    /// Connects.
    pub fn to(address: SocketAddr) -> Self {
        Self { reader: BufReader::new(Wire::Clear(connect(address))) }
    }

    /// Over a connection that was made.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { reader: BufReader::new(Wire::Clear(stream)) }
    }

    /// Connects and speaks TLS with `localhost`.
    pub fn secure(address: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        Self::secure_to(address, "localhost", config).expect("a handshake")
    }

    /// The same with any name, if that can be done.
    pub fn secure_to(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let wire = Wire::secure(connect(address), name, config)?;
        Ok(Self { reader: BufReader::new(wire) })
    }

    /// The connection itself, below TLS.
    pub fn stream(&self) -> &TcpStream {
        self.reader.get_ref().stream()
    }

    /// What was agreed upon for TLS.
    pub fn agreed(&self) -> &ClientConnection {
        self.reader.get_ref().agreed()
    }

    /// Says farewell as TLS has it.
    pub fn close_notify(&mut self) {
        self.reader.get_mut().close_notify().expect("the connection takes bytes");
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the connection takes bytes");
    }

    /// Sends bytes, if the connection still takes them.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())?;
        self.reader.get_mut().flush()
    }

    /// Sends no more, but goes on reading.
    pub fn finish(&self) {
        self.stream().shutdown(Shutdown::Write).unwrap();
    }

    /// Leaves with a reset in place of a farewell.
    pub fn reset(self) {
        socket2::SockRef::from(self.stream()).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    /// Reads an answer to a request other than HEAD, past any interim ones.
    pub fn answer(&mut self) -> Answer {
        loop {
            let answer = self.head();
            if answer.status >= 200 || answer.status == 101 {
                return self.with_body(answer);
            }
        }
    }

    /// Reads the head of an answer.
    pub fn head(&mut self) -> Answer {
        let line = self.line();
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {line:?}"));
        Answer { status, headers: self.fields(), body: Vec::new(), trailers: Vec::new() }
    }

    /// Reads the body that a head announces.
    pub fn with_body(&mut self, mut answer: Answer) -> Answer {
        if matches!(answer.status, 101 | 204 | 304) {
            return answer;
        }
        if answer.header("transfer-encoding").is_some() {
            (answer.body, answer.trailers) = self.chunks();
        } else if let Some(length) = answer.header("content-length") {
            answer.body = self.bytes(length.parse().expect("a length"));
        } else {
            answer.body = self.rest();
        }
        answer
    }

    /// Reads so many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes).expect("as many bytes as were announced");
        bytes
    }

    /// Reads to the end of the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.reader.read_to_end(&mut rest).expect("the end of the connection");
        rest
    }

    /// Reads to the end of the connection: what came, and how it ended.
    pub fn try_rest(&mut self) -> (Vec<u8>, io::Result<usize>) {
        let mut rest = Vec::new();
        let ended = self.reader.read_to_end(&mut rest);
        (rest, ended)
    }

    /// Reads to the end of the connection, orderly or not.
    pub fn remains(&mut self) -> Vec<u8> {
        let mut remains = Vec::new();
        match self.reader.read_to_end(&mut remains) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error} in place of the end"),
            _ => remains,
        }
    }

    /// Waits for the end of the connection, orderly or not, and fails if a byte comes before it.
    pub fn expect_end(&mut self) {
        let mut byte = [0];
        match self.reader.read(&mut byte) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            // A TLS connection that ends without a word.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
            other => panic!("{other:?} {byte:?} in place of the end of the connection"),
        }
    }

    fn chunks(&mut self) -> (Vec<u8>, Vec<(String, String)>) {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk() {
            body.extend(chunk);
        }
        (body, self.fields())
    }

    /// Reads a chunk, unless it is the last, empty one.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line();
        let size = line.split(';').next().and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let size = size.unwrap_or_else(|| panic!("not the size of a chunk: {line:?}"));
        let chunk = (size > 0).then(|| self.bytes(size))?;
        assert_eq!(self.line(), "", "after a chunk");
        Some(chunk)
    }

    fn fields(&mut self) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                return fields;
            }
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("not a field: {line:?}"));
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line");
        assert!(line.ends_with("\r\n"), "the connection ended amid {line:?}");
        line.truncate(line.len() - 2);
        line
    }
}
