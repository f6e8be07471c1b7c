//! A client that speaks HTTP/2, many streams at once.

use std::future::{Future, pending, poll_fn};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use hyper::http::HeaderMap;
use hyper::{Request, Response};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Answer, PATIENCE};

/// One connection.
pub struct Http2 {
    sender: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), h2::Error>>,
}

/// A request on a connection, and its answer.
pub struct Stream {
    answer: Option<ResponseFuture>,
    body: Option<RecvStream>,
    upload: SendStream<Bytes>,
    /// What came and was not asked for yet.
    ahead: Vec<u8>,
}

/// The runtime that all of a test's clients share, on a thread of its own.
fn runtime() -> &'static Handle {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let handle = runtime.handle().clone();
        thread::spawn(move || runtime.block_on(pending::<()>()));
        handle
    })
}

fn wait<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = runtime().block_on(async { timeout(PATIENCE, future).await });
    waited.unwrap_or_else(|_| panic!("it never came: {what}"))
}

impl Http2 {
    /// Connects, knowing that it will be understood.
    pub fn to(address: SocketAddr) -> Self {
        Self::with(&Builder::new(), address)
    }

    /// The same with settings.
    pub fn with(builder: &Builder, address: SocketAddr) -> Self {
        wait("a connection", async {
            let stream = TcpStream::connect(address).await.expect("somebody listens");
            stream.set_nodelay(true).unwrap();
            Self::over(builder, stream).await
        })
    }

    /// Connects by TLS to `localhost`.
    pub fn secure(address: SocketAddr, config: ClientConfig) -> Self {
        let config = super::tls::offering(config, &["h2"]);
        let name = ServerName::try_from("localhost").unwrap();
        wait("a connection", async {
            let stream = TcpStream::connect(address).await.expect("somebody listens");
            stream.set_nodelay(true).unwrap();
            let connector = TlsConnector::from(Arc::new(config));
            let stream = connector.connect(name, stream).await.expect("a handshake");
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            Self::over(&Builder::new(), stream).await
        })
    }

    async fn over(builder: &Builder, io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (sender, connection) = builder.handshake(io).await.expect("a connection");
        let mut client = Self { sender, driver: tokio::spawn(connection) };
        // The other side's settings are known once it is ready for a request.
        client.sender = client.sender.ready().await.expect("a connection");
        client
    }

    /// Sends a request without a body.
    pub fn ask(&mut self, request: Request<()>) -> Stream {
        self.try_ask(request, true).expect("a stream")
    }

    /// Sends the head of a request whose body follows.
    pub fn begin(&mut self, request: Request<()>) -> Stream {
        self.try_ask(request, false).expect("a stream")
    }

    /// Sends a request's head, if the connection still takes it.
    pub fn try_ask(&mut self, request: Request<()>, end: bool) -> Result<Stream, h2::Error> {
        let sender = self.sender.clone();
        wait("a place for a stream", async {
            self.sender = sender.ready().await?;
            let (answer, upload) = self.sender.send_request(request, end)?;
            Ok(Stream { answer: Some(answer), body: None, upload, ahead: Vec::new() })
        })
    }

    /// GETs a path.
    pub fn get(&mut self, path: &str) -> Answer {
        self.ask(get(path)).answer()
    }

    /// Whether the other side has said that it knows extended CONNECT.
    pub fn knows_extended_connect(&self) -> bool {
        self.sender.is_extended_connect_protocol_enabled()
    }

    /// Waits until the other side's settings have come, which is when it has acknowledged ours.
    pub fn until_settings(&mut self) {
        super::until("its settings came", || self.knows_extended_connect());
    }

    /// How many streams may be open at once.
    pub fn most_streams(&self) -> usize {
        self.sender.current_max_send_streams()
    }

    /// Waits for the connection to end.
    pub fn ended(self) -> Result<(), h2::Error> {
        drop(self.sender);
        wait("the end of the connection", self.driver).expect("no panic")
    }

    /// Waits for the other side to end the connection, though this one could go on.
    pub fn ended_by_the_other_side(&mut self) -> Result<(), h2::Error> {
        wait("the end of the connection", &mut self.driver).expect("no panic")
    }
}

/// A request to GET a path.
pub fn get(path: &str) -> Request<()> {
    Request::get(format!("http://test{path}")).body(()).unwrap()
}

impl Stream {
    /// Waits for all of the answer.
    pub fn answer(&mut self) -> Answer {
        self.try_answer().expect("an answer")
    }

    /// Waits for all of the answer, if there is one.
    pub fn try_answer(&mut self) -> Result<Answer, h2::Error> {
        let mut answer = self.try_head()?;
        while let Some(data) = self.data() {
            answer.body.extend(data?);
        }
        let body = self.body.as_mut().expect("it has a head");
        if let Some(trailers) = wait("trailers", poll_fn(|cx| body.poll_trailers(cx)))? {
            answer.trailers = list(&trailers);
        }
        Ok(answer)
    }

    /// Waits for the head of the answer, which may tell that there is no more.
    pub fn head(&mut self) -> (Answer, bool) {
        let head = self.try_head().expect("a head");
        (head, self.body.as_ref().expect("it has a head").is_end_stream())
    }

    fn try_head(&mut self) -> Result<Answer, h2::Error> {
        let answer = self.answer.take().expect("it was not read yet");
        let (head, body) = wait("the head of an answer", answer).map(Response::into_parts)?;
        self.body = Some(body);
        let headers = list(&head.headers);
        Ok(Answer { status: head.status.as_u16(), headers, body: Vec::new(), trailers: Vec::new() })
    }

    /// Waits for a piece of the answer's body, and makes room for the next.
    pub fn data(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let body = self.body.as_mut().expect("it has a head");
        loop {
            let data = wait("a piece of a body", body.data())?;
            if let Ok(data) = &data {
                let _ = body.flow_control().release_capacity(data.len());
            }
            // A frame may be there for no more than to end the stream.
            if !data.as_ref().is_ok_and(Bytes::is_empty) {
                return Some(data);
            }
        }
    }

    /// Waits for so many bytes of the answer's body.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.ahead);
        while bytes.len() < count {
            bytes.extend(self.data().expect("a body that goes on").expect("a piece"));
        }
        self.ahead = bytes.split_off(count);
        bytes
    }

    /// Sends a piece of the request's body, once there is room for all of it.
    pub fn send(&mut self, bytes: impl Into<Bytes>, end: bool) -> Result<(), h2::Error> {
        let mut bytes = bytes.into();
        while !bytes.is_empty() {
            let room = self.room(bytes.len())?;
            let piece = bytes.split_to(room.min(bytes.len()));
            self.upload.send_data(piece, end && bytes.is_empty())?;
        }
        Ok(())
    }

    fn room(&mut self, wanted: usize) -> Result<usize, h2::Error> {
        self.upload.reserve_capacity(wanted);
        loop {
            match wait("room for a body", poll_fn(|cx| self.upload.poll_capacity(cx))) {
                Some(Ok(0)) => {}
                Some(room) => return room,
                None => return Err(Reason::STREAM_CLOSED.into()),
            }
        }
    }

    /// Ends the request's body.
    pub fn finish(&mut self) {
        self.upload.send_data(Bytes::new(), true).expect("an open stream");
    }

    /// Ends the request's body with trailers.
    pub fn finish_with(&mut self, trailers: HeaderMap) {
        self.upload.send_trailers(trailers).expect("an open stream");
    }

    /// Takes the request back.
    pub fn cancel(&mut self) {
        self.reset(Reason::CANCEL);
    }

    /// Takes the request back, for this reason.
    pub fn reset(&mut self, reason: Reason) {
        self.upload.send_reset(reason);
    }

    /// Waits until the other side breaks the stream off, and says why.
    pub fn broken_off(&mut self) -> Reason {
        wait("a reset", poll_fn(|cx| self.upload.poll_reset(cx))).expect("a connection")
    }
}

fn list(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}
