//! A client that authenticates a connection to a backend, and not its requests (NTLM), lends it to nobody.

use crate::support::{Backend, Balancer, Running, request};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BASIC: &str =
    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a\"\r\nContent-Length: 0\r\n\r\n";
const NTLM: &str =
    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a\", NTLM\r\nContent-Length: 0\r\n\r\n";
const NEGOTIATE: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a\"\r\n\
                         WWW-Authenticate: negotiate TlRMTVNTUAAC\r\nContent-Length: 0\r\n\r\n";
const PROXY: &str = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM TlRMTVNTUAAC\r\nContent-Length: 0\r\n\r\n";

fn ask(balancer: &Running, lines: &str) {
    request(balancer.address, &format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n"));
}

/// How many connections a backend sees that answers this to three clients, of whom the first sends these lines.
fn connections(answer: &'static str, lines: &str) -> usize {
    let backend = Backend::answers(answer);
    let balancer = Balancer::before(&[backend.address]).start();
    for lines in [lines, "", ""] {
        ask(&balancer, lines);
    }
    backend.requests()
}

#[test]
fn a_connection_on_which_a_login_begins_that_is_the_connections_carries_no_other_request() {
    for challenge in [NTLM, NEGOTIATE, PROXY] {
        assert_eq!(connections(challenge, ""), 3, "{challenge}");
    }
}

#[test]
fn nor_does_one_on_which_a_client_was_let_in_by_such_a_login() {
    for scheme in ["NTLM TlRMTVNTUAAD", "Negotiate YIIH", "negotiate YIIH"] {
        assert_eq!(connections(OK, &format!("Authorization: {scheme}\r\n")), 2, "{scheme}");
    }
}

#[test]
fn logins_of_requests_share_their_connection() {
    assert_eq!(connections(OK, "Authorization: Basic YTpi\r\n"), 1);
    assert_eq!(connections(OK, "Authorization: Bearer negotiate\r\n"), 1);
    assert_eq!(connections(BASIC, ""), 1);
}
