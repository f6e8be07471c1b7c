//! One who speaks with an admin API.

use std::cell::Cell;
use std::fs;
use std::io;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::config::{Address, AdminPlace, Flags, Format};
use crate::connect::Socket;
use crate::control::api::{BackendPatch, Problem};

use super::RemoteError;

/// For a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// For an answer to who only looks, and for all that `status` looks at.
const LOOK: Duration = Duration::from_secs(10);
/// For an answer for which settings are prepared, and names looked up. The API itself gives up sooner.
const ANSWER: Duration = Duration::from_secs(160);
/// Bytes of an answer.
const MOST: usize = 64 << 20;

const JSON: &str = "application/json";

/// What a caller is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To know something.
    Look,
    /// That something is done, which may be though no answer comes.
    Change,
}

/// One who speaks with an admin API.
pub(super) struct Caller {
    address: Address,
    /// `Bearer` and the token, if there is one.
    token: Option<HeaderValue>,
    /// What time it is there, as the last answer said.
    told: Cell<Option<SystemTime>>,
}

impl Caller {
    /// One who speaks where these flags say.
    pub(super) fn of(flags: &Flags) -> Result<Self, RemoteError> {
        let AdminPlace { address, token_file } = flags.admin_place()?;
        let Some(file) = token_file else { return Ok(Self { address, token: None, told: Cell::default() }) };
        let path = file.display().to_string();
        let token = match fs::read_to_string(file) {
            Ok(token) => HeaderValue::from_str(&format!("Bearer {}", token.trim_end())),
            Err(error) => return Err(RemoteError::TokenFile { path, error }),
        };
        let mut token = token.map_err(|_| RemoteError::Token(path))?;
        token.set_sensitive(true);
        Ok(Self { address, token: Some(token), told: Cell::default() })
    }

    /// The time by which ages are told of what was answered last: its moments are of the clock there, which may differ from ours.
    pub(super) fn now(&self) -> SystemTime {
        self.told.get().unwrap_or_else(SystemTime::now)
    }

    /// What is at a path.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, RemoteError> {
        self.in_time(self.ask(Method::GET, path, (JSON, Bytes::new()), Wish::Look)).await
    }

    /// What several looks together find, which take no longer than one may.
    pub(super) async fn in_time<T>(
        &self,
        looks: impl Future<Output = Result<T, RemoteError>>,
    ) -> Result<T, RemoteError> {
        timeout(LOOK, looks).await.unwrap_or_else(|_| Err(self.slow("an answer", LOOK)))
    }

    /// Finds out whether anybody answers, for who would wait long before that is known.
    async fn see_whether_awake(&self) -> Result<(), RemoteError> {
        match self.get::<IgnoredAny>("/livez").await {
            Err(error @ RemoteError::Slow { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    /// What there is in a pool.
    pub(super) async fn pool<T: DeserializeOwned>(&self, pool: &str) -> Result<T, RemoteError> {
        self.get(&format!("/api/v1/pools/{}", encode(pool))).await
    }

    /// Changes a backend.
    pub(super) async fn patch<T: DeserializeOwned>(
        &self,
        pool: &str,
        address: &str,
        patch: &BackendPatch,
    ) -> Result<T, RemoteError> {
        let path = format!("/api/v1/pools/{}/backends/{}", encode(pool), encode(address));
        let body = serde_json::to_vec(patch).expect("a patch has names for keys");
        self.ask(Method::PATCH, &path, (JSON, body.into()), Wish::Change).await
    }

    /// Has something done, or tried.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, wish: Wish) -> Result<T, RemoteError> {
        self.see_whether_awake().await?;
        self.ask(Method::POST, path, (JSON, Bytes::from_static(b"{}")), wish).await
    }

    /// What would be done with settings.
    pub(super) async fn post_settings<T: DeserializeOwned>(
        &self,
        path: &str,
        format: Format,
        text: Vec<u8>,
    ) -> Result<T, RemoteError> {
        self.see_whether_awake().await?;
        self.ask(Method::POST, path, (format.media_type(), text.into()), Wish::Look).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        (media_type, body): (&str, Bytes),
        wish: Wish,
    ) -> Result<T, RemoteError> {
        let socket = timeout(CONNECT, self.connect()).await;
        let socket = socket.map_err(|_| self.slow("a connection", CONNECT))??;
        let host = self.address.ip().map_or_else(|| "localhost".to_owned(), |address| address.to_string());
        let mut request = Request::builder().method(method).uri(path).header(HOST, host);
        request = request.header(CONTENT_TYPE, media_type);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request.body(Full::new(body)).expect("the path is encoded");
        let asked = timeout(ANSWER, self.send(socket, request)).await;
        let (status, body) =
            asked.unwrap_or_else(|_| Err(self.slow("an answer", ANSWER))).map_err(|error| match error {
                RemoteError::Slow { .. } | RemoteError::Broken { .. } if wish == Wish::Change => {
                    RemoteError::Unsure(Box::new(error))
                }
                error => error,
            })?;
        let stranger = || RemoteError::Stranger(self.address.clone());
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|_| stranger());
        }
        let problem = serde_json::from_slice(&body).map_err(|_| stranger())?;
        Err(RemoteError::Refused(Box::<Problem>::new(problem), None))
    }

    async fn connect(&self) -> Result<Socket, RemoteError> {
        let connected = match &self.address {
            Address::Ip(address) => TcpStream::connect(address).await.map(Socket::Tcp),
            Address::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix),
        };
        connected.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => RemoteError::Denied(self.address.clone()),
            _ => RemoteError::Nobody { address: self.address.clone(), error },
        })
    }

    async fn send(
        &self,
        socket: Socket,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), RemoteError> {
        let broken = |error| RemoteError::Broken { address: self.address.clone(), error };
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(broken)?;
        // Its end is told to who waits for the answer.
        tokio::spawn(async { drop(connection.await) });
        let answer = sender.send_request(request).await.map_err(broken)?;
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
        self.told.set(date.and_then(|date| httpdate::parse_http_date(date).ok()));
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST).collect().await;
        let body = body.map_err(|_| RemoteError::Stranger(self.address.clone()))?;
        Ok((status, body.to_bytes()))
    }

    fn slow(&self, missing: &'static str, time: Duration) -> RemoteError {
        RemoteError::Slow { address: self.address.clone(), missing, time }
    }
}

/// A name as a part of a path.
fn encode(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}
