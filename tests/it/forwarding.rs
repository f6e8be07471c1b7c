//! A request goes to a backend and its answer comes back as HTTP/1.1 has it.

use crate::support::{Balancer, Client, Sample};

#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    let mut client = Client::to(balancer.address);
    client.send("GET /status/201 HTTP/1.1\r\nHost: a\r\n\r\nGET /status/202 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((client.answer().status, client.answer().status), (201, 202));
}
