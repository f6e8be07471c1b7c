//! A backend behind TLS that answers HTTP/1.1 and tells how each connection came about.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert, ServerConnection, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{HandshakeKind, ServerConfig, StreamOwned, SupportedProtocolVersion};

use super::pki::{Authority, Pair};
use super::{PATIENCE, until};

/// Its threads end with the test's process.
pub struct TlsBackend {
    pub address: SocketAddr,
    met: Arc<Mutex<Vec<Met>>>,
}

/// A connection on which TLS was agreed upon.
#[derive(Clone, Debug)]
pub struct Met {
    pub resumed: bool,
    /// What the client named as the backend's name.
    pub name: Option<String>,
    pub has_certificate: bool,
    /// Heads of the requests that came on it.
    pub heads: Vec<String>,
    /// Whether it was ended as TLS wants it.
    pub ended_well: bool,
}

/// The settings of a backend with this certificate.
pub fn with_certificate(pair: &Pair) -> ServerConfig {
    settings(pair, rustls::ALL_VERSIONS, None)
}

/// The same for one that speaks these versions only, and takes only who has a certificate of this authority.
pub fn settings(
    pair: &Pair,
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&Authority>,
) -> ServerConfig {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(versions).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(authority.roots(), provider).build().unwrap(),
        ),
    };
    builder.with_single_cert(vec![pair.der.clone()], pair.key_der()).unwrap()
}

/// Lets it show one of these certificates, as the number says that is given back: at first it is the first one.
pub fn shown_in_turn(settings: &mut ServerConfig, pairs: [&Pair; 2]) -> Arc<AtomicUsize> {
    let key = |pair: &Pair| {
        CertifiedKey::from_der(vec![pair.der.clone()], pair.key_der(), &default_provider()).unwrap()
    };
    let shown = Arc::<AtomicUsize>::default();
    let keys = pairs.map(|pair| Arc::new(key(pair)));
    settings.cert_resolver = Arc::new(InTurn { keys, shown: Arc::clone(&shown) });
    shown
}

#[derive(Debug)]
struct InTurn {
    keys: [Arc<CertifiedKey>; 2],
    shown: Arc<AtomicUsize>,
}

impl ResolvesServerCert for InTurn {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.keys[self.shown.load(Ordering::Relaxed)]))
    }
}

impl TlsBackend {
    /// Answers every request with `ok`, one for a WebSocket with a 101 and what comes behind it, and one for `/garbage` with what is
    /// no TLS. For `/open` and `/cut` its answer says no length, and for `/chunked` and `/cut` the connection ends without a farewell.
    pub fn start(settings: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().unwrap();
        let (settings, met) = (Arc::new(settings), Arc::new(Mutex::new(Vec::new())));
        let told = Arc::clone(&met);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (settings, met) = (Arc::clone(&settings), Arc::clone(&met));
                thread::spawn(move || serve(stream, settings, &met));
            }
        });
        Self { address, met: told }
    }

    /// What `--backend` is given, with this host.
    pub fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.address.port())
    }

    /// The connections so far.
    pub fn met(&self) -> Vec<Met> {
        self.met.lock().unwrap().clone()
    }

    /// The first connection that fits, once there is one.
    pub fn wait_for(&self, what: &str, fits: impl Fn(&Met) -> bool) -> Met {
        until(what, || self.met().iter().any(&fits));
        self.met().into_iter().find(fits).unwrap()
    }
}

fn serve(socket: TcpStream, settings: Arc<ServerConfig>, met: &Mutex<Vec<Met>>) {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = StreamOwned::new(ServerConnection::new(settings).unwrap(), socket);
    while stream.conn.is_handshaking() {
        if stream.conn.complete_io(&mut stream.sock).is_err() {
            // The alert that says why.
            let _ = stream.conn.write_tls(&mut stream.sock);
            return;
        }
    }
    let mut all = met.lock().unwrap();
    let index = all.len();
    all.push(Met {
        resumed: stream.conn.handshake_kind() == Some(HandshakeKind::Resumed),
        name: stream.conn.server_name().map(str::to_owned),
        has_certificate: stream.conn.peer_certificates().is_some(),
        heads: Vec::new(),
        ended_well: false,
    });
    drop(all);
    let mut head = Vec::new();
    loop {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1..) => head.push(byte[0]),
            // rustls tells an end without goodbye by an error.
            end => {
                met.lock().unwrap()[index].ended_well = end.is_ok();
                return;
            }
        }
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8(std::mem::take(&mut head)).unwrap();
        if text.starts_with("GET /garbage ") {
            let _ = stream.sock.write_all(&[0xff; 64]);
            return;
        }
        let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
        let switches = text.to_lowercase().contains("upgrade: websocket");
        met.lock().unwrap()[index].heads.push(text);
        let answer = answer_to(&path, switches);
        if stream.write_all(answer).is_err() {
            return;
        }
        if ["/open", "/cut", "/chunked"].contains(&&*path) {
            if path == "/open" {
                stream.conn.send_close_notify();
                let _ = stream.conn.write_tls(&mut stream.sock);
            }
            return;
        }
        if switches {
            met.lock().unwrap()[index].ended_well = echo(&mut stream).is_ok();
            return;
        }
    }
}

/// What it says to a request for this path.
fn answer_to(path: &str, switches: bool) -> &'static [u8] {
    match path {
        _ if switches => {
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        }
        "/open" | "/cut" => b"HTTP/1.1 200 OK\r\n\r\nok",
        "/chunked" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    }
}

/// Says again what comes, until the end.
fn echo(stream: &mut (impl Read + Write)) -> std::io::Result<()> {
    let mut bytes = [0; 1024];
    loop {
        match stream.read(&mut bytes)? {
            0 => return Ok(()),
            read => stream.write_all(&bytes[..read])?,
        }
    }
}
