//! Backends that speak HTTP/2, scripted by stream.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A backend that speaks HTTP/2. It ends with the test's process, or when it is killed.
pub struct H2Backend {
    pub address: SocketAddr,
    counts: Arc<Counts>,
    kill: tokio::sync::watch::Sender<bool>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
    goodbyes: AtomicUsize,
}

/// A request and the way back.
pub struct Exchange {
    pub head: Request<()>,
    pub body: RecvStream,
    pub back: SendResponse<Bytes>,
    /// Which connection it came on, counted from 0.
    pub connection: usize,
}

impl H2Backend {
    /// Does this with each request that is not a check.
    pub fn that<F: Future<Output = ()> + 'static>(
        script: impl Fn(Exchange) -> F + Clone + Send + 'static,
    ) -> Self {
        Self::with(&Builder::new(), None, script)
    }

    /// The same with these settings, behind TLS if there are some for it; who chooses HTTP/1.1 there is told what came.
    pub fn with<F: Future<Output = ()> + 'static>(
        builder: &Builder,
        tls: Option<ServerConfig>,
        script: impl Fn(Exchange) -> F + Clone + Send + 'static,
    ) -> Self {
        let (builder, counts) = (builder.clone(), Arc::new(Counts::default()));
        let (kill, killed) = tokio::sync::watch::channel(false);
        let (tell, told) = mpsc::channel();
        let counter = Arc::clone(&counts);
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let tasks = LocalSet::new();
            let serving = tasks.run_until(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                tell.send(listener.local_addr().unwrap()).unwrap();
                let acceptor = tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
                accept(&listener, acceptor, builder, &counter, script).await;
            });
            let mut killed = killed;
            runtime.block_on(async {
                tokio::select! { () = serving => {}, _ = killed.wait_for(|killed| *killed) => {} }
            });
        });
        Self { address: told.recv().unwrap(), counts, kill }
    }

    /// What `--backend` is given.
    pub fn url(&self) -> String {
        format!("h2c://{}", self.address)
    }

    /// How many connections with a request, checks aside, it has seen.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// How many requests, checks aside, it has seen.
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// How many of those connections were ended in order.
    pub fn goodbyes(&self) -> usize {
        self.counts.goodbyes.load(Ordering::SeqCst)
    }

    /// Closes all its connections and listens no more.
    pub fn kill(&self) {
        self.kill.send_replace(true);
    }
}

impl Exchange {
    /// Sends a whole answer.
    pub fn answer(mut self, status: StatusCode, body: impl Into<Bytes>) {
        let body = body.into();
        let response = Response::builder().status(status).header("content-length", body.len());
        // The other side may have gone.
        if let Ok(mut stream) = self.back.send_response(response.body(()).unwrap(), body.is_empty())
            && !body.is_empty()
        {
            let _ = stream.send_data(body, true);
        }
    }

    /// Begins an answer whose body is to follow.
    pub fn begin(&mut self) -> SendStream<Bytes> {
        self.back.send_response(Response::new(()), false).expect("the head is sent")
    }

    /// Reads the body and its trailers, as fast as they come.
    pub async fn read(&mut self) -> (Vec<u8>, Option<HeaderMap>) {
        let mut body = Vec::new();
        while let Some(data) = self.next().await {
            body.extend_from_slice(&data);
        }
        (body, self.body.trailers().await.expect("the end of the body"))
    }

    /// Reads the next piece of the body.
    pub async fn next(&mut self) -> Option<Bytes> {
        let data = self.body.data().await?.expect("a piece of the body");
        self.body.flow_control().release_capacity(data.len()).unwrap();
        Some(data)
    }

    /// Says that it will not act upon the request.
    pub fn refuse(mut self) {
        self.back.send_reset(Reason::REFUSED_STREAM);
    }
}

/// Sends all of this as the other side takes it.
pub async fn send_all(stream: &mut SendStream<Bytes>, mut data: Bytes, end: bool) {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let Some(Ok(capacity)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
        let piece = data.split_to(capacity.min(data.len()));
        if stream.send_data(piece, end && data.is_empty()).is_err() {
            return;
        }
    }
}

async fn accept<F: Future<Output = ()> + 'static>(
    listener: &TcpListener,
    acceptor: Option<TlsAcceptor>,
    builder: Builder,
    counts: &Arc<Counts>,
    script: impl Fn(Exchange) -> F + Clone + 'static,
) {
    while let Ok((socket, _)) = listener.accept().await {
        socket.set_nodelay(true).unwrap();
        let (acceptor, builder) = (acceptor.clone(), builder.clone());
        let (counts, script) = (Arc::clone(counts), script.clone());
        spawn_local(async move {
            match acceptor {
                None => serve::<TcpStream, F>(socket, builder, &counts, script).await,
                Some(acceptor) => {
                    let Ok(stream) = acceptor.accept(socket).await else { return };
                    match stream.get_ref().1.alpn_protocol() {
                        Some(b"http/1.1") => tell_over_http1(stream).await,
                        _ => serve(stream, builder, &counts, script).await,
                    }
                }
            }
        });
    }
}

/// Says which method each request has, and its body.
async fn tell_over_http1(stream: TlsStream<TcpStream>) {
    let tell = service_fn(async |request: Request<Incoming>| {
        let method = request.method().to_string();
        let body = request.into_body().collect().await?.to_bytes();
        let told = [method.as_bytes(), b" ", &*body].concat();
        Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(told))))
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), tell).await;
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin, F: Future<Output = ()> + 'static>(
    stream: S,
    builder: Builder,
    counts: &Arc<Counts>,
    script: impl Fn(Exchange) -> F + Clone + 'static,
) {
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    let mut number = None;
    loop {
        let (request, back) = match connection.accept().await {
            Some(Ok(accepted)) => accepted,
            Some(Err(_)) => return,
            None => {
                counts.goodbyes.fetch_add(usize::from(number.is_some()), Ordering::SeqCst);
                return;
            }
        };
        let (parts, body) = request.into_parts();
        let head = Request::from_parts(parts, ());
        let is_check = head.uri().path() == "/health";
        if !is_check {
            number.get_or_insert_with(|| counts.connections.fetch_add(1, Ordering::SeqCst));
            counts.requests.fetch_add(1, Ordering::SeqCst);
        }
        let exchange = Exchange { head, body, back, connection: number.unwrap_or_default() };
        match is_check {
            true => exchange.answer(StatusCode::OK, ""),
            false => drop(spawn_local(script(exchange))),
        }
    }
}
