//! An upload and an answer do not wait for one another.

use std::net::Shutdown;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use bytes::Bytes;
use hyper::Request;

use super::{ENDLESS, LARGE, MIB};
use crate::support::h2_backend::{H2Backend, send_all};
use crate::support::{Backend, Balancer, Client, Http2, PATIENCE, Running, Stream};

/// A backend that answers without an end before it reads, and tells how long the upload was when that has ended.
fn tireless() -> (Backend, Receiver<u64>) {
    let (tell, told) = channel();
    let backend = Backend::that(move |mut transport| {
        let mut answer = transport.stream().try_clone().unwrap();
        let answering = thread::spawn(move || {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {ENDLESS}\r\n\r\n");
            let piece = vec![b'x'; MIB as usize];
            let mut sent = std::io::Write::write_all(&mut answer, head.as_bytes());
            while sent.is_ok() {
                sent = std::io::Write::write_all(&mut answer, &piece);
            }
        });
        tell.send(transport.skip(LARGE).unwrap_or_default()).unwrap();
        let _ = transport.stream().shutdown(Shutdown::Both);
        answering.join().unwrap();
    });
    (backend, told)
}

/// The same, over HTTP/2.
fn tireless_h2() -> (H2Backend, Receiver<u64>) {
    let (tell, told) = channel();
    let backend = H2Backend::that(move |mut exchange| {
        let tell = tell.clone();
        async move {
            let mut answer = exchange.begin();
            tokio::task::spawn_local(async move {
                send_all(&mut answer, vec![b'x'; LARGE as usize].into(), false).await;
            });
            let mut length = 0;
            while let Some(Ok(data)) = exchange.body.data().await {
                let _ = exchange.body.flow_control().release_capacity(data.len());
                length += data.len() as u64;
            }
            tell.send(length).unwrap();
        }
    });
    (backend, told)
}

fn upload_over_http_1(balancer: &Running) -> Client {
    let mut client = Client::to(balancer.address);
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n"));
    client.head().expect_status(200);
    let piece = vec![b'y'; MIB as usize];
    (0..LARGE / MIB).for_each(|_| client.send(&piece));
    client
}

fn upload_over_http_2(balancer: &Running) -> (Http2, Stream) {
    let mut client = Http2::to(balancer.address);
    let request = Request::post("http://test/").header("content-length", LARGE);
    let mut stream = client.begin(request.body(()).unwrap());
    stream.head().0.expect_status(200);
    stream.send(Bytes::from(vec![b'y'; LARGE as usize]), true).expect("a body that is taken");
    (client, stream)
}

#[test]
fn an_upload_goes_on_while_its_client_does_not_take_the_answer() {
    let ((backend, told), (backend_h2, told_h2)) = (tireless(), tireless_h2());
    let before = |backend: &str| Balancer::before(&[]).flag("--backend", backend).start();
    for (url, told) in [(backend.address.to_string(), told), (backend_h2.url(), told_h2)] {
        let balancer = before(&url);
        let client = upload_over_http_1(&balancer);
        assert_eq!(told.recv_timeout(PATIENCE), Ok(LARGE), "over HTTP/1.1 to {url}");
        drop(client);
        let client = upload_over_http_2(&balancer);
        assert_eq!(told.recv_timeout(PATIENCE), Ok(LARGE), "over HTTP/2 to {url}");
        drop(client);
    }
}
