//! Names that a backend may take for others.

use super::{GET, HIDDEN, POST, refused};
use crate::support::{Backend, Balancer, Client, PATIENCE};

#[test]
fn a_framing_field_that_is_written_with_an_underscore_is_refused() {
    refused(
        "with an underscore",
        [
            format!("{POST}Content_Length: 34\r\n\r\n{HIDDEN}"),
            format!("{POST}Content-Length: 0\r\ncontent_length: 34\r\n\r\n{HIDDEN}"),
            format!("{POST}Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n"),
            format!("{POST}TRANSFER_ENCODING: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
        ],
    );
}

#[test]
fn what_only_we_say_of_a_client_is_dropped_with_underscores_too() {
    let (backend, heads) = Backend::tells(super::ANSWER);
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(format!(
        "{GET}X_Forwarded_For: 10.0.0.1\r\nX-Forwarded_Proto: https\r\nx_forwarded_user: root\r\nX_Real_IP: 10.0.0.1\r\n\
         X_Real: kept\r\nX_Forward: kept\r\nunder_score: kept\r\n\r\n"
    ));
    client.answer().expect_status(200);
    let head = heads.recv_timeout(PATIENCE).expect("the request").to_ascii_lowercase();
    for name in ["x_forwarded", "x-forwarded_", "x_real_ip", "10.0.0.1"] {
        assert!(!head.contains(name), "{head}");
    }
    assert_eq!(head.matches(": kept\r\n").count(), 3, "{head}");
}
