//! Request smuggling: what one reader would end here and another there is refused, and no backend sees a byte of it.

mod bodies;
mod disguises;
mod early;
mod passing;

use std::net::Shutdown;

use crate::support::{Answer, Backend, Balancer, Client, PATIENCE, Running, get};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n";
const POST: &str = "POST /outer HTTP/1.1\r\nHost: a\r\n";

/// The answer to these bytes, sent in pieces of this size, if the connection ends behind it.
fn last_answer(balancer: &Running, bytes: &[u8], size: usize) -> Answer {
    let mut client = Client::to(balancer.address);
    for piece in bytes.chunks(size) {
        // The refusal may come before all of it.
        if client.try_send(piece).is_err() {
            break;
        }
    }
    let answer = client.answer();
    let _ = client.stream().shutdown(Shutdown::Write);
    client.expect_end();
    answer
}

/// Each attack is refused for this reason, in one piece or byte by byte, and the backend sees nothing of it.
fn refused<T: AsRef<[u8]>>(why: &str, attacks: impl IntoIterator<Item = T>) {
    refused_in_pieces(why, attacks, &[usize::MAX, 1]);
}

fn refused_in_pieces<T: AsRef<[u8]>>(why: &str, attacks: impl IntoIterator<Item = T>, sizes: &[usize]) {
    let (backend, heads) = Backend::tells(ANSWER);
    let balancer = Balancer::before(&[backend.address]).start();
    for attack in attacks {
        let attack = attack.as_ref();
        for size in sizes {
            let answer = last_answer(&balancer, attack, *size);
            let shown = attack.escape_ascii();
            assert_eq!((answer.status, answer.header("connection")), (400, Some("close")), "{shown}");
            let text = answer.text();
            assert!(text.starts_with("the request is malformed: ") && text.contains(why), "{shown}: {text}");
        }
    }
    get(balancer.address, "/marker").expect_status(200);
    let seen = heads.recv_timeout(PATIENCE).expect("the marker");
    assert!(seen.starts_with("GET /marker ") && heads.try_recv().is_err(), "a backend saw {seen}");
}

#[test]
fn a_length_beside_a_transfer_coding_is_refused_whichever_comes_first() {
    let (length, coding) = ("Content-Length: 6\r\n", "Transfer-Encoding: chunked\r\n");
    refused(
        "both a Content-Length and a Transfer-Encoding",
        [
            format!("{POST}{length}{coding}\r\n0\r\n\r\nG"),
            format!("{POST}{coding}{length}\r\n0\r\n\r\nG"),
            format!("{POST}Content-Length: 4\r\n{coding}\r\n5c\r\n{HIDDEN}0\r\n\r\n"),
            format!("{POST}{coding}X: y\r\nCONTENT-LENGTH: 0\r\n\r\n{HIDDEN}"),
        ],
    );
}

#[test]
fn several_lengths_are_refused_though_they_be_equal() {
    refused(
        "more than one Content-Length",
        [
            format!("{POST}Content-Length: 0\r\nContent-Length: 34\r\n\r\n{HIDDEN}"),
            format!("{POST}Content-Length: 34\r\ncontent-length: 0\r\n\r\n{HIDDEN}"),
            format!("{POST}Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi"),
        ],
    );
    refused("a list", ["0, 34", "2, 2", "2,"].map(|list| format!("{POST}Content-Length: {list}\r\n\r\nhi")));
}

#[test]
fn a_length_that_is_not_a_plain_number_is_refused() {
    refused(
        "is not a number",
        ["", "+2", "-2", "0x2", "2_", "2 2", "2.0", "\"2\""]
            .map(|length| format!("{POST}Content-Length: {length}\r\n\r\nhi")),
    );
    refused("begins with a zero", [format!("{POST}Content-Length: 010\r\n\r\n01234567")]);
    refused("larger than any body", [format!("{POST}Content-Length: 18446744073709551616\r\n\r\nhi")]);
}

#[test]
fn a_coding_that_some_would_not_take_for_chunked_is_refused() {
    let codings = [
        "xchunked",
        "chunked;a",
        "chunked, chunked",
        "gzip, chunked",
        "chunked, identity",
        "identity",
        "",
        "chunked,",
        "'chunked'",
        "\u{b}chunked",
    ];
    refused(
        "not just `chunked`",
        codings.map(|coding| format!("{POST}Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n{HIDDEN}")),
    );
    refused(
        "more than one Transfer-Encoding",
        [format!("{POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{HIDDEN}")],
    );
    refused(
        "HTTP/1.0 does not know",
        ["POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    );
}

#[test]
fn a_line_of_a_head_that_ends_without_a_carriage_return_is_refused() {
    refused(
        "without a carriage return",
        [
            "GET / HTTP/1.1\nHost: a\n\n".to_owned(),
            "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n".to_owned(),
            format!("{GET}X: y\n\r\n"),
            format!("{GET}\n{HIDDEN}"),
            format!("\n{GET}\r\n"),
            format!("{POST}X: y\nContent-Length: 34\r\n\r\n{HIDDEN}"),
        ],
    );
    refused("a control character", [format!("{GET}X: y\rContent-Length: 34\r\n\r\n{HIDDEN}")]);
}

#[test]
fn a_line_that_continues_another_is_refused() {
    refused(
        "begins with a blank",
        [
            format!("{GET}X: y\r\n z\r\n\r\n"),
            format!("{GET}X: y\r\n\tContent-Length: 34\r\n\r\n{HIDDEN}"),
            format!("{POST}Transfer-Encoding: chunked\r\n , gzip\r\n\r\n0\r\n\r\n"),
            "GET / HTTP/1.1\r\n Host: a\r\n\r\n".to_owned(),
        ],
    );
}

#[test]
fn a_name_that_is_none_is_refused() {
    refused(
        "a blank before the colon",
        [
            format!("{POST}Content-Length : 34\r\n\r\n{HIDDEN}"),
            format!("{POST}Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"),
        ],
    );
    refused("no name before the colon", [format!("{GET}: y\r\n\r\n")]);
    refused("is not a token", [format!("{GET}X(: y\r\n\r\n"), format!("{GET}X\u{0}: y\r\n\r\n")]);
    refused(
        "has a control character",
        ["\u{0}", "\u{8}", "\u{7f}"].map(|byte| format!("{GET}X: {byte}\r\n\r\n")),
    );
    refused("no colon", [format!("{GET}Content-Length\r\n\r\n")]);
}

#[test]
fn what_does_not_begin_as_a_request_is_refused_with_the_reason() {
    for (why, attack) in [
        ("no version", "GET /\r\n\r\n"),
        ("one space", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("one space", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        ("its method is not a token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("its method is not a token", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("neither HTTP/1.1 nor HTTP/1.0", "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
        ("neither HTTP/1.1 nor HTTP/1.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        ("does not end with the version", "GET / http/1.1\r\nHost: a\r\n\r\n"),
        ("a fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("percent-encoded", "GET /caf\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("empty lines", "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a TLS handshake", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}"),
    ] {
        refused(why, [attack]);
    }
}

#[test]
fn a_host_that_is_none_or_another_than_the_targets_is_refused() {
    refused(
        "its Host is not one",
        ["", "a/b", "user@a", "a b", "a:b", "a:80:80", "[::1", "a\\b", "[a", "b%2Eexample"]
            .map(|host| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")),
    );
    refused(
        "its Host differs from its target's",
        [
            "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n",
            "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET https://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n",
        ],
    );
    refused(
        "its target names a user",
        ["a", "u@a"].map(|host| format!("GET http://u@a/ HTTP/1.1\r\nHost: {host}\r\n\r\n")),
    );
    refused("it has no Host", ["GET / HTTP/1.1\r\n\r\n", "GET http://a/ HTTP/1.1\r\n\r\n"]);
    refused("more than one Host", ["GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"]);
}
