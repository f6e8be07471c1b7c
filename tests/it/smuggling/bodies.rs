//! Chunks that could be read in two ways, before and after a backend has seen a part of the body.

use std::sync::mpsc::channel;

use super::{HIDDEN, POST, refused_in_pieces};
use crate::support::{Backend, Balancer, Client, PATIENCE, Sample};

const FRAMES: [(&str, &str); 16] = [
    ("a chunk's size is not a hexadecimal number alone", "+5\r\nhello\r\n0\r\n\r\n"),
    ("a chunk's size is not a hexadecimal number alone", "0x5\r\nhello\r\n0\r\n\r\n"),
    ("a chunk's size is not a hexadecimal number alone", "5 \r\nhello\r\n0\r\n\r\n"),
    ("a chunk's size is not a hexadecimal number alone", "5 ;a=b\r\nhello\r\n0\r\n\r\n"),
    ("a chunk's size is not a hexadecimal number alone", "5\nhello\r\n0\r\n\r\n"),
    ("a chunk of its body has no size", ";a\r\nhello\r\n0\r\n\r\n"),
    ("too many digits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("too many digits", "00000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("within a chunk's extensions", "5;a\nhello\r\n0\r\n\r\n"),
    ("within a chunk's extensions", "5;a=\"\r\nhello\r\n0\r\n\r\n"),
    ("behind a chunk's size ends no line", "5\rhello\r\n0\r\n\r\n"),
    ("behind a chunk's size ends no line", "0;\rX\r\n\r\n"),
    ("does not end where its size says", "5\r\nhelloXX0\r\n\r\n"),
    ("does not end where its size says", "5\r\nhello\n0\r\n\r\n"),
    ("without a carriage return", "0\r\n\nGET /hidden HTTP/1.1\r\n\r\n"),
    ("without a carriage return", "0\r\nX-Sum: 1\n\r\n"),
];

#[test]
fn chunks_whose_frames_have_two_readings_are_refused_before_a_backend_sees_the_head() {
    for (why, chunks) in FRAMES {
        refused_in_pieces(why, [format!("{POST}Transfer-Encoding: chunked\r\n\r\n{chunks}")], &[usize::MAX]);
    }
}

#[test]
fn chunks_that_become_ambiguous_are_refused_with_the_reason_and_never_end_for_the_backend() {
    for (why, chunks) in FRAMES {
        let (tell, told) = channel();
        let backend = Backend::that(move |mut transport| {
            tell.send(transport.read_chunk().unwrap()).unwrap();
            tell.send(transport.rest()).unwrap();
        });
        let balancer = Balancer::before(&[backend.address]).start();
        let mut client = Client::to(balancer.address);
        client.send(format!("{POST}Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n"));
        assert_eq!(told.recv_timeout(PATIENCE).expect("the first chunk"), b"good");
        client.send(chunks);
        // The next request must not be taken for one.
        let _ = client.try_send(HIDDEN);
        let answer = client.answer();
        assert_eq!((answer.status, answer.header("connection")), (400, Some("close")), "{chunks:?}");
        assert!(answer.text().contains(why), "{chunks:?}: {}", answer.text());
        client.finish();
        client.expect_end();
        let seen = String::from_utf8(told.recv_timeout(PATIENCE).expect("the end of the upload")).unwrap();
        assert!(!seen.contains("0\r\n\r\n") && !seen.contains("hidden"), "{chunks:?} became {seen:?}");
    }
}

#[test]
fn trailers_that_frame_or_route_are_refused() {
    refused_in_pieces(
        "its trailers have a field that frames or routes",
        ["Content-Length: 34", "Transfer-Encoding: chunked", "Host: b", "Content_Length: 34"]
            .map(|trailer| format!("{POST}Transfer-Encoding: chunked\r\n\r\n0\r\n{trailer}\r\n\r\n{HIDDEN}")),
        &[usize::MAX],
    );
}

#[test]
fn extensions_of_chunks_pass_until_they_are_too_long_together_and_are_refused_for_that_reason() {
    let backend = Sample::start("one");
    let balancer = Balancer::before(&[backend.address()]).start();
    let mut client = Client::to(balancer.address);
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    // Fifteen of 1024 bytes, and one of one byte less or as many.
    let fifteen = format!("1;{}\r\nx\r\n", "e".repeat(1024)).repeat(15);
    client.send(format!("{head}{fifteen}1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(1023)));
    assert!(client.answer().expect_status(200).text().ends_with(&"x".repeat(16)));
    client.send(format!("{head}{fifteen}1;{}", "e".repeat(1024)));
    let answer = client.answer().expect_status(400);
    assert!(answer.text().contains("extensions of its chunks are too long together"), "{}", answer.text());
}
