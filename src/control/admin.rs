//! The admin API's server. It is not for clients: few connections, small heads, bounded bodies, and every wait ends.

mod answer;
mod callers;
mod change;
mod guard;
mod openapi;
mod refused;
mod request;
mod resource;
mod sent;
mod view;
mod wish;

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::Domain;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::connect::{Socket, ran_out_of_files};

use super::desk::Desk;

pub use openapi::document as openapi;

use callers::{Callers, Silence};

/// Bytes of a request's head. What is read with the last of them may be more.
const HEAD_SIZE: usize = 32 * 1024;
/// For a head to come, also between two requests.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// For all of a connection: whoever takes its answers slowly does not hold it for ever.
const LIFETIME: Duration = Duration::from_secs(120);
/// For the answer under way to end after that, or after its door was closed.
const GRACE: Duration = Duration::from_secs(30);
/// After the system failed to accept: for workers to make room.
const PAUSE: Duration = Duration::from_millis(100);

/// Where callers come in; none closes it. Who came to the one before is to come to this one, after the answer under way.
pub type AdminDoor = Option<socket2::Socket>;

/// Answers callers who come to the newest of these doors, for ever.
pub async fn admin(desk: Rc<Desk>, mut doors: mpsc::Receiver<AdminDoor>) {
    let mut queue = None;
    let closed = watch::Sender::new(());
    let mut callers = Callers::default();
    loop {
        let room = callers.have_room();
        tokio::select! {
            door = doors.recv() => match door {
                Some(door) => {
                    queue = door.and_then(open);
                    closed.send_replace(());
                }
                None => return,
            },
            socket = accept(queue.as_ref()), if room => {
                callers.add(|silence| attend(socket, Rc::clone(&desk), closed.subscribe(), silence));
            }
            () = callers.change() => {}
        }
    }
}

/// A listening socket, as this thread's runtime knows it.
enum Queue {
    Tcp(TcpListener),
    Unix(UnixListener),
}

fn open(socket: socket2::Socket) -> Option<Queue> {
    let opened = match socket.domain() {
        Ok(Domain::UNIX) => UnixListener::from_std(OwnedFd::from(socket).into()).map(Queue::Unix),
        Ok(_) => TcpListener::from_std(socket.into()).map(Queue::Tcp),
        Err(error) => Err(error),
    };
    opened.inspect_err(|error| warn!("the admin API cannot listen: {error}")).ok()
}

async fn accept(queue: Option<&Queue>) -> Socket {
    let Some(queue) = queue else { return std::future::pending().await };
    loop {
        let accepted: io::Result<_> = match queue {
            Queue::Tcp(queue) => queue.accept().await.map(|(stream, _)| Socket::Tcp(stream)),
            Queue::Unix(queue) => queue.accept().await.map(|(stream, _)| Socket::Unix(stream)),
        };
        match accepted {
            Ok(socket) => return socket,
            Err(error) => {
                ran_out_of_files(&error);
                sleep(PAUSE).await;
            }
        }
    }
}

async fn attend(socket: Socket, desk: Rc<Desk>, mut closed: watch::Receiver<()>, silence: Silence) {
    let service = service_fn(move |request| {
        let (desk, silence) = (Rc::clone(&desk), silence.clone());
        async move {
            silence.end();
            let answer = request::answer(request, &desk).await;
            silence.begin();
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_SIZE)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // An error says that the caller went away or sent no HTTP; either way nobody is left to tell.
        _ = connection.as_mut() => return,
        () = sleep(LIFETIME) => {}
        // Elsewhere it may be another process that is well, and this one about to end.
        _ = closed.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(GRACE, connection).await;
}
