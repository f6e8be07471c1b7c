use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use tokio::runtime::{Builder, LocalOptions};

use crate::backends::Terms;
use crate::config::{Flags, Sources};
use crate::snapshot::Settings;

use super::super::Bound;
use super::*;

/// A worker for clients of one backend, with who tells it what is new.
fn worker_for(backend: SocketAddr) -> (Worker, SocketAddr, impl Sized) {
    let words = ["loadbalancer", "--listen=127.0.0.1:0", &format!("--backend={backend}")].map(OsString::from);
    let sources = Sources::new(Flags::read(words).expect("flags that there are"), 1024);
    let config = Arc::new(sources.load().expect("they make sense").config);
    let registry = Registry::isolated();
    let pool = &config.pools[0];
    let (backend, check) = (pool.backends[0].clone(), Arc::new(pool.health.clone()));
    let way = Arc::new(backend.url.clone().into());
    registry.replace(vec![(
        Terms { pool: Arc::clone(&pool.name), backend, check, told_apart_by: [].into() },
        way,
    )]);
    let settings = Arc::new(Settings::compile(Arc::clone(&config)).expect("there is one route"));
    let snapshot = Snapshot::compile(&settings, (0, &registry.backends()), None);
    let mut bound = Bound::bind(&config.listeners[0], None, 1, false).expect("a free port");
    bound.listen().expect("nobody else listens");
    let sockets: Vec<_> = bound.take(1).collect();
    let address = sockets[0].1.local_addr().expect("it is bound").as_socket().expect("an IP address");
    let (team, mut inboxes) = Team::new(&config);
    let tell = (
        watch::Sender::new(Arc::new(snapshot)),
        watch::Sender::new(None),
        watch::Sender::new(false),
        watch::Sender::new(()),
    );
    let (snapshots, stop, cut, ticks) =
        (tell.0.subscribe(), tell.1.subscribe(), tell.2.subscribe(), tell.3.subscribe());
    let news = News { snapshots, stop, cut, ticks };
    let worker = Worker {
        index: 0,
        rules: Rules::of(config, None),
        sockets,
        orders: mpsc::channel(1).1,
        registry,
        news,
        access_log: None,
        team,
        inbox: inboxes.remove(0),
        as_of: watch::Sender::new(0),
    };
    (worker, address, tell)
}

#[test]
fn who_is_being_answered_by_a_worker_that_falls_sees_that_the_answer_is_not_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let backend = listener.local_addr().expect("it is bound");
    let (worker, address, _tell) = worker_for(backend);
    let answers = thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a request");
        let _ = socket.read(&mut [0; 4096]).expect("its head");
        socket.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nThe beginning of").expect("a client");
        // Until it is let go of.
        let _ = socket.read(&mut [0]);
    });
    let (has_begun, begun) = oneshot::channel();
    let asks = thread::spawn(move || {
        let mut socket = TcpStream::connect(address).expect("it listens");
        // One of HTTP/1.0, to which an answer ends with its connection.
        socket.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("it is read");
        let mut answer = Vec::new();
        while !answer.ends_with(b"The beginning of") {
            let mut piece = [0; 4096];
            let size = socket.read(&mut piece).expect("an answer");
            assert!(size > 0, "it goes on");
            answer.extend(&piece[..size]);
        }
        has_begun.send(()).expect("somebody waits");
        let end = socket.read(&mut [0]).map_err(|error| error.kind());
        let _ = socket.shutdown(Shutdown::Both);
        end
    });
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let runtime = runtime.expect("an event queue");
    let mut has_told = false;
    runtime.block_on(async {
        let chores = Chores::default();
        chores.begin(async { assert!(begun.await.is_err(), "as a chore may") });
        worker.run(&chores, || has_told = true).await;
    });
    drop(runtime);
    assert!(has_told);
    assert_eq!(asks.join().expect("a client that ends"), Err(ErrorKind::ConnectionReset));
    answers.join().expect("a backend that ends");
}
