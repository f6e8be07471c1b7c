//! The sample backend's connections: accept, serve, drain.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::answers::Backend;

/// For a client to send the head of a request, and between two requests.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Lines of a request's head: as many as a balancer takes, and what it adds.
const MOST_HEADERS: usize = 128;

/// For the running requests to end after the shutdown began.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two attempts to accept when the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests on `listener` as the backend called `name`, until `shutdown` is ready. Then it accepts no
/// more connections, closes the idle ones and returns when the running requests are answered, or after ten
/// seconds.
///
/// Dropping the future closes everything at once.
pub async fn serve(listener: TcpListener, name: String, shutdown: impl Future<Output = ()>) {
    let backend = Arc::new(Backend::new(name));
    let stopping = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            transport = accept(&listener) => {
                connections.spawn(connection(transport, Arc::clone(&backend), stopping.subscribe()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    stopping.send_replace(true);
    drain(connections).await;
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((transport, _)) => return transport,
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(transport: TcpStream, backend: Arc<Backend>, mut stopping: watch::Receiver<bool>) {
    // Without it answers are as right, only later.
    let _ = transport.set_nodelay(true);
    let service = service_fn(move |request| {
        let backend = Arc::clone(&backend);
        async move { Ok::<_, Infallible>(backend.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(transport), service);
    tokio::pin!(connection);

    // An error says that the client went away or sent no HTTP; either way nobody is left to tell.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopping.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn drain(mut connections: JoinSet<()>) {
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAIN_TIMEOUT, all_ended).await.is_err() {
        warn!(connections = connections.len(), "closing connections whose requests did not end in time");
    }
}
