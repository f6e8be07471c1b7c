//! What is cut because its time is over does not look complete.

use crate::support::{Backend, Balancer, Client};

use super::{ended_well, stop};

#[test]
fn an_answer_that_ends_with_its_connection_is_reset_when_its_time_is_over() {
    let backend = Backend::that(|mut transport| {
        transport.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst");
        transport.wait_for_end();
    });
    let balancer = Balancer::before(&[backend.address]).flag("--drain-timeout", "300ms").start();
    let mut clients = [(); 20].map(|()| Client::to(balancer.address));
    for client in &mut clients {
        client.send("GET / HTTP/1.0\r\n\r\n");
        client.head().expect_status(200);
        assert_eq!(client.bytes(5), b"first");
    }
    stop(&balancer, "TERM");
    for client in &mut clients {
        assert!(client.try_rest().1.is_err(), "it ended as if that were all");
    }
    ended_well(&balancer);
}
