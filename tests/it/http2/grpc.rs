//! gRPC clients get our own answers as statuses of gRPC.

use hyper::Request;

use crate::support::{Answer, Backend, Balancer, Http2, PATIENCE};

fn call() -> Request<()> {
    let request = Request::post("http://a/pkg.Service/Method").header("te", "trailers");
    request.header("content-type", "application/grpc+proto").body(()).unwrap()
}

/// What a call gets from a balancer before this backend, which must be one block of fields.
fn answered(backend: std::net::SocketAddr, flags: &[(&str, &str)], end: bool) -> Answer {
    let balancer = Balancer::before(&[backend]);
    let balancer = flags.iter().fold(balancer, |balancer, (name, value)| balancer.flag(name, value)).start();
    let mut client = Http2::to(balancer.address);
    let mut stream = client.begin(call());
    // The answer may have come already, and with it the end of the stream.
    let _ = stream.send(vec![0; 2000], end);
    let (head, ended) = stream.head();
    assert!(ended, "{head:?} is not all");
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/grpc")), "{head:?}");
    head
}

#[test]
fn without_a_backend_a_call_is_unavailable() {
    let head = answered(Backend::refuses(), &[], true);
    assert_eq!(head.header("grpc-status"), Some("14"));
    let message = head.header("grpc-message").expect("a message");
    // It was found out by the call itself, or by a check before it.
    let reasons =
        ["the backend cannot be reached: Connection refused", "no backend for this request is healthy"];
    assert!(reasons.iter().any(|reason| message.starts_with(reason)), "{message}");
    assert!(
        message.contains("%0A127.0.0.1:")
            && message.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '),
        "{message}"
    );
    assert!(head.header("proxy-status").unwrap().starts_with("loadbalancer; error="), "{head:?}");
}

#[test]
fn a_backend_that_does_not_answer_in_time_exceeds_the_deadline() {
    let backend = Backend::stalls();
    let head = answered(backend.address, &[("--response-timeout", "300ms")], true);
    assert_eq!(head.header("grpc-status"), Some("4"));
}

#[test]
fn a_call_that_does_not_go_on_exceeds_the_deadline() {
    let backend = Backend::stalls();
    let head = answered(backend.address, &[("--body-timeout", "300ms")], false);
    assert_eq!(head.header("grpc-status"), Some("4"));
}

#[test]
fn a_call_that_is_too_large_exhausts_a_resource() {
    let backend = Backend::stalls();
    let head = answered(backend.address, &[("--max-body-size", "1000")], true);
    assert_eq!(head.header("grpc-status"), Some("8"));
}

#[test]
fn a_backend_that_dies_makes_a_call_unavailable() {
    let backend = Backend::closes_before_the_head();
    let head = answered(backend.address, &[], true);
    assert_eq!(head.header("grpc-status"), Some("14"));
}

#[test]
fn a_call_that_breaks_off_amid_its_answer_ends_with_a_status() {
    const BEGUN: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for (stays, status) in [(false, "14"), (true, "4")] {
        let backend = Backend::that(move |mut transport| {
            transport.read_body();
            transport.send(BEGUN);
            if stays {
                transport.wait_for_end();
            }
        });
        let balancer = Balancer::before(&[backend.address]).flag("--body-timeout", "300ms").start();
        let mut client = Http2::to(balancer.address);
        let mut stream = client.begin(call());
        stream.send(vec![0; 20], true).unwrap();
        let answer = stream.answer().expect_status(200);
        assert_eq!(answer.body, b"hello");
        assert!(answer.trailers.contains(&("grpc-status".to_owned(), status.to_owned())), "{answer:?}");
    }
}

#[test]
fn a_call_that_is_cancelled_ends_at_the_backend() {
    let (tell, told) = std::sync::mpsc::channel();
    let backend = Backend::that(move |mut transport| {
        tell.send(()).unwrap();
        transport.rest();
        tell.send(()).unwrap();
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut stream = Http2::to(balancer.address).begin(call());
    stream.send(vec![0; 100], false).unwrap();
    told.recv_timeout(PATIENCE).expect("the call");
    stream.cancel();
    told.recv_timeout(PATIENCE).expect("its end");
}

#[test]
fn a_tunnel_that_is_asked_for_as_a_call_is_refused_as_any() {
    let balancer = Balancer::before(&[Backend::refuses()]).start();
    let request = Request::connect("a:443").header("content-type", "application/grpc").body(()).unwrap();
    let answer = Http2::to(balancer.address).ask(request).answer().expect_status(405);
    assert_eq!(answer.header("grpc-status"), None);
}

#[test]
fn other_clients_get_a_page_as_ever() {
    let balancer = Balancer::before(&[Backend::refuses()]).start();
    let answer = Http2::to(balancer.address).get("/").expect_status(503);
    assert_eq!(answer.header("grpc-status"), None);
}
